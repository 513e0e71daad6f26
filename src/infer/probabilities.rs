//! Probabilities on the scanner's grid, and how unsure the networks are: entropy.

use rayon::prelude::*;

use crate::preprocess::PreprocessRecord;
use crate::volume::Volume;

/// Probabilities of a prepared case, `[D, H, W]` of each class, on the scanner's grid: a channel for each class.
///
/// Between voxel sizes each is interpolated on its own (trilinear), so that they still sum to 1; what the crop cut away is class 0 for sure.
/// Classes change places one by one: no more than classes x volume and one volume are held.
///
/// # Panics
/// If they are not of the prepared grid.
pub fn to_source(probabilities: Vec<Vec<f32>>, record: &PreprocessRecord) -> Volume {
    let (channels, shape) = (probabilities.len(), record.resampled_shape());
    let mut voxels = Vec::with_capacity(channels * record.source.len());
    for (class, values) in probabilities.into_iter().enumerate() {
        assert_eq!(values.len(), record.crop.len(), "one value for each voxel of the prepared grid");
        let whole = record.crop.paste(values, shape, if class == 0 { 1.0 } else { 0.0 });
        let oriented = match &record.resampling {
            None => whole,
            Some(plan) => plan.trilinear_back(&whole),
        };
        voxels.extend(record.orientation.inverse().reorient(oriented, record.oriented_shape()));
    }
    Volume { channels, grid: record.source.clone(), voxels }
}

/// The entropy of each voxel's probabilities in nats, `-sum p ln p`: 0 where one class is sure, ln K where K classes are alike.
pub fn entropy(probabilities: &Volume) -> Volume {
    let voxels = probabilities.grid.len();
    let of = |voxel: usize| nats((0..probabilities.channels).map(|class| f64::from(probabilities.voxels[class * voxels + voxel]))) as f32;
    Volume { channels: 1, grid: probabilities.grid.clone(), voxels: (0..voxels).into_par_iter().map(of).collect() }
}

/// `-sum p ln p` of one voxel's probabilities.
fn nats(shares: impl Iterator<Item = f64>) -> f64 {
    let sum: f64 = shares.filter(|&share| share > 0.0).map(|share| -share * share.ln()).sum();
    // Rounding may leave a share a little above 1.
    sum.max(0.0)
}

/// How unsure the networks are of a whole case: the mean entropy of its voxels in nats, each counted by its probability of not being
/// background, `sum w H / sum w` with `w = 1 - p(class 0)`. So the wide background that all are sure of does not water it down, no threshold says
/// which voxels matter, and a structure that is found only half counts by half. 0 where everything is background for sure.
///
/// `probabilities`: of each class, background first, those of all voxels.
pub fn foreground_entropy(probabilities: &[Vec<f32>]) -> f64 {
    let voxels = probabilities.first().map_or(0, Vec::len);
    let (mut sum, mut weights) = (0.0, 0.0);
    for voxel in 0..voxels {
        let shares = || probabilities.iter().map(|class| f64::from(class[voxel]));
        let weight: f64 = shares().skip(1).sum();
        sum += weight * nats(shares());
        weights += weight;
    }
    if weights == 0.0 { 0.0 } else { sum / weights }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PreprocessConfig;
    use crate::geometry::all_grids;
    use crate::infer::export;
    use crate::preprocess::prepare_one;
    use crate::volume::{Grid, LoadedCase, Scan, SourceHeader};

    #[test]
    fn entropy_is_nought_for_the_sure_and_ln_k_for_k_alike() {
        let grid = Grid::axis_aligned([1, 1, 3], [1.0; 3]);
        let voxels = [[1.0, 0.25, 0.5], [0.0, 0.25, 0.5], [0.0, 0.25, 0.0], [0.0, 0.25, 0.0]].concat();
        let found = entropy(&Volume { channels: 4, grid, voxels });
        assert_eq!(found.channels, 1);
        for (got, expected) in found.voxels.into_iter().zip([0.0, 4.0_f32.ln(), 2.0_f32.ln()]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
    }

    #[test]
    fn sure_background_does_not_water_down_the_entropy_of_a_case() {
        // A sure voxel of class 1, one of two classes alike, one that is background to three quarters; and background.
        let classes = |background: usize| {
            let mut classes = [[0.0, 0.0, 0.75], [1.0, 0.5, 0.25], [0.0, 0.5, 0.0]].map(|class| class.to_vec());
            classes.iter_mut().zip([1.0, 0.0, 0.0]).for_each(|(class, share)| class.extend(vec![share; background]));
            classes
        };
        let unsure = -0.75 * 0.75_f64.ln() - 0.25 * 0.25_f64.ln();
        let expected = (2.0_f64.ln() + 0.25 * unsure) / 2.25;
        for background in [0, 1000] {
            let found = foreground_entropy(&classes(background));
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
        assert_eq!((foreground_entropy(&[vec![1.0; 9], vec![0.0; 9]]), foreground_entropy(&[])), (0.0, 0.0));
    }

    /// Probabilities go the way of the segmentation, from every orientation, with and without a change of voxel size.
    #[test]
    fn they_lie_where_the_segmentation_lies_and_sum_to_one() {
        for spacing_mm in [None, Some([1.5; 3])] {
            for grid in all_grids([6, 7, 9], [3.0, 2.0, 1.0]) {
                let inside = |index: usize| {
                    let at = crate::geometry::unravel(index, grid.shape);
                    (0..3).all(|axis| at[axis] > 0 && at[axis] + 2 < grid.shape[axis])
                };
                let voxels = (0..grid.len()).map(|index| if inside(index) { 1.0 + (index % 13) as f32 } else { 0.0 }).collect();
                let volume = Volume { channels: 1, voxels, grid: grid.clone() };
                let image = Scan { file: "phantom".into(), header: SourceHeader::for_grid(&grid), volume, notes: Vec::new() };
                let config = PreprocessConfig { spacing_mm, ..PreprocessConfig::default() };
                let case = prepare_one("phantom", LoadedCase { image, label: None }, &[0, 1, 2], &config).unwrap();
                let classes: Vec<u8> = (0..case.image.grid.len()).map(|voxel| (voxel * 7919 % 1013 % 3) as u8).collect();
                let sure = |class: u8| classes.iter().map(|&own| if own == class { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
                let found = to_source([0, 1, 2].map(sure).to_vec(), &case.preprocess_record);
                assert_eq!((found.channels, &found.grid), (3, &grid));
                let labels = export::to_source(classes, &case.preprocess_record, &[0, 1, 2]);
                for (voxel, &label) in labels.voxels.iter().enumerate() {
                    let shares = [0, 1, 2].map(|class: usize| found.voxels[class * grid.len() + voxel]);
                    assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{shares:?}");
                    // The strongest class of the segmentation is, but for rounding, the most probable.
                    assert!(shares.iter().all(|&share| share <= shares[usize::from(label)] + 1e-5), "{shares:?} and {label}");
                }
            }
        }
    }
}
