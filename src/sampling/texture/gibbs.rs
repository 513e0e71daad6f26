//! Gibbs ringing: high spatial frequencies cut away, as a scanner does that samples too small a part of k-space.
//!
//! The filter is MONAI's `GibbsNoise`: Fourier transform, zero frequency shifted to the middle, a ball kept, and the
//! real part of the way back. On even sizes the ball's centre lies half a bin off the zero frequency, so that it keeps
//! a frequency without its mirror image. Taking the real part halves such a frequency; the filter is therefore a real
//! one with weights 0, 1/2 and 1, and half of the spectrum is enough to compute it.

use std::cell::RefCell;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// MONAI's `GibbsNoise` to the letter, on each channel of `values`, `[channels, D, H, W]` of `shape`.
///
/// `alpha` from 0 (almost nothing is cut) to 1. Near 1 on even sizes the ball holds no frequency at all and the result
/// is zero everywhere: for training see [`gibbs_kept`].
///
/// # Panics
/// If `values` does not hold whole volumes of `shape`.
pub fn gibbs(values: &mut [f32], shape: [usize; 3], alpha: f64) {
    filter(values, &Ball::new(shape, radius(shape, alpha)));
}

/// As [`gibbs`], but the ball is never so small that the zero frequency, the volume's mean, falls out of it.
///
/// # Panics
/// If `values` does not hold whole volumes of `shape`.
pub fn gibbs_kept(values: &mut [f32], shape: [usize; 3], alpha: f64) {
    let zero_frequency = shape.map(|n| squared_distances(n)[0]).iter().sum::<f64>().sqrt();
    filter(values, &Ball::new(shape, radius(shape, alpha).max(zero_frequency)));
}

/// Radius of the ball in bins.
fn radius(shape: [usize; 3], alpha: f64) -> f64 {
    let longest = shape.into_iter().max().unwrap_or(0) as f64;
    (1.0 - alpha) * longest * 2.0_f64.sqrt() / 2.0
}

/// Squared distance of each bin `0..n` of an unshifted transform from the centre `(n - 1) / 2` of the shifted one.
fn squared_distances(n: usize) -> Vec<f64> {
    (0..n).map(|bin| ((bin + n / 2) % n) as f64 - (n as f64 - 1.0) / 2.0).map(|distance| distance * distance).collect()
}

/// The filter's weights, as squared distances on each axis.
struct Ball {
    shape: [usize; 3],
    /// The largest squared distance that is kept.
    limit: f64,
    /// Of each bin.
    squared: [Vec<f64>; 3],
    /// Of each bin's mirror image.
    mirrored: [Vec<f64>; 3],
}

impl Ball {
    fn new(shape: [usize; 3], radius: f64) -> Self {
        // Squared distances are whole quarters; the largest one with `sqrt(quarters / 4) <= radius`, to the last bit.
        let mut quarters = (radius * radius * 4.0).floor() + 1.0;
        while quarters > 0.0 && (quarters / 4.0).sqrt() > radius {
            quarters -= 1.0;
        }
        let squared = shape.map(squared_distances);
        let mirrored = squared.clone().map(|axis| (0..axis.len()).map(|bin| axis[(axis.len() - bin) % axis.len()]).collect());
        Self { shape, limit: quarters / 4.0, squared, mirrored }
    }

    /// Half for the bin itself, half for its mirror image.
    fn weight(&self, [d, h, w]: [usize; 3]) -> f32 {
        let half = |[depth, height, width]: &[Vec<f64>; 3]| if depth[d] + height[h] + width[w] <= self.limit { 0.5 } else { 0.0 };
        half(&self.squared) + half(&self.mirrored)
    }

    /// Whether some bin or mirrored bin with the given place on one axis may lie in the ball.
    fn touches(&self, axis: usize, bin: usize) -> bool {
        self.squared[axis][bin].min(self.mirrored[axis][bin]) <= self.limit
    }

    /// Number of W bins, counted from 0 to half of the spectrum, beyond which everything is cut.
    fn kept_bins(&self) -> usize {
        let bins = 0..self.shape[2] / 2 + 1;
        bins.rev().find(|&bin| self.touches(2, bin)).map_or(0, |last| last + 1)
    }
}

/// Plans and memory of a thread, kept from one call to the next.
struct Workspace {
    planner: FftPlanner<f32>,
    /// Half spectrum along W: `[bin, D, H]`.
    spectrum: Vec<Complex32>,
    /// The lines at work: rows along W, or one W bin's plane turned to `[H, D]`.
    lines: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::new(Workspace {
        planner: FftPlanner::new(),
        spectrum: Vec::new(),
        lines: Vec::new(),
        scratch: Vec::new(),
    });
}

