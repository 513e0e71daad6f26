"""Loads an export of simtrot into MONAI and compares what the two make of the same volume.

    pip install torch monai safetensors
    python tests/python/compare_with_monai.py CHECKPOINT [--simtrot target/release/simtrot] [--encoder-only]

simtrot exports the checkpoint's weights with `--format monai`, and with them an example: a volume and its own outputs.
MONAI's class loads the weights with strict=True and computes the outputs anew. Exit code 1 if they differ.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from monai.networks.blocks import UnetrUpBlock
from monai.networks.nets import UNETR, SwinUNETR, ViT
from monai.networks.nets.swin_unetr import PatchMerging, SwinTransformer
from safetensors import safe_open
from safetensors.torch import load_file


class PaperMerging(PatchMerging):
    """MONAI's patch merging before 1.5, which takes two of the eight neighbours twice and two never."""

    def forward(self, x):
        _, d, h, w, _ = x.shape
        x = torch.nn.functional.pad(x, (0, 0, 0, w % 2, 0, h % 2, 0, d % 2))
        corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1)]
        return self.reduction(self.norm(torch.cat([x[:, i::2, j::2, k::2] for i, j, k in corners], -1)))


def as_maps(sequences, volume, patch):
    """Token sequences as feature maps, channels first."""
    grid = [edge // size for edge, size in zip(volume.shape[2:], patch)]
    return [tokens.transpose(1, 2).unflatten(2, grid) for tokens in sequences]


class AssembledUnetr(UNETR):
    """UNETR with another patch or another number of blocks than MONAI's class has."""

    def __init__(self, config, skips, **arguments):
        features, factor = config["feature_size"], [edge // 8 for edge in config["patch_size"]]
        super().__init__(**{**arguments, "img_size": 16})
        self.skips, self.patch = skips, config["patch_size"]
        self.decoder2 = UnetrUpBlock(3, 2 * features, features, 3, factor, "instance", res_block=config["res_block"])

    def forward(self, volume):
        tokens, hidden = self.vit(volume)
        first, second, third, last = as_maps([*(hidden[block] for block in self.skips), tokens], volume, self.patch)
        x = self.decoder5(last, self.encoder4(third))
        x = self.decoder4(x, self.encoder3(second))
        x = self.decoder3(x, self.encoder2(first))
        return self.out(self.decoder2(x, self.encoder1(volume)))


def swin(config, channels, classes, whole):
    downsample = {"merging": "merging", "mergingv2": "mergingv2", "paper": PaperMerging}[config["merging"]]
    shared = {name: config[name] for name in ["depths", "num_heads", "qkv_bias", "mlp_ratio", "use_v2"]}
    encoder = SwinTransformer(
        in_chans=channels,
        embed_dim=config["feature_size"],
        window_size=config["window_size"],
        patch_size=config["patch_size"],
        downsample=downsample,
        **shared,
    )
    if not whole:
        return encoder, lambda volume: encoder(volume, config["normalize"])
    network = SwinUNETR(
        in_channels=channels,
        out_channels=classes,
        feature_size=config["feature_size"],
        window_size=config["window_size"],
        patch_size=config["patch_size"][2],
        normalize=config["normalize"],
        downsample="merging" if config["merging"] == "paper" else config["merging"],
        **shared,
    )
    if len(set(config["patch_size"])) > 1 or config["merging"] == "paper":
        # What MONAI's class does not offer: patches that are not cubic, and the older order.
        features, patch = config["feature_size"], config["patch_size"]
        network.swinViT = encoder
        network.decoder1 = UnetrUpBlock(3, features, features, 3, patch, "instance", res_block=True)
        network._check_input_size = lambda shape: None
    return network, lambda volume: [network(volume)]


def unetr(config, channels, classes, whole, crop):
    layers, patch = config["num_layers"], config["patch_size"]
    skips = [layers * quarter // 4 for quarter in (1, 2, 3)]
    encoder = ViT(
        in_channels=channels,
        img_size=crop,
        patch_size=patch,
        hidden_size=config["hidden_size"],
        mlp_dim=config["mlp_dim"],
        num_layers=layers,
        num_heads=config["num_heads"],
        proj_type=config["projection"],
        qkv_bias=config["qkv_bias"],
    )
    if not whole:

        def stages(volume):
            tokens, hidden = encoder(volume)
            return as_maps([*(hidden[block] for block in skips), tokens], volume, patch)

        return encoder, stages
    arguments = {name: config[name] for name in ["feature_size", "hidden_size", "mlp_dim", "num_heads", "conv_block", "res_block"]}
    arguments |= {"in_channels": channels, "out_channels": classes, "img_size": crop, "proj_type": config["projection"]}
    arguments |= {"qkv_bias": config["qkv_bias"]}
    if patch == [16, 16, 16] and layers == 12:
        network = UNETR(**arguments)
    else:
        network = AssembledUnetr(config, skips, **arguments)
        network.vit = encoder
    return network, lambda volume: [network(volume)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--simtrot", default="target/release/simtrot")
    parser.add_argument("--encoder-only", action="store_true")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of the largest absolute output, at least of 1")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        weights, example = (str(pathlib.Path(folder) / name) for name in ["weights.safetensors", "example.safetensors"])
        command = [given.simtrot, "--no-gui", "export", given.checkpoint, "--format", "monai", "--out", weights, "--example", example]
        subprocess.run(command + ["--encoder-only"] * given.encoder_only, check=True)
        with safe_open(weights, "pt") as file:
            recipe = json.loads(file.metadata()["simtrot"])
        state, numbers = load_file(weights), load_file(example)

    ((backbone, config),) = recipe["config"]["model"].items()
    whole = recipe["kind"] == "finetune"
    channels, classes = len(recipe["dataset"]["channels"]), len(recipe["dataset"]["labels"])
    crop = recipe["config"]["finetune" if whole else "pretrain"]["crop_size"]
    if backbone == "swin_unetr":
        network, run = swin(config, channels, classes, whole)
    elif backbone == "unetr":
        network, run = unetr(config, channels, classes, whole, crop)
    else:
        sys.exit(f"MONAI has no {backbone}")
    network.load_state_dict(state, strict=True)
    network.eval()

    worst = 0.0
    with torch.no_grad():
        outputs = run(numbers.pop("input"))
    if len(outputs) != len(numbers):
        sys.exit(f"{len(outputs)} outputs of MONAI, {len(numbers)} of simtrot")
    for output, (name, expected) in zip(outputs, sorted(numbers.items())):
        difference, largest = (output - expected).abs().max().item(), expected.abs().max().item()
        print(f"{name} {list(expected.shape)}: differs by {difference:.2e} at most, values up to {largest:.3g}")
        worst = max(worst, difference / max(1.0, largest))
    print(f"{type(network).__name__}, {len(state)} tensors: largest difference {worst:.2e}, allowed {given.tolerance:.0e}")
    sys.exit(0 if worst <= given.tolerance else 1)


if __name__ == "__main__":
    main()
