//! The two views of a pre-training step: the same crops, one with hidden cells, the other turned.

use rand::RngExt as _;
use rand_distr::StandardNormal;

use crate::config::{PretrainConfig, TextureConfig};
use crate::random::stream;

use super::crop::CropBox;
use super::mask::{FILL_STD, MaskGrid};
use super::source::channels;
use super::spatial::{SpatialElement, TokenFrame, admissible, restore_rows};
use super::texture::Texture;
use super::{SamplingError, Source, loader};

/// What is drawn in every pre-training step; checked once, before the first.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    seed: u64,
    frame: TokenFrame,
    texture: TextureConfig,
    mask: MaskGrid,
    mask_ratio: f64,
    elements: Vec<SpatialElement>,
}

/// The two views of the crops of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewBatch {
    /// Micro-batch number; every draw was keyed by it.
    pub step: u64,
    /// `[batch, channel, depth, height, width]` of both views.
    pub shape: [usize; 5],
    /// x̂: textured, cells hidden.
    pub masked: Vec<f32>,
    /// x̃: textured anew, turned.
    pub rotated: Vec<f32>,
    /// Hidden cells of x̂, `[batch, cells]`, row-major over the mask grid.
    pub mask: Vec<bool>,
    /// The turn of each volume of x̃.
    pub elements: Vec<SpatialElement>,
    /// Names of the cases.
    pub cases: Vec<String>,
}

impl ViewBatch {
    /// Row order that restores the tokens of x̃, `[batch * tokens, dim]`, on a token grid of `grid`.
    pub fn restore_rows(&self, grid: [usize; 3]) -> Vec<u32> {
        restore_rows(&self.elements, grid)
    }
}

