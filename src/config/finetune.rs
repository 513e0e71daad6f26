//! Supervised training of the whole network.

use super::check::{Checker, Settings as _, settings};
use super::{OptimiserConfig, ScheduleConfig};

settings! {
    /// Fine-tuning, from scratch or from a pre-trained encoder (METHOD: "Fine-tuning and evaluation").
    pub struct FinetuneConfig {
        /// Optimiser steps.
        steps: usize = 1000, in 1..=100_000_000;
        /// Crops of one batch.
        batch: usize = 2, in 1..=1024;
        /// Batches whose gradients are added before one optimiser step.
        accumulate: usize = 1, in 1..=1024;
        /// Voxels of a crop along D,H,W.
        crop_size: [usize; 3] = [32, 32, 32], in 4..=1024;
        /// Share of crops that are centred on a foreground voxel.
        foreground_share: f64 = 0.33, in 0.0..=1.0;
        /// Random changes of a training crop.
        augment: AugmentConfig = AugmentConfig::default();
        /// Step rule.
        optimiser: OptimiserConfig = OptimiserConfig::Sgd { lr: 0.01, momentum: 0.99, weight_decay: 3e-5 };
        /// Learning rate over the steps.
        schedule: ScheduleConfig = ScheduleConfig::Poly { power: 0.9 };
        /// The encoder's learning rate as a multiple of the network's, at every step. Weight decay is scaled with it, as in a
        /// parameter group of PyTorch. Holds from scratch too.
        encoder_lr: f64 = 1.0, in 0.0..=100.0;
        /// First steps in which only the rest of the network trains, and the encoder stays as it is: the gradient's norm and clipping
        /// are those of what moves. Holds from scratch too.
        freeze_encoder: usize = 0, in 0..=100_000_000;
        /// Gradients are scaled down to this global L2 norm.
        clip_norm: Option<f64> = Some(12.0), in 1e-6..=1e6;
        /// Steps between validations (only with validation cases).
        validate_every: usize = 250, in 1..=100_000_000;
        /// Steps between saves of `checkpoints/last`; 0: by minutes only.
        checkpoint_every: usize = 250;
        /// Minutes between saves of `checkpoints/last`; 0: by steps only.
        checkpoint_minutes: f64 = 10.0, in 0.0..=100_000.0;
    }
}

settings! {
    /// Random changes of a labelled crop.
    pub struct AugmentConfig {
        /// Probability of a mirror on each axis D,H,W.
        flip_p: [f64; 3] = [0.5, 0.5, 0.5], in 0.0..=1.0;
        /// Probability of scaling `v * (1 + f)`, f from -`scale` to `scale`.
        scale_p: f64 = 0.5, in 0.0..=1.0;
        /// Largest scaling.
        scale: f64 = 0.1, in 0.0..=10.0;
        /// Probability of shifting `v + o`, o from -`shift` to `shift`.
        shift_p: f64 = 0.5, in 0.0..=1.0;
        /// Largest shift.
        shift: f64 = 0.1, in 0.0..=10.0;
    }
}

impl FinetuneConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        self.check_ranges("finetune", checker);
        self.augment.check_ranges("finetune.augment", checker);
        self.optimiser.check("finetune.optimiser", checker);
    }
}
