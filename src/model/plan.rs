//! What a network will need, worked out on the host before anything is allocated.
//!
//! The counts of parameters are exact. The memory of a step is an estimate: what the autodiff graph keeps, counted
//! operation by operation, plus weights, optimiser state and working space.

use serde::{Deserialize, Serialize};

use super::Task;
use crate::config::ModelConfig;
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
    pub stages: Vec<TrainingPlan>,
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
pub struct TrainingPlan {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a token.
    pub dim: usize,
    /// How its tokens attend; none in a convolutional stage.
    pub attention: Option<AttentionPlan>,
}

/// The attention of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionPlan {
    /// Attention heads.
    pub heads: usize,
    /// The window actually used, in tokens along D,H,W; the whole grid where attention is global.
    pub window: [usize; 3],
    /// Cyclic shift of the shifted blocks; zeros where none is shifted.
    pub shift: [usize; 3],
}

/// What a backbone tells of its network on crops of one size. Counts are of float32 elements, activations of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The crop, zero-padded to whole strides.
    pub padded_crop: [usize; 3],
    /// Encoder stages, finest first.
    pub stages: Vec<TrainingPlan>,
    /// Trainable numbers.
    pub parameters: ParameterCounts,
    /// Kept by the encoder's forward pass.
    pub encoder_activations: u64,
    /// Kept by the decoder's, logits apart.
    pub decoder_activations: u64,
    /// The logits of all heads.
    pub logits: u64,
    /// The largest activation of the encoder.
    pub largest_encoder_activation: u64,
    /// That of the whole network.
    pub largest_activation: u64,
    /// What recomputed blocks hold while their backward step runs; 0 where nothing is recomputed.
    pub recomputed: u64,
    /// Working space of the decoder's backward step where that is more than the encoder's; else 0.
    pub decoder_working: u64,
    /// The largest tensor that lives only inside an operation on a GPU, such as the scores of all windows.
    pub largest_temporary: u64,
    /// The largest parameter.
    pub largest_weight: u64,
}

/// Hyper-parameters that tell what their network needs.
pub trait Estimated {
    /// What the network needs for crops of `task.crop_size`.
    fn estimate(&self, task: &Task) -> Estimate;
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
    let estimate = config.estimate(task);
    let (parameters, batch) = (estimate.parameters, batch as u64);
    // Large samples are recomputed one after the other.
    let working = |largest: u64| batch * WORKING_TENSORS * largest + estimate.recomputed;
    let in_decoder = working(estimate.largest_activation).max(batch * estimate.decoder_working);
    let encoder = batch * estimate.encoder_activations;
    let decoder = batch * (estimate.decoder_activations + (1 + LOSS_TENSORS) * estimate.logits);
    let volumes = elements(estimate.padded_crop) * task.channels.max(task.classes) as u64;
    let of_batch = [estimate.largest_activation, estimate.largest_temporary, volumes].map(|largest| batch * largest);
    let largest = of_batch.into_iter().chain([estimate.largest_weight, GATHERED_ELEMENTS as u64]).max().unwrap_or_default();
    ModelPlan {
        padded_crop: estimate.padded_crop,
        stages: estimate.stages,
        parameters,
        pretrain_bytes: step_bytes(parameters.encoder, 2 * encoder + working(estimate.largest_encoder_activation)),
        finetune_bytes: step_bytes(parameters.total(), encoder + decoder + in_decoder),
        largest_buffer_bytes: FLOAT * largest,
    }
}

/// Peak of a step, from the counts of trainable numbers and of the activations at the end of the forward pass.
fn step_bytes(parameters: u64, activations: u64) -> u64 {
    FLOAT * (WEIGHT_COPIES * parameters + activations.max(parameters))
}

/// Trainable numbers of a linear layer with a bias.
pub(super) fn linear(input: u64, output: u64) -> u64 {
    input * output + output
}

/// Those of a layer norm.
pub(super) fn norm(dim: u64) -> u64 {
    2 * dim
}

/// Those of a 3x3x3 convolution with a bias.
pub(super) fn conv(input: u64, output: u64) -> u64 {
    27 * input * output + output
}

/// Voxels or tokens of a grid.
pub(super) fn elements(sizes: [usize; 3]) -> u64 {
    sizes.iter().product::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::config::{ModelConfig, NnFormerConfig, Preset};
    use crate::model::Task;

    /// Peaks of resident memory of two steps, momentum included, measured on the CPU for the published sizes with batch 2:
    /// (preset, recompute, task, pre-training, fine-tuning), in bytes.
    const MEASURED: [(Preset, bool, Task, u64, u64); 4] = [
        (Preset::NnformerSynapse, false, SYNAPSE, 8_092_389_376, 7_032_262_656),
        (Preset::NnformerTumour, false, TUMOUR, 4_729_569_280, 4_070_125_568),
        (Preset::UnetrSynapse, false, SYNAPSE, 2_159_144_960, 3_662_041_088),
        (Preset::UnetrTumour, false, TUMOUR, 2_475_749_376, 5_403_070_464),
    ];

    const SYNAPSE: Task = Task { channels: 1, classes: 9, crop_size: [64, 128, 128] };
    const TUMOUR: Task = Task { channels: 4, classes: 4, crop_size: [128, 128, 128] };

    #[test]
    fn memory_is_estimated_within_a_fifth_of_what_was_measured() {
        for (preset, recompute, task, pretrain, finetune) in MEASURED {
            let config = match ModelConfig::Preset(preset).resolve() {
                ModelConfig::Nnformer(config) => ModelConfig::Nnformer(NnFormerConfig { recompute, ..config }),
                other => other,
            };
            let plan = plan(&config, &task, 2);
            for (step, estimated, measured) in
                [("pre-training", plan.pretrain_bytes, pretrain), ("fine-tuning", plan.finetune_bytes, finetune)]
            {
                let ratio = estimated as f64 / measured as f64;
                assert!((0.95..1.2).contains(&ratio), "{preset:?}, {recompute}, {step}: {estimated} estimated, {measured} measured");
            }
        }
    }
}
