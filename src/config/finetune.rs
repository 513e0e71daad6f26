//! Supervised training of the whole network.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::{OptimiserConfig, ScheduleConfig};

/// Fine-tuning, from scratch or from a pre-trained encoder (METHOD: "Fine-tuning and evaluation").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FinetuneConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Crops of one batch.
    pub batch: usize,
    /// Batches whose gradients are added before one optimiser step.
    pub accumulate: usize,
    /// Voxels of a crop along D,H,W.
    pub crop_size: [usize; 3],
    /// Share of crops that are centred on a foreground voxel.
    pub foreground_share: f64,
    /// Random changes of a training crop.
    pub augment: AugmentConfig,
    /// Step rule.
    pub optimiser: OptimiserConfig,
    /// Learning rate over the steps.
    pub schedule: ScheduleConfig,
    /// The encoder's learning rate as a multiple of the network's, at every step. Weight decay is scaled with it, as in a
    /// parameter group of PyTorch. Holds from scratch too.
    pub encoder_lr: f64,
    /// First steps in which only the rest of the network trains, and the encoder stays as it is: the gradient's norm and clipping
    /// are those of what moves. Holds from scratch too.
    pub freeze_encoder: usize,
    /// Gradients are scaled down to this global L2 norm.
    pub clip_norm: Option<f64>,
    /// Steps between validations (only with validation cases).
    pub validate_every: usize,
    /// Steps between saves of `checkpoints/last`; 0: by minutes only.
    pub checkpoint_every: usize,
    /// Minutes between saves of `checkpoints/last`; 0: by steps only.
    pub checkpoint_minutes: f64,
}

/// Random changes of a labelled crop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Probability of a mirror on each axis D,H,W.
    pub flip_p: [f64; 3],
    /// Probability of scaling `v * (1 + f)`, f from -`scale` to `scale`.
    pub scale_p: f64,
    /// Largest scaling.
    pub scale: f64,
    /// Probability of shifting `v + o`, o from -`shift` to `shift`.
    pub shift_p: f64,
    /// Largest shift.
    pub shift: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self { flip_p: [0.5, 0.5, 0.5], scale_p: 0.5, scale: 0.1, shift_p: 0.5, shift: 0.1 }
    }
}

impl Default for FinetuneConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            batch: 2,
            accumulate: 1,
            crop_size: [32, 32, 32],
            foreground_share: 0.33,
            augment: AugmentConfig::default(),
            optimiser: OptimiserConfig::Sgd { lr: 0.01, momentum: 0.99, weight_decay: 3e-5 },
            schedule: ScheduleConfig::Poly { power: 0.9 },
            encoder_lr: 1.0,
            freeze_encoder: 0,
            clip_norm: Some(12.0),
            validate_every: 250,
            checkpoint_every: 250,
            checkpoint_minutes: 10.0,
        }
    }
}

impl FinetuneConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.range("finetune.steps", self.steps, 1..=100_000_000);
        checker.range("finetune.batch", self.batch, 1..=1024);
        checker.range("finetune.accumulate", self.accumulate, 1..=1024);
        for edge in self.crop_size {
            checker.range("finetune.crop_size", edge, 4..=1024);
        }
        checker.range("finetune.foreground_share", self.foreground_share, 0.0..=1.0);
        let AugmentConfig { flip_p, scale_p, scale, shift_p, shift } = self.augment;
        for p in flip_p.into_iter().chain([scale_p, shift_p]) {
            checker.range("finetune.augment", p, 0.0..=1.0);
        }
        for size in [scale, shift] {
            checker.range("finetune.augment", size, 0.0..=10.0);
        }
        if let Some(clip) = self.clip_norm {
            checker.range("finetune.clip_norm", clip, 1e-6..=1e6);
        }
        checker.range("finetune.validate_every", self.validate_every, 1..=100_000_000);
        checker.range("finetune.checkpoint_minutes", self.checkpoint_minutes, 0.0..=100_000.0);
        self.optimiser.check("finetune.optimiser", checker);
        checker.range("finetune.encoder_lr", self.encoder_lr, 0.0..=100.0);
        checker.range("finetune.freeze_encoder", self.freeze_encoder, 0..=100_000_000);
    }
}
