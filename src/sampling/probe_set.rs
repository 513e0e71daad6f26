//! The fixed crops on which collapse is measured (METHOD: "Representation collapse, measured").
//!
//! Held-out volumes, un-augmented, cut at jittered offsets: where all volumes are aligned, position alone would
//! predict the label, and a collapsed encoder would look good. The same crops serve the whole run.

use rand::RngExt as _;
use rand_distr::StandardNormal;

use crate::config::{ProbeConfig, Rotate};
use crate::random::stream;

use super::SamplingError;
use super::case::channels;
use super::crop;
use super::rotation::{self, TokenFrame};
use crate::geometry::{SignedPermutation, VoxelBox};
use crate::preprocess::PreparedCase;

/// What a probe set is made of.
#[derive(Clone, Debug)]
pub struct ProbePlan {
    /// Number of volumes and crops, and their jitter.
    pub config: ProbeConfig,
    /// How the encoder cuts a crop.
    pub frame: TokenFrame,
    /// Classes of the label maps, background included.
    pub classes: usize,
    /// Keys every draw.
    pub seed: u64,
}

/// What the encoder is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeInput {
    /// The crops as they were cut.
    Original,
    /// Each crop rotated by an admissible permutation of its own, not to be restored.
    Rotated,
    /// Each crop mirrored along all three axes.
    Reflected,
    /// Each channel of a crop replaced by its mean: a level without structure.
    Constant,
    /// Each channel of a crop replaced by white noise of its mean and standard deviation.
    Noise,
}

/// Crops of held-out volumes, fixed for a run.
#[derive(Clone, Debug)]
pub struct ProbeSet {
    seed: u64,
    frame: TokenFrame,
    channels: usize,
    cases: Vec<String>,
    spacing_mm: Vec<[f64; 3]>,
    volumes: Vec<usize>,
    crops: Vec<f32>,
    rotations: Vec<SignedPermutation>,
    classes: usize,
    label_shares: Option<Vec<f32>>,
}

impl ProbeSet {
    /// Cuts `crops` crops from each of the first `volumes` of `cases`. Label shares are kept if all of them have labels.
    ///
    /// # Errors
    /// No case; cases whose channels differ; one that can no longer be read; a crop that tokens do not fill evenly.
    ///
    /// # Panics
    /// If a label map holds a class that the plan does not count.
    pub fn new(plan: &ProbePlan, cases: &[&PreparedCase]) -> Result<Self, SamplingError> {
        let &ProbePlan { ref config, frame, classes, seed } = plan;
        let cases = &cases[..cases.len().min(config.volumes)];
        let admissible = frame.admissible(Rotate::Full)?;
        let mut probe_set = Self {
            seed,
            frame,
            channels: channels(cases)?,
            cases: cases.iter().map(|own| own.name().to_owned()).collect(),
            spacing_mm: cases.iter().map(|own| own.grid().spacing_mm()).collect(),
            volumes: Vec::new(),
            crops: Vec::new(),
            rotations: Vec::new(),
            classes,
            label_shares: cases.iter().all(|own| own.is_labelled()).then(Vec::new),
        };
        for (volume, own) in cases.iter().enumerate() {
            for crop in 0..config.crops {
                let draw = |purpose: &str| stream(seed, purpose, volume as u64, crop as u64);
                let place = crop::jittered(own.grid().shape, frame.crop, config.jitter, &mut draw("probe.crop"));
                probe_set.push(&place, own)?;
                probe_set.volumes.push(volume);
                probe_set.rotations.push(rotation::draw(&admissible, &mut draw("probe.turn")));
            }
        }
        Ok(probe_set)
    }

    fn push(&mut self, place: &VoxelBox, own: &PreparedCase) -> Result<(), SamplingError> {
        let first = self.crops.len();
        self.crops.resize(first + self.channels * place.len(), 0.0);
        own.cut_image(place, &mut self.crops[first..])?;
        if let Some(shares) = &mut self.label_shares {
            let mut crop = vec![0; place.len()];
            own.cut_label(place, &mut crop)?;
            shares.extend(label_shares(&crop, &self.frame, self.classes));
        }
        Ok(())
    }

    /// Number of crops.
    pub fn len(&self) -> usize {
        self.volumes.len()
    }

    /// Whether there is no crop.
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty()
    }

    /// `[crop, channel, depth, height, width]` of every input.
    pub fn shape(&self) -> [usize; 5] {
        let [depth, height, width] = self.frame.crop;
        [self.len(), self.channels, depth, height, width]
    }

    /// How the encoder cuts a crop.
    pub fn frame(&self) -> &TokenFrame {
        &self.frame
    }

    /// Names of the volumes.
    pub fn cases(&self) -> &[String] {
        &self.cases
    }

    /// Distance of voxels along D,H,W in mm, of each of [`Self::cases`].
    pub fn spacing_mm(&self) -> &[[f64; 3]] {
        &self.spacing_mm
    }

    /// For each crop, which of [`Self::cases`] it comes from.
    pub fn volumes(&self) -> &[usize] {
        &self.volumes
    }

    /// The rotation of each crop in [`ProbeInput::Rotated`].
    pub fn rotations(&self) -> &[SignedPermutation] {
        &self.rotations
    }

    /// Share of each class in each token's block of the original crops, `[crop, token, class]`; None without labels.
    pub fn label_shares(&self) -> Option<&[f32]> {
        self.label_shares.as_deref()
    }

    /// One crop as the encoder is to see it, `[channel, depth, height, width]`.
    ///
    /// # Panics
    /// If there is no such crop.
    pub fn input(&self, input: ProbeInput, crop: usize) -> Vec<f32> {
        let (size, values) = (self.frame.crop, self.channels * self.frame.crop.iter().product::<usize>());
        let original = &self.crops[crop * values..][..values];
        match input {
            ProbeInput::Original => original.to_vec(),
            ProbeInput::Rotated => self.rotations[crop].apply(original, self.channels, size),
            ProbeInput::Reflected => SignedPermutation::POINT_REFLECTION.apply(original, self.channels, size),
            ProbeInput::Constant => self.unstructured(original, |mean, _| mean),
            ProbeInput::Noise => {
                let mut rng = stream(self.seed, "probe.noise", crop as u64, 0);
                self.unstructured(original, |mean, std| mean + std * rng.sample::<f64, _>(StandardNormal))
            }
        }
    }

    /// Each channel's voxels replaced by what `value` makes of its mean and standard deviation.
    fn unstructured(&self, crop: &[f32], mut value: impl FnMut(f64, f64) -> f64) -> Vec<f32> {
        let voxels = crop.len() / self.channels;
        let mut values = Vec::with_capacity(crop.len());
        for channel in crop.chunks_exact(voxels) {
            let mean = channel.iter().copied().map(f64::from).sum::<f64>() / voxels as f64;
            let variance = channel.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / voxels as f64;
            values.extend((0..voxels).map(|_| value(mean, variance.sqrt()) as f32));
        }
        values
    }
}

