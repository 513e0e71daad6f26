//! Intensity changes of a view: Gaussian noise, Gibbs ringing, scale, shift (METHOD: "One pre-training step", step 2).

mod gibbs;

use rand::{Rng, RngExt as _};
use rand_distr::StandardNormal;

pub use gibbs::{gibbs, gibbs_kept};

use crate::config::TextureConfig;

/// The changes drawn for one view, in the order in which they are applied; None leaves the view as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Texture {
    /// Standard deviation of the noise.
    pub noise_std: Option<f32>,
    /// Strength of the ringing, 0 to 1.
    pub gibbs_alpha: Option<f64>,
    /// f of `v * (1 + f)`.
    pub scale: Option<f32>,
    /// o of `v + o`.
    pub shift: Option<f32>,
}

impl Texture {
    /// Draws from the ranges of a config that was checked.
    pub fn draw(config: &TextureConfig, rng: &mut impl Rng) -> Self {
        let mut sometimes = |p: f64, low: f64, high: f64| {
            let (chosen, value) = (rng.random_bool(p), rng.random_range(low..=high));
            chosen.then_some(value)
        };
        Self {
            noise_std: sometimes(config.noise_p, 0.0, config.noise_std).map(|std| std as f32),
            gibbs_alpha: sometimes(config.gibbs_p, 0.0, config.gibbs_alpha),
            scale: sometimes(config.scale_p, -config.scale, config.scale).map(|factor| factor as f32),
            shift: sometimes(config.shift_p, -config.shift, config.shift).map(|offset| offset as f32),
        }
    }

    /// Changes `values`, `[channels, D, H, W]` of `shape`, all channels alike but for the noise.
    pub fn apply(&self, values: &mut [f32], shape: [usize; 3], rng: &mut impl Rng) {
        if let Some(std) = self.noise_std {
            add_noise(values, std, rng);
        }
        if let Some(alpha) = self.gibbs_alpha {
            gibbs_kept(values, shape, alpha);
        }
        if let Some(factor) = self.scale {
            scale(values, factor);
        }
        if let Some(offset) = self.shift {
            shift(values, offset);
        }
    }
}

/// Adds N(0, `std`²) to each value.
pub fn add_noise(values: &mut [f32], std: f32, rng: &mut impl Rng) {
    for value in values {
        let normal: f32 = rng.sample(StandardNormal);
        *value += std * normal;
    }
}

/// `v * (1 + factor)`.
pub fn scale(values: &mut [f32], factor: f32) {
    values.iter_mut().for_each(|value| *value *= 1.0 + factor);
}

/// `v + offset`.
pub fn shift(values: &mut [f32], offset: f32) {
    values.iter_mut().for_each(|value| *value += offset);
}

/// To 0..1 by the least and the largest of all values, all channels together; a constant array becomes 0.
pub fn scale_min_max(values: &mut [f32]) {
    let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let range = high - low;
    values.iter_mut().for_each(|value| *value = if range > 0.0 { (*value - low) / range } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    #[test]
    fn draws_follow_probabilities_and_ranges() {
        let config = TextureConfig::default();
        let draws: Vec<_> = (0..2000).map(|n| Texture::draw(&config, &mut stream(3, "test", n, 0))).collect();
        let share = |hit: &dyn Fn(&Texture) -> bool| draws.iter().filter(|&texture| hit(texture)).count() as f64 / 2000.0;
        assert!((share(&|t| t.noise_std.is_some()) - 0.5).abs() < 0.05);
        assert!((share(&|t| t.gibbs_alpha.is_some()) - 0.5).abs() < 0.05);
        assert!((share(&|t| t.scale.is_some()) - 0.1).abs() < 0.03);
        assert!((share(&|t| t.shift.is_some_and(|offset| offset < 0.0)) - 0.05).abs() < 0.02);
        let alphas: Vec<_> = draws.iter().filter_map(|texture| texture.gibbs_alpha).collect();
        assert!(alphas.iter().all(|alpha| (0.0..=1.0).contains(alpha)) && alphas.iter().any(|&alpha| alpha > 0.95));
        assert!(draws.iter().filter_map(|texture| texture.noise_std).all(|std| (0.0..=0.1).contains(&std)));
        let off = TextureConfig { noise_p: 0.0, gibbs_p: 0.0, scale_p: 0.0, shift_p: 0.0, ..config };
        assert_eq!(Texture::draw(&off, &mut stream(3, "test", 0, 0)), Texture::default());
    }

    #[test]
    fn noise_has_its_standard_deviation() {
        let mut values = vec![2.0; 20_000];
        add_noise(&mut values, 0.1, &mut stream(0, "test", 0, 0));
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 20_000.0).sqrt();
        assert!((mean - 2.0).abs() < 0.005 && (std - 0.1).abs() < 0.003, "{mean} {std}");
    }
}
