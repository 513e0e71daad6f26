//! The voxel size that all cases are resampled to: nnU-Net's `determine_fullres_target_spacing`.

use crate::geometry::quantile;

/// By how much an axis must be coarser than both others, and shorter in voxels, to be treated apart (nnU-Net's `ANISO_THRESHOLD`).
const ANISOTROPIC: f64 = 3.0;

/// Share of the cases that are finer along such an axis than its target.
const FINE_SHARE: f64 = 0.1;

/// Decimals of a millimetre that count: headers are float32.
const DECIMALS: f64 = 1e4;

/// A target voxel size, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetSpacing {
    /// Voxel size, mm along D,H,W.
    pub spacing_mm: [f64; 3],
    /// The axis (of D,H,W) of thick slices, whose target is a fine case's instead of the median.
    pub thick: Option<usize>,
}

impl TargetSpacing {
    /// The median of each axis. Where one axis is more than three times as coarse as both others and has less than a third of their
    /// voxels, the finest tenth of the cases decides it, though it stays no finer than the others: the median would blur the thin ones.
    ///
    /// `spacings_mm` and `shapes`: voxel size and voxels of each case along D,H,W.
    ///
    /// # Panics
    /// Without a case.
    pub fn of(spacings_mm: &[[f64; 3]], shapes: &[[usize; 3]]) -> Self {
        let along = |axis: usize, share: f64| {
            let mut values: Vec<f64> = spacings_mm.iter().map(|spacing| spacing[axis]).collect();
            quantile(&mut values, share).expect("at least one case")
        };
        let mut spacing_mm = [0, 1, 2].map(|axis| along(axis, 0.5));
        let shape = median_shape(shapes);
        let coarsest = (0..3).fold(0, |coarsest, axis| if spacing_mm[axis] > spacing_mm[coarsest] { axis } else { coarsest });
        let others = [(coarsest + 1) % 3, (coarsest + 2) % 3];
        let coarsest_other = spacing_mm[others[0]].max(spacing_mm[others[1]]);
        let shortest_other = shape[others[0]].min(shape[others[1]]);
        let thick = spacing_mm[coarsest] > ANISOTROPIC * coarsest_other && shape[coarsest] * ANISOTROPIC < shortest_other;
        if thick {
            spacing_mm[coarsest] = along(coarsest, FINE_SHARE).max(coarsest_other);
        }
        Self { spacing_mm: spacing_mm.map(|mm| (mm * DECIMALS).round() / DECIMALS), thick: thick.then_some(coarsest) }
    }
}

/// The median of each axis, as NumPy takes it: between two whole numbers where their count is even.
///
/// # Panics
/// Without a shape.
pub fn median_shape(shapes: &[[usize; 3]]) -> [f64; 3] {
    [0, 1, 2].map(|axis| {
        let mut sizes: Vec<f64> = shapes.iter().map(|shape| shape[axis] as f64).collect();
        quantile(&mut sizes, 0.5).expect("at least one shape")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eleven cases by hand. In plane 0.8 mm and 400 voxels. Slices of 1, 2, .. 11 mm have the median 6, more than 3 * 0.8, and 100
    /// slices are less than a third of 400: the 10th percentile of 1 to 11 is 2. With 140 slices, more than 400 / 3, the median stays.
    #[test]
    fn thick_slices_take_the_tenth_percentile_and_all_else_the_median() {
        let spacings: Vec<[f64; 3]> = (1..=11).map(|mm| [f64::from(mm), 0.8, 0.8]).collect();
        let of = |slices: usize| TargetSpacing::of(&spacings, &[[slices, 400, 400]; 11]);
        assert_eq!(of(100), TargetSpacing { spacing_mm: [2.0, 0.8, 0.8], thick: Some(0) });
        assert_eq!(of(140), TargetSpacing { spacing_mm: [6.0, 0.8, 0.8], thick: None });
    }

    /// Two of eleven cases have slices of 0.5 mm, so that the 10th percentile is 0.5; in plane it is 1 mm, and no axis gets finer than that.
    #[test]
    fn thick_slices_get_no_finer_than_the_other_axes() {
        let mut spacings = vec![[1.0, 5.0, 1.0]; 11];
        (spacings[3][1], spacings[7][1]) = (0.5, 0.5);
        let found = TargetSpacing::of(&spacings, &[[300, 40, 300]; 11]);
        assert_eq!(found, TargetSpacing { spacing_mm: [1.0, 1.0, 1.0], thick: Some(1) });
    }

    /// 2.4 mm is exactly three times 0.8: not more. Of an even number of cases the median lies between the middle two.
    #[test]
    fn three_times_as_coarse_is_not_yet_thick_and_medians_lie_between_even_cases() {
        assert_eq!(TargetSpacing::of(&[[2.4, 0.8, 0.8]], &[[10, 400, 400]]).thick, None);
        assert_eq!(TargetSpacing::of(&[[1.0; 3], [1.5; 3]], &[[9; 3], [12; 3]]).spacing_mm, [1.25; 3]);
        assert_eq!(median_shape(&[[9; 3], [12; 3]]), [10.5; 3]);
    }
}
