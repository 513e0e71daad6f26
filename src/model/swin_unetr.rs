//! Swin UNETR (arXiv:2201.01266, v2 arXiv:2308.05785): an encoder of windowed attention, and a convolutional decoder.
//!
//! MONAI's implementation with its quirks, because published weights depend on them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::backbone::{Attention, Backbone, Task, TokenEncoder};
use super::decoder::{Decoder, DecoderLevel, Head, SkipPath};
use super::names::{MONAI_CONVOLUTIONS, Renames};
use super::size::{padded_size, zero_pad};
use crate::config::{BackboneConfig as _, SwinUnetrConfig};
use crate::nn::{
    AttentionConfig, Block, BlockConfig, ConvBlock, DropPath, Extent, Initialiser, Memory, Pass, PatchConv, TokenGrid, TokenMerging,
    UpBlock, WindowAttention, clamped_window, clamped_window_tables, normalise,
};

/// Swin UNETR's encoder.
#[derive(Module, Debug)]
pub struct SwinUnetrEncoder {
    /// Volume to tokens.
    pub patch_embed: PatchConv,
    /// Stages, finest first.
    pub stages: Vec<SwinStage>,
    #[module(skip)]
    feature_size: usize,
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

impl Backbone for SwinUnetrConfig {
    type Encoder = SwinUnetrEncoder;

    /// Initial weights as MONAI's: position tables truncated normal, all else PyTorch's default.
    fn encoder(&self, task: &Task, init: &Initialiser<'_>) -> SwinUnetrEncoder {
        let init = init.at("swinViT");
        let mut rates = DropPath::rates(self.drop_path_rate, self.depths.iter().sum()).into_iter();
        let stages = (0..self.stages()).map(|stage| {
            let (init, dim) = (init.at("stages").at(stage), self.dim(stage));
            let attention = AttentionConfig { dim, heads: self.num_heads[stage], window: self.window_size, qkv_bias: self.qkv_bias };
            let hidden = (dim as f64 * self.mlp_ratio) as usize;
            let blocks = rates.by_ref().take(self.depths[stage]).enumerate().map(|(index, drop_path)| {
                let config = BlockConfig { attention, hidden, drop_path, recompute: self.recompute };
                Block::<WindowAttention>::init(&config, &init.at("blocks").at(index))
            });
            let residual = || ConvBlock::residual(dim, dim, [1; 3], &init.at("residual")).recomputed(self.recompute);
            SwinStage {
                blocks: blocks.collect(),
                residual: self.use_v2.then(residual),
                downsample: TokenMerging::init(dim, self.merging, &init.at("downsample")),
                window: self.window_size,
            }
        });
        SwinUnetrEncoder {
            stages: stages.collect(),
            patch_embed: PatchConv::init(task.channels, self.patch_size, self.feature_size, &init.at("patch_embed")),
            feature_size: self.feature_size,
            normalize: self.normalize,
            patch_size: self.patch_size,
            total_stride: self.total_stride(),
        }
    }

    /// The volume, then each feature map but the two last pass a block on their way across; the last but one crosses as it is.
    ///
    /// A volume of a single stride has a last feature map of one token, which instance normalisation turns into zeros whatever it
    /// holds: MONAI refuses it, and so does the check of a training crop.
    fn decoder(&self, task: &Task, init: &Initialiser<'_>) -> Decoder {
        let (root, init, stages) = (init, init.at("decoder"), self.stages());
        let block = |input, output, init: &Initialiser<'_>| ConvBlock::residual(input, output, [1; 3], init).recomputed(self.recompute);
        let skips = (0..stages).map(|skip| {
            let (input, output) = if skip == 0 { (task.channels, self.dim(0)) } else { (self.dim(skip - 1), self.dim(skip - 1)) };
            SkipPath::Convolved(block(input, output, &init.at("skips").at(skip)))
        });
        let levels = (0..=stages).map(|level| {
            let (input, output) = (self.dim(level), self.dim(level.saturating_sub(1)));
            let kernel = if level == 0 { self.patch_size } else { [2; 3] };
            let block = UpBlock::init(input, output, kernel, true, &init.at("levels").at(level));
            DecoderLevel::Convolved(block.recomputed(self.recompute))
        });
        let coarsest = self.dim(stages);
        let channels = (0..=stages).map(|level| self.dim(level.saturating_sub(1)));
        Decoder {
            skips: skips.collect(),
            bottleneck: Some(block(coarsest, coarsest, &init.at("bottleneck"))),
            levels: levels.collect(),
            heads: Head::of_levels(channels, self.deep_supervision, task.classes, root),
        }
    }

