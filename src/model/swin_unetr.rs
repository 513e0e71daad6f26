//! Swin UNETR (arXiv:2201.01266, v2 arXiv:2308.05785): an encoder of windowed attention, and a convolutional decoder.
//!
//! MONAI's implementation with its quirks, because published weights depend on them.

mod estimate;
#[cfg(test)]
mod tests;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layout::{crop, pad};
use super::weights::NamedWeights;
use super::{Task, TokenEncoder};
use crate::config::{BackboneConfig as _, SwinUnetrConfig};
use crate::nn::{
    AttentionConfig, Block, BlockConfig, ConvBlock, DropPath, Initialiser, Pass, PatchConv, PointConv, TokenGrid, TokenMerging, UpBlock,
    WindowAttention, clamped_window_tables, convolution_name, normalise,
};

/// The encoder's name in a whole network; its initial weights are keyed by it in both.
const ENCODER: &str = "swinViT";

/// Swin UNETR's encoder.
#[derive(Module, Debug)]
pub struct SwinUnetrEncoder {
    /// Volume to tokens.
    pub patch_embed: PatchConv,
    /// Stages, finest first.
    pub stages: Vec<SwinStage>,
    #[module(skip)]
    normalize: bool,
    #[module(skip)]
    patch_size: [usize; 3],
    #[module(skip)]
    total_stride: [usize; 3],
}

/// Blocks at one resolution, the odd ones shifted, and the way down from it.
#[derive(Module, Debug)]
pub struct SwinStage {
    /// In front of the blocks, in v2.
    pub residual: Option<ConvBlock>,
    /// Transformer blocks.
    pub blocks: Vec<Block<WindowAttention>>,
    /// To half the grid and twice the channels.
    pub downsample: TokenMerging,
    #[module(skip)]
    window: [usize; 3],
}

/// Swin UNETR: encoder, decoder and head.
#[derive(Module, Debug)]
pub struct SwinUnetr {
    /// The encoder.
    pub encoder: SwinUnetrEncoder,
    /// The decoder.
    pub decoder: SwinUnetrDecoder,
    /// Full-resolution channels to classes.
    pub out: PointConv,
}

/// Swin UNETR's decoder.
#[derive(Module, Debug)]
pub struct SwinUnetrDecoder {
    /// On the way across, finest first: of the volume, then of each feature map but the two last.
    /// The last but one crosses as it is.
    pub skips: Vec<ConvBlock>,
    /// Of the last feature map.
    pub bottleneck: ConvBlock,
    /// On the way up, finest first.
    pub levels: Vec<UpBlock>,
}

impl SwinUnetrEncoder {
    /// Initial weights of `seed` as MONAI's: position tables truncated normal, all else PyTorch's default.
    pub fn init(config: &SwinUnetrConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device).at(ENCODER);
        let mut rates = DropPath::rates(config.drop_path_rate, config.depths.iter().sum()).into_iter();
        let stages = (0..config.stages()).map(|stage| {
            let rates: Vec<f64> = rates.by_ref().take(config.depths[stage]).collect();
            SwinStage::init(config, stage, &rates, &init.at("stages").at(stage))
        });
        Self {
            stages: stages.collect(),
            patch_embed: PatchConv::init(task.channels, config.patch_size, config.feature_size, &init.at("patch_embed")),
            normalize: config.normalize,
            patch_size: config.patch_size,
            total_stride: config.total_stride(),
        }
    }

    /// The patch embedding and what each stage hands on, finest first, each token normalised over its channels if `normalize`.
    ///
    /// `volume` may have any size: incomplete patches and odd grids are zero-padded at the high end where they occur.
    pub fn hidden_states(&self, volume: Tensor<5>, normalize: bool, pass: Pass) -> Vec<TokenGrid> {
        let handed_out = |x: &TokenGrid| if normalize { x.with(normalise(x.tokens.clone())) } else { x.clone() };
        let mut x = self.patch_embed.tokens(pad(volume, self.patch_size));
        let mut states = vec![handed_out(&x)];
        for stage in &self.stages {
            x = stage.forward(x, pass);
            states.push(handed_out(&x));
        }
        states
    }
}

impl TokenEncoder for SwinUnetrEncoder {
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.hidden_states(pad(volume, self.total_stride), self.normalize, pass).into_iter().map(TokenGrid::into_volume).collect()
    }

    fn total_stride(&self) -> [usize; 3] {
        self.total_stride
    }

    fn dims(&self) -> Vec<usize> {
        let [finest] = self.patch_embed.bias.dims();
        (0..=self.stages.len()).map(|level| finest << level).collect()
    }

    fn prefix(&self) -> &'static str {
        "swinViT."
    }
}

impl SwinStage {
    fn init(config: &SwinUnetrConfig, stage: usize, rates: &[f64], init: &Initialiser<'_>) -> Self {
        let dim = config.dim(stage);
        let attention = AttentionConfig { dim, heads: config.num_heads[stage], window: config.window_size, qkv_bias: config.qkv_bias };
        let hidden = (dim as f64 * config.mlp_ratio) as usize;
        let blocks = rates.iter().enumerate().map(|(block, &drop_path)| {
            let config = BlockConfig { attention, hidden, drop_path, recompute: config.recompute };
            Block::<WindowAttention>::init(&config, &init.at("blocks").at(block))
        });
        Self {
            residual: config.use_v2.then(|| ConvBlock::residual(dim, dim, [1; 3], &init.at("residual")).recomputed(config.recompute)),
            blocks: blocks.collect(),
            downsample: TokenMerging::init(dim, config.merging, &init.at("downsample")),
            window: config.window_size,
        }
    }

