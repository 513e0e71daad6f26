//! Loss of resolution: Gaussian blur, and a scan of larger voxels brought back to the grid. Both go axis by axis.
//!
//! A channel is seen along an axis as runs of `edge` slices, each of `inner` values that lie together in memory.

use crate::preprocess::resample::{AxisMap, Taps};

/// Beyond so many standard deviations a Gaussian is cut off, as in nnU-Net.
const CUT_OFF: f64 = 3.0;

/// Values of a slice that are blurred at a time, so that all slices stay in the second-level cache.
const TOGETHER: usize = 256;

/// Gaussian blur of `channel`, `[D, H, W]` of `size`, by standard deviations in voxels along D,H,W. At its faces the channel is mirrored, the
/// outermost voxels not repeated (`GaussianBlurTransform` of batchgeneratorsv2).
pub(super) fn blur(channel: &mut [f32], size: [usize; 3], sigmas: [f64; 3]) {
    let (mut padded, mut blurred) = (Vec::new(), Vec::new());
    for (axis, sigma) in sigmas.into_iter().enumerate() {
        let (edge, inner) = (size[axis], size[axis + 1..].iter().product::<usize>());
        let kernel = gaussian(sigma);
        let radius = kernel.len() / 2;
        for run in channel.chunks_exact_mut(edge * inner) {
            for first in (0..inner).step_by(TOGETHER) {
                let own = TOGETHER.min(inner - first);
                padded.clear();
                for place in 0..edge + 2 * radius {
                    let slice = mirrored(place as i64 - radius as i64, edge);
                    padded.extend_from_slice(&run[slice * inner + first..][..own]);
                }
                blurred.clear();
                blurred.resize(edge * own, 0.0);
                for (step, weight) in kernel.iter().enumerate() {
                    blurred.iter_mut().zip(&padded[step * own..]).for_each(|(sum, value)| *sum += weight * value);
                }
                for (slice, values) in blurred.chunks_exact(own).enumerate() {
                    run[slice * inner + first..][..own].copy_from_slice(values);
                }
            }
        }
    }
}