impl ViewPlan {
    /// For an encoder with patches of `patch` voxels and a total stride of `stride`; a mask cell is one token of its
    /// last stage unless the config says otherwise.
    ///
    /// # Errors
    /// Turns or mask cells that do not fit the crop.
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
            elements: admissible(config.rotate, crop, patch, stride)?,
        })
    }

    /// How the encoder cuts a crop.
    pub fn frame(&self) -> &TokenFrame {
        &self.frame
    }

    /// The cells of x̂.
    pub fn mask_grid(&self) -> &MaskGrid {
        &self.mask
    }

    /// The turns of x̃.
    pub fn elements(&self) -> &[SpatialElement] {
        &self.elements
    }

    /// The views of `step`, one volume of the batch for each of `sources` (see [`super::CaseOrder`]).
    ///
    /// # Errors
    /// Cases whose channels differ.
    pub fn batch(&self, sources: &[Source<'_>], step: u64) -> Result<ViewBatch, SamplingError> {
        let size = self.frame.crop;
        let channels = channels(sources)?;
        let values = channels * size.iter().product::<usize>();
        let mut batch = ViewBatch {
            step,
            shape: [sources.len(), channels, size[0], size[1], size[2]],
            masked: vec![0.0; sources.len() * values],
            rotated: vec![0.0; sources.len() * values],
            mask: Vec::with_capacity(sources.len() * self.mask.count()),
            elements: Vec::with_capacity(sources.len()),
            cases: sources.iter().map(|source| source.name.to_owned()).collect(),
        };
        let views = batch.masked.chunks_exact_mut(values).zip(batch.rotated.chunks_exact_mut(values));
        for ((source, (masked, rotated)), slot) in sources.iter().zip(views).zip(0..) {
            loader::working_on(source.name);
            let draw = |purpose: &str| stream(self.seed, purpose, step, slot);
            let shape = source.image.grid.shape;
            let crop = CropBox::random(shape, size, &mut draw("pretrain.crop"));
            crop.cut(&source.image.voxels, shape, source.index.background(), masked);
            let mut upright = masked.to_vec();

            let mut rng = draw("pretrain.texture.masked");
            Texture::draw(&self.texture, &mut rng).apply(masked, size, &mut rng);
            let mask = self.mask.draw(self.mask_ratio, &mut draw("pretrain.mask"));
            let mut noise = draw("pretrain.mask.noise");
            self.mask.hide(masked, &mask, |_| FILL_STD * noise.sample::<f32, _>(StandardNormal));
            batch.mask.extend(mask);

            let mut rng = draw("pretrain.texture.rotated");
            Texture::draw(&self.texture, &mut rng).apply(&mut upright, size, &mut rng);
            let element = SpatialElement::draw(&self.elements, &mut draw("pretrain.rotate"));
            element.apply_into(&upright, channels, size, rotated);
            batch.elements.push(element);
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rotate;
    use crate::sampling::CaseOrder;
    use crate::sampling::source::tests::TestCase;

    const QUIET: TextureConfig =
        TextureConfig { noise_p: 0.0, noise_std: 0.0, gibbs_p: 0.0, gibbs_alpha: 0.0, scale_p: 0.0, scale: 0.0, shift_p: 0.0, shift: 0.0 };

    fn config() -> PretrainConfig {
        PretrainConfig { crop_size: [8, 8, 8], ..PretrainConfig::default() }
    }

    #[test]
    fn without_texture_the_views_are_one_crop_masked_and_turned() {
        let cases: Vec<_> = (0..3).map(|n| TestCase::new(n, [10, 12, 7], 2)).collect();
        let sources: Vec<_> = cases.iter().map(TestCase::source).collect();
        let plan = ViewPlan::new(&PretrainConfig { texture: QUIET, ..config() }, [2, 2, 2], [4, 4, 4], 11).unwrap();
        let mut turns = std::collections::BTreeSet::new();
        for step in 0..20 {
            let batch = plan.batch(&sources, step).unwrap();
            assert_eq!(batch.shape, [3, 2, 8, 8, 8]);
            assert_eq!(batch.cases, ["case_0", "case_1", "case_2"]);
            assert_eq!(batch.mask.chunks(8).map(|mask| mask.iter().filter(|&&hidden| hidden).count()).collect::<Vec<_>>(), [6, 6, 6]);
            for slot in 0..3 {
                let turned = &batch.rotated[slot * 1024..][..1024];
                let upright = batch.elements[slot].inverse().apply(turned, 2, [8, 8, 8]);
                // Where x̂ is not hidden, both views agree after the turn is undone.
                let mut expected = upright.clone();
                let masked = &batch.masked[slot * 1024..][..1024];
                plan.mask_grid().hide(&mut expected, &batch.mask[slot * 8..][..8], |index| masked[index]);
                assert_eq!(masked, expected);
                assert!(upright.iter().all(|value| (slot as f32..slot as f32 + 1.0).contains(value)), "a crop of case {slot}");
                turns.insert(batch.elements[slot]);
            }
        }
        assert!(turns.len() > 20, "{} different turns in 60 draws", turns.len());
    }

    #[test]
    fn a_step_is_the_same_whenever_it_is_made_and_unlike_others() {
        let cases: Vec<_> = (0..4).map(|n| TestCase::new(n, [12, 12, 12], 1)).collect();
        let make = |step| {
            let plan = ViewPlan::new(&config(), [2, 2, 2], [4, 4, 4], 1).unwrap();
            let chosen = CaseOrder::distinct(1, cases.len(), 2).unwrap().cases(step);
            plan.batch(&chosen.iter().map(|&case| cases[case].source()).collect::<Vec<_>>(), step).unwrap()
        };
        assert_eq!(make(7), make(7));
        let (one, other) = (make(0), make(2));
        assert!(one.masked != other.masked && one.rotated != other.rotated && one.mask != other.mask);
        // Texture is drawn for each view on its own.
        let upright = one.elements[0].inverse().apply(&one.rotated[..512], 1, [8, 8, 8]);
        let cells = one.mask[..8].iter().position(|&hidden| !hidden).unwrap();
        let first_voxel = ((cells / 4 * 4) * 8 + cells / 2 % 2 * 4) * 8 + cells % 2 * 4;
        assert_ne!(upright[first_voxel], one.masked[first_voxel]);
    }

    #[test]
    fn switches_turn_parts_off() {
        let cases = [TestCase::new(0, [9, 9, 9], 1)];
        let off = PretrainConfig { texture: QUIET, mask_ratio: 0.0, rotate: Rotate::Off, crop_size: [9, 8, 8], ..config() };
        let batch = ViewPlan::new(&off, [2, 2, 2], [4, 4, 4], 0).unwrap().batch(&[cases[0].source()], 3).unwrap();
        assert_eq!(batch.masked, batch.rotated);
        let uneven = PretrainConfig { mask_ratio: 0.5, ..off };
        assert!(matches!(ViewPlan::new(&uneven, [2, 2, 2], [4, 4, 4], 0), Err(SamplingError::MaskCells { .. })));
    }

    #[test]
    fn cases_with_other_channels_are_named() {
        let cases = [TestCase::new(0, [9, 9, 9], 1), TestCase::new(1, [9, 9, 9], 2)];
        let plan = ViewPlan::new(&config(), [2, 2, 2], [4, 4, 4], 0).unwrap();
        let error = plan.batch(&[cases[0].source(), cases[1].source()], 0).unwrap_err().to_string();
        assert!(error.contains("case_1: 2 channels") && error.contains("case_0 has 1"), "{error}");
    }
}
