//! Synthetic volumes, to try a size or a machine without data.
//!
//! An image is a sum of slow cosine waves, plus a step in intensity inside each label's ellipsoid, plus noise.
//! A network can learn such labels, but the numbers say nothing about its quality on anatomy.

use std::f32::consts::TAU;

use rand::RngExt as _;
use rand_distr::{Distribution as _, StandardNormal};

use super::{Grid, Volume};
use crate::config::SyntheticConfig;
use crate::geometry::unravel;
use crate::random::stream;

/// Raised when [`volume`] changes, so that cached volumes of before are not taken for its.
pub(super) const VERSION: &str = "synthetic 1";

/// Cosine waves of a channel.
const WAVES: u64 = 6;

/// Standard deviation of the noise; waves have amplitude 1 / [`WAVES`], labels step by about 1.
const NOISE: f32 = 0.1;

/// Which volume of a synthetic case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its channels.
    Image,
    /// Its label map.
    Label,
}

/// The image or the label map (as one channel of label values) of a case, 1 mm voxels.
pub(super) fn volume(config: &SyntheticConfig, case: usize, part: Part) -> Volume {
    let grid = grid(config);
    let labels = labels(config, case);
    match part {
        Part::Label => Volume { channels: 1, grid, voxels: labels.iter().map(|&label| label as f32).collect() },
        Part::Image => {
            let channel = |channel| image(config, case, channel, &labels);
            Volume { channels: config.channels, voxels: (0..config.channels).flat_map(channel).collect(), grid }
        }
    }
}

/// The grid of every synthetic volume.
pub(super) fn grid(config: &SyntheticConfig) -> Grid {
    Grid::axis_aligned(config.shape, [1.0; 3])
}

/// One ellipsoid for each label; a later label covers an earlier one.
fn labels(config: &SyntheticConfig, case: usize) -> Vec<usize> {
    let mut labels = vec![0; config.shape.iter().product()];
    for label in 1..=config.labels {
        let mut random = stream(0, "synthetic blob", case as u64, label as u64);
        let centre = [0; 3].map(|_| random.random_range(0.25_f32..0.75));
        let radius = [0; 3].map(|_| random.random_range(0.12_f32..0.22));
        for (at, value) in places(config.shape).zip(&mut labels) {
            let distance: f32 = [0, 1, 2].map(|axis| ((at[axis] - centre[axis]) / radius[axis]).powi(2)).iter().sum();
            if distance < 1.0 {
                *value = label;
            }
        }
    }
    labels
}

fn image(config: &SyntheticConfig, case: usize, channel: usize, labels: &[usize]) -> Vec<f32> {
    // Contrast belongs to channel and label, not to the case: it is what can be learnt.
    let step =
        |label: usize| if label == 0 { 0.0 } else { stream(0, "synthetic step", channel as u64, label as u64).random_range(0.6_f32..1.4) };
    let steps: Vec<f32> = (0..=config.labels).map(step).collect();
    let mut random = stream(0, "synthetic field", case as u64, channel as u64);
    let waves: Vec<_> = (0..WAVES).map(|_| ([0; 3].map(|_| random.random_range(-2.0_f32..2.0)), random.random_range(0.0..TAU))).collect();
    let voxel = |(at, &label): ([f32; 3], &usize)| {
        let wave = |(frequency, phase): &([f32; 3], f32)| {
            let cycles: f32 = frequency.iter().zip(at).map(|(f, x)| f * x).sum();
            (TAU * cycles + phase).cos()
        };
        let field = waves.iter().map(wave).sum::<f32>() / WAVES as f32;
        let noise: f32 = StandardNormal.sample(&mut random);
        field + steps[label] + NOISE * noise
    };
    places(config.shape).zip(labels).map(voxel).collect()
}

/// Voxel centres as shares of the volume, in memory order.
fn places(shape: [usize; 3]) -> impl Iterator<Item = [f32; 3]> {
    let share = move |at: [usize; 3]| [0, 1, 2].map(|axis| (at[axis] as f32 + 0.5) / shape[axis] as f32);
    (0..shape.iter().product()).map(move |index| share(unravel(index, shape)))
}

#[cfg(test)]
mod tests {
    use super::{Part, volume};
    use crate::config::SyntheticConfig;

    #[test]
    fn cases_differ_and_a_case_repeats() {
        let config = SyntheticConfig { shape: [12, 14, 16], channels: 2, ..SyntheticConfig::default() };
        let image = volume(&config, 3, Part::Image);
        assert_eq!(image.voxels.len(), 2 * 12 * 14 * 16);
        assert_eq!(image, volume(&config, 3, Part::Image));
        assert_ne!(image, volume(&config, 4, Part::Image));
        let labels = volume(&config, 3, Part::Label).voxels;
        let mean = |label: f32| {
            let inside = image.voxels.iter().zip(&labels).filter(|&(_, &l)| l == label);
            inside.clone().map(|(v, _)| v).sum::<f32>() / inside.count() as f32
        };
        assert!(mean(2.0) > mean(0.0) + 0.3, "the label {} does not stand out from {}", mean(2.0), mean(0.0));
    }
}