/// Weights of a Gaussian, an odd number of them that sum to 1.
fn gaussian(sigma: f64) -> Vec<f32> {
    let radius = (CUT_OFF * sigma).ceil() as i64;
    let weights: Vec<f64> = (-radius..=radius).map(|place| (-0.5 * (place as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

/// The place along an axis of `edge` voxels that stands for `place`, which may lie beside it.
fn mirrored(place: i64, edge: usize) -> usize {
    let last = edge as i64 - 1;
    let place = place.rem_euclid((2 * last).max(1));
    place.min(2 * last - place) as usize
}

/// `channel`, `[D, H, W]` of `size`, as if scanned with `factors` times as many voxels along D,H,W: the nearest voxel of the middle of each
/// larger one, and linear between those (`SimulateLowResolutionTransform` of batchgeneratorsv2).
pub(super) fn low_resolution(channel: &mut [f32], size: [usize; 3], factors: [f64; 3]) {
    let mut sharp = Vec::new();
    for (axis, factor) in factors.into_iter().enumerate() {
        let (edge, inner) = (size[axis], size[axis + 1..].iter().product::<usize>());
        let voxels = ((edge as f64 * factor).round_ties_even() as usize).max(1);
        if voxels == edge {
            continue;
        }
        let step = voxels as f64 / edge as f64;
        let taps = Taps::new(AxisMap { start: (step - 1.0) / 2.0, step }, voxels, edge);
        let nearest: Vec<usize> = (0..voxels).map(|voxel| (2 * voxel + 1) * edge / (2 * voxels)).collect();
        for run in channel.chunks_exact_mut(edge * inner) {
            sharp.clear();
            sharp.extend_from_slice(run);
            let slice = |voxel: usize| &sharp[nearest[voxel] * inner..][..inner];
            for (place, out) in run.chunks_exact_mut(inner).enumerate() {
                let [(below, near), (above, far)] = taps.at(place);
                for ((out, below), above) in out.iter_mut().zip(slice(below)).zip(slice(above)) {
                    *out = near * below + far * above;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;
    use crate::geometry::{ravel, unravel};

    const SIZE: [usize; 3] = [6, 5, 300];

    fn pattern() -> Vec<f32> {
        (0..SIZE.iter().product::<usize>()).map(|voxel| (voxel * 7919 % 101) as f32 / 50.0 - 1.0).collect()
    }

    /// The product of the three kernels about each voxel; 300 slices of W make more than one piece of `TOGETHER` along D.
    #[test]
    fn a_blur_is_the_convolution_by_its_definition() {
        let (source, sigmas) = (pattern(), [0.5, 0.7, 1.0]);
        let mut blurred = source.clone();
        blur(&mut blurred, SIZE, sigmas);
        let kernels = sigmas.map(gaussian);
        assert_eq!(kernels.each_ref().map(Vec::len), [5, 7, 7]);
        for index in (0..source.len()).step_by(7) {
            let at = unravel(index, SIZE);
            let mut expected = 0.0;
            for d in 0..5 {
                for h in 0..7 {
                    for w in 0..7 {
                        let steps = [d as i64 - 2, h as i64 - 3, w as i64 - 3];
                        let place = from_fn(|axis| {
                            let place = (at[axis] as i64 + steps[axis]).abs();
                            place.min(2 * (SIZE[axis] as i64 - 1) - place) as usize
                        });
                        expected += f64::from(kernels[0][d] * kernels[1][h] * kernels[2][w] * source[ravel(place, SIZE)]);
                    }
                }
            }
            assert!((f64::from(blurred[index]) - expected).abs() < 1e-5, "{at:?}: {}, not {expected}", blurred[index]);
        }
    }

    #[test]
    fn a_blur_keeps_a_constant_and_narrows_the_spread() {
        let mut constant = vec![3.0; 1500 * 6];
        blur(&mut constant, SIZE, [1.0; 3]);
        assert!(constant.iter().all(|value| (value - 3.0).abs() < 1e-5));
        let spread = |values: &[f32]| values.iter().map(|value| f64::from(value * value)).sum::<f64>();
        let (source, mut blurred) = (pattern(), pattern());
        blur(&mut blurred, SIZE, [0.5; 3]);
        assert!(spread(&blurred) < 0.8 * spread(&source));
        // A far neighbour beyond a short axis is mirrored more than once.
        assert_eq!([-7, -1, 0, 2, 3, 5].map(|place| mirrored(place, 3)), [1, 1, 0, 2, 1, 1]);
        assert_eq!([-3, 0, 4].map(|place| mirrored(place, 1)), [0; 3]);
    }

    /// Ten voxels as five read the second of each pair; the last and the first half voxel go on as they are.
    #[test]
    fn low_resolution_joins_the_nearest_voxels_by_lines() {
        let mut ramp: Vec<f32> = (0..10).map(|voxel| voxel as f32).collect();
        low_resolution(&mut ramp, [1, 1, 10], [1.0, 1.0, 0.5]);
        let expected = [1.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.0];
        assert!(ramp.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-5), "{ramp:?}");
        let mut constant = vec![2.5; 9000];
        low_resolution(&mut constant, SIZE, [0.5, 0.7, 0.9]);
        assert!(constant.iter().all(|value| (value - 2.5).abs() < 1e-5));
        let mut same = pattern();
        low_resolution(&mut same, SIZE, [1.0; 3]);
        assert_eq!(same, pattern());
        // An axis alone: the others stay as they are.
        let mut deep: Vec<f32> = (0..40).map(|voxel| (voxel / 4) as f32 + 100.0 * (voxel % 4) as f32).collect();
        low_resolution(&mut deep, [10, 2, 2], [0.5, 1.0, 1.0]);
        let close = |index: usize| (deep[index] - expected[index / 4] - 100.0 * (index % 4) as f32).abs() < 1e-4;
        assert!((0..40).all(close), "{deep:?}");
    }
}
