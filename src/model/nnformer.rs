//! nnFormer (arXiv:2109.03201): an encoder of windowed attention, and a decoder that attends from up-sampled tokens to skips.
//!
//! The quirks of the reference implementation are kept, because published weights depend on them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::backbone::{Attention, Backbone, Task, TokenEncoder};
use super::decoder::{AttendedLevel, Decoder, DecoderLevel, Head, Upsample};
use super::names::Renames;
use super::size::padded_size;
use crate::config::{BackboneConfig as _, NnFormerConfig};
use crate::nn::{
    AttentionConfig, Block, BlockConfig, DropPath, ExpandTokens, ExpandVoxels, Extent, Initialiser, LayerNorm, Memory, Pass, PatchEmbed,
    PatchMerging, PositionIndex, SkipAttention, TokenGrid, WindowAttention, window_tables,
};

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
    dim: usize,
    #[module(skip)]
    window: usize,
    #[module(skip)]
    shift: usize,
}

/// Edge of the cubic window of a stage and cyclic shift of its shifted blocks. As in the reference, a window no smaller than the
/// grid's shortest axis shrinks to it on all three axes and is never shifted.
fn window_and_shift(config: &NnFormerConfig, stage: usize, grid: [usize; 3]) -> (usize, usize) {
    let shortest = grid.into_iter().min().unwrap_or(1);
    let configured = config.window_size[stage];
    if shortest <= configured { (shortest, 0) } else { (configured, configured / 2) }
}

impl NnFormerConfig {
    /// [`window_and_shift`] on the grid of the training crop.
    fn window(&self, stage: usize, task: &Task) -> (usize, usize) {
        let padded = padded_size(task.crop_size, self.total_stride());
        window_and_shift(self, stage, std::array::from_fn(|axis| (padded[axis] / self.patch_size[axis]) >> stage))
    }

    fn block(&self, stage: usize, heads: usize, task: &Task) -> impl Fn(f64) -> BlockConfig {
        let (dim, (window, _)) = (self.dim(stage), self.window(stage, task));
        let attention = AttentionConfig { dim, heads, window: [window; 3], qkv_bias: self.qkv_bias };
        let (hidden, recompute) = ((dim as f64 * self.mlp_ratio) as usize, self.recompute);
        move |drop_path| BlockConfig { attention, hidden, drop_path, recompute }
    }
}

impl Backbone for NnFormerConfig {
    type Encoder = NnFormerEncoder;

    /// Initial weights as the reference's: position tables truncated normal, all else PyTorch's default.
    fn encoder(&self, task: &Task, init: &Initialiser<'_>) -> NnFormerEncoder {
        let init = init.at("model_down");
        let mut rates = DropPath::rates(self.drop_path_rate, self.depths.iter().sum()).into_iter();
        let layers = (0..self.stages()).map(|stage| {
            let init = init.at("layers").at(stage);
            let block = self.block(stage, self.num_heads[stage], task);
            let rates = rates.by_ref().take(self.depths[stage]).enumerate();
            let blocks = rates.map(|(index, rate)| Block::<WindowAttention>::init(&block(rate), &init.at("blocks").at(index))).collect();
            let downsample = (stage + 1 < self.stages()).then(|| PatchMerging::init(self.dim(stage), &init.at("downsample")));
            let (window, shift) = self.window(stage, task);
            EncoderStage { blocks, downsample, dim: self.dim(stage), window, shift }
        });
        NnFormerEncoder {
            patch_embed: PatchEmbed::init(self.patch_size, task.channels, self.embed_dim, &init.at("patch_embed")),
            layers: layers.collect(),
            norms: (0..self.stages()).map(|stage| LayerNorm::init(self.dim(stage), &init.at(format!("norm{stage}")))).collect(),
            total_stride: self.total_stride(),
        }
    }

