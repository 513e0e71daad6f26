"""Writes the sets of docs/configure.md in nnU-Net's raw layout, so that its planner and `simtrot configure` read the same files.

    python tests/python/planner_sets.py RAW [DECATHLON_SET ...]
    export nnUNet_raw=RAW nnUNet_preprocessed=PRE nnUNet_results=RES
    nnUNetv2_plan_and_preprocess --no_pp -d 11 12 13 14 15 ...
    simtrot configure RAW/Dataset011_ThickCT --memory 8GiB --device cpu

Made up are thick, thin and large CT, thick MR and a tiny set; each DECATHLON_SET is converted, as 4, 5, 6, ... Needs nibabel and scipy.
"""

import json
import sys
from pathlib import Path

import nibabel
import numpy
from scipy.ndimage import gaussian_filter


def save(path, voxels, affine):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def describe(folder, name, channels, labels, cases):
    listing = {"name": name, "channel_names": channels, "labels": labels, "numTraining": cases, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(listing))


def volume(channel, shape, rng):
    """An image (x,y,z) with two balls of their own intensities, and its labels."""
    x, y, z = numpy.meshgrid(*[numpy.linspace(-1, 1, edge) for edge in shape], indexing="ij")
    noise = gaussian_filter(rng.normal(size=shape), 1.5)
    noise /= noise.std()
    body = x**2 + y**2 + z**2 < 1.1**2
    labels = numpy.zeros(shape, numpy.uint8)
    labels[(x + 0.3) ** 2 + y**2 + z**2 < 0.35**2] = 1
    labels[(x - 0.4) ** 2 + (y + 0.1) ** 2 + z**2 < 0.2**2] = 2
    if channel == "CT":
        image = numpy.where(body, 20 + 60 * noise, -1000)
        image = numpy.where(labels == 1, 100 + 20 * noise, image)
        image = numpy.where(labels == 2, 130 + 15 * noise, image)
        return image.round().astype(numpy.int16), labels
    scale = rng.uniform(100, 3000)
    return numpy.where(body, scale * (3 + noise + labels), 0).astype(numpy.float32), labels


def make(raw, number, name, channel, cases, spacing_of, shape_of, labels=("liver", "spleen")):
    folder = raw / f"Dataset{number:03d}_{name}"
    for case in range(cases):
        rng = numpy.random.default_rng([number, case])
        shape, spacing = shape_of(case), spacing_of(rng, case)
        image, truth = volume(channel, shape, rng)
        affine = numpy.diag([*spacing, 1.0])
        save(folder / "imagesTr" / f"case_{case:03d}_0000.nii.gz", image, affine)
        save(folder / "labelsTr" / f"case_{case:03d}.nii.gz", truth, affine)
    describe(folder, name, {"0": channel}, {"background": 0, labels[0]: 1, labels[1]: 2}, cases)


def convert(raw, number, source):
    """A Decathlon set: a file for each channel, and labels without gaps, as nnU-Net wants them."""
    folder = raw / f"Dataset{number:03d}_{source.name}"
    listing = json.loads((source / "dataset.json").read_text())
    consecutive = {value: place for place, value in enumerate(sorted(map(int, listing["labels"])))}
    for entry in listing["training"]:
        case = Path(entry["image"]).name.removesuffix(".nii.gz")
        image, truth = nibabel.load(source / entry["image"]), nibabel.load(source / entry["label"])
        values = numpy.vectorize(consecutive.get)(numpy.asanyarray(truth.dataobj).astype(int)).astype(numpy.uint8)
        save(folder / "labelsTr" / f"{case}.nii.gz", values, image.affine)
        voxels = numpy.asanyarray(image.dataobj).astype(numpy.float32)
        for channel in range(len(listing["modality"])):
            one = voxels[..., channel] if voxels.ndim == 4 else voxels
            save(folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz", one, image.affine)
    names = {listing["labels"][str(value)].replace(" ", "_"): place for value, place in consecutive.items()}
    describe(folder, source.name, listing["modality"], names, len(listing["training"]))


def main():
    raw = Path(sys.argv[1])
    for number, source in enumerate(map(Path, sys.argv[2:]), start=4):
        convert(raw, number, source)

    def thick(rng, case):
        pixel = round(float(rng.uniform(0.7, 0.9)), 3)
        return pixel, pixel, 2.5 if case % 5 == 0 else 5.0

    make(raw, 11, "ThickCT", "CT", 16, thick, lambda case: (256, 256, 72 if case % 5 == 0 else 36))
    make(raw, 12, "ThinCT", "CT", 12, lambda *_: (0.8, 0.8, 0.5), lambda case: (160 + 16 * (case % 3), 160, 220 + 10 * (case % 4)))
    make(raw, 13, "ThickMR", "T2", 16, lambda *_: (0.625, 0.625, 3.6), lambda case: (256, 256, 18 + case % 4))
    make(raw, 14, "Tiny", "MRI", 4, lambda *_: (1.0, 1.0, 1.0), lambda case: (20 + case, 18, 14), ("left_part", "right_part"))
    make(raw, 15, "LargeCT", "CT", 6, lambda *_: (1.0, 1.0, 1.0), lambda case: (256, 256, 240))


if __name__ == "__main__":
    main()
