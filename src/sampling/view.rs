//! The views of a pre-training step (METHOD: "One pre-training step", steps 1 to 4).
//!
//! A task says what is done to each view: SimTROT, B-TROT, SimCLR, BYOL and iBOT hide cells of the first and rotate the second; SimMIM
//! and MAE have one view with hidden cells and read the crop as it was, which SimTROT does where it predicts hidden voxels too; RCR
//! rotates two and cuts cells out of both.

use rand::RngExt as _;
use rand_distr::StandardNormal;

use super::case::channels;
use super::crop;
use super::mask::{FILL_STD, MaskGrid};
use super::rotation::{self, TokenFrame, quarter_turns, restore_rows};
use super::texture::Texture;
use super::{SamplingError, loader};
use crate::config::{PretrainConfig, TaskViews, TextureConfig};
use crate::geometry::SignedPermutation;
use crate::preprocess::PreparedCase;
use crate::random::stream;

/// What is drawn in every pre-training step; checked once, before the first.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    seed: u64,
    frame: TokenFrame,
    texture: TextureConfig,
    mask: MaskGrid,
    mask_ratio: f64,
    specs: Vec<ViewSpec>,
}

/// What is done to one view of a crop; a draw is keyed by the name it has here.
#[derive(Clone, Debug)]
struct ViewSpec {
    texture: Option<&'static str>,
    /// Mask, and the noise that fills it.
    hide: Option<[&'static str; 2]>,
    rotation: Option<(&'static str, Vec<SignedPermutation>)>,
    /// Whether the task reads the crop as it was.
    clean: bool,
}

/// One view of the crops of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// `[batch, channel, depth, height, width]`.
    pub voxels: Vec<f32>,
    /// Hidden cells, `[batch, cells]`, row-major over the mask grid; empty where this view hides none.
    pub mask: Vec<bool>,
    /// The rotation of each volume; the identity where this view is not rotated.
    pub elements: Vec<SignedPermutation>,
    /// The voxels before texture and hiding, rotated as the view is; empty where the task does not read them.
    pub clean: Vec<f32>,
}

/// The views of the crops of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewBatch {
    /// Micro-batch number; every draw was keyed by it.
    pub step: u64,
    /// `[batch, channel, depth, height, width]` of every view.
    pub shape: [usize; 5],
    /// In the task's order.
    pub views: Vec<View>,
    /// Cells that views hide.
    pub mask_grid: MaskGrid,
    /// Names of the cases.
    pub cases: Vec<String>,
}

impl View {
    /// Row order that restores this view's tokens, `[batch * tokens, dim]`, on a token grid of `grid`.
    pub fn restore_rows(&self, grid: [usize; 3]) -> Vec<u32> {
        restore_rows(&self.elements, grid)
    }
}

#[cfg(test)]
impl ViewBatch {
    /// 1 in the hidden voxels of view `view` and 0 elsewhere, shaped as its voxels.
    pub fn masked_voxels(&self, view: usize) -> Vec<f32> {
        let values: usize = self.shape[1..].iter().product();
        let mut hidden = vec![0.0; self.shape[0] * values];
        for (hidden, mask) in hidden.chunks_exact_mut(values).zip(self.views[view].mask.chunks_exact(self.mask_grid.count())) {
            self.mask_grid.hide(hidden, mask, |_| 1.0);
        }
        hidden
    }
}

impl ViewSpec {
    /// Hides cells under texture: SimTROT's x̂.
    const MASKED: Self = Self {
        texture: Some("pretrain.texture.masked"),
        hide: Some(["pretrain.mask", "pretrain.mask.noise"]),
        rotation: None,
        clean: false,
    };

