//! nnFormer (arXiv:2109.03201): an encoder of windowed attention, and a decoder that attends from up-sampled tokens to skips.
//!
//! The quirks of the reference implementation are kept, because published weights depend on them.

mod estimate;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layout::{StageLayout, crop, pad, stage_layouts};
use super::weights::NamedWeights;
use super::{Task, TokenEncoder};
use crate::config::{BackboneConfig as _, NnFormerConfig};
use crate::nn::{
    AttentionConfig, Block, BlockConfig, DropPath, ExpandTokens, ExpandVoxels, Initialiser, LayerNorm, Pass, PatchEmbed, PatchMerging,
    PositionIndex, SkipAttention, TokenGrid, WindowAttention, window_tables,
};

/// The encoder's name in a whole network; its initial weights are keyed by it in both.
const ENCODER: &str = "model_down";

/// nnFormer's encoder.
#[derive(Module, Debug)]
pub struct NnFormerEncoder {
    /// Volume to tokens.
    pub patch_embed: PatchEmbed,
    /// Stages, finest first.
    pub layers: Vec<EncoderStage>,
    /// Normalises each stage's output into its skip; the next stage takes the output un-normalised.
    pub norms: Vec<LayerNorm>,
    #[module(skip)]
    total_stride: [usize; 3],
}

/// Blocks at one resolution, the odd ones shifted.
#[derive(Module, Debug)]
pub struct EncoderStage {
    /// Transformer blocks.
    pub blocks: Vec<Block<WindowAttention>>,
    /// To the next stage; the last has none.
    pub downsample: Option<PatchMerging>,
    #[module(skip)]
    layout: StageLayout,
}

/// nnFormer: encoder, decoder and one head for each supervised decoder level.
#[derive(Module, Debug)]
pub struct NnFormer {
    /// The encoder.
    pub model_down: NnFormerEncoder,
    /// The decoder.
    pub decoder: Decoder,
    /// Tokens of each decoder level to logits, finest first.
    pub heads: Vec<ExpandVoxels>,
}

/// nnFormer's decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    /// Stages by skip level, finest first; they run in the opposite order.
    pub layers: Vec<DecoderStage>,
}

/// One decoder level.
#[derive(Module, Debug)]
pub struct DecoderStage {
    /// Attends from the up-sampled tokens to the skip; never shifted.
    pub cross: Block<SkipAttention>,
    /// Ordinary blocks, all of them shifted.
    pub blocks: Vec<Block<WindowAttention>>,
    /// From the coarser level.
    pub upsample: Upsample,
    #[module(skip)]
    layout: StageLayout,
}

/// Twice the grid, half the channels.
#[derive(Module, Debug)]
pub struct Upsample {
    /// Before the transposed convolution.
    pub norm: LayerNorm,
    /// Kernel and stride 2.
    pub up: ExpandTokens,
}

fn block_config(config: &NnFormerConfig, layout: &StageLayout, heads: usize, drop_path: f64) -> BlockConfig {
    BlockConfig {
        attention: AttentionConfig { dim: layout.dim, heads, window: [layout.window; 3], qkv_bias: config.qkv_bias },
        hidden: (layout.dim as f64 * config.mlp_ratio) as usize,
        drop_path,
        recompute: config.recompute,
    }
}

