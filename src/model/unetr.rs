//! UNETR (arXiv:2103.10504): a plain vision transformer for encoder, and a convolutional decoder that takes its skips
//! from the transformer's middle.
//!
//! All stages of the encoder lie on one token grid; the decoder's skips are projected to their levels' resolutions.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::backbone::{Attention, Backbone, Task, TokenEncoder};
use super::decoder::{ConvolvedStep, Decoder, DecoderLevel, Head, PlainStep, Projection, ProjectionStep, SkipPath};
use super::names::{MONAI_CONVOLUTIONS, Renames};
use crate::config::UnetrConfig;
use crate::nn::{
    AttentionConfig, Block, BlockConfig, ConvBlock, ExpandTokens, Extent, GlobalAttention, Initialiser, LayerNorm, Memory, Pass,
    PatchTokens, PatchTokensConfig, TokenGrid, UpBlock,
};

/// UNETR's encoder.
#[derive(Module, Debug)]
pub struct UnetrEncoder {
    /// Volume to tokens.
    pub patch_embedding: PatchTokens,
    /// Transformer blocks.
    pub blocks: Vec<Block<GlobalAttention>>,
    /// After the last block.
    pub norm: LayerNorm,
    #[module(skip)]
    skip_blocks: [usize; 3],
    #[module(skip)]
    dim: usize,
}

/// What the transformer computes.
pub struct VitStates {
    /// The output of each block, `[batch, tokens, dim]`.
    pub hidden: Vec<Tensor<3>>,
    /// The last block's output, normalised.
    pub tokens: Tensor<3>,
}

impl Backbone for UnetrConfig {
    type Encoder = UnetrEncoder;

    /// Initial weights as MONAI's: position code and a perceptron's projection truncated normal, all else PyTorch's default.
    fn encoder(&self, task: &Task, init: &Initialiser<'_>) -> UnetrEncoder {
        let init = init.at("vit");
        let patches = PatchTokensConfig {
            patch: self.patch_size,
            grid: self.grid(task.crop_size),
            channels: task.channels,
            dim: self.hidden_size,
            projection: self.projection,
            position: self.position,
        };
        let Self { hidden_size: dim, mlp_dim: hidden, num_heads: heads, qkv_bias, recompute, .. } = *self;
        let attention = AttentionConfig { dim, heads, window: [1; 3], qkv_bias };
        let block = BlockConfig { attention, hidden, drop_path: 0.0, recompute };
        let block = |index: usize| Block::<GlobalAttention>::init(&block, &init.at("blocks").at(index));
        UnetrEncoder {
            patch_embedding: PatchTokens::init(&patches, &init.at("patch_embedding")),
            blocks: (0..self.num_layers).map(block).collect(),
            norm: LayerNorm::init(self.hidden_size, &init.at("norm")),
            skip_blocks: self.skip_blocks(),
            dim: self.hidden_size,
        }
    }

    fn decoder(&self, task: &Task, init: &Initialiser<'_>) -> Decoder {
        let Self { hidden_size, feature_size, res_block, recompute, .. } = *self;
        let level_name = |kind: &str, level: usize| init.at(format!("{kind}{level}"));
        let block = |input: usize, output: usize, init: &Initialiser<'_>| {
            let block = if res_block { ConvBlock::residual } else { ConvBlock::basic };
            block(input, output, [1; 3], init).recomputed(recompute)
        };
        let step = |features: usize, init: &Initialiser<'_>| {
            let up = ExpandTokens::init_unbiased(features, features, [2; 3], &init.at("transp_conv"));
            match self.conv_block {
                false => ProjectionStep::Plain(PlainStep { up }),
                true => {
                    let conv_block = block(features, features, &init.at("conv_block"));
                    ProjectionStep::Convolved(ConvolvedStep { transp_conv: up, conv_block })
                }
            }
        };
        let projections = (1..4).map(|level| {
            let (init, features) = (level_name("encoder", level + 1), feature_size << level);
            SkipPath::Projected(Projection {
                transp_conv_init: ExpandTokens::init_unbiased(hidden_size, features, [2; 3], &init.at("transp_conv_init")),
                blocks: (0..3 - level).map(|index| step(features, &init.at("blocks").at(index))).collect(),
            })
        });
        let voxels = SkipPath::Convolved(block(task.channels, feature_size, &init.at("encoder1")));
        let levels = (0..4).map(|level| {
            let input = if level == 3 { hidden_size } else { feature_size << (level + 1) };
            let factor = if level == 0 { self.last_factor() } else { [2; 3] };
            DecoderLevel::Convolved(
                UpBlock::init(input, feature_size << level, factor, res_block, &level_name("decoder", level + 2)).recomputed(recompute),
            )
        });
        let levels: Vec<DecoderLevel> = levels.collect();
        let channels = (0..levels.len()).map(|level| feature_size << level);
        Decoder {
            skips: std::iter::once(voxels).chain(projections).collect(),
            bottleneck: None,
            levels,
            heads: Head::of_levels(channels, self.deep_supervision, task.classes, init),
        }
    }

    fn attention(&self, _stage: usize, grid: [usize; 3]) -> Option<Attention> {
        Some(Attention { heads: self.num_heads, window: grid, shift: [0; 3] })
    }
}

