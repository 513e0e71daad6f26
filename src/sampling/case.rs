//! What sampling looks up in prepared cases.

use std::sync::Arc;

use rand::{Rng, RngExt as _};

use super::SamplingError;
use crate::preprocess::PreparedCase;

/// Cases of one part of a split, shared by the threads of a [`super::Loader`].
///
/// A case may stand in several parts: it is opened once.
pub type CaseSet = Arc<[Arc<PreparedCase>]>;

/// Number of channels of all `cases`.
///
/// # Errors
/// A case that differs from the first.
pub(super) fn channels(cases: &[&PreparedCase]) -> Result<usize, SamplingError> {
    let first = cases.first().ok_or(SamplingError::NoCases)?;
    let expected = first.channels();
    match cases.iter().find(|other| other.channels() != expected) {
        None => Ok(expected),
        Some(other) => Err(SamplingError::Channels {
            case: other.name().to_owned(),
            found: other.channels(),
            first: first.name().to_owned(),
            expected,
        }),
    }
}

/// The cases of these numbers.
pub fn chosen<'a>(cases: &'a CaseSet, numbers: &[usize]) -> Vec<&'a PreparedCase> {
    numbers.iter().map(|&number| &*cases[number]).collect()
}

/// A foreground voxel's index into a case's label map: first a class among those present, each with equal chance,
/// then one of its voxels, so that small organs are not drowned by large ones (nnU-Net's rule).
/// None without foreground.
pub(super) fn draw_foreground(case: &PreparedCase, rng: &mut impl Rng) -> Result<Option<usize>, SamplingError> {
    let classes = case.classes();
    if classes.is_empty() {
        return Ok(None);
    }
    let class = &classes[rng.random_range(0..classes.len())];
    Ok(Some(case.voxel(class, rng.random_range(0..class.count()))?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::geometry::{SignedPermutation, VoxelBox};
    use crate::preprocess::{Case, PreprocessRecord};
    use crate::random::stream;
    use crate::volume::{Grid, SourceHeader, Volume};

    /// A made-up case.
    pub fn of(number: usize, shape: [usize; 3], voxels: Vec<f32>, label: Option<Vec<u8>>) -> PreparedCase {
        let grid = Grid::axis_aligned(shape, [1.0; 3]);
        let preprocess_record = PreprocessRecord {
            header: SourceHeader::for_grid(&grid),
            source: grid.clone(),
            orientation: SignedPermutation::IDENTITY,
            resampling: None,
            crop: VoxelBox::at([0; 3], shape),
        };
        let image = Volume { channels: voxels.len() / grid.len(), grid, voxels };
        PreparedCase::in_memory(&Case { name: format!("case_{number}"), image, label, preprocess_record, notes: Vec::new() })
    }

    /// Every voxel of every case and channel another intensity, labels 0 to 2 in blocks.
    pub fn distinct(number: usize, shape: [usize; 3], channels: usize) -> PreparedCase {
        let voxels: usize = shape.iter().product();
        let intensities = (0..channels * voxels).map(|v| number as f32 + v as f32 / (channels * voxels) as f32).collect();
        of(number, shape, intensities, Some((0..voxels).map(|voxel| ((voxel / 7) % 11 / 5) as u8).collect()))
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
        let small = (0..2000).filter(|_| label[draw_foreground(&own, &mut rng).unwrap().unwrap()] == 4).count();
        assert!((900..1100).contains(&small), "{small} of 2000");
        assert_eq!(draw_foreground(&case(Some(vec![0; 1000])), &mut rng), Ok(None));
        assert_eq!(draw_foreground(&case(None), &mut rng), Ok(None));
    }
}
