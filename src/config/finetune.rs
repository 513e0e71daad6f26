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
        /// They are the last ones of every batch, all but `round(batch * (1 - foreground_share))` of it and so one of two (nnU-Net), instead
        /// of each crop by chance. A batch of one crop goes by chance.
        foreground_in_each_batch: bool = false;
        /// Random changes of a training crop.
        augment: AugmentConfig = AugmentConfig::default();
        /// The Dice of the loss is taken of each class in all crops of a batch together; off: in each crop, and then the mean over crops.
        /// Batches that are added up count one by one.
        batch_dice: bool = true;
        /// Step rule.
        optimiser: OptimiserConfig = OptimiserConfig::Sgd { lr: 0.01, momentum: 0.99, weight_decay: 3e-5 };
        /// Learning rate over the steps.
        schedule: ScheduleConfig = ScheduleConfig::Poly { power: 0.9 };
        /// The encoder's learning rate as a multiple of the network's, at every step. Weight decay is scaled with it, as in a
        /// parameter group of PyTorch. Holds from scratch too.
        encoder_lr: f64 = 1.0, in 0.0..=100.0;
        /// The learning rate of each stage of the encoder as a multiple of the next one's; the last stage has `encoder_lr`. 1: all alike.
        /// Holds from scratch too.
        encoder_lr_decay: f64 = 1.0, in 0.0..=1.0;
        /// First steps in which only the rest of the network trains, and the encoder stays as it is: the gradient's norm and clipping
        /// are those of what moves. Holds from scratch too.
        freeze_encoder: usize = 0, in 0..=100_000_000;
        /// Start from all weights of a fine-tuned checkpoint, the decoder's too, rather than from its encoder alone: training goes on from
        /// that network. Only with a checkpoint to start from.
        whole_network: bool = false;
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
    /// Random changes of a labelled crop. Those after `shift` are nnU-Net's, with its ranges; they come first, in nnU-Net's order: rotation
    /// and field of view, noise, blur, brightness, contrast, low resolution, gamma of the inverted image, gamma. Then mirrors, scale, shift.
    pub struct AugmentConfig {
        /// Probability of a mirror on each axis D,H,W.
        flip_p: [f64; 3] = [0.5, 0.5, 0.5], in 0.0..=1.0;
        /// Probability of scaling `v * (1 + f)`, f from -`scale` to `scale`, in all channels alike.
        scale_p: f64 = 0.5, in 0.0..=1.0;
        /// Largest scaling.
        scale: f64 = 0.1, in 0.0..=10.0;
        /// Probability of shifting `v + o`, o from -`shift` to `shift`, in all channels alike.
        shift_p: f64 = 0.5, in 0.0..=1.0;
        /// Largest shift.
        shift: f64 = 0.1, in 0.0..=10.0;
        /// Rotation, field of view and low resolution leave D alone: for slices much thicker than their pixels.
        in_plane: bool = false;
        /// Probability of a rotation about all axes at once.
        rotation_p: f64 = 0.0, in 0.0..=1.0;
        /// Largest angle about each axis, degrees, either way.
        rotation_deg: f64 = 30.0, in 0.0..=180.0;
        /// Probability of another field of view, the same factor on all axes.
        field_of_view_p: f64 = 0.0, in 0.0..=1.0;
        /// How far the crop reaches, in multiples of its own edges: below 1 things look larger, above 1 smaller.
        field_of_view: [f64; 2] = [0.7, 1.4], in 0.1..=10.0;
        /// Probability of Gaussian noise, of one standard deviation in all channels.
        noise_p: f64 = 0.0, in 0.0..=1.0;
        /// Largest standard deviation of the noise.
        noise_std: f64 = 0.1, in 0.0..=10.0;
        /// Probability of a Gaussian blur.
        blur_p: f64 = 0.0, in 0.0..=1.0;
        /// Of a crop that is blurred, the probability for each channel.
        blur_channel_p: f64 = 0.5, in 0.0..=1.0;
        /// Standard deviation of the blur in voxels, drawn for each channel and axis.
        blur_sigma: [f64; 2] = [0.5, 1.0], in 0.1..=10.0;
        /// Probability of another brightness, `f * v` in each channel.
        brightness_p: f64 = 0.0, in 0.0..=1.0;
        /// Factor of the brightness, drawn for each channel; where it reaches to both sides of 1, half of the draws lie on either side.
        brightness: [f64; 2] = [0.75, 1.25], in 0.0..=10.0;
        /// Probability of another contrast, `mean + f * (v - mean)` in each channel, within the range that it had.
        contrast_p: f64 = 0.0, in 0.0..=1.0;
        /// Factor of the contrast, drawn as that of the brightness.
        contrast: [f64; 2] = [0.75, 1.25], in 0.0..=10.0;
        /// Probability of a lower resolution: fewer voxels (nearest), brought back to the crop's (linear).
        low_resolution_p: f64 = 0.0, in 0.0..=1.0;
        /// Of a crop of lower resolution, the probability for each channel.
        low_resolution_channel_p: f64 = 0.5, in 0.0..=1.0;
        /// Share of the voxels of each axis that is left, drawn for each channel.
        low_resolution: [f64; 2] = [0.5, 1.0], in 0.01..=1.0;
        /// Probability of a gamma of the negative image, which bends the bright end.
        gamma_inverted_p: f64 = 0.0, in 0.0..=1.0;
        /// Probability of a gamma: each channel's range to the power of an exponent, with the mean and deviation that it had.
        gamma_p: f64 = 0.0, in 0.0..=1.0;
        /// Exponent of both gammas, drawn as the factor of the brightness.
        gamma: [f64; 2] = [0.7, 1.5], in 0.01..=10.0;
    }
}