fn filter(values: &mut [f32], ball: &Ball) {
    let voxels: usize = ball.shape.iter().product();
    assert!(voxels > 0 && values.len().is_multiple_of(voxels), "{} values are no whole volumes of {:?}", values.len(), ball.shape);
    WORKSPACE.with_borrow_mut(|work| values.chunks_exact_mut(voxels).for_each(|volume| work.filter(volume, ball)));
}

impl Workspace {
    fn filter(&mut self, volume: &mut [f32], ball: &Ball) {
        let [depth, height, width] = ball.shape;
        let kept = ball.kept_bins();
        if kept == 0 {
            volume.fill(0.0);
            return;
        }
        self.spectrum.resize(kept * depth * height, Complex32::ZERO);
        self.rows_to_bins(volume, ball.shape, kept);
        self.filter_planes(ball);
        self.bins_to_rows(volume, [depth, height, width], kept);
    }

    /// Transforms along W: two real rows at a time, as real and imaginary part of one.
    fn rows_to_bins(&mut self, volume: &[f32], [_, height, width]: [usize; 3], kept: usize) {
        let forward = self.planner.plan_fft_forward(width);
        let plane = self.spectrum.len() / kept;
        for (d, slice) in volume.chunks_exact(height * width).enumerate() {
            self.lines.clear();
            for pair in slice.chunks(2 * width) {
                let (first, second) = pair.split_at(width);
                let second = second.iter().copied().chain(std::iter::repeat(0.0));
                self.lines.extend(first.iter().zip(second).map(|(&re, im)| Complex32::new(re, im)));
            }
            run(&*forward, &mut self.lines, &mut self.scratch);
            for bin in 0..kept {
                let mirrored = (width - bin) % width;
                let bins = &mut self.spectrum[bin * plane + d * height..][..height];
                for (both, line) in bins.chunks_mut(2).zip(self.lines.chunks_exact(width)) {
                    let (here, there) = (line[bin], line[mirrored].conj());
                    both[0] = (here + there) * 0.5;
                    if let Some(second) = both.get_mut(1) {
                        let twice = here - there;
                        *second = Complex32::new(twice.im, -twice.re) * 0.5;
                    }
                }
            }
        }
    }

    /// Filters each W bin's plane `[D, H]`: there and back along H and D. Lines outside the ball are not transformed.
    fn filter_planes(&mut self, ball: &Ball) {
        let [depth, height, width] = ball.shape;
        let [forward_h, forward_d] = [height, depth].map(|n| self.planner.plan_fft_forward(n));
        let [inverse_h, inverse_d] = [height, depth].map(|n| self.planner.plan_fft_inverse(n));
        let normalise = 1.0 / (depth * height * width) as f32;
        for (bin, plane) in self.spectrum.chunks_exact_mut(depth * height).enumerate() {
            run(&*forward_h, plane, &mut self.scratch);
            self.lines.resize(depth * height, Complex32::ZERO);
            for (h, line) in self.lines.chunks_exact_mut(depth).enumerate() {
                if !ball.touches(1, h) {
                    line.fill(Complex32::ZERO);
                    continue;
                }
                line.iter_mut().zip(plane.iter().skip(h).step_by(height)).for_each(|(to, from)| *to = *from);
                run(&*forward_d, line, &mut self.scratch);
                for (d, value) in line.iter_mut().enumerate() {
                    *value *= ball.weight([d, h, bin]) * normalise;
                }
                run(&*inverse_d, line, &mut self.scratch);
            }
            for (d, row) in plane.chunks_exact_mut(height).enumerate() {
                row.iter_mut().zip(self.lines.iter().skip(d).step_by(depth)).for_each(|(to, from)| *to = *from);
            }
            run(&*inverse_h, plane, &mut self.scratch);
        }
    }

