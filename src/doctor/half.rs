//! What half precision changes on a GPU: the logits of a small network.

use std::fmt;
use std::time::Duration;

use burn::tensor::Device;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::speed::best_of;
use crate::config::{ModelConfig, Precision, Preset, PublishedTask};
use crate::device::{bounded, require_half};
use crate::infer::sliding_window::Logits;
use crate::infer::{InputConvention, predictor};
use crate::model::{Segmenter, Task};
use crate::random::stream;

/// The network.
pub(super) const PRESET: Preset = Preset::NnformerSmall;

/// How long its kernels may take to compile and run, in both precisions.
const LIMIT: Duration = Duration::from_secs(60);

/// Half precision beside float32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HalfCheck {
    /// The GPU has none.
    Absent,
    /// The driver's or library's reason.
    Fails(String),
    /// It works.
    Works {
        /// Largest difference of a logit, relative to the largest logit.
        difference: f64,
        /// Share of the voxels whose class is the same.
        same_class: f64,
        /// How many times as fast.
        speed: f64,
    },
}

/// Compares the two on a GPU. What goes wrong here says nothing of float32.
pub(super) fn check(device: &Device) -> HalfCheck {
    if require_half(device).is_err() {
        return HalfCheck::Absent;
    }
    let device = device.clone();
    let compared = bounded("half precision", LIMIT, move || compare(&device));
    compared.map_err(|error| error.to_string()).and_then(|compared| compared).unwrap_or_else(HalfCheck::Fails)
}

fn compare(device: &Device) -> Result<HalfCheck, String> {
    let PublishedTask { crop_size, channels, classes } = PRESET.task();
    let network = Segmenter::init(&ModelConfig::Preset(PRESET), &Task { channels, classes, crop_size }, 0, device);
    let [depth, height, width] = crop_size;
    let shape = [1, channels, depth, height, width];
    let mut random = stream(0, "half precision", 0, 0);
    let bound = 3.0_f32.sqrt();
    let image: Vec<f32> = (0..shape.iter().product()).map(|_| random.random_range(-bound..bound)).collect();
    let measure = |precision| {
        let mut predict = predictor(std::slice::from_ref(&network), device, (precision, InputConvention::default()));
        let mut logits = Vec::new();
        let took = best_of(|| {
            logits = predict(&image, shape).and_then(Logits::wait).map_err(|error| error.to_string())?;
            Ok(())
        })?;
        Ok::<_, String>((logits, took))
    };
    let ((full, slow), (half, fast)) = (measure(Precision::Full)?, measure(Precision::Half)?);
    let (difference, same_class) = agreement(&full, &half, classes);
    Ok(HalfCheck::Works { difference, same_class, speed: slow.as_secs_f64() / fast.as_secs_f64() })
}

/// Of logits `[class, voxel]`: the largest difference, relative to the largest of `full`, and the share of voxels of the same class.
fn agreement(full: &[f32], half: &[f32], classes: usize) -> (f64, f64) {
    let largest = full.iter().fold(f32::MIN_POSITIVE, |largest, logit| largest.max(logit.abs()));
    let difference = full.iter().zip(half).map(|(full, half)| (full - half).abs()).fold(0.0, f32::max);
    let voxels = full.len() / classes;
    let class = |logits: &[f32], voxel: usize| {
        let better = |best, class| if logits[class * voxels + voxel] > logits[best * voxels + voxel] { class } else { best };
        (1..classes).fold(0, better)
    };
    let same = (0..voxels).filter(|&voxel| class(full, voxel) == class(half, voxel)).count();
    (f64::from(difference / largest), same as f64 / voxels as f64)
}

impl fmt::Display for HalfCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("not there"),
            Self::Fails(reason) => write!(f, "fails: {}", reason.lines().next().unwrap_or_default()),
            Self::Works { difference, same_class, speed } => {
                let percent = 100.0 * same_class;
                write!(f, "logits differ by {difference:.1e}, {percent:.2} % of the voxels have the same class, {speed:.1} times as fast")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn agreement_is_of_the_largest_logit_and_of_classes() {
        let full = [1.0, 2.0, -4.0, 0.0, 2.5, -4.0, 1.0, 0.0];
        let half = [1.0, 2.6, -4.0, 0.0, 2.5, -4.0, 1.0, 0.0];
        // Two classes, four voxels: a logit of the second changes, not its class.
        assert_eq!(agreement(&full, &half, 2).1, 1.0);
        assert!((agreement(&full, &half, 2).0 - 0.15).abs() < 1e-6);
        let half = [3.0, 2.0, -4.0, 0.0, 2.5, -4.0, 1.0, 0.0];
        assert_eq!(agreement(&full, &half, 2), (0.5, 0.75));
    }

    /// Rounding to eleven bits at each of some thirty layers.
    #[test]
    fn half_precision_agrees_where_it_is_there() {
        assert_eq!(check(&Device::flex()), HalfCheck::Absent);
        for (name, device) in for_tests().into_iter().skip(1) {
            let found = check(&device);
            println!("half precision on {name}: {found}");
            match found {
                HalfCheck::Absent => println!("skipped: no half precision here"),
                HalfCheck::Works { difference, same_class, .. } => assert!(difference < 0.02 && same_class > 0.95, "{name}: {found}"),
                HalfCheck::Fails(reason) => panic!("{name}: {reason}"),
            }
        }
    }
}
