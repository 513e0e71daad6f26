//! UNETR (arXiv:2103.10504): a plain vision transformer for encoder, and a convolutional decoder that takes its skips
//! from the transformer's middle.
//!
//! All stages of the encoder lie on one token grid; the decoder's first levels bring the skips to their resolutions.

mod estimate;
#[cfg(test)]
mod tests;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::layout::{crop, pad};
use super::weights::NamedWeights;
use super::{Task, TokenEncoder};
use crate::config::UnetrConfig;
use crate::nn::{
    AttentionConfig, Block, BlockConfig, ConvBlock, ExpandTokens, GlobalAttention, Initialiser, LayerNorm, Pass, PatchTokens,
    PatchTokensConfig, PointConv, TokenGrid, UpBlock, convolution_name,
};

/// The encoder's name in a whole network; its initial weights are keyed by it in both.
const ENCODER: &str = "vit";

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
}

/// UNETR.
#[derive(Module, Debug)]
pub struct Unetr {
    /// The encoder.
    pub vit: UnetrEncoder,
    /// The volume itself to the skip of full resolution.
    pub encoder1: ConvBlock,
    /// Tokens of the encoder's middle to the coarser skips, finest first.
    pub projections: Vec<Projection>,
    /// Decoder levels, finest first; they run in the opposite order.
    pub decoders: Vec<UpBlock>,
    /// Features to logits.
    pub out: PointConv,
}

/// Tokens to a skip: doubles the resolution once, and once more in each step.
#[derive(Module, Debug)]
pub struct Projection {
    /// From the tokens' channels to the skip's.
    pub transp_conv_init: ExpandTokens,
    /// Further doublings.
    pub blocks: Vec<ProjectionStep>,
}

/// One more doubling.
#[derive(Module, Debug)]
pub struct ProjectionStep {
    /// Kernel and stride 2.
    pub transp_conv: ExpandTokens,
    /// At the new resolution, where configured.
    pub conv_block: Option<ConvBlock>,
}

/// What the transformer computes.
pub struct VitStates {
    /// The output of each block, `[batch, tokens, dim]`.
    pub hidden: Vec<Tensor<3>>,
    /// The last block's output, normalised.
    pub tokens: Tensor<3>,
}

impl UnetrEncoder {
    /// Initial weights of `seed` as MONAI's: position code and a perceptron's projection truncated normal, all else PyTorch's default.
    pub fn init(config: &UnetrConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device).at(ENCODER);
        let UnetrConfig { patch_size, hidden_size, mlp_dim, num_heads, num_layers, projection, position, qkv_bias, .. } = *config;
        let patches = PatchTokensConfig {
            patch: patch_size,
            grid: config.grid(task.crop_size),
            channels: task.channels,
            dim: hidden_size,
            projection,
            position,
        };
        let attention = AttentionConfig { dim: hidden_size, heads: num_heads, window: [1; 3], qkv_bias };
        let block = BlockConfig { attention, hidden: mlp_dim, drop_path: 0.0, recompute: false };
        Self {
            patch_embedding: PatchTokens::init(&patches, &init.at("patch_embedding"), device),
            blocks: (0..num_layers).map(|index| Block::<GlobalAttention>::init(&block, &init.at("blocks").at(index))).collect(),
            norm: LayerNorm::init(hidden_size, &init.at("norm")),
            skip_blocks: config.skip_blocks(),
        }
    }

    /// Tokens along D,H,W of every volume.
    pub fn grid(&self) -> [usize; 3] {
        self.patch_embedding.grid()
    }

    /// Runs the transformer on `volume`, `[batch, channel, depth, height, width]`, zero-padded to the training crop.
    ///
    /// # Panics
    /// If `volume` is larger than the training crop, rounded up to whole patches: there is no position code for it.
    pub fn states(&self, volume: Tensor<5>) -> VitStates {
        let mut tokens = self.patch_embedding.forward(self.fit(volume));
        let mut hidden = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            tokens = block.forward(tokens, Pass::EVALUATION);
            hidden.push(tokens.clone());
        }
        VitStates { hidden, tokens: self.norm.forward(tokens) }
    }

    /// Zeros at the high end up to the grid of the position code.
    fn fit(&self, volume: Tensor<5>) -> Tensor<5> {
        let [_, _, depth, height, width] = volume.dims();
        let (grid, patch) = (self.grid(), self.patch_embedding.patch());
        let size = std::array::from_fn(|axis| grid[axis] * patch[axis]);
        assert!(
            depth <= size[0] && height <= size[1] && width <= size[2],
            "a volume of {depth}x{height}x{width} voxels is larger than the crop of {size:?} that UNETR's position code was made for; \
             cut it into windows of that size"
        );
        pad(volume, size)
    }

    /// The skips, in the order the blocks run, and the final tokens.
    fn stages(&self, volume: Tensor<5>) -> [TokenGrid; 4] {
        let VitStates { hidden, tokens } = self.states(volume);
        let [first, second, third] = self.skip_blocks.map(|block| hidden[block].clone());
        [first, second, third, tokens].map(|tokens| TokenGrid { tokens, grid: self.grid() })
    }
}

