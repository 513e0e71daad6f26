//! Changes of a labelled crop's intensities after nnU-Net (the transforms of batchgeneratorsv2 that `nnUNetTrainer` lines up), in its order:
//! noise, blur, brightness, contrast, low resolution, gamma of the inverted image, gamma. They act on intensities that are normalised.

use std::array::from_fn;

use rand::{Rng, RngExt as _};

use super::{resolution, texture};
use crate::config::AugmentConfig;

/// Least divisor, as in the reference: a channel of one value stays what it is.
const LEAST: f32 = 1e-7;

/// Changes `image`, `[channel, D, H, W]` of `size`, as the draws have it. The noise is equally strong in all channels; all else is drawn for each.
pub(super) fn change(config: &AugmentConfig, image: &mut [f32], size: [usize; 3], rng: &mut impl Rng) {
    let voxels = size.iter().product();
    if rng.random_bool(config.noise_p) {
        let std = rng.random_range(0.0..=config.noise_std);
        texture::add_noise(image, std as f32, rng);
    }
    if rng.random_bool(config.blur_p) {
        for channel in image.chunks_exact_mut(voxels) {
            if rng.random_bool(config.blur_channel_p) {
                let [low, high] = config.blur_sigma;
                resolution::blur(channel, size, from_fn(|_| rng.random_range(low..=high)));
            }
        }
    }
    if rng.random_bool(config.brightness_p) {
        for channel in image.chunks_exact_mut(voxels) {
            let factor = around_one(config.brightness, rng);
            channel.iter_mut().for_each(|value| *value *= factor);
        }
    }
    if rng.random_bool(config.contrast_p) {
        image.chunks_exact_mut(voxels).for_each(|channel| contrast(channel, around_one(config.contrast, rng)));
    }
    if rng.random_bool(config.low_resolution_p) {
        for channel in image.chunks_exact_mut(voxels) {
            if rng.random_bool(config.low_resolution_channel_p) {
                let [low, high] = config.low_resolution;
                let factor = rng.random_range(low..=high);
                resolution::low_resolution(channel, size, [if config.in_plane { 1.0 } else { factor }, factor, factor]);
            }
        }
    }
    if rng.random_bool(config.gamma_inverted_p) {
        for channel in image.chunks_exact_mut(voxels) {
            channel.iter_mut().for_each(|value| *value = -*value);
            gamma(channel, around_one(config.gamma, rng));
            channel.iter_mut().for_each(|value| *value = -*value);
        }
    }
    if rng.random_bool(config.gamma_p) {
        image.chunks_exact_mut(voxels).for_each(|channel| gamma(channel, around_one(config.gamma, rng)));
    }
}

/// From a range that reaches to both sides of 1, half of the draws below it and half above, as nnU-Net (`BGContrast`); else uniform.
fn around_one([low, high]: [f64; 2], rng: &mut impl Rng) -> f32 {
    let range = match low < 1.0 && 1.0 < high {
        true if rng.random_bool(0.5) => low..=1.0,
        true => 1.0..=high,
        false => low..=high,
    };
    rng.random_range(range) as f32
}

/// `mean + factor (v - mean)`, kept within the least and the largest value (`ContrastTransform`).
fn contrast(values: &mut [f32], factor: f32) {
    let ([low, high], [mean, _]) = (extremes(values), mean_and_deviation(values));
    values.iter_mut().for_each(|value| *value = (mean + factor * (*value - mean)).clamp(low, high));
}

/// `low + range ((v - low) / range)^exponent`, then shifted and stretched so that mean and standard deviation are what they were
/// (`GammaTransform`).
fn gamma(values: &mut [f32], exponent: f32) {
    let ([low, high], [mean, deviation]) = (extremes(values), mean_and_deviation(values));
    let range = high - low;
    let divisor = range.max(LEAST);
    values.iter_mut().for_each(|value| *value = low + range * ((*value - low) / divisor).powf(exponent));
    let [changed, spread] = mean_and_deviation(values);
    let factor = deviation / spread.max(LEAST);
    values.iter_mut().for_each(|value| *value = mean + factor * (*value - changed));
}

/// The least and the largest value.
fn extremes(values: &[f32]) -> [f32; 2] {
    values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &value| [low.min(value), high.max(value)])
}

