//! The batches of fine-tuning: crops with their labels.

use rand::{Rng, RngExt as _};

use crate::config::{AugmentConfig, FinetuneConfig};
use crate::random::stream;

use super::case::{channels, draw_foreground};
use super::spatial::Spatial;
use super::{SamplingError, crop, intensity, loader, texture};
use crate::geometry::{SignedPermutation, VoxelBox};
use crate::preprocess::PreparedCase;

/// What is drawn in every fine-tuning step.
#[derive(Clone, Debug)]
pub struct LabelledPlan {
    seed: u64,
    crop: [usize; 3],
    foreground_share: f64,
    foreground_crops: Option<usize>,
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
        let &FinetuneConfig { crop_size, foreground_share, ref augment, .. } = config;
        Self { seed, crop: crop_size, foreground_share, foreground_crops: config.foreground_crops(), augment: augment.clone() }
    }

    /// Bytes of a batch of so many crops of so many channels.
    pub fn batch_bytes(&self, crops: usize, channels: usize) -> u64 {
        (crops * self.crop.iter().product::<usize>() * (size_of::<f32>() * channels + 1)) as u64
    }

    /// The crops of `step`, one for each of `cases` (see [`super::CaseOrder`]).
    ///
    /// Some are centred on a foreground voxel, by chance or the last ones, and the others lie at a random place; a case without foreground is
    /// always cut at random.
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
            let draws = |purpose| stream(self.seed, purpose, step, slot);
            let crop = self.place(own, (slot, cases.len()), &mut draws("finetune.crop"))?;
            match Spatial::draw(&self.augment, &mut draws("finetune.spatial")) {
                None => {
                    own.cut_image(&crop, image)?;
                    own.cut_label(&crop, label)?;
                }
                Some(spatial) => spatial.cut(own, &crop, (image, label))?,
            }
            intensity::change(&self.augment, image, size, &mut draws("finetune.intensity"));
            self.augment(image, label, &mut draws("finetune.augment"));
        }
        Ok(batch)
    }

    /// Where the crop at `slot` of a batch of so many lies.
    fn place(&self, own: &PreparedCase, (slot, batch): (u64, usize), rng: &mut impl Rng) -> Result<VoxelBox, SamplingError> {
        let shape = own.grid().shape;
        let on_foreground = match self.foreground_crops {
            Some(crops) => slot as usize + crops >= batch,
            None => rng.random_bool(self.foreground_share),
        };
        let foreground = if on_foreground { draw_foreground(own, rng)? } else { None };
        Ok(match foreground {
            Some(voxel) => crop::around(voxel, shape, self.crop),
            None => crop::random(shape, self.crop, rng),
        })
    }

    /// Mirrors, scale and shift.
    fn augment(&self, image: &mut [f32], label: &mut [u8], rng: &mut impl Rng) {
        let AugmentConfig { flip_p, scale_p, scale, shift_p, shift, .. } = self.augment;
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
    use crate::sampling::case::tests::{distinct, of};
    use crate::sampling::{Loader, ReadAhead};

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
        let in_each = LabelledPlan::new(&FinetuneConfig { batch: 3, foreground_in_each_batch: true, ..config(0.33) }, 0);
        let mut by_slot = [0; 3];
        for step in 0..100 {
            let batch = in_each.batch(&[&labelled; 3], step).unwrap();
            let crops = batch.label.chunks_exact(192).map(|crop| usize::from(crop.contains(&7)));
            by_slot.iter_mut().zip(crops).for_each(|(hits, hit)| *hits += hit);
        }
        assert!(by_slot[0] < 10 && by_slot[1] < 10 && by_slot[2] == 100, "the last of three: {by_slot:?}");
        let error = LabelledPlan::new(&config(0.0), 0).batch(&[&case(None)], 0).unwrap_err();
        assert_eq!(error, SamplingError::NoLabel { case: "case_0".to_owned() });
    }

    #[test]
    fn changes_that_are_off_leave_the_crop_as_it_lies() {
        let case = distinct(0, [9, 11, 10], 2);
        let augment = AugmentConfig { flip_p: [0.0; 3], scale_p: 0.0, shift_p: 0.0, ..AugmentConfig::default() };
        let plan = LabelledPlan::new(&FinetuneConfig { augment, ..config(0.5) }, 7);
        for step in 0..10 {
            let crop = plan.place(&case, (0, 1), &mut stream(7, "finetune.crop", step, 0)).unwrap();
            let (mut image, mut label) = (vec![0.0; 384], vec![0; 192]);
            case.cut_image(&crop, &mut image).unwrap();
            case.cut_label(&crop, &mut label).unwrap();
            let batch = plan.batch(&[&case], step).unwrap();
            assert_eq!((batch.image, batch.label), (image, label), "step {step}");
        }
    }

    #[test]
    fn augmented_batches_are_bit_equal_for_any_number_of_threads() {
        let batches = |threads| {
            let cases = [0, 1].map(|number| distinct(number, [9, 11, 10], 2));
            let often = AugmentConfig { rotation_p: 0.5, noise_p: 0.5, blur_p: 0.5, ..AugmentConfig::nnunet([4, 6, 8]) };
            let plan = LabelledPlan::new(&FinetuneConfig { augment: often, ..config(0.5) }, 7);
            let mut loader = Loader::new(0, 24, ReadAhead::within(threads, None, 1), move |step| plan.batch(&cases.each_ref(), step));
            std::iter::from_fn(|| loader.next()).map(|made| made.unwrap().1).collect::<Vec<_>>()
        };
        let one = batches(1);
        assert_eq!(one.len(), 24);
        assert!(one.iter().flat_map(|batch| &batch.image).all(|value| value.is_finite()));
        assert_eq!(batches(2), one);
        assert_eq!(batches(4), one);
    }
}