    /// Those of `config`'s task.
    fn of(config: &PretrainConfig, patch: [usize; 3], stride: [usize; 3]) -> Result<Vec<Self>, SamplingError> {
        let crop = config.crop_size;
        Ok(match config.task.views() {
            TaskViews::MaskedAndRotated => {
                let rotation = Some(("pretrain.rotate", TokenFrame { crop, patch, stride }.admissible(config.rotate)?));
                let masked = Self { clean: config.reconstructs(), ..Self::MASKED };
                vec![masked, Self { texture: Some("pretrain.texture.rotated"), hide: None, rotation, clean: false }]
            }
            // What is to be predicted are the voxels themselves: texture would ask for noise.
            TaskViews::Masked => vec![Self { texture: None, clean: true, ..Self::MASKED }],
            TaskViews::MaskedQuarterTurns => {
                if crop[1] != crop[2] {
                    return Err(SamplingError::QuarterTurns { crop });
                }
                let rotated = |name| Some((name, quarter_turns().to_vec()));
                let first = Self { rotation: rotated("pretrain.turn.first"), clean: true, ..Self::MASKED };
                let second = Self {
                    texture: Some("pretrain.texture.second"),
                    hide: Some(["pretrain.mask.second", "pretrain.mask.noise.second"]),
                    rotation: rotated("pretrain.turn.second"),
                    clean: true,
                };
                vec![first, second]
            }
        })
    }
}

impl ViewPlan {
    /// For an encoder with patches of `patch` voxels and a total stride of `stride`; a mask cell is one token of its
    /// last stage unless the config says otherwise.
    ///
    /// # Errors
    /// Rotations or mask cells that do not fit the crop.
    pub fn new(config: &PretrainConfig, patch: [usize; 3], stride: [usize; 3], seed: u64) -> Result<Self, SamplingError> {
        let crop = config.crop_size;
        // Without masking nothing needs to fit: the whole crop is one cell.
        let cell = if config.mask_ratio > 0.0 { config.mask_patch.unwrap_or(stride) } else { crop };
        Ok(Self {
            seed,
            frame: TokenFrame { crop, patch, stride },
            texture: config.texture.clone(),
            mask: MaskGrid::new(crop, cell)?,
            mask_ratio: config.mask_ratio,
            specs: ViewSpec::of(config, patch, stride)?,
        })
    }

    /// How the encoder cuts a crop.
    pub fn frame(&self) -> &TokenFrame {
        &self.frame
    }

    /// Bytes of the views of so many crops of so many channels.
    pub fn batch_bytes(&self, crops: usize, channels: usize) -> u64 {
        let arrays: usize = self.specs.iter().map(|spec| 1 + usize::from(spec.clean)).sum();
        (arrays * crops * channels * self.frame.crop.iter().product::<usize>() * size_of::<f32>()) as u64
    }

    /// The views of `step`, one volume of the batch for each of `cases` (see [`super::CaseOrder`]).
    ///
    /// # Errors
    /// Cases whose channels differ, or one that can no longer be read.
    pub fn batch(&self, cases: &[&PreparedCase], step: u64) -> Result<ViewBatch, SamplingError> {
        let [depth, height, width] = self.frame.crop;
        let channels = channels(cases)?;
        let mut voxels = vec![0.0; channels * depth * height * width];
        let room = cases.len() * voxels.len();
        let mut views: Vec<View> = self.specs.iter().map(|_| View { voxels: Vec::with_capacity(room), ..View::default() }).collect();
        for (own, slot) in cases.iter().zip(0..) {
            loader::working_on(own.name());
            let crop = crop::random(own.grid().shape, self.frame.crop, &mut stream(self.seed, "pretrain.crop", step, slot));
            own.cut_image(&crop, &mut voxels)?;
            for (spec, view) in self.specs.iter().zip(&mut views) {
                self.add(spec, &voxels, (step, slot), view);
            }
        }
        let shape = [cases.len(), channels, depth, height, width];
        let cases = cases.iter().map(|own| own.name().to_owned()).collect();
        Ok(ViewBatch { step, shape, views, mask_grid: self.mask, cases })
    }