impl NnFormerEncoder {
    /// Initial weights of `seed` as the reference's: position tables truncated normal, all else PyTorch's default.
    pub fn init(config: &NnFormerConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device).at(ENCODER);
        let layouts = stage_layouts(config, task.crop_size);
        let mut rates = DropPath::rates(config.drop_path_rate, config.depths.iter().sum()).into_iter();
        let layers = layouts.iter().enumerate().map(|(stage, layout)| {
            let init = init.at("layers").at(stage);
            let blocks = rates.by_ref().take(config.depths[stage]).enumerate();
            let blocks = blocks.map(|(block, rate)| {
                Block::<WindowAttention>::init(&block_config(config, layout, config.num_heads[stage], rate), &init.at("blocks").at(block))
            });
            EncoderStage {
                blocks: blocks.collect(),
                downsample: (stage + 1 < layouts.len()).then(|| PatchMerging::init(layout.dim, &init.at("downsample"))),
                layout: *layout,
            }
        });
        Self {
            patch_embed: PatchEmbed::init(config.patch_size, task.channels, config.embed_dim, &init.at("patch_embed")),
            layers: layers.collect(),
            norms: layouts
                .iter()
                .enumerate()
                .map(|(stage, layout)| LayerNorm::init(layout.dim, &init.at(format!("norm{stage}"))))
                .collect(),
            total_stride: config.total_stride(),
        }
    }

    /// The skips, finest first; `volume`'s size must be a multiple of the total stride.
    pub fn skips(&self, volume: Tensor<5>, pass: Pass) -> Vec<TokenGrid> {
        let mut x = self.patch_embed.forward(volume);
        let mut skips = Vec::with_capacity(self.layers.len());
        for (stage, norm) in self.layers.iter().zip(&self.norms) {
            x = stage.forward(x, pass);
            skips.push(x.with(norm.forward(x.tokens.clone())));
            if let Some(downsample) = &stage.downsample {
                x = downsample.forward(x);
            }
        }
        skips
    }
}

impl TokenEncoder for NnFormerEncoder {
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.skips(pad(volume, self.total_stride), pass).into_iter().map(TokenGrid::into_volume).collect()
    }

    fn total_stride(&self) -> [usize; 3] {
        self.total_stride
    }

    fn dims(&self) -> Vec<usize> {
        self.layers.iter().map(|stage| stage.layout.dim).collect()
    }

    fn prefix(&self) -> &'static str {
        "model_down."
    }
}

impl EncoderStage {
    fn forward(&self, mut x: TokenGrid, pass: Pass) -> TokenGrid {
        let StageLayout { window, shift, .. } = self.layout;
        for (index, block) in self.blocks.iter().enumerate() {
            let shift = if index % 2 == 1 { shift } else { 0 };
            x.tokens = block.forward(x.tokens, &window_tables(x.grid, [window; 3], [shift; 3], PositionIndex::NnFormer), pass);
        }
        x
    }
}

impl NnFormer {
    /// Initial weights of `seed`; the encoder equals [`NnFormerEncoder::init`]'s bit by bit.
    pub fn init(config: &NnFormerConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device);
        let levels = config.stages() - 1;
        let heads = if config.deep_supervision { levels.max(1) } else { 1 };
        let heads = (0..heads)
            .map(|level| ExpandVoxels::init(config.dim(level), task.classes, config.patch_size, &init.at("heads").at(level).at("up")));
        Self {
            model_down: NnFormerEncoder::init(config, task, seed, device),
            decoder: Decoder::init(config, task, &init.at("decoder")),
            heads: heads.collect(),
        }
    }

    /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of each head, full resolution first.
    ///
    /// A volume is zero-padded at the high end to whole strides, and the logits are cropped back: those of head `k`
    /// to the size divided by `2^k`, rounded up.
    pub fn forward(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let mut skips = self.model_down.skips(pad(volume, self.model_down.total_stride), pass);
        let bottleneck = skips.pop().expect("a stage");
        let levels = self.decoder.forward(bottleneck, skips, pass);
        self.heads
            .iter()
            .zip(levels)
            .enumerate()
            .map(|(level, (head, tokens))| crop(head.forward(tokens), [depth, height, width].map(|edge| edge.div_ceil(1 << level))))
            .collect()
    }
}

impl TokenEncoder for NnFormer {
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.model_down.encode(volume, pass)
    }

    fn total_stride(&self) -> [usize; 3] {
        self.model_down.total_stride()
    }

    fn dims(&self) -> Vec<usize> {
        self.model_down.dims()
    }

    fn prefix(&self) -> &'static str {
        self.model_down.prefix()
    }
}