/// Mean and standard deviation, summed in double precision.
fn mean_and_deviation(values: &[f32]) -> [f32; 2] {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let square = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    [mean as f32, square.sqrt() as f32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    fn ramp() -> Vec<f32> {
        (0..1000).map(|voxel| (voxel * 7 % 1000) as f32 / 250.0 - 1.0).collect()
    }

    /// The mean of -1, 0, 1 and 4 is 1; 1 + 2 (4 - 1) = 7 and 1 + 2 (-1 - 1) = -3 lie outside.
    #[test]
    fn contrast_stretches_about_the_mean_and_keeps_the_range() {
        let mut values = [-1.0, 0.0, 1.0, 4.0];
        contrast(&mut values, 2.0);
        assert_eq!(values, [-1.0, -1.0, 1.0, 4.0]);
        let mut values = [-1.0, 0.0, 1.0, 4.0];
        contrast(&mut values, 0.5);
        assert_eq!(values, [0.0, 0.5, 1.0, 2.5]);
    }

    /// Of 0, 1, 2 and 4 the squares over 4 are 0, 1/4, 1 and 4.
    #[test]
    fn gamma_keeps_mean_and_deviation_and_bends_what_lies_between() {
        let mut values = [0.0, 1.0, 2.0, 4.0];
        let before = mean_and_deviation(&values);
        gamma(&mut values, 2.0);
        let bent = [0.0, 0.25, 1.0, 4.0];
        let [mean, deviation] = mean_and_deviation(&bent);
        for (value, bent) in values.into_iter().zip(bent) {
            let expected = before[0] + (bent - mean) * before[1] / deviation;
            assert!((value - expected).abs() < 1e-5, "{value}, not {expected}");
        }
        for exponent in [0.7, 1.5] {
            let (source, mut values) = (ramp(), ramp());
            gamma(&mut values, exponent);
            let [before, after] = [mean_and_deviation(&source), mean_and_deviation(&values)];
            assert!(before.iter().zip(after).all(|(before, after)| (before - after).abs() < 1e-4), "{before:?}, {after:?}");
            // The middle of the range sinks below the others by an exponent above 1.
            let sinks = extremes(&values)[1] - values[500] > extremes(&source)[1] - source[500];
            assert_eq!(sinks, exponent > 1.0);
        }
        let mut constant = [2.5; 7];
        gamma(&mut constant, 0.7);
        assert_eq!(constant, [2.5; 7]);
    }

    /// Each change alone, always made: the share of draws on either side of 1, what it leaves, and what differs between two channels.
    #[test]
    fn each_change_is_made_by_its_own_probability() {
        let drawn = |set: fn(&mut AugmentConfig), draw: u64| {
            let mut config = AugmentConfig::default();
            set(&mut config);
            let mut image = [ramp(), ramp()].concat();
            change(&config, &mut image, [2, 5, 100], &mut stream(1, "test", draw, 0));
            let second = image.split_off(1000);
            [image, second]
        };
        let with = |set| drawn(set, 0);
        assert_eq!(with(|_| ()), [ramp(), ramp()], "all of them are off by default");
        let changes: [fn(&mut AugmentConfig); 7] = [
            |config| config.noise_p = 1.0,
            |config| (config.blur_p, config.blur_channel_p) = (1.0, 1.0),
            |config| config.brightness_p = 1.0,
            |config| config.contrast_p = 1.0,
            |config| (config.low_resolution_p, config.low_resolution_channel_p) = (1.0, 1.0),
            |config| config.gamma_inverted_p = 1.0,
            |config| config.gamma_p = 1.0,
        ];
        for (number, set) in changes.into_iter().enumerate() {
            // A draw may be of no change, or the same for both channels.
            let draws: Vec<_> = (0..10).map(|draw| drawn(set, draw)).collect();
            assert!(draws.iter().any(|[first, second]| *first != ramp() && *second != ramp() && first != second), "change {number}");
            assert!(draws.iter().flatten().flatten().all(|value| value.is_finite()), "change {number}");
            assert_eq!(drawn(set, 9), draws[9], "change {number} is its key's");
        }
        // Channels have chances of their own.
        assert_eq!(with(|config| (config.blur_p, config.blur_channel_p) = (1.0, 0.0)), [ramp(), ramp()]);
        let [factor, _] = with(|config| (config.brightness_p, config.brightness) = (1.0, [0.5; 2]));
        assert!(factor.iter().zip(ramp()).all(|(value, source)| *value == 0.5 * source));
    }

    /// Inverted, the bright end is bent as the dark end was.
    #[test]
    fn the_inverted_gamma_is_the_gamma_of_the_negative() {
        let config = AugmentConfig { gamma_inverted_p: 1.0, gamma: [1.4; 2], ..AugmentConfig::default() };
        let (mut image, mut expected) = (ramp(), ramp());
        change(&config, &mut image, [10; 3], &mut stream(1, "test", 0, 0));
        expected.iter_mut().for_each(|value| *value = -*value);
        gamma(&mut expected, 1.4);
        assert!(image.iter().zip(expected).all(|(value, expected)| *value == -expected));
    }

    #[test]
    fn half_of_the_draws_lie_on_either_side_of_one() {
        let mut rng = stream(2, "test", 0, 0);
        let draws: Vec<f32> = (0..2000).map(|_| around_one([0.7, 1.5], &mut rng)).collect();
        assert!(draws.iter().all(|draw| (0.7..=1.5).contains(draw)));
        let below = draws.iter().filter(|&&draw| draw < 1.0).count();
        assert!((900..1100).contains(&below), "{below} of 2000 below 1, which make up 3/8 of the range");
        assert!((0..100).all(|_| (0.2..=0.4).contains(&around_one([0.2, 0.4], &mut rng))));
    }
}
