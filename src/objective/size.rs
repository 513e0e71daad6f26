//! What a pretext task's loss adds to the memory of a step.

use crate::config::{PretextTask, PretrainConfig};
use crate::model::ModelPlan;

/// What the loss adds to the memory of a pre-training step, beside the network and its projector; 0 where it is little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossSize {
    /// Weights of its own, once.
    pub weight_bytes: u64,
    /// What is held at the end of the forward pass.
    pub bytes: u64,
    /// Its largest tensor.
    pub largest_buffer_bytes: u64,
}

impl LossSize {
    /// For a batch of `batch` crops of `channels` channels, as `model` cuts them into tokens.
    pub fn of(settings: &PretrainConfig, model: &ModelPlan, channels: usize, batch: usize) -> Self {
        let loss = match (settings.task, model.stages.last()) {
            (PretextTask::Simtrot, _) => Self::of_contrast(settings, &model.stages, batch),
            (PretextTask::Ibot, Some(last)) => Self::of_prototypes(settings, last, batch),
            _ => Self::default(),
        };
        if settings.reconstructs() { loss.and(Self::of_hidden_voxels(model, channels, batch)) } else { loss }
    }

    /// That of a Dice over the crops of several devices: the finest logits of a whole batch of `batch`, and once more as they come.
    pub fn of_gathered_logits(model: &ModelPlan, classes: usize, batch: usize) -> Self {
        const FLOAT: u64 = 4;
        let logits = FLOAT * (batch * classes * model.padded_crop.iter().product::<usize>()) as u64;
        Self { weight_bytes: 0, bytes: 2 * logits, largest_buffer_bytes: logits }
    }

    /// Both.
    fn and(self, other: Self) -> Self {
        Self {
            weight_bytes: self.weight_bytes + other.weight_bytes,
            bytes: self.bytes + other.bytes,
            largest_buffer_bytes: self.largest_buffer_bytes.max(other.largest_buffer_bytes),
        }
    }
}
