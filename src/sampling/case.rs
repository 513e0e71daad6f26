//! A prepared case with what sampling looks up in it again and again.

use std::sync::Arc;

use rand::{Rng, RngExt as _};

use super::SamplingError;
use crate::preprocess::Case;

/// Cases of one part of a split, shared by the threads of a [`super::Loader`].
///
/// A case may stand in several parts: it is held once.
pub type CaseSet = Arc<[Arc<TrainingCase>]>;

/// A prepared case, its background intensities and its foreground voxels: one pass over it when it is loaded.
#[derive(Clone, Debug)]
pub struct TrainingCase {
    /// Image, label, and how they were prepared.
    pub case: Case,
    background: Vec<f32>,
    classes: Vec<ClassVoxels>,
}

/// Number of channels of all `cases`.
///
/// # Errors
/// A case that differs from the first.
pub(super) fn channels(cases: &[&TrainingCase]) -> Result<usize, SamplingError> {
    let Case { name, image, .. } = &cases.first().ok_or(SamplingError::NoCases)?.case;
    let expected = image.channels;
    match cases.iter().map(|own| &own.case).find(|other| other.image.channels != expected) {
        None => Ok(expected),
        Some(other) => {
            Err(SamplingError::Channels { case: other.name.clone(), found: other.image.channels, first: name.clone(), expected })
        }
    }
}

/// The cases of these numbers.
pub fn chosen<'a>(cases: &'a CaseSet, numbers: &[usize]) -> Vec<&'a TrainingCase> {
    numbers.iter().map(|&number| &*cases[number]).collect()
}

impl TrainingCase {
    /// Looks through image and, if there is one, label map.
    ///
    /// # Panics
    /// If the label map does not lie on the image's grid.
    pub fn new(case: Case) -> Self {
        let Case { image, label, .. } = &case;
        assert!(label.as_ref().is_none_or(|label| label.len() == image.grid.len()), "the label map does not lie on the image's grid");
        Self { background: image.minima(), classes: label.as_deref().map(ClassVoxels::of_map).unwrap_or_default(), case }
    }

    /// The label map.
    ///
    /// # Errors
    /// A case without one.
    pub(super) fn require_label(&self) -> Result<&[u8], SamplingError> {
        self.case.label.as_deref().ok_or_else(|| SamplingError::NoLabel { case: self.case.name.clone() })
    }

    /// The least intensity of each channel: what stands outside the volume.
    pub(super) fn background(&self) -> &[f32] {
        &self.background
    }

    /// A foreground voxel's index into the label map: first a class among those present, each with equal chance,
    /// then one of its voxels, so that small organs are not drowned by large ones (nnU-Net's rule).
    /// None without foreground.
    pub(super) fn draw_foreground(&self, rng: &mut impl Rng) -> Option<usize> {
        if self.classes.is_empty() {
            return None;
        }
        let class = &self.classes[rng.random_range(0..self.classes.len())];
        Some(class.voxel(rng.random_range(0..class.count())))
    }
}

/// The voxels of one class as runs of neighbours along W: exact, and far smaller than a list of voxels.
#[derive(Clone, Debug, Default, PartialEq)]
struct ClassVoxels {
    /// First voxel of each run, and the number of the class's voxels up to and including the run.
    runs: Vec<(usize, usize)>,
}

impl ClassVoxels {
    /// The classes present in a label map, background left out, in ascending order.
    fn of_map(label: &[u8]) -> Vec<Self> {
        let mut classes = vec![Self::default(); 256];
        let mut start = 0;
        for run in label.chunk_by(|a, b| a == b) {
            let class = &mut classes[usize::from(run[0])];
            class.runs.push((start, class.count() + run.len()));
            start += run.len();
        }
        classes.into_iter().skip(1).filter(|class| !class.runs.is_empty()).collect()
    }

    fn count(&self) -> usize {
        self.runs.last().map_or(0, |&(_, until)| until)
    }

    /// The `number`-th voxel.
    fn voxel(&self, number: usize) -> usize {
        let run = self.runs.partition_point(|&(_, until)| until <= number);
        let before = if run == 0 { 0 } else { self.runs[run - 1].1 };
        self.runs[run].0 + number - before
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::geometry::{SignedPermutation, VoxelBox};
    use crate::preprocess::PreprocessRecord;
    use crate::random::stream;
    use crate::volume::{Grid, SourceHeader, Volume};

    /// A made-up case.
    pub fn of(number: usize, shape: [usize; 3], voxels: Vec<f32>, label: Option<Vec<u8>>) -> TrainingCase {
        let grid = Grid::axis_aligned(shape, [1.0; 3]);
        let preprocess_record = PreprocessRecord {
            header: SourceHeader::for_grid(&grid),
            source: grid.clone(),
            orientation: SignedPermutation::IDENTITY,
            resampling: None,
            crop: VoxelBox::at([0; 3], shape),
        };
        let image = Volume { channels: voxels.len() / grid.len(), grid, voxels };
        TrainingCase::new(Case { name: format!("case_{number}"), image, label, preprocess_record, notes: Vec::new() })
    }

    /// Every voxel of every case and channel another intensity, labels 0 to 2 in blocks.
    pub fn distinct(number: usize, shape: [usize; 3], channels: usize) -> TrainingCase {
        let voxels: usize = shape.iter().product();
        let intensities = (0..channels * voxels).map(|v| number as f32 + v as f32 / (channels * voxels) as f32).collect();
        of(number, shape, intensities, Some((0..voxels).map(|voxel| ((voxel / 7) % 11 / 5) as u8).collect()))
    }

    #[test]
    fn runs_list_exactly_the_voxels_of_each_class() {
        let label = [0, 2, 2, 1, 1, 1, 0, 2, 3, 3, 0, 1];
        let classes = ClassVoxels::of_map(&label);
        assert_eq!(classes.len(), 3);
        for (class, voxels) in classes.iter().zip(1_u8..) {
            let listed: Vec<_> = (0..class.count()).map(|number| class.voxel(number)).collect();
            let expected: Vec<_> = (0..label.len()).filter(|&i| label[i] == voxels).collect();
            assert_eq!(listed, expected);
        }
    }

    #[test]
    fn every_class_is_drawn_equally_often_whatever_its_size() {
        let mut label = vec![0; 1000];
        label[500..900].fill(1);
        label[7] = 4;
        let case = |label| of(0, [10; 3], (0..2000).map(|v| v as f32).collect(), label);
        let own = case(Some(label.clone()));
        assert_eq!(own.background(), [0.0, 1000.0]);
        let mut rng = stream(0, "test", 0, 0);
        let small = (0..2000).filter(|_| label[own.draw_foreground(&mut rng).unwrap()] == 4).count();
        assert!((900..1100).contains(&small), "{small} of 2000");
        assert_eq!(case(Some(vec![0; 1000])).draw_foreground(&mut rng), None);
        assert_eq!(case(None).draw_foreground(&mut rng), None);
    }
}