impl Decoder {
    fn init(config: &NnFormerConfig, task: &Task, init: &Initialiser<'_>) -> Self {
        let layouts = stage_layouts(config, task.crop_size);
        let levels = layouts.len() - 1;
        let heads = if config.decoder_heads.is_empty() { &config.num_heads[..levels] } else { &config.decoder_heads };
        // The reference hands the rates out from the coarsest level on.
        let mut rates = DropPath::rates(config.drop_path_rate, config.depths[..levels].iter().sum()).into_iter();
        let mut layers: Vec<DecoderStage> = (0..levels)
            .rev()
            .map(|level| {
                let rates: Vec<f64> = rates.by_ref().take(config.depths[level]).collect();
                DecoderStage::init(config, &layouts[level], heads[level], &rates, &init.at("layers").at(level))
            })
            .collect();
        layers.reverse();
        Self { layers }
    }

    /// `bottleneck` and the finer `skips` (finest first) -> tokens of each level, finest first; without a level the bottleneck.
    pub fn forward(&self, bottleneck: TokenGrid, skips: Vec<TokenGrid>, pass: Pass) -> Vec<TokenGrid> {
        let mut levels = Vec::with_capacity(self.layers.len().max(1));
        let mut x = bottleneck;
        for (stage, skip) in self.layers.iter().zip(skips).rev() {
            x = stage.forward(&x, &skip, pass);
            levels.push(x.clone());
        }
        if levels.is_empty() {
            levels.push(x);
        }
        levels.reverse();
        levels
    }
}

impl DecoderStage {
    fn init(config: &NnFormerConfig, layout: &StageLayout, heads: usize, rates: &[f64], init: &Initialiser<'_>) -> Self {
        let block = |index: usize| block_config(config, layout, heads, rates[index]);
        let at = |index: usize| init.at("blocks").at(index);
        Self {
            cross: Block::<SkipAttention>::init(&block(0), &at(0)),
            blocks: (1..rates.len()).map(|index| Block::<WindowAttention>::init(&block(index), &at(index))).collect(),
            upsample: Upsample {
                norm: LayerNorm::init(2 * layout.dim, &init.at("Upsample.norm")),
                up: ExpandTokens::init(2 * layout.dim, layout.dim, [2; 3], &init.at("Upsample.up")),
            },
            layout: *layout,
        }
    }

    fn forward(&self, coarse: &TokenGrid, skip: &TokenGrid, pass: Pass) -> TokenGrid {
        let StageLayout { window, shift, .. } = self.layout;
        let windows = |shift: usize| window_tables(skip.grid, [window; 3], [shift; 3], PositionIndex::NnFormer);
        let up = self.upsample.up.forward(coarse.with(self.upsample.norm.forward(coarse.tokens.clone())));
        let mut tokens = self.cross.forward(up.tokens, skip.tokens.clone(), &windows(0), pass);
        for block in &self.blocks {
            tokens = block.forward(tokens, &windows(shift), pass);
        }
        skip.with(tokens)
    }
}

impl NamedWeights for NnFormerEncoder {
    fn reference_name(&self, path: &[String]) -> String {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["norms", stage, rest @ ..] => format!("{ENCODER}.norm{stage}.{}", rest.join(".")),
            _ => format!("{ENCODER}.{}", parts.join(".")),
        }
    }
}

impl NamedWeights for NnFormer {
    fn reference_name(&self, path: &[String]) -> String {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [ENCODER, ..] => self.model_down.reference_name(&path[1..]),
            ["heads", level, rest @ ..] => format!("final.{level}.up.{}", rest.join(".")),
            ["decoder", "layers", level, "upsample", rest @ ..] => format!("decoder.layers.{level}.Upsample.{}", rest.join(".")),
            ["decoder", "layers", level, "cross", rest @ ..] => format!("decoder.layers.{level}.blocks.0.{}", rest.join(".")),
            ["decoder", "layers", level, "blocks", block, rest @ ..] => {
                let block: usize = block.parse().expect("a Vec's index");
                format!("decoder.layers.{level}.blocks.{}.{}", block + 1, rest.join("."))
            }
            _ => parts.join("."),
        }
    }
}