    /// Adds one volume, `crop`, to a view.
    fn add(&self, spec: &ViewSpec, crop: &[f32], (step, slot): (u64, u64), view: &mut View) {
        let size = self.frame.crop;
        let channels = crop.len() / size.iter().product::<usize>();
        let draw = |purpose: &str| stream(self.seed, purpose, step, slot);
        let first = view.voxels.len();
        view.voxels.extend_from_slice(crop);
        let voxels = &mut view.voxels[first..];
        if let Some(purpose) = spec.texture {
            let mut rng = draw(purpose);
            Texture::draw(&self.texture, &mut rng).apply(voxels, size, &mut rng);
        }
        let rotation = spec.rotation.as_ref().map(|(purpose, rotations)| rotation::draw(rotations, &mut draw(purpose)));
        if let Some(rotation) = rotation {
            let original = voxels.to_vec();
            rotation.apply_into(&original, channels, size, voxels);
        }
        if let Some([mask, noise]) = spec.hide {
            let mask = self.mask.draw(self.mask_ratio, &mut draw(mask));
            let mut noise = draw(noise);
            self.mask.hide(voxels, &mask, |_| FILL_STD * noise.sample::<f32, _>(StandardNormal));
            view.mask.extend(mask);
        }
        let rotation = rotation.unwrap_or(SignedPermutation::IDENTITY);
        if spec.clean {
            view.clean.extend(rotation.apply(crop, channels, size));
        }
        view.elements.push(rotation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretextTask;
    use crate::config::Rotate;
    use crate::sampling::case::tests::distinct;
    use crate::sampling::{CaseOrder, CaseSet, chosen};

    const QUIET: TextureConfig =
        TextureConfig { noise_p: 0.0, noise_std: 0.0, gibbs_p: 0.0, gibbs_alpha: 0.0, scale_p: 0.0, scale: 0.0, shift_p: 0.0, shift: 0.0 };

    fn config() -> PretrainConfig {
        PretrainConfig { crop_size: [8, 8, 8], ..PretrainConfig::default() }
    }

    #[test]
    fn without_texture_the_views_are_one_crop_masked_and_rotated() {
        let cases = [0, 1, 2].map(|n| distinct(n, [10, 12, 7], 2));
        let cases = cases.each_ref();
        let plan = ViewPlan::new(&PretrainConfig { texture: QUIET, ..config() }, [2, 2, 2], [4, 4, 4], 11).unwrap();
        let mut rotations = std::collections::BTreeSet::new();
        for step in 0..20 {
            let batch = plan.batch(&cases, step).unwrap();
            assert_eq!(batch.shape, [3, 2, 8, 8, 8]);
            assert_eq!(batch.cases, ["case_0", "case_1", "case_2"]);
            assert_eq!(
                batch.views[0].mask.chunks(8).map(|mask| mask.iter().filter(|&&hidden| hidden).count()).collect::<Vec<_>>(),
                [6, 6, 6]
            );
            for slot in 0..3 {
                let rotated = &batch.views[1].voxels[slot * 1024..][..1024];
                let original = batch.views[1].elements[slot].inverse().apply(rotated, 2, [8, 8, 8]);
                // Where x̂ is not hidden, both views agree after the rotation is undone.
                let mut expected = original.clone();
                let masked = &batch.views[0].voxels[slot * 1024..][..1024];
                batch.mask_grid.hide(&mut expected, &batch.views[0].mask[slot * 8..][..8], |index| masked[index]);
                assert_eq!(masked, expected);
                assert!(original.iter().all(|value| (slot as f32..slot as f32 + 1.0).contains(value)), "a crop of case {slot}");
                rotations.insert(batch.views[1].elements[slot]);
            }
        }
        assert!(rotations.len() > 20, "{} different rotations in 60 draws", rotations.len());
    }

    #[test]
    fn a_step_is_the_same_whenever_it_is_made_and_unlike_others() {
        let cases: CaseSet = (0..4).map(|n| distinct(n, [12, 12, 12], 1).into()).collect();
        let make = |step| {
            let plan = ViewPlan::new(&config(), [2, 2, 2], [4, 4, 4], 1).unwrap();
            plan.batch(&chosen(&cases, &CaseOrder::distinct(1, cases.len(), 2).unwrap().cases(step)), step).unwrap()
        };
        assert_eq!(make(7), make(7));
        let (one, other) = (make(0), make(2));
        assert!(
            one.views.iter().zip(&other.views).all(|(one, other)| one.voxels != other.voxels) && one.views[0].mask != other.views[0].mask
        );
        // Texture is drawn for each view on its own.
        let original = one.views[1].elements[0].inverse().apply(&one.views[1].voxels[..512], 1, [8, 8, 8]);
        let cells = one.views[0].mask[..8].iter().position(|&hidden| !hidden).unwrap();
        let first_voxel = ((cells / 4 * 4) * 8 + cells / 2 % 2 * 4) * 8 + cells % 2 * 4;
        assert_ne!(original[first_voxel], one.views[0].voxels[first_voxel]);
    }

    #[test]
    fn switches_leave_parts_out() {
        let case = distinct(0, [9, 9, 9], 1);
        let off = PretrainConfig { texture: QUIET, mask_ratio: 0.0, rotate: Rotate::Off, crop_size: [9, 8, 8], ..config() };
        let batch = ViewPlan::new(&off, [2, 2, 2], [4, 4, 4], 0).unwrap().batch(&[&case], 3).unwrap();
        assert_eq!(batch.views[0].voxels, batch.views[1].voxels);
        let uneven = PretrainConfig { mask_ratio: 0.5, ..off };
        assert!(matches!(ViewPlan::new(&uneven, [2, 2, 2], [4, 4, 4], 0), Err(SamplingError::MaskCells { .. })));
    }

    #[test]
    fn tasks_that_predict_voxels_read_the_crop_as_it_was() {
        let cases = [distinct(0, [10, 12, 12], 2), distinct(1, [9, 12, 14], 2)];
        let make = |task| {
            ViewPlan::new(&PretrainConfig { task, ..config() }, [2, 2, 2], [4, 4, 4], 5).unwrap().batch(&cases.each_ref(), 2).unwrap()
        };
        let (simmim, rcr) = (make(PretextTask::Simmim), make(PretextTask::Rcr));
        assert_eq!((simmim.views.len(), rcr.views.len()), (1, 2));
        let hidden = simmim.masked_voxels(0);
        assert_eq!(hidden.iter().sum::<f32>(), 0.75 * hidden.len() as f32);
        for ((voxel, clean), hidden) in simmim.views[0].voxels.iter().zip(&simmim.views[0].clean).zip(&hidden) {
            assert!((voxel == clean) == (*hidden == 0.0));
        }
        for view in &rcr.views {
            for (slot, element) in view.elements.iter().enumerate() {
                let original = element.inverse().apply(&view.clean[slot * 1024..][..1024], 2, [8, 8, 8]);
                assert_eq!(original, simmim.views[0].clean[slot * 1024..][..1024]);
            }
        }
        let flat = PretrainConfig { task: PretextTask::Rcr, crop_size: [8, 8, 12], ..config() };
        let refusal = ViewPlan::new(&flat, [2, 2, 2], [4, 4, 4], 5).unwrap_err().to_string();
        assert!(refusal.contains("[8, 8, 12]"), "{refusal}");
    }

    #[test]
    fn the_contrast_s_views_stay_as_they_are_where_hidden_voxels_are_predicted_too() {
        let case = distinct(0, [10, 12, 12], 2);
        let make = |task, reconstruction_weight| {
            let config = PretrainConfig { task, reconstruction_weight, ..config() };
            ViewPlan::new(&config, [2, 2, 2], [4, 4, 4], 5).unwrap().batch(&[&case], 2).unwrap()
        };
        let (plain, mut both, simmim) = (make(PretextTask::Simtrot, 0.0), make(PretextTask::Simtrot, 0.5), make(PretextTask::Simmim, 0.5));
        assert_eq!(make(PretextTask::BTrot, 0.5), plain, "no other task reads it");
        assert_eq!(both.views[0].clean, simmim.views[0].clean, "without texture, nothing hidden");
        assert_eq!(both.views[0].mask, simmim.views[0].mask);
        both.views[0].clean.clear();
        assert_eq!(both, plain);
    }

    #[test]
    fn cases_with_other_channels_are_named() {
        let cases = [distinct(0, [9, 9, 9], 1), distinct(1, [9, 9, 9], 2)];
        let plan = ViewPlan::new(&config(), [2, 2, 2], [4, 4, 4], 0).unwrap();
        let error = plan.batch(&cases.each_ref(), 0).unwrap_err().to_string();
        assert!(error.contains("case_1: 2 channels") && error.contains("case_0 has 1"), "{error}");
    }
}