impl FinetuneConfig {
    /// Keys of the settings by which the encoder moves otherwise than the rest of the network.
    pub fn of_encoder(&self) -> Vec<&'static str> {
        let settings = [
            ("finetune.encoder_lr", self.encoder_lr != 1.0),
            ("finetune.encoder_lr_decay", self.encoder_lr_decay != 1.0),
            ("finetune.freeze_encoder", self.freeze_encoder > 0),
        ];
        settings.into_iter().filter(|&(_, is_set)| is_set).map(|(key, _)| key).collect()
    }
}

/// How many times the extent along D a crop's longest edge is before rotations leave D alone.
const ANISOTROPIC: usize = 3;

impl AugmentConfig {
    /// nnU-Net's for 3D crops of `crop_size`, D,H,W, as `nnUNetTrainer.get_training_transforms` and
    /// `configure_rotation_dummyDA_mirroring_and_inital_patch_size` of nnunetv2 2.8 line them up; mirrored along every axis. nnU-Net orders axes
    /// by voxel size, which here makes no difference where the slices lie along D.
    pub fn nnunet(crop_size: [usize; 3]) -> Self {
        let in_plane = crop_size.into_iter().max().unwrap_or_default() > ANISOTROPIC * crop_size[0];
        Self {
            scale_p: 0.0,
            shift_p: 0.0,
            in_plane,
            rotation_p: 0.2,
            rotation_deg: if in_plane { 180.0 } else { 30.0 },
            field_of_view_p: 0.2,
            noise_p: 0.1,
            blur_p: 0.2,
            brightness_p: 0.15,
            contrast_p: 0.15,
            low_resolution_p: 0.25,
            gamma_inverted_p: 0.1,
            gamma_p: 0.3,
            ..Self::default()
        }
    }

    fn check(&self, key: &str, checker: &mut Checker) {
        self.check_ranges(key, checker);
        let ranges = [
            ("field_of_view", self.field_of_view),
            ("blur_sigma", self.blur_sigma),
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("low_resolution", self.low_resolution),
            ("gamma", self.gamma),
        ];
        for (name, [low, high]) in ranges {
            checker.require(&format!("{key}.{name}"), low <= high, format_args!("is from {low} to {high}; the lesser number comes first"));
        }
    }
}

impl FinetuneConfig {
    /// How many crops of every batch, its last ones, are sure to be centred on a foreground voxel; none where each goes by chance.
    pub fn foreground_crops(&self) -> Option<usize> {
        let others = (self.batch as f64 * (1.0 - self.foreground_share)).round_ties_even() as usize;
        (self.foreground_in_each_batch && self.batch > 1).then(|| self.batch.saturating_sub(others))
    }

    pub(super) fn check(&self, checker: &mut Checker) {
        self.check_ranges("finetune", checker);
        checker.require(
            "finetune.foreground_in_each_batch",
            self.foreground_crops() != Some(0) || self.foreground_share == 0.0,
            format_args!(
                "leaves no crop for foreground: {} of a batch of {} is less than half a crop. Raise foreground_share, or leave it to chance",
                self.foreground_share, self.batch
            ),
        );
        self.augment.check("finetune.augment", checker);
        self.optimiser.check("finetune.optimiser", checker);
    }
}

#[cfg(test)]
mod tests {
    use super::{AugmentConfig, FinetuneConfig};
    use crate::config::RunConfig;

    #[test]
    fn a_range_the_wrong_way_round_is_refused_by_name() {
        let refused = |set: &str| RunConfig::default().with_overrides(&[set.to_owned()]).unwrap_err().to_string();
        let error = refused("finetune.augment.gamma=[1.5,0.7]");
        assert!(error.contains("finetune.augment.gamma") && error.contains("1.5 to 0.7"), "{error}");
        assert!(refused("finetune.augment.field_of_view=[0.0,1.0]").contains("finetune.augment.field_of_view"));
    }

    #[test]
    fn the_last_crops_of_a_batch_are_rounded_as_nnu_net_s_and_never_none() {
        let crops = |batch, foreground_share| {
            FinetuneConfig { batch, foreground_share, foreground_in_each_batch: true, ..FinetuneConfig::default() }.foreground_crops()
        };
        assert_eq!([1, 2, 3, 4, 9].map(|batch| crops(batch, 0.33)), [None, Some(1), Some(1), Some(1), Some(3)]);
        assert_eq!((crops(2, 1.0), crops(2, 0.0), FinetuneConfig::default().foreground_crops()), (Some(2), Some(0), None));
        let set = ["finetune.foreground_in_each_batch=true", "finetune.foreground_share=0.2"].map(str::to_owned);
        let error = RunConfig::default().with_overrides(&set).unwrap_err().to_string();
        assert!(error.contains("foreground_in_each_batch") && error.contains("batch of 2"), "{error}");
    }

    #[test]
    fn nnu_net_rotates_about_d_alone_where_crops_are_flat() {
        let of = |crop_size| AugmentConfig::nnunet(crop_size);
        assert_eq!((of([40, 56, 40]).in_plane, of([40, 56, 40]).rotation_deg), (false, 30.0));
        assert_eq!((of([16, 48, 40]).in_plane, of([16, 49, 40]).in_plane, of([16, 49, 40]).rotation_deg), (false, true, 180.0));
    }
}
