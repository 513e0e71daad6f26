//! The batches of fine-tuning: crops with their labels.

use rand::{Rng, RngExt as _};

use crate::config::{AugmentConfig, FinetuneConfig};
use crate::random::stream;

use super::case::{channels, draw_foreground};
use super::crop;
use super::{SamplingError, loader, texture};
use crate::geometry::{SignedPermutation, VoxelBox};
use crate::preprocess::PreparedCase;

/// What is drawn in every fine-tuning step.
#[derive(Clone, Debug)]
pub struct LabelledPlan {
    seed: u64,
    crop: [usize; 3],
    foreground_share: f64,
    augment: AugmentConfig,
}

/// The crops of one fine-tuning step.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledBatch {
    /// Micro-batch number; every draw was keyed by it.
    pub step: u64,
    /// `[batch, channel, depth, height, width]` of the images; the labels lack the channel.
    pub shape: [usize; 5],
    /// Intensities.
    pub image: Vec<f32>,
    /// Class of each voxel, `[batch, depth, height, width]`.
    pub label: Vec<u8>,
    /// Names of the cases.
    pub cases: Vec<String>,
}

impl LabelledPlan {
    /// From a config that was checked.
    pub fn new(config: &FinetuneConfig, seed: u64) -> Self {
        Self { seed, crop: config.crop_size, foreground_share: config.foreground_share, augment: config.augment.clone() }
    }

    /// Bytes of a batch of so many crops of so many channels.
    pub fn batch_bytes(&self, crops: usize, channels: usize) -> u64 {
        (crops * self.crop.iter().product::<usize>() * (size_of::<f32>() * channels + 1)) as u64
    }

    /// The crops of `step`, one for each of `cases` (see [`super::CaseOrder`]).
    ///
    /// Each is centred on a foreground voxel with a chance of `foreground_share`, else at a random place; a case
    /// without foreground is always cut at random.
    ///
    /// # Errors
    /// A case without label map, or that can no longer be read; cases whose channels differ.
    pub fn batch(&self, cases: &[&PreparedCase], step: u64) -> Result<LabelledBatch, SamplingError> {
        let size = self.crop;
        let channels = channels(cases)?;
        let voxels: usize = size.iter().product();
        let mut batch = LabelledBatch {
            step,
            shape: [cases.len(), channels, size[0], size[1], size[2]],
            image: vec![0.0; cases.len() * channels * voxels],
            label: vec![0; cases.len() * voxels],
            cases: cases.iter().map(|own| own.name().to_owned()).collect(),
        };
        let crops = batch.image.chunks_exact_mut(channels * voxels).zip(batch.label.chunks_exact_mut(voxels));
        for ((own, (image, label)), slot) in cases.iter().zip(crops).zip(0..) {
            loader::working_on(own.name());
            if !own.is_labelled() {
                return Err(SamplingError::NoLabel { case: own.name().to_owned() });
            }
            let crop = self.place(own, &mut stream(self.seed, "finetune.crop", step, slot))?;
            own.cut_image(&crop, image)?;
            own.cut_label(&crop, label)?;
            self.augment(image, label, &mut stream(self.seed, "finetune.augment", step, slot));
        }
        Ok(batch)
    }

    fn place(&self, own: &PreparedCase, rng: &mut impl Rng) -> Result<VoxelBox, SamplingError> {
        let shape = own.grid().shape;
        let foreground = if rng.random_bool(self.foreground_share) { draw_foreground(own, rng)? } else { None };
        Ok(match foreground {
            Some(voxel) => crop::around(voxel, shape, self.crop),
            None => crop::random(shape, self.crop, rng),
        })
    }

    fn augment(&self, image: &mut [f32], label: &mut [u8], rng: &mut impl Rng) {
        let AugmentConfig { flip_p, scale_p, scale, shift_p, shift } = self.augment;
        let mirror = SignedPermutation::flip(flip_p.map(|p| rng.random_bool(p)));
        if mirror != SignedPermutation::IDENTITY {
            image.copy_from_slice(&mirror.apply(image, image.len() / label.len(), self.crop));
            label.copy_from_slice(&mirror.apply(label, 1, self.crop));
        }
        let mut sometimes = |p: f64, most: f64| {
            let (chosen, value) = (rng.random_bool(p), rng.random_range(-most..=most));
            chosen.then_some(value as f32)
        };
        if let Some(factor) = sometimes(scale_p, scale) {
            texture::scale(image, factor);
        }
        if let Some(offset) = sometimes(shift_p, shift) {
            texture::shift(image, offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::case::tests::of;

    fn config(foreground_share: f64) -> FinetuneConfig {
        FinetuneConfig { crop_size: [4, 6, 8], foreground_share, ..FinetuneConfig::default() }
    }

    #[test]
    fn images_and_labels_are_cut_and_mirrored_together() {
        // A label that can be read off the image, whatever was cut and mirrored.
        let label = (0..990).map(|voxel| (voxel % 251) as u8).collect();
        let case = of(0, [9, 11, 10], (0..1980).map(|voxel| ((voxel % 990) % 251) as f32).collect(), Some(label));
        let augment = AugmentConfig { flip_p: [0.5; 3], scale_p: 0.0, shift_p: 0.0, ..AugmentConfig::default() };
        let plan = LabelledPlan::new(&FinetuneConfig { augment, ..config(0.5) }, 0);
        let mut ascending = 0;
        for step in 0..40 {
            let batch = plan.batch(&[&case, &case], step).unwrap();
            assert_eq!(batch.shape, [2, 2, 4, 6, 8]);
            for (image, label) in batch.image.chunks_exact(384).zip(batch.label.chunks_exact(192)) {
                let read: Vec<_> = image.iter().map(|&value| value as u8).collect();
                assert_eq!((&read[..192], &read[192..]), (label, label));
            }
            ascending += usize::from(batch.label[1] == batch.label[0].wrapping_add(1));
        }
        assert!((10..30).contains(&ascending), "{ascending} of 40 not mirrored along W");
    }

    #[test]
    fn foreground_crops_hold_foreground() {
        let mut label = vec![0; 27_000];
        label[29 * 900 + 3 * 30 + 14] = 7;
        let case = |label| of(0, [30; 3], vec![1.0; 27_000], label);
        let labelled = case(Some(label));
        let hits = |share| {
            let plan = LabelledPlan::new(&config(share), 0);
            (0..100).filter(|&step| plan.batch(&[&labelled], step).unwrap().label.contains(&7)).count()
        };
        assert_eq!(hits(1.0), 100);
        assert!(hits(0.5) > 35 && hits(0.5) < 65 && hits(0.0) < 10);
        let error = LabelledPlan::new(&config(0.0), 0).batch(&[&case(None)], 0).unwrap_err();
        assert_eq!(error, SamplingError::NoLabel { case: "case_0".to_owned() });
    }
}
