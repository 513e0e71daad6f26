//! What a network will need, worked out on the host before anything is allocated.
//!
//! The counts of parameters are exact. The memory of a step is an estimate: what the autodiff graph keeps, counted
//! operation by operation, plus weights, optimiser state and working space.

use serde::{Deserialize, Serialize};

use super::Task;
use super::layout::{StageLayout, padded_size, stage_layouts};
use crate::config::{ModelConfig, NnFormerConfig};
use crate::kernels::GATHERED_ELEMENTS;

/// Bytes of a float32.
const FLOAT: u64 = 4;

/// Working space of a backward step, in tensors of the size of the largest activation.
const WORKING_TENSORS: u64 = 4;

/// Tensors of the logits' size that a segmentation loss keeps: probabilities, one-hot labels, and products of both.
const LOSS_TENSORS: u64 = 4;

/// Copies of the weights that live through a step: the weights and their momentum. Gradients appear as activations go.
const WEIGHT_COPIES: u64 = 2;

/// What a network needs for crops of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPlan {
    /// The crop, zero-padded to whole strides.
    pub padded_crop: [usize; 3],
    /// Encoder stages, finest first.
    pub stages: Vec<StagePlan>,
    /// Trainable numbers.
    pub parameters: ParameterCounts,
    /// Peak of a pre-training step: two views of each volume of a batch through the encoder.
    pub pretrain_bytes: u64,
    /// Peak of a fine-tuning step: a batch through the whole network.
    pub finetune_bytes: u64,
    /// The largest single tensor on a device, which must fit into one of its buffers.
    pub largest_buffer_bytes: u64,
}

/// One stage on such a crop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Tokens in all.
    pub tokens: usize,
    /// Channels of a token.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Edge of the attention window actually used.
    pub window: usize,
    /// Cyclic shift of the shifted blocks.
    pub shift: usize,
}

/// Trainable numbers by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterCounts {
    /// The encoder, which pre-training hands on.
    pub encoder: u64,
    /// The decoder.
    pub decoder: u64,
    /// The heads.
    pub heads: u64,
}

impl ParameterCounts {
    /// The whole network.
    pub fn total(&self) -> u64 {
        self.encoder + self.decoder + self.heads
    }
}

/// The plan of `config` for batches of `batch` crops.
pub fn plan(config: &ModelConfig, task: &Task, batch: usize) -> ModelPlan {
    let config = config.nnformer();
    let sizes = Sizes { layouts: stage_layouts(&config, task.crop_size), config: &config, task, batch: batch as u64 };
    let stages = sizes.layouts.iter().zip(&config.num_heads).map(|(layout, &heads)| {
        let StageLayout { grid, dim, window, shift } = *layout;
        StagePlan { grid, tokens: grid.iter().product(), dim, heads, window, shift }
    });
    let parameters =
        ParameterCounts { encoder: sizes.encoder_parameters(), decoder: sizes.decoder_parameters(), heads: sizes.head_parameters() };
    let working = sizes.batch * sizes.working();
    let encoder = sizes.batch * sizes.encoder_activations();
    let decoder = sizes.batch * (sizes.decoder_activations() + (1 + LOSS_TENSORS) * sizes.logits());
    ModelPlan {
        padded_crop: padded_size(task.crop_size, config.total_stride()),
        stages: stages.collect(),
        parameters,
        pretrain_bytes: step_bytes(parameters.encoder, 2 * encoder + working),
        finetune_bytes: step_bytes(parameters.total(), encoder + decoder + working),
        largest_buffer_bytes: FLOAT * sizes.largest_buffer(),
    }
}

/// Peak of a step, from the counts of trainable numbers and of the activations at the end of the forward pass.
fn step_bytes(parameters: u64, activations: u64) -> u64 {
    FLOAT * (WEIGHT_COPIES * parameters + activations.max(parameters))
}

/// Everything below counts float32 elements; activations are those of one sample.
struct Sizes<'a> {
    config: &'a NnFormerConfig,
    task: &'a Task,
    layouts: Vec<StageLayout>,
    batch: u64,
}

fn linear(input: u64, output: u64) -> u64 {
    input * output + output
}

fn norm(dim: u64) -> u64 {
    2 * dim
}

fn conv(input: u64, output: u64) -> u64 {
    27 * input * output + output
}

fn elements(sizes: [usize; 3]) -> u64 {
    sizes.iter().product::<usize>() as u64
}