    /// Back along W, two rows at a time; undoes [`Self::rows_to_bins`].
    fn bins_to_rows(&mut self, volume: &mut [f32], [_, height, width]: [usize; 3], kept: usize) {
        let inverse = self.planner.plan_fft_inverse(width);
        let plane = self.spectrum.len() / kept;
        for (d, slice) in volume.chunks_exact_mut(height * width).enumerate() {
            self.lines.clear();
            self.lines.resize(height.div_ceil(2) * width, Complex32::ZERO);
            for bin in 0..kept {
                let mirrored = (width - bin) % width;
                let bins = &self.spectrum[bin * plane + d * height..][..height];
                for (both, line) in bins.chunks(2).zip(self.lines.chunks_exact_mut(width)) {
                    let (first, second) = (both[0], both.get(1).copied().unwrap_or(Complex32::ZERO));
                    // The mirrored bin is written first: where it is the bin itself, the latter stays.
                    line[mirrored] = Complex32::new(first.re + second.im, second.re - first.im);
                    line[bin] = Complex32::new(first.re - second.im, first.im + second.re);
                }
            }
            run(&*inverse, &mut self.lines, &mut self.scratch);
            for (pair, line) in slice.chunks_mut(2 * width).zip(self.lines.chunks_exact(width)) {
                let (first, second) = pair.split_at_mut(width);
                first.iter_mut().zip(line).for_each(|(to, from)| *to = from.re);
                second.iter_mut().zip(line).for_each(|(to, from)| *to = from.im);
            }
        }
    }
}

/// Transforms each line of `lines` in place.
fn run(fft: &dyn Fft<f32>, lines: &mut [Complex32], scratch: &mut Vec<Complex32>) {
    let needed = fft.get_inplace_scratch_len();
    if scratch.len() < needed {
        scratch.resize(needed, Complex32::ZERO);
    }
    fft.process_with_scratch(lines, &mut scratch[..needed]);
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::random::stream;

    /// The definition: the sum over the kept frequencies, term by term in double precision.
    fn by_definition(values: &[f32], shape: [usize; 3], radius: f64) -> Vec<f64> {
        use std::f64::consts::TAU;
        let voxels = values.len();
        let places = |n: usize| [n / (shape[1] * shape[2]), n / shape[2] % shape[1], n % shape[2]];
        let phase = |bin: [usize; 3], at: [usize; 3]| -> f64 { (0..3).map(|a| (bin[a] * at[a]) as f64 / shape[a] as f64 * TAU).sum() };
        let kept = (0..voxels).map(places).filter(|bin| {
            let squared: f64 = (0..3).map(|a| (((bin[a] + shape[a] / 2) % shape[a]) as f64 - (shape[a] as f64 - 1.0) / 2.0).powi(2)).sum();
            squared.sqrt() <= radius
        });
        let mut result = vec![0.0; voxels];
        for bin in kept {
            let terms = || values.iter().enumerate().map(|(n, &value)| (f64::from(value), phase(bin, places(n))));
            let (re, im) = terms().fold((0.0, 0.0), |(re, im), (value, phase)| (re + value * phase.cos(), im - value * phase.sin()));
            for (n, sum) in result.iter_mut().enumerate() {
                let phase = phase(bin, places(n));
                *sum += (re * phase.cos() - im * phase.sin()) / voxels as f64;
            }
        }
        result
    }

    fn noise(shape: [usize; 3]) -> Vec<f32> {
        let mut rng = stream(0, "test", 0, 0);
        (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn the_half_spectrum_gives_the_defined_filter_on_odd_and_even_sizes() {
        for shape in [[4, 6, 8], [5, 7, 3], [6, 5, 8], [3, 4, 7], [1, 1, 6], [8, 1, 1], [2, 2, 2]] {
            for alpha in [0.0, 0.3, 0.55, 0.8, 0.97] {
                let values = noise(shape);
                let mut filtered = values.clone();
                gibbs(&mut filtered, shape, alpha);
                for (got, expected) in filtered.iter().zip(by_definition(&values, shape, radius(shape, alpha))) {
                    assert!((f64::from(*got) - expected).abs() < 1e-6, "{shape:?} alpha {alpha}: {got} for {expected}");
                }
            }
        }
    }

    #[test]
    fn the_strongest_ringing_keeps_the_mean_in_training() {
        for shape in [[8, 8, 8], [6, 7, 8], [5, 5, 5]] {
            let values: Vec<f32> = noise(shape).iter().map(|value| value + 3.0).collect();
            let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
            let mut kept = values.clone();
            gibbs_kept(&mut kept, shape, 1.0);
            assert!((mean(&kept) - mean(&values)).abs() < 1e-5, "{shape:?}");
            let mut cut = values.clone();
            gibbs(&mut cut, shape, 1.0);
            assert_eq!(cut.iter().all(|&value| value == 0.0), shape != [5, 5, 5], "{shape:?}");
        }
    }

    #[test]
    fn where_the_ball_is_large_enough_both_filters_agree() {
        let (mut raw, mut kept) = (noise([8, 8, 8]), noise([8, 8, 8]));
        gibbs(&mut raw, [8, 8, 8], 0.6);
        gibbs_kept(&mut kept, [8, 8, 8], 0.6);
        assert_eq!(raw, kept);
    }
}