impl UnetrEncoder {
    /// Tokens along D,H,W of every volume.
    pub fn grid(&self) -> [usize; 3] {
        self.patch_embedding.grid()
    }

    /// Runs the transformer on a padded `volume`, `[batch, channel, depth, height, width]`.
    pub fn states(&self, volume: Tensor<5>, pass: Pass) -> VitStates {
        let mut tokens = self.patch_embedding.forward(volume);
        let mut hidden = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            tokens = block.forward(tokens, pass);
            hidden.push(tokens.clone());
        }
        VitStates { hidden, tokens: self.norm.forward(tokens) }
    }
}

impl TokenEncoder for UnetrEncoder {
    /// The three skips as they leave their blocks, and the final tokens, normalised; all on the grid of the training crop.
    fn stages(&self, volume: Tensor<5>, pass: Pass) -> Vec<TokenGrid> {
        let VitStates { hidden, tokens } = self.states(volume, pass);
        let skips = self.skip_blocks.map(|block| hidden[block].clone());
        skips.into_iter().chain([tokens]).map(|tokens| TokenGrid { tokens, grid: self.grid() }).collect()
    }

    fn kept(&self, volume: Extent, _decoded: bool, memory: &mut Memory) -> Vec<Extent> {
        let x = self.patch_embedding.kept(volume, memory);
        let x = self.blocks.iter().fold(x, |x, block| block.kept(x, x.grid, memory));
        let x = self.norm.kept(x, memory);
        // The feature map made of the tokens.
        memory.keep(x.elements());
        vec![x; self.skip_blocks.len() + 1]
    }

    /// The size of the training crop in whole patches.
    ///
    /// # Panics
    /// If `size` is larger: there is no position code for it.
    fn padded_size(&self, size: [usize; 3]) -> [usize; 3] {
        let (grid, patch) = (self.grid(), self.patch_embedding.patch());
        let padded: [usize; 3] = std::array::from_fn(|axis| grid[axis] * patch[axis]);
        let [depth, height, width] = size;
        assert!(
            (0..3).all(|axis| size[axis] <= padded[axis]),
            "a volume of {depth}x{height}x{width} voxels is larger than the crop of {padded:?} that UNETR's position code was made for; \
             cut it into windows of that size"
        );
        padded
    }

    fn total_stride(&self) -> [usize; 3] {
        self.patch_embedding.patch()
    }

    fn dims(&self) -> Vec<usize> {
        vec![self.dim; self.skip_blocks.len() + 1]
    }

    /// Blocks go with the skip that they lead to, those behind the last skip and the norm with the final tokens.
    fn stage_of(&self, path: &[String]) -> usize {
        let before = |block: usize| self.skip_blocks.iter().filter(|&&skip| skip < block).count();
        match path {
            [field, number, ..] if field == "blocks" => number.parse().map_or(0, before),
            [field, ..] if field == "norm" => self.skip_blocks.len(),
            _ => 0,
        }
    }

    fn prefix(&self) -> &'static str {
        "vit."
    }

    fn renames(&self) -> Renames {
        let projection = if self.patch_embedding.is_perceptron() { "patch_embeddings.1" } else { "patch_embeddings" };
        let own = [
            ("encoder", "vit"),
            ("patch_embeddings", projection),
            ("attn.proj", "attn.out_proj"),
            ("mlp.fc1", "mlp.linear1"),
            ("mlp.fc2", "mlp.linear2"),
            // A step with a convolution block is a sequence in the reference.
            ("decoder.skips.#.blocks.#.transp_conv", "encoder#+1.blocks.#.0.conv"),
            ("decoder.skips.#.blocks.#.conv_block", "encoder#+1.blocks.#.1"),
            ("decoder.skips.#.blocks.#.up", "encoder#+1.blocks.#.conv"),
            ("decoder.skips.0", "encoder1.layer"),
            ("decoder.skips.#", "encoder#+1"),
            ("decoder.levels.0", "decoder2"),
            ("decoder.levels.1", "decoder3"),
            ("decoder.levels.2", "decoder4"),
            ("decoder.levels.3", "decoder5"),
        ];
        own.into_iter().chain(MONAI_CONVOLUTIONS).collect()
    }

    fn encode_visible(&self, volume: Tensor<5>, visible: Tensor<2, Int>) -> Option<Tensor<3>> {
        let tokens = self.patch_embedding.forward_visible(self.pad(volume), visible);
        Some(self.norm.forward(self.blocks.iter().fold(tokens, |tokens, block| block.forward(tokens, Pass::EVALUATION))))
    }
}