impl TokenEncoder for UnetrEncoder {
    /// The three skips as they leave their blocks, and the final tokens, normalised; all on the grid of the training crop.
    fn encode(&self, volume: Tensor<5>, _pass: Pass) -> Vec<Tensor<5>> {
        self.stages(volume).into_iter().map(TokenGrid::into_volume).collect()
    }

    fn total_stride(&self) -> [usize; 3] {
        self.patch_embedding.patch()
    }

    fn prefix(&self) -> &'static str {
        "vit."
    }

    /// # Panics
    /// As [`UnetrEncoder::states`].
    fn encode_visible(&self, volume: Tensor<5>, visible: Tensor<2, Int>) -> Option<Tensor<3>> {
        let tokens = self.patch_embedding.forward_visible(self.fit(volume), visible);
        Some(self.norm.forward(self.blocks.iter().fold(tokens, |tokens, block| block.forward(tokens, Pass::EVALUATION))))
    }

    fn dims(&self) -> Vec<usize> {
        let [_, _, dim] = self.patch_embedding.position_embeddings.table().dims();
        vec![dim; self.skip_blocks.len() + 1]
    }
}

impl Unetr {
    /// Initial weights of `seed`; the encoder equals [`UnetrEncoder::init`]'s bit by bit.
    pub fn init(config: &UnetrConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device);
        let UnetrConfig { hidden_size, feature_size, conv_block, res_block, .. } = *config;
        let level_name = |kind: &str, level: usize| init.at(format!("{kind}{level}"));
        let projections = (0..3).map(|index| {
            let features = [hidden_size, feature_size << (index + 1)];
            Projection::init(features, 2 - index, conv_block.then_some(res_block), &level_name("encoder", index + 2))
        });
        let decoders = (0..4).map(|level| {
            let input = if level == 3 { hidden_size } else { feature_size << (level + 1) };
            let factor = if level == 0 { config.last_factor() } else { [2; 3] };
            UpBlock::init(input, feature_size << level, factor, res_block, &level_name("decoder", level + 2))
        });
        Self {
            vit: UnetrEncoder::init(config, task, seed, device),
            encoder1: conv_block_of(task.channels, feature_size, res_block, &init.at("encoder1")),
            projections: projections.collect(),
            decoders: decoders.collect(),
            out: PointConv::init(feature_size, task.classes, [1; 3], &init.at("out")),
        }
    }

    /// `[batch, channel, depth, height, width]` up to the training crop -> logits `[batch, class, ...]` of the same size, the only head.
    ///
    /// A volume is zero-padded at the high end to the training crop, and the logits are cropped back.
    ///
    /// # Panics
    /// As [`UnetrEncoder::states`].
    pub fn forward(&self, volume: Tensor<5>, _pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let volume = self.vit.fit(volume);
        let [first, second, third, mut x] = self.vit.stages(volume.clone());
        for ((decoder, projection), skip) in self.decoders[1..].iter().zip(&self.projections).zip([first, second, third]).rev() {
            x = decoder.forward(x, projection.forward(skip));
        }
        x = self.decoders[0].forward(x, self.encoder1.forward(TokenGrid::from_volume(volume)));
        vec![crop(self.out.forward(x).into_volume(), [depth, height, width])]
    }
}

