//! What a network will need, worked out on the host before anything is allocated: it is built without values and walked.
//!
//! The counts of parameters are exact. The memory of a step is an estimate: what the blocks keep for the backward pass
//! ([`Memory`]), plus weights, optimiser state and working space.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::network::{Attention, Backbone as _, Network, Task, TokenEncoder as _};
use crate::config::ModelConfig;
use crate::kernels::GATHERED_ELEMENTS;
use crate::nn::{Extent, Initialiser, Memory};

/// Bytes of a float32.
const FLOAT: u64 = 4;

/// Tensors of the logits' size that a segmentation loss keeps besides them: probabilities, one-hot labels, and products of both.
const LOSS_TENSORS: u64 = 4;

/// Copies of the weights that live through a step: the weights and their momentum. Gradients appear as activations go.
const WEIGHT_COPIES: u64 = 2;

/// What a network needs for crops of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPlan {
    /// The crop, zero-padded to whole strides.
    pub padded_crop: [usize; 3],
    /// Encoder stages, finest first.
    pub stages: Vec<StageSize>,
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
pub struct StageSize {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a token.
    pub dim: usize,
    /// How its tokens attend; none in a convolutional stage.
    pub attention: Option<Attention>,
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

impl ModelPlan {
    /// The encoder's weights, once.
    pub fn encoder_bytes(&self) -> u64 {
        FLOAT * self.parameters.encoder
    }
}

/// The plan of `config` for batches of `batch` crops.
pub fn plan(config: &ModelConfig, task: &Task, batch: usize) -> ModelPlan {
    let device = Device::flex();
    let init = Initialiser::sizes_only(&device);
    let Network { encoder, decoder } = Network { encoder: config.encoder(task, &init), decoder: config.decoder(task, &init) };
    let volume = Extent { grid: encoder.padded_size(task.crop_size), dim: task.channels };

    let (mut alone, mut whole) = (Memory::default(), Memory::default());
    alone.keep(volume.elements());
    whole.keep(volume.elements());
    encoder.kept(volume, false, &mut alone);
    let extents = encoder.kept(volume, true, &mut whole);
    let stages = extents.iter().enumerate().map(|(stage, &Extent { grid, dim })| {
        let attention = config.attention(stage, grid);
        StageSize { grid, dim, attention }
    });
    let stages: Vec<StageSize> = stages.collect();
    let logits = decoder.kept(volume, extents, &mut whole);

    let (of_encoder, of_decoder, of_heads) = (Count::of(&encoder), Count::of(&decoder), Count::of(&decoder.heads));
    let parameters = ParameterCounts { encoder: of_encoder.total, decoder: of_decoder.total - of_heads.total, heads: of_heads.total };
    let batch = batch as u64;
    let of_batch = [whole.largest, scores(&stages), volume.count() * task.channels.max(task.classes) as u64].map(|largest| batch * largest);
    let alone_on_device = [of_encoder.largest, of_decoder.largest, GATHERED_ELEMENTS as u64];
    let held = |memory: Memory, passes: u64| batch * (passes * memory.kept + memory.working) + memory.recomputed;
    ModelPlan {
        padded_crop: volume.grid,
        stages,
        parameters,
        pretrain_bytes: step_bytes(parameters.encoder, held(alone, 2)),
        finetune_bytes: step_bytes(parameters.total(), held(whole, 1) + batch * (1 + LOSS_TENSORS) * logits),
        largest_buffer_bytes: FLOAT * of_batch.into_iter().chain(alone_on_device).max().unwrap_or_default(),
    }
}

/// Peak of a step, from the counts of trainable numbers and of the activations at the end of the forward pass.
fn step_bytes(parameters: u64, activations: u64) -> u64 {
    FLOAT * (WEIGHT_COPIES * parameters + activations.max(parameters))
}

/// Scores of all windows of a stage, which a GPU holds at once: those of the largest stage.
fn scores(stages: &[StageSize]) -> u64 {
    let of_stage = |stage: &StageSize| {
        let Attention { heads, window, .. } = stage.attention?;
        let windows: u64 = (0..3).map(|axis| stage.grid[axis].div_ceil(window[axis]) as u64).product();
        Some(windows * heads as u64 * (window.iter().product::<usize>() as u64).pow(2))
    };
    stages.iter().filter_map(of_stage).max().unwrap_or_default()
}

/// Numbers of parameters that need have no values.
#[derive(Default)]
struct Count {
    total: u64,
    largest: u64,
}

impl Count {
    fn of(module: &impl Module) -> Self {
        let mut count = Self::default();
        module.visit(&mut count);
        count
    }
}

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let elements = param.lazy_shape().num_elements() as u64;
        self.total += elements;
        self.largest = self.largest.max(elements);
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;

    use super::*;
    use crate::config::Preset;
    use crate::model::{Encoder, Segmenter};

    #[test]
    fn a_network_without_values_has_the_parameters_of_one_with_them() {
        let task = Task { channels: 3, classes: 5, crop_size: [32; 3] };
        for &preset in Preset::ALL.iter().filter(|preset| preset.to_string().ends_with("small")) {
            let config = ModelConfig::Preset(preset);
            let parameters = plan(&config, &task, 1).parameters;
            let network = Segmenter::init(&config, &task, 0, &Device::flex());
            assert_eq!(parameters.encoder, Encoder::init(&config, &task, 0, &Device::flex()).num_params() as u64, "{preset}");
            assert_eq!(parameters.heads, network.decoder.heads.num_params() as u64, "{preset}");
            assert_eq!(parameters.total(), network.num_params() as u64, "{preset}");
        }
    }

    /// Peaks of resident memory of two steps, momentum included, measured on the CPU for the published sizes with batch 2: preset,
    /// task, pre-training where it was measured, fine-tuning, in bytes.
    const MEASURED: [(Preset, Task, Option<u64>, u64); 6] = [
        (Preset::NnformerSynapse, SYNAPSE, Some(8_092_389_376), 7_032_262_656),
        (Preset::NnformerTumour, TUMOUR, Some(4_729_569_280), 4_070_125_568),
        (Preset::UnetrSynapse, SYNAPSE, Some(2_159_144_960), 3_662_041_088),
        (Preset::UnetrTumour, TUMOUR, Some(2_475_749_376), 5_403_070_464),
        (Preset::SwinUnetrSynapse, SYNAPSE, Some(2_160_115_712), 5_260_894_208),
        (Preset::SwinUnetrTumour, TUMOUR, None, 9_096_339_456),
    ];

    const SYNAPSE: Task = Task { channels: 1, classes: 9, crop_size: [64, 128, 128] };
    const TUMOUR: Task = Task { channels: 4, classes: 4, crop_size: [128, 128, 128] };

    #[test]
    fn memory_of_published_sizes_is_estimated_within_a_fifth_of_what_was_measured() {
        for (preset, task, pretrain, finetune) in MEASURED {
            // The measured networks kept everything, but for Swin UNETR, which recomputes.
            let config = match ModelConfig::Preset(preset).resolve() {
                ModelConfig::Nnformer(config) => ModelConfig::Nnformer(crate::config::NnFormerConfig { recompute: false, ..config }),
                other => other,
            };
            let plan = plan(&config, &task, 2);
            for (step, estimated, measured) in
                [("pre-training", plan.pretrain_bytes, pretrain), ("fine-tuning", plan.finetune_bytes, Some(finetune))]
            {
                let ratio = measured.map_or(1.0, |measured| estimated as f64 / measured as f64);
                assert!((0.8..1.2).contains(&ratio), "{preset}, {step}: {estimated} estimated, {measured:?} measured, ratio {ratio}");
            }
        }
    }
}