    fn attention(&self, stage: usize, grid: [usize; 3]) -> Option<Attention> {
        let heads = *self.num_heads.get(stage)?;
        let (window, shift) = clamped_window(grid, self.window_size, true);
        Some(Attention { heads, window, shift })
    }
}

impl SwinUnetrEncoder {
    /// The patch embedding and what each stage hands on, finest first, each token normalised over its channels if `normalize`.
    ///
    /// `volume` may have any size: incomplete patches and odd grids are zero-padded at the high end where they occur.
    pub fn hidden_states(&self, volume: Tensor<5>, normalize: bool, pass: Pass) -> Vec<TokenGrid> {
        let handed_out = |x: &TokenGrid| if normalize { x.with(normalise(x.tokens.clone())) } else { x.clone() };
        let [_, _, depth, height, width] = volume.dims();
        let mut x = self.patch_embed.tokens(zero_pad(volume, padded_size([depth, height, width], self.patch_size)));
        let mut states = vec![handed_out(&x)];
        for stage in &self.stages {
            if let Some(residual) = &stage.residual {
                x = residual.forward(x);
            }
            for (index, block) in stage.blocks.iter().enumerate() {
                x.tokens = block.forward(x.tokens, &clamped_window_tables(x.grid, stage.window, index % 2 == 1), pass);
            }
            x = stage.downsample.forward(x);
            states.push(handed_out(&x));
        }
        states
    }
}

impl TokenEncoder for SwinUnetrEncoder {
    fn stages(&self, volume: Tensor<5>, pass: Pass) -> Vec<TokenGrid> {
        self.hidden_states(volume, self.normalize, pass)
    }

    fn kept(&self, volume: Extent, decoded: bool, memory: &mut Memory) -> Vec<Extent> {
        let mut x = self.patch_embed.kept(volume, memory);
        let mut states = vec![x];
        for stage in &self.stages {
            x = stage.residual.as_ref().map_or(x, |residual| residual.kept(x, memory));
            let (window, _) = clamped_window(x.grid, stage.window, false);
            x = stage.blocks.iter().fold(x, |x, block| block.kept(x, window, memory));
            x = stage.downsample.kept(x, memory);
            states.push(x);
        }
        let normalised = if decoded { &states[..] } else { &states[states.len() - 1..] };
        if self.normalize {
            normalised.iter().for_each(|state| memory.keep(state.elements()));
        }
        states
    }

    fn total_stride(&self) -> [usize; 3] {
        self.total_stride
    }

    fn dims(&self) -> Vec<usize> {
        (0..=self.stages.len()).map(|level| self.feature_size << level).collect()
    }

    fn prefix(&self) -> &'static str {
        "swinViT."
    }

    fn renames(&self) -> Renames {
        let own = [
            ("encoder.patch_embed", "swinViT.patch_embed.proj"),
            ("encoder.stages.#.residual", "swinViT.layers#+1c.0.layer"),
            ("encoder.stages.#", "swinViT.layers#+1.0"),
            ("mlp.fc1", "mlp.linear1"),
            ("mlp.fc2", "mlp.linear2"),
            ("decoder.skips.#", "encoder#+1.layer"),
            ("decoder.bottleneck", "encoder10.layer"),
            ("decoder.levels.#", "decoder#+1"),
        ];
        own.into_iter().chain(MONAI_CONVOLUTIONS).collect()
    }
}