    fn decoder(&self, task: &Task, init: &Initialiser<'_>) -> Decoder {
        let count = self.stages() - 1;
        let heads = if self.decoder_heads.is_empty() { &self.num_heads } else { &self.decoder_heads };
        // The reference hands the rates out from the coarsest level on.
        let mut rates = DropPath::rates(self.drop_path_rate, self.depths[..count].iter().sum()).into_iter();
        let mut levels: Vec<DecoderLevel> = (0..count)
            .rev()
            .map(|level| {
                let init = init.at("decoder").at("layers").at(level);
                let rates: Vec<f64> = rates.by_ref().take(self.depths[level]).collect();
                let (block, at) = (self.block(level, heads[level], task), |index: usize| init.at("blocks").at(index));
                let (dim, (window, shift)) = (self.dim(level), self.window(level, task));
                DecoderLevel::Attended(AttendedLevel {
                    cross: Block::<SkipAttention>::init(&block(rates[0]), &at(0)),
                    blocks: (1..rates.len()).map(|index| Block::<WindowAttention>::init(&block(rates[index]), &at(index))).collect(),
                    upsample: Upsample {
                        norm: LayerNorm::init(2 * dim, &init.at("Upsample.norm")),
                        up: ExpandTokens::init(2 * dim, dim, [2; 3], &init.at("Upsample.up")),
                    },
                    window,
                    shift,
                })
            })
            .collect();
        levels.reverse();
        let heads = (0..if self.deep_supervision { count.max(1) } else { 1 })
            .map(|level| ExpandVoxels::init(self.dim(level), task.classes, self.patch_size, &init.at("heads").at(level).at("up")));
        Decoder { skips: Vec::new(), bottleneck: None, levels, heads: heads.map(Head::Patches).collect() }
    }

    fn attention(&self, stage: usize, grid: [usize; 3]) -> Option<Attention> {
        let (window, shift) = window_and_shift(self, stage, grid);
        Some(Attention { heads: self.num_heads[stage], window: [window; 3], shift: [shift; 3] })
    }
}

impl TokenEncoder for NnFormerEncoder {
    fn stages(&self, volume: Tensor<5>, pass: Pass) -> Vec<TokenGrid> {
        let mut x = self.patch_embed.forward(volume);
        let mut skips = Vec::with_capacity(self.layers.len());
        for (stage, norm) in self.layers.iter().zip(&self.norms) {
            for (index, block) in stage.blocks.iter().enumerate() {
                let shift = if index % 2 == 1 { stage.shift } else { 0 };
                let windows = window_tables(x.grid, [stage.window; 3], [shift; 3], PositionIndex::NnFormer);
                x.tokens = block.forward(x.tokens, &windows, pass);
            }
            skips.push(x.with(norm.forward(x.tokens.clone())));
            if let Some(downsample) = &stage.downsample {
                x = downsample.forward(x);
            }
        }
        skips
    }

    fn kept(&self, volume: Extent, decoded: bool, memory: &mut Memory) -> Vec<Extent> {
        let mut x = self.patch_embed.kept(volume, memory);
        let mut skips = Vec::with_capacity(self.layers.len());
        for (index, (stage, norm)) in self.layers.iter().zip(&self.norms).enumerate() {
            x = stage.blocks.iter().fold(x, |x, block| block.kept(x, [stage.window; 3], memory));
            if decoded || index + 1 == self.layers.len() {
                norm.kept(x, memory);
            }
            skips.push(x);
            if let Some(downsample) = &stage.downsample {
                x = downsample.kept(x, memory);
            }
        }
        skips
    }

    fn total_stride(&self) -> [usize; 3] {
        self.total_stride
    }

    fn dims(&self) -> Vec<usize> {
        self.layers.iter().map(|stage| stage.dim).collect()
    }

    fn prefix(&self) -> &'static str {
        "model_down."
    }

    fn renames(&self) -> Renames {
        vec![
            ("encoder.norms.#", "model_down.norm#"),
            ("encoder", "model_down"),
            ("decoder.levels.#.upsample", "decoder.layers.#.Upsample"),
            ("decoder.levels.#.cross", "decoder.layers.#.blocks.0"),
            ("decoder.levels.#.blocks.#", "decoder.layers.#.blocks.#+1"),
            ("decoder.heads.#", "final.#.up"),
        ]
    }
}