impl Sizes<'_> {
    /// Decoder levels.
    fn levels(&self) -> usize {
        self.layouts.len() - 1
    }

    fn hidden(&self, dim: u64) -> u64 {
        (dim as f64 * self.config.mlp_ratio) as u64
    }

    /// `projected`: how many of queries, keys and values a linear map makes.
    fn block(&self, layout: &StageLayout, heads: usize, projected: u64) -> u64 {
        let (dim, hidden) = (layout.dim as u64, self.hidden(layout.dim as u64));
        let table = (2 * layout.window as u64 - 1).pow(3) * heads as u64;
        let bias = if self.config.qkv_bias { projected * dim } else { 0 };
        2 * norm(dim) + table + projected * dim * dim + bias + linear(dim, dim) + linear(dim, hidden) + linear(hidden, dim)
    }

    fn encoder_parameters(&self) -> u64 {
        let dim = self.config.embed_dim as u64;
        let (half, channels) = (dim / 2, self.task.channels as u64);
        let stem = conv(channels, half) + conv(half, half) + 2 * norm(half) + conv(half, dim) + conv(dim, dim) + 2 * norm(dim);
        let stages = self.layouts.iter().enumerate().map(|(stage, layout)| {
            let dim = layout.dim as u64;
            let merging = if stage < self.levels() { norm(dim) + conv(dim, 2 * dim) } else { 0 };
            self.config.depths[stage] as u64 * self.block(layout, self.config.num_heads[stage], 3) + merging + norm(dim)
        });
        stem + stages.sum::<u64>()
    }

    fn decoder_parameters(&self) -> u64 {
        let heads = if self.config.decoder_heads.is_empty() { &self.config.num_heads } else { &self.config.decoder_heads };
        let levels = self.layouts[..self.levels()].iter().enumerate().map(|(level, layout)| {
            let dim = layout.dim as u64;
            let own = (self.config.depths[level] as u64 - 1) * self.block(layout, heads[level], 3);
            self.block(layout, heads[level], 2) + own + norm(2 * dim) + 2 * dim * dim * 8 + dim
        });
        levels.sum()
    }

    fn head_count(&self) -> usize {
        if self.config.deep_supervision { self.levels().max(1) } else { 1 }
    }

    fn head_parameters(&self) -> u64 {
        let classes = self.task.classes as u64;
        let head = |level: usize| self.config.dim(level) as u64 * classes * elements(self.config.patch_size) + classes;
        (0..self.head_count()).map(head).sum()
    }

    /// Elements of a stage's token sequence.
    fn tokens(layout: &StageLayout) -> u64 {
        elements(layout.grid) * layout.dim as u64
    }

    /// Kept by a block, in token sequences: the inputs of both norms, of the four linear maps (the last `hidden`
    /// wide), of the attention (three) and of the GELU (`hidden` wide).
    fn whole_block(&self) -> f64 {
        8.0 + 2.0 * self.config.mlp_ratio
    }

    /// The same for blocks that can be recomputed from their input.
    fn block_activations(&self) -> f64 {
        if self.config.recompute { 1.0 } else { self.whole_block() }
    }

    /// Working space of a backward step.
    fn working(&self) -> u64 {
        let again = if self.config.recompute { (self.whole_block() * Self::tokens(&self.layouts[0]) as f64) as u64 } else { 0 };
        WORKING_TENSORS * self.largest_activation() + again
    }

    /// Elements after the stem's first convolution: half the channels at half the resolution.
    fn stem(&self) -> u64 {
        let crop = padded_size(self.task.crop_size, self.config.total_stride());
        elements(crop.map(|edge| edge / 2)) * (self.config.embed_dim as u64 / 2)
    }

    fn encoder_activations(&self) -> u64 {
        let crop = elements(padded_size(self.task.crop_size, self.config.total_stride()));
        // Both halves of the stem keep the inputs of convolutions, GELUs and norms; then norm and patch merging.
        let stem = crop * self.task.channels as u64 + 6 * self.stem() + 4 * Self::tokens(&self.layouts[0]);
        let stages = self.layouts.iter().enumerate().map(|(stage, layout)| {
            let blocks = self.config.depths[stage] as f64 * self.block_activations();
            let merging = if stage < self.levels() { 3.0 } else { 2.0 };
            ((blocks + merging) * Self::tokens(layout) as f64) as u64
        });
        stem + stages.sum::<u64>()
    }

    fn decoder_activations(&self) -> u64 {
        let levels = self.layouts[..self.levels()].iter().enumerate().map(|(level, layout)| {
            // The cross block keeps the skip as well; the up-sampling the coarse norm's result, a quarter of a sequence.
            let own = (self.config.depths[level] - 1) as f64 * self.block_activations();
            ((own + self.whole_block() + 2.25) * Self::tokens(layout) as f64) as u64
        });
        levels.sum()
    }

    /// Elements of all heads' logits.
    fn logits(&self) -> u64 {
        let crop = padded_size(self.task.crop_size, self.config.total_stride());
        (0..self.head_count()).map(|level| elements(crop.map(|edge| edge >> level)) * self.task.classes as u64).sum()
    }

    fn largest_activation(&self) -> u64 {
        let hidden = self.hidden(self.layouts[0].dim as u64).max(3 * self.layouts[0].dim as u64);
        self.stem().max(elements(self.layouts[0].grid) * hidden)
    }

    fn largest_buffer(&self) -> u64 {
        let scores = self.layouts.iter().zip(&self.config.num_heads).map(|(layout, &heads)| {
            let window = (layout.window as u64).pow(3);
            let windows: u64 = layout.grid.iter().map(|edge| edge.div_ceil(layout.window) as u64).product();
            self.batch * windows * heads as u64 * window * window
        });
        let weights = self.layouts[..self.levels()].iter().map(|layout| 27 * 2 * (layout.dim as u64).pow(2));
        let crop = elements(padded_size(self.task.crop_size, self.config.total_stride()));
        let volumes = self.batch * crop * self.task.channels.max(self.task.classes) as u64;
        let activations = self.batch * self.largest_activation();
        scores.chain(weights).chain([volumes, activations, GATHERED_ELEMENTS as u64]).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::config::{ModelConfig, NnFormerConfig, Preset};
    use crate::model::{NnFormer, NnFormerEncoder, Task};
    use burn::module::Module as _;
    use burn::tensor::Device;

    /// Peaks of resident memory of two steps, momentum included, measured on the CPU for the published sizes with batch 2:
    /// (preset, recompute, task, pre-training, fine-tuning), in bytes.
    const MEASURED: [(Preset, bool, Task, u64, u64); 3] = [
        (Preset::NnformerSynapse, false, SYNAPSE, 8_092_389_376, 7_032_262_656),
        (Preset::NnformerSynapse, true, SYNAPSE, 4_905_644_032, 4_767_662_080),
        (Preset::NnformerTumour, false, Task { channels: 4, classes: 4, crop_size: [128, 128, 128] }, 4_729_569_280, 4_070_125_568),
    ];

    const SYNAPSE: Task = Task { channels: 1, classes: 9, crop_size: [64, 128, 128] };

    #[test]
    fn parameters_are_those_of_the_module() {
        let device = Device::flex();
        let task = Task { channels: 3, classes: 5, crop_size: [20, 33, 48] };
        let three = NnFormerConfig {
            patch_size: [2, 4, 4],
            embed_dim: 12,
            depths: vec![1, 3, 2],
            num_heads: vec![1, 2, 4],
            decoder_heads: vec![2, 4],
            window_size: vec![3, 4, 2],
            mlp_ratio: 2.5,
            qkv_bias: false,
            ..NnFormerConfig::small()
        };
        let one = NnFormerConfig {
            depths: vec![1],
            num_heads: vec![3],
            window_size: vec![4],
            deep_supervision: false,
            ..NnFormerConfig::small()
        };
        for config in [NnFormerConfig::small(), three, one] {
            let parameters = plan(&ModelConfig::Nnformer(config.clone()), &task, 1).parameters;
            let network = NnFormer::init(&config, &task, 0, &device);
            assert_eq!(parameters.encoder, NnFormerEncoder::init(&config, &task, 0, &device).num_params() as u64);
            assert_eq!(parameters.decoder, network.decoder.num_params() as u64);
            assert_eq!(parameters.heads, network.heads.num_params() as u64);
        }
    }

    #[test]
    fn memory_is_estimated_within_a_fifth_of_what_was_measured() {
        for (preset, recompute, task, pretrain, finetune) in MEASURED {
            let config = NnFormerConfig { recompute, ..ModelConfig::Preset(preset).nnformer() };
            let plan = plan(&ModelConfig::Nnformer(config), &task, 2);
            for (step, estimated, measured) in
                [("pre-training", plan.pretrain_bytes, pretrain), ("fine-tuning", plan.finetune_bytes, finetune)]
            {
                let ratio = estimated as f64 / measured as f64;
                assert!((0.95..1.2).contains(&ratio), "{preset:?}, {recompute}, {step}: {estimated} estimated, {measured} measured");
            }
        }
    }
}