impl TokenEncoder for Unetr {
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.vit.encode(volume, pass)
    }

    fn total_stride(&self) -> [usize; 3] {
        self.vit.total_stride()
    }

    fn prefix(&self) -> &'static str {
        self.vit.prefix()
    }

    fn encode_visible(&self, volume: Tensor<5>, visible: Tensor<2, Int>) -> Option<Tensor<3>> {
        self.vit.encode_visible(volume, visible)
    }

    fn dims(&self) -> Vec<usize> {
        self.vit.dims()
    }
}

/// A convolution block of stride 1, with a shortcut if `residual`.
fn conv_block_of(input: usize, output: usize, residual: bool, init: &Initialiser<'_>) -> ConvBlock {
    if residual { ConvBlock::residual(input, output, [1; 3], init) } else { ConvBlock::basic(input, output, [1; 3], init) }
}

impl Projection {
    /// `convolutions`: whether steps have a convolution block, and whether that has a shortcut.
    fn init([input, output]: [usize; 2], steps: usize, convolutions: Option<bool>, init: &Initialiser<'_>) -> Self {
        let step = |index: usize| {
            let init = init.at("blocks").at(index);
            ProjectionStep {
                transp_conv: ExpandTokens::init_unbiased(output, output, [2; 3], &init.at("transp_conv")),
                conv_block: convolutions.map(|residual| conv_block_of(output, output, residual, &init.at("conv_block"))),
            }
        };
        Self {
            transp_conv_init: ExpandTokens::init_unbiased(input, output, [2; 3], &init.at("transp_conv_init")),
            blocks: (0..steps).map(step).collect(),
        }
    }

    /// Tokens of the encoder -> the skip, on a grid `2^(1 + steps)` times as fine.
    pub fn forward(&self, tokens: TokenGrid) -> TokenGrid {
        self.blocks.iter().fold(self.transp_conv_init.forward(tokens), |x, step| {
            let x = step.transp_conv.forward(x);
            match &step.conv_block {
                Some(block) => block.forward(x),
                None => x,
            }
        })
    }
}

impl NamedWeights for UnetrEncoder {
    fn reference_name(&self, path: &[String]) -> String {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let name = match parts.as_slice() {
            ["blocks", block, "attn", "proj", field] => format!("blocks.{block}.attn.out_proj.{field}"),
            ["blocks", block, "mlp", "fc1", field] => format!("blocks.{block}.mlp.linear1.{field}"),
            ["blocks", block, "mlp", "fc2", field] => format!("blocks.{block}.mlp.linear2.{field}"),
            ["patch_embedding", "patch_embeddings", field] if self.patch_embedding.is_perceptron() => {
                format!("patch_embedding.patch_embeddings.1.{field}")
            }
            _ => parts.join("."),
        };
        format!("{ENCODER}.{name}")
    }
}

impl NamedWeights for Unetr {
    fn reference_name(&self, path: &[String]) -> String {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let level = |index: &str| index.parse::<usize>().expect("a Vec's index") + 2;
        match parts.as_slice() {
            [ENCODER, ..] => self.vit.reference_name(&path[1..]),
            ["encoder1", ..] => format!("encoder1.layer.{}", convolution_name(&path[1..])),
            ["projections", index, "transp_conv_init", field] => format!("encoder{}.transp_conv_init.conv.{field}", level(index)),
            ["projections", index, "blocks", step, rest @ ..] => {
                let own = &path[path.len() - rest.len()..];
                // A step with a convolution block is a sequence in the reference.
                let sequence = self.projections.iter().flat_map(|skip| &skip.blocks).any(|step| step.conv_block.is_some());
                let rest = match rest {
                    ["transp_conv", field] if sequence => format!("0.conv.{field}"),
                    ["transp_conv", field] => format!("conv.{field}"),
                    _ => format!("1.{}", convolution_name(&own[1..])),
                };
                format!("encoder{}.blocks.{step}.{rest}", level(index))
            }
            ["decoders", index, ..] => format!("decoder{}.{}", level(index), convolution_name(&path[2..])),
            _ => convolution_name(path),
        }
    }
}