    fn forward(&self, mut x: TokenGrid, pass: Pass) -> TokenGrid {
        if let Some(residual) = &self.residual {
            x = residual.forward(x);
        }
        for (index, block) in self.blocks.iter().enumerate() {
            x.tokens = block.forward(x.tokens, &clamped_window_tables(x.grid, self.window, index % 2 == 1), pass);
        }
        self.downsample.forward(x)
    }
}

impl SwinUnetr {
    /// Initial weights of `seed`; the encoder equals [`SwinUnetrEncoder::init`]'s bit by bit.
    pub fn init(config: &SwinUnetrConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device);
        Self {
            encoder: SwinUnetrEncoder::init(config, task, seed, device),
            decoder: SwinUnetrDecoder::init(config, task, &init.at("decoder")),
            out: PointConv::init(config.feature_size, task.classes, [1; 3], &init.at("out")),
        }
    }

    /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of the one head.
    ///
    /// A volume is zero-padded at the high end to whole strides, and the logits are cropped back. A volume of a single
    /// stride has a last feature map of one token, which instance normalisation turns into zeros whatever it holds:
    /// MONAI refuses it, and so does the check of a training crop.
    pub fn forward(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let volume = pad(volume, self.encoder.total_stride);
        let states = self.encoder.hidden_states(volume.clone(), self.encoder.normalize, pass);
        let finest = self.decoder.forward(TokenGrid::from_volume(volume), states);
        vec![crop(self.out.forward(finest).into_volume(), [depth, height, width])]
    }
}

impl TokenEncoder for SwinUnetr {
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.encoder.encode(volume, pass)
    }

    fn total_stride(&self) -> [usize; 3] {
        self.encoder.total_stride()
    }

    fn dims(&self) -> Vec<usize> {
        self.encoder.dims()
    }

    fn prefix(&self) -> &'static str {
        self.encoder.prefix()
    }
}

impl SwinUnetrDecoder {
    fn init(config: &SwinUnetrConfig, task: &Task, init: &Initialiser<'_>) -> Self {
        let stages = config.stages();
        let block = |input, output, init: &Initialiser<'_>| ConvBlock::residual(input, output, [1; 3], init).recomputed(config.recompute);
        let skips = (0..stages).map(|skip| {
            // The volume, then feature maps from the finest on.
            let (input, output) = if skip == 0 { (task.channels, config.dim(0)) } else { (config.dim(skip - 1), config.dim(skip - 1)) };
            block(input, output, &init.at("skips").at(skip))
        });
        let levels = (0..=stages).map(|level| {
            let (input, output) = (config.dim(level), config.dim(level.saturating_sub(1)));
            let kernel = if level == 0 { config.patch_size } else { [2; 3] };
            UpBlock::init(input, output, kernel, true, &init.at("levels").at(level)).recomputed(config.recompute)
        });
        let coarsest = config.dim(stages);
        Self { skips: skips.collect(), bottleneck: block(coarsest, coarsest, &init.at("bottleneck")), levels: levels.collect() }
    }

    /// The volume's voxels and the encoder's feature maps (finest first) -> a token for each voxel.
    fn forward(&self, voxels: TokenGrid, mut states: Vec<TokenGrid>) -> TokenGrid {
        let mut x = self.bottleneck.forward(states.pop().expect("what the last stage hands on"));
        states.insert(0, voxels);
        for (level, up) in self.levels.iter().enumerate().rev() {
            let state = states.pop().expect("a feature map for each level");
            let skip = match self.skips.get(level) {
                Some(block) => block.forward(state),
                None => state,
            };
            x = up.forward(x, skip);
        }
        x
    }
}

impl NamedWeights for SwinUnetrEncoder {
    fn reference_name(&self, path: &[String]) -> String {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["patch_embed", parameter] => format!("{ENCODER}.patch_embed.proj.{parameter}"),
            ["stages", stage, "residual", ..] => format!("{ENCODER}.layers{}c.0.layer.{}", number(stage), convolution_name(&path[3..])),
            ["stages", stage, "blocks", block, "mlp", layer, parameter] => {
                let layer = if *layer == "fc1" { "linear1" } else { "linear2" };
                format!("{ENCODER}.layers{}.0.blocks.{block}.mlp.{layer}.{parameter}", number(stage))
            }
            ["stages", stage, rest @ ..] => format!("{ENCODER}.layers{}.0.{}", number(stage), rest.join(".")),
            _ => format!("{ENCODER}.{}", parts.join(".")),
        }
    }
}

impl NamedWeights for SwinUnetr {
    fn reference_name(&self, path: &[String]) -> String {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["encoder", ..] => self.encoder.reference_name(&path[1..]),
            ["decoder", "skips", skip, ..] => format!("encoder{}.layer.{}", number(skip), convolution_name(&path[3..])),
            ["decoder", "bottleneck", ..] => format!("encoder10.layer.{}", convolution_name(&path[2..])),
            ["decoder", "levels", level, ..] => format!("decoder{}.{}", number(level), convolution_name(&path[3..])),
            _ => convolution_name(path),
        }
    }
}

/// What the reference counts from 1.
fn number(index: &str) -> usize {
    let index: usize = index.parse().expect("a Vec's index");
    index + 1
}