/// Share of each class in each token's block of a cropped label map: `[token, class]`.
fn label_shares(label: &[u8], frame: &TokenFrame, classes: usize) -> Vec<f32> {
    let ([_, height, width], stride) = (frame.crop, frame.stride);
    let grid = frame.grid();
    let mut counts = vec![0_u32; grid.iter().product::<usize>() * classes];
    for (row, labels) in label.chunks_exact(width).enumerate() {
        let first = (row / height / stride[0] * grid[1] + row % height / stride[1]) * grid[2];
        for (token, block) in labels.chunks_exact(stride[2]).enumerate() {
            let counts = &mut counts[(first + token) * classes..][..classes];
            block.iter().for_each(|&class| counts[usize::from(class)] += 1);
        }
    }
    let voxels = stride.iter().product::<usize>() as f32;
    counts.into_iter().map(|count| count as f32 / voxels).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::case::tests::{distinct, of};

    fn plan() -> ProbePlan {
        let config = ProbeConfig { volumes: 3, crops: 2, jitter: 3, ..ProbeConfig::default() };
        ProbePlan { config, frame: TokenFrame { crop: [8, 8, 8], patch: [2, 2, 2], stride: [4, 4, 4] }, classes: 3, seed: 5 }
    }

    fn cases() -> [PreparedCase; 4] {
        std::array::from_fn(|n| distinct(n, [9, 8, 10], 2))
    }

    #[test]
    fn a_probe_set_is_fixed_and_its_inputs_are_the_same_crops() {
        let cases = cases();
        let [probe_set, again] = [(); 2].map(|()| ProbeSet::new(&plan(), &cases.each_ref()).unwrap());
        assert_eq!(probe_set.shape(), [6, 2, 8, 8, 8]);
        assert_eq!((probe_set.volumes(), probe_set.cases().len()), ([0, 0, 1, 1, 2, 2].as_slice(), 3));
        for crop in 0..probe_set.len() {
            let original = probe_set.input(ProbeInput::Original, crop);
            let restored = probe_set.rotations()[crop].inverse().apply(&probe_set.input(ProbeInput::Rotated, crop), 2, [8, 8, 8]);
            assert_eq!(restored, original);
            let mut reflected = probe_set.input(ProbeInput::Reflected, crop);
            reflected.chunks_exact_mut(512).for_each(<[f32]>::reverse);
            assert_eq!(reflected, original);
            let (constant, noise) = (probe_set.input(ProbeInput::Constant, crop), probe_set.input(ProbeInput::Noise, crop));
            assert!(constant[..512].iter().all(|&value| value == constant[0]));
            let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
            assert!((mean(&constant[512..]) - mean(&original[512..])).abs() < 1e-4);
            assert!((mean(&noise[512..]) - mean(&original[512..])).abs() < 0.2);
            for input in [ProbeInput::Original, ProbeInput::Rotated, ProbeInput::Noise] {
                assert_eq!(probe_set.input(input, crop), again.input(input, crop));
            }
        }
        assert_ne!(probe_set.input(ProbeInput::Noise, 0), probe_set.input(ProbeInput::Noise, 1));
    }

    #[test]
    fn label_shares_count_each_block() {
        let mut cases = cases();
        let plan = ProbePlan { config: ProbeConfig { jitter: 0, ..plan().config }, ..plan() };
        let probe_set = ProbeSet::new(&plan, &cases.each_ref()).unwrap();
        let shares = probe_set.label_shares().unwrap();
        assert_eq!(shares.len(), 6 * 8 * 3);
        assert!(shares.chunks_exact(3).all(|token| (token.iter().sum::<f32>() - 1.0).abs() < 1e-6));

        let mut label = vec![0; 512];
        // Token (1, 0, 1) of the grid 2x2x2: half of it class 1, one voxel class 2.
        for d in 4..8 {
            for h in 0..4 {
                label[(d * 8 + h) * 8 + 4..][..2].fill(1);
            }
        }
        label[7 * 64 + 3 * 8 + 7] = 2;
        let shares = label_shares(&label, &plan.frame, 3);
        for token in 0..8 {
            let expected = if token == 5 { [31.0 / 64.0, 0.5, 1.0 / 64.0] } else { [1.0, 0.0, 0.0] };
            assert_eq!(shares[token * 3..][..3], expected, "token {token}");
        }

        cases[1] = of(1, [9, 8, 10], vec![1.0; 2 * 720], None);
        assert!(ProbeSet::new(&plan, &cases.each_ref()).unwrap().label_shares().is_none());
    }
}
