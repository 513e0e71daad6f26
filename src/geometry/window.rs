//! Window and level: which intensities are shown black and white.

/// Voxels that percentiles are taken from; a larger volume is sampled evenly.
const SAMPLE: usize = 1 << 20;

/// The tails, in percent, that the automatic window leaves out.
const AUTO_TAIL: f64 = 0.1;

/// Which intensities are shown black and white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowLevel {
    /// Shown black, and everything below it.
    pub low: f32,
    /// Shown white, and everything above it.
    pub high: f32,
}

impl WindowLevel {
    /// The window of a width around a level.
    pub fn around(level: f32, width: f32) -> Self {
        Self { low: level - width / 2.0, high: level + width / 2.0 }
    }

    /// The window between the percentiles `tail` and 100 - `tail` (nearest rank) of one channel's finite voxels. A channel of
    /// one value gets a window of width 1 around it, one without finite voxels 0 to 1.
    pub fn from_percentiles(voxels: &[f32], tail: f64) -> Self {
        let step = voxels.len().div_ceil(SAMPLE).max(1);
        // Filtered before it is thinned out: finite voxels may be rare.
        let mut sample: Vec<f32> = voxels.iter().copied().filter(|value| value.is_finite()).step_by(step).collect();
        let Some(last) = sample.len().checked_sub(1) else { return Self { low: 0.0, high: 1.0 } };
        let rank = |percent: f64| (percent / 100.0 * last as f64).round() as usize;
        let [low, high] = [tail, 100.0 - tail].map(|percent| *sample.select_nth_unstable_by(rank(percent), f32::total_cmp).1);
        if high > low { Self { low, high } } else { Self::around(low, 1.0) }
    }

    /// The automatic window of one channel.
    pub fn auto(voxels: &[f32]) -> Self {
        Self::from_percentiles(voxels, AUTO_TAIL)
    }

    /// Distance from black to white.
    pub fn width(self) -> f32 {
        self.high - self.low
    }

    /// The value shown as middle grey.
    pub fn level(self) -> f32 {
        (self.low + self.high) / 2.0
    }

    /// An intensity as a grey value, 0 to 255; NaN is black.
    pub fn grey(self, value: f32) -> u8 {
        // The cast saturates, and takes NaN to 0.
        ((value - self.low) / self.width().max(f32::MIN_POSITIVE) * 255.0).round() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_left_out_and_a_flat_or_empty_volume_has_a_window() {
        let mut voxels: Vec<f32> = (0..=1000).map(|value| value as f32).collect();
        voxels.extend([f32::NAN, f32::INFINITY]);
        assert_eq!(WindowLevel::auto(&voxels), WindowLevel { low: 1.0, high: 999.0 });
        assert_eq!(WindowLevel::from_percentiles(&voxels, 10.0), WindowLevel { low: 100.0, high: 900.0 });
        assert_eq!(WindowLevel::auto(&[7.0; 9]), WindowLevel { low: 6.5, high: 7.5 });
        assert_eq!(WindowLevel::auto(&[f32::NAN]), WindowLevel { low: 0.0, high: 1.0 });
        let window = WindowLevel::around(40.0, 80.0);
        assert_eq!([-5.0, 40.0, 90.0, f32::NAN].map(|value| window.grey(value)), [0, 128, 255, 0]);
    }
}
