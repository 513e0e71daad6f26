//! The batches of fine-tuning: crops with their labels.

use rand::{Rng, RngExt as _};

use crate::config::{AugmentConfig, FinetuneConfig};
use crate::random::stream;

use super::crop;
use super::source::channels;
use super::{SamplingError, Source, loader, texture};
use crate::geometry::{SignedPermutation, VoxelBox};

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

    /// The crops of `step`, one for each of `sources` (see [`super::CaseOrder`]).
    ///
    /// Each is centred on a foreground voxel with a chance of `foreground_share`, else at a random place; a case
    /// without foreground is always cut at random.
    ///
    /// # Errors
    /// A case without label map; cases whose channels differ.
    pub fn batch(&self, sources: &[Source<'_>], step: u64) -> Result<LabelledBatch, SamplingError> {
        let size = self.crop;
        let channels = channels(sources)?;
        let voxels: usize = size.iter().product();
        let mut batch = LabelledBatch {
            step,
            shape: [sources.len(), channels, size[0], size[1], size[2]],
            image: vec![0.0; sources.len() * channels * voxels],
            label: vec![0; sources.len() * voxels],
            cases: sources.iter().map(|source| source.name.to_owned()).collect(),
        };
        let crops = batch.image.chunks_exact_mut(channels * voxels).zip(batch.label.chunks_exact_mut(voxels));
        for ((source, (image, label)), slot) in sources.iter().zip(crops).zip(0..) {
            loader::working_on(source.name);
            let shape = source.image.grid.shape;
            let crop = self.place(source, &mut stream(self.seed, "finetune.crop", step, slot));
            crop.cut_padded(&source.image.voxels, shape, source.index.background(), image);
            crop.cut_padded(source.require_label()?, shape, &[0], label);
            self.augment(image, label, &mut stream(self.seed, "finetune.augment", step, slot));
        }
        Ok(batch)
    }

    fn place(&self, source: &Source<'_>, rng: &mut impl Rng) -> VoxelBox {
        let shape = source.image.grid.shape;
        let foreground = if rng.random_bool(self.foreground_share) { source.index.draw_foreground(rng) } else { None };
        match foreground {
            Some(voxel) => crop::around(voxel, shape, self.crop),
            None => crop::random(shape, self.crop, rng),
        }
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
    use crate::sampling::source::tests::TestCase;

    fn config(foreground_share: f64) -> FinetuneConfig {
        FinetuneConfig { crop_size: [4, 6, 8], foreground_share, ..FinetuneConfig::default() }
    }

    #[test]
    fn images_and_labels_are_cut_and_mirrored_together() {
        let mut case = TestCase::new(0, [9, 11, 10], 2);
        // A label that can be read off the image, whatever was cut and mirrored.
        case.label = Some((0..990).map(|voxel| (voxel % 251) as u8).collect());
        case.image.voxels = (0..1980).map(|voxel| ((voxel % 990) % 251) as f32).collect();
        let augment = AugmentConfig { flip_p: [0.5; 3], scale_p: 0.0, shift_p: 0.0, ..AugmentConfig::default() };
        let plan = LabelledPlan::new(&FinetuneConfig { augment, ..config(0.5) }, 0);
        let mut ascending = 0;
        for step in 0..40 {
            let batch = plan.batch(&[case.source(), case.source()], step).unwrap();
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
        let mut case = TestCase::new(0, [30, 30, 30], 1);
        let mut label = vec![0; 27_000];
        label[29 * 900 + 3 * 30 + 14] = 7;
        case.index = super::super::CaseIndex::new(&case.image, Some(&label));
        case.label = Some(label);
        let hits = |share| {
            let plan = LabelledPlan::new(&config(share), 0);
            (0..100).filter(|&step| plan.batch(&[case.source()], step).unwrap().label.contains(&7)).count()
        };
        assert_eq!(hits(1.0), 100);
        assert!(hits(0.5) > 35 && hits(0.5) < 65 && hits(0.0) < 10);
        case.label = None;
        let error = LabelledPlan::new(&config(0.0), 0).batch(&[case.source()], 0).unwrap_err();
        assert_eq!(error, SamplingError::NoLabel { case: "case_0".to_owned() });
    }
}
