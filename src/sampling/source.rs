//! A prepared case as sampling sees it, and what is looked up in it again and again.

use rand::{Rng, RngExt as _};

use super::SamplingError;
use crate::volume::Volume;

/// A prepared case, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Names it in batches and errors.
    pub name: &'a str,
    /// The image.
    pub image: &'a Volume,
    /// Class of each voxel of the image's grid; 0 is background.
    pub label: Option<&'a [u8]>,
    /// What [`CaseIndex::new`] found in the two.
    pub index: &'a CaseIndex,
}

impl<'a> Source<'a> {
    /// The label map.
    ///
    /// # Errors
    /// A case without one.
    pub fn require_label(&self) -> Result<&'a [u8], SamplingError> {
        self.label.ok_or_else(|| SamplingError::NoLabel { case: self.name.to_owned() })
    }
}

/// Number of channels of all `sources`.
///
/// # Errors
/// A case that differs from the first.
pub(super) fn channels(sources: &[Source<'_>]) -> Result<usize, SamplingError> {
    let first = sources.first().ok_or(SamplingError::NoCases)?;
    let expected = first.image.channels;
    match sources.iter().find(|source| source.image.channels != expected) {
        None => Ok(expected),
        Some(other) => Err(SamplingError::Channels {
            case: other.name.to_owned(),
            found: other.image.channels,
            first: first.name.to_owned(),
            expected,
        }),
    }
}

/// Background intensities and foreground voxels of a case: one pass over it when it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseIndex {
    background: Vec<f32>,
    classes: Vec<ClassVoxels>,
}

impl CaseIndex {
    /// Looks through an image and, if there is one, its label map.
    ///
    /// # Panics
    /// If the label map does not lie on the image's grid.
    pub fn new(image: &Volume, label: Option<&[u8]>) -> Self {
        let voxels = image.grid.len();
        assert!(label.is_none_or(|label| label.len() == voxels), "the label map does not lie on the image's grid");
        Self { background: image.minima(), classes: label.map(ClassVoxels::of_map).unwrap_or_default() }
    }

    /// The least intensity of each channel: what stands outside the volume.
    pub fn background(&self) -> &[f32] {
        &self.background
    }

    /// A foreground voxel's index into the label map: first a class among those present, each with equal chance,
    /// then one of its voxels, so that small organs are not drowned by large ones (nnU-Net's rule).
    /// None without foreground.
    pub fn draw_foreground(&self, rng: &mut impl Rng) -> Option<usize> {
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
    use crate::random::stream;
    use crate::volume::Grid;

    /// A synthetic case: every voxel of every case and channel another intensity, labels 0 to 2 in blocks.
    pub struct TestCase {
        pub name: String,
        pub image: Volume,
        pub label: Option<Vec<u8>>,
        pub index: CaseIndex,
    }

    impl TestCase {
        pub fn new(number: usize, shape: [usize; 3], channels: usize) -> Self {
            let grid = Grid::axis_aligned(shape, [1.0; 3]);
            let voxels = grid.len();
            let intensities = (0..channels * voxels).map(|v| number as f32 + v as f32 / (channels * voxels) as f32).collect();
            let image = Volume { channels, grid, voxels: intensities };
            let label: Vec<u8> = (0..voxels).map(|voxel| ((voxel / 7) % 11 / 5) as u8).collect();
            let index = CaseIndex::new(&image, Some(&label));
            Self { name: format!("case_{number}"), image, label: Some(label), index }
        }

        pub fn source(&self) -> Source<'_> {
            Source { name: &self.name, image: &self.image, label: self.label.as_deref(), index: &self.index }
        }
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
        let image = Volume { channels: 2, grid: Grid::axis_aligned([10, 10, 10], [1.0; 3]), voxels: (0..2000).map(|v| v as f32).collect() };
        let index = CaseIndex::new(&image, Some(&label));
        assert_eq!(index.background(), [0.0, 1000.0]);
        let mut rng = stream(0, "test", 0, 0);
        let small = (0..2000).filter(|_| label[index.draw_foreground(&mut rng).unwrap()] == 4).count();
        assert!((900..1100).contains(&small), "{small} of 2000");
        assert_eq!(CaseIndex::new(&image, Some(&[0; 1000])).draw_foreground(&mut rng), None);
        assert_eq!(CaseIndex::new(&image, None).draw_foreground(&mut rng), None);
    }
}
