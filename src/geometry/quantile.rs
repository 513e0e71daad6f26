//! Quantiles of a sample, interpolated linearly between ranks as NumPy does.

use std::cmp::Ordering;

/// The value below which a `share` (0 to 1) of `values` lies; none of no values. Reorders `values`; NaN is not ordered.
pub fn quantile<T: Copy + PartialOrd + Into<f64>>(values: &mut [T], share: f64) -> Option<f64> {
    let rank = share * values.len().checked_sub(1)? as f64;
    let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(Ordering::Equal);
    let (_, &mut low, above) = values.select_nth_unstable_by(rank as usize, order);
    let (low, high) = (low.into(), above.iter().map(|&value| value.into()).fold(f64::INFINITY, f64::min));
    Some(if above.is_empty() { low } else { low + (high - low) * rank.fract() })
}

/// Values at percentiles (0 to 100) of the finite voxels; zeros of no finite voxels.
pub fn percentiles<const N: usize>(voxels: &[f32], at: [f64; N]) -> [f32; N] {
    let mut finite: Vec<f32> = voxels.iter().copied().filter(|value| value.is_finite()).collect();
    at.map(|percent| quantile(&mut finite, percent / 100.0).unwrap_or(0.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_ranks() {
        for (values, share, expected) in [(vec![3.0, 1.0, 2.0], 0.5, 2.0), (vec![3.0, 1.0, 2.0], 0.95, 2.9), (vec![4.0], 0.95, 4.0)] {
            assert!((quantile(&mut values.clone(), share).unwrap() - expected).abs() < 1e-12, "{share} of {values:?}");
        }
        assert_eq!(quantile::<f64>(&mut [], 0.5), None);
        let voxels = [4.0, f32::NAN, 1.0, 3.0, 2.0, 0.0];
        assert_eq!(percentiles(&voxels, [0.0, 25.0, 62.5, 100.0]), [0.0, 1.0, 2.5, 4.0]);
        assert_eq!(percentiles(&[], [50.0]), [0.0]);
    }
}
