//! Intensities to the range that networks are fed.

use rayon::prelude::*;

use crate::config::Intensity;
use crate::geometry::percentiles;
use crate::volume::Volume;

/// Share of voxels at a channel's minimum from which on they are taken for an empty background.
const EMPTY_SHARE: f64 = 0.25;

/// Normalises every channel.
///
/// CT: `low` to `high` become 0 to 1, clipped; or clipped, less a mean, over a deviation. MRI: clipped at two percentiles, then zero mean and unit variance,
/// with percentiles, mean and variance taken over the whole channel. Only if more than a quarter of it lies at exactly
/// its minimum (skull-stripped and zero-padded volumes) are those voxels left out of the statistics, which would
/// otherwise describe the empty border; they are then clipped and scaled like all others. A constant channel becomes 0.
pub fn normalise(volume: &mut Volume, intensity: Intensity) {
    let size = volume.grid.len().max(1);
    match intensity {
        Intensity::CtWindow { low, high } => {
            let width = high - low;
            volume.voxels.par_iter_mut().for_each(|value| *value = ((f64::from(*value) - low) / width).clamp(0.0, 1.0) as f32);
        }
        Intensity::CtStatistics { low, high, mean, deviation } => {
            volume.voxels.par_iter_mut().for_each(|value| *value = ((f64::from(*value).clamp(low, high) - mean) / deviation) as f32);
        }
        Intensity::ZScore { low_percentile, high_percentile } => {
            volume.voxels.par_chunks_mut(size).for_each(|channel| z_score(channel, [low_percentile, high_percentile]));
        }
    }
}

fn z_score(channel: &mut [f32], at: [f64; 2]) {
    let least = channel.iter().copied().fold(f32::INFINITY, f32::min);
    let filled = channel.iter().filter(|&&value| value > least).count();
    let empty = channel.len() - filled;
    let leave_out = filled > 0 && empty as f64 > EMPTY_SHARE * channel.len() as f64;
    let counted = |channel: &[f32]| channel.iter().copied().filter(|&value| !leave_out || value > least).collect::<Vec<_>>();
    let mut counted = counted(channel);
    let [low, high] = percentiles(&counted, at);
    counted.iter_mut().for_each(|value| *value = value.clamp(low, high));
    let count = counted.len() as f64;
    let mean = counted.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = counted.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    // Rounding leaves a constant channel with a deviation of about 1e-7 of its value.
    let scale = if deviation > 1e-6 * mean.abs() { deviation.recip() } else { 0.0 };
    channel.iter_mut().for_each(|value| *value = ((f64::from(value.clamp(low, high)) - mean) * scale) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;

    fn normalised(voxels: Vec<f32>, intensity: Intensity) -> Vec<f32> {
        let grid = Grid::axis_aligned([1, 1, voxels.len()], [1.0; 3]);
        let mut volume = Volume { channels: 1, voxels, grid };
        normalise(&mut volume, intensity);
        volume.voxels
    }

    #[test]
    fn mri_has_zero_mean_and_unit_variance_whatever_its_scale() {
        let voxels = |scale: f32| (0..1000).map(|v| scale * ((v * 7919) % 1000) as f32).collect::<Vec<_>>();
        let z = normalised(voxels(1.0), Intensity::default());
        let mean = z.iter().sum::<f32>() / 1000.0;
        let variance = z.iter().map(|v| v * v).sum::<f32>() / 1000.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
        let scaled = normalised(voxels(1700.0), Intensity::default());
        assert!(z.iter().zip(&scaled).all(|(a, b)| (a - b).abs() < 1e-5));
        let largest = z.iter().copied().fold(0.0, f32::max);
        assert_eq!(z.iter().filter(|&&value| value == largest).count(), 5, "0.5 % clipped at the top");
    }

    #[test]
    fn an_empty_background_does_not_count_and_a_constant_channel_becomes_zero() {
        let anatomy = || (0..600).map(|v| 100.0 + v as f32);
        let padded: Vec<f32> = anatomy().chain([0.0; 400]).collect();
        let all = Intensity::ZScore { low_percentile: 0.0, high_percentile: 100.0 };
        let (alone, padded) = (normalised(anatomy().collect(), all), normalised(padded, all));
        assert_eq!(alone, padded[..600]);
        assert_eq!(padded[600], padded[0], "background is clipped to the darkest anatomy");
        assert_eq!(normalised(vec![0.1; 50], Intensity::default()), vec![0.0; 50]);
    }

    #[test]
    fn ct_goes_by_the_statistics_of_its_dataset() {
        let statistics = Intensity::CtStatistics { low: -100.0, high: 300.0, mean: 100.0, deviation: 50.0 };
        assert_eq!(normalised(vec![-1000.0, -100.0, 100.0, 125.0, 3000.0], statistics), [-4.0, -4.0, 0.0, 0.5, 4.0]);
    }

    #[test]
    fn ct_is_windowed() {
        assert_eq!(normalised(vec![-1000.0, -175.0, 37.5, 250.0, 3000.0], Intensity::CT), [0.0, 0.0, 0.5, 1.0, 1.0]);
    }
}
