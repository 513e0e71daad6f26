//! Window and level: which intensities are shown black and white.

use std::sync::LazyLock;

use serde::Deserialize;

/// Values that percentiles are taken from; a larger volume is sampled evenly.
const SAMPLE: usize = 1 << 20;

/// The tails, in percent, that the automatic window leaves out.
pub const AUTO_TAIL: f32 = 0.1;

/// Which intensities are shown black and white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowLevel {
    /// Shown black, and everything below it.
    pub low: f32,
    /// Shown white, and everything above it.
    pub high: f32,
}

impl WindowLevel {
    /// Of a width around a level.
    pub fn around(level: f32, width: f32) -> Self {
        Self { low: level - width / 2.0, high: level + width / 2.0 }
    }

    /// Between the percentiles `tail` and 100 - `tail` of one channel. A volume of one value gets a window of width 1 around it.
    pub fn from_percentiles(voxels: &[f32], tail: f32) -> Self {
        let stride = voxels.len().div_ceil(SAMPLE).max(1);
        // Filtered before it is thinned out: what is finite may be rare.
        let mut sample: Vec<f32> = voxels.iter().copied().filter(|value| value.is_finite()).step_by(stride).collect();
        let Some(last) = sample.len().checked_sub(1) else { return Self { low: 0.0, high: 1.0 } };
        let place = |percent: f32| ((percent / 100.0) * last as f32).round() as usize;
        let low = *sample.select_nth_unstable_by(place(tail), f32::total_cmp).1;
        let high = *sample.select_nth_unstable_by(place(100.0 - tail), f32::total_cmp).1;
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

    /// Dragged by points on the screen: to the right widens the window, upwards lifts the level.
    pub fn dragged(self, right: f32, up: f32) -> Self {
        /// Share of the width for each point.
        const SPEED: f32 = 0.005;
        let width = (self.width() * (right * SPEED).exp()).max(f32::MIN_POSITIVE);
        Self::around(self.level() + up * SPEED * self.width(), width)
    }
}

/// A window of a name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct WindowPreset {
    /// As the menu shows it.
    pub name: String,
    /// What it shows.
    pub range: PresetRange,
}

/// What a preset shows.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub enum PresetRange {
    /// All but the `tail` percent lowest and highest voxels.
    Percentiles {
        /// Percent left out at each end.
        tail: f32,
    },
    /// A width around a level.
    Hounsfield {
        /// HU from black to white.
        width: f32,
        /// HU shown as middle grey.
        level: f32,
    },
}

impl WindowPreset {
    /// The presets, in the menu's order.
    pub fn all() -> &'static [Self] {
        static PRESETS: LazyLock<Vec<WindowPreset>> = LazyLock::new(|| {
            ron::from_str(include_str!("../../../assets/window_presets.ron")).expect("the embedded presets can be read; a test reads them")
        });
        &PRESETS
    }

    /// The preset's window on one channel. Percentiles of a large volume take milliseconds: not for every frame.
    pub fn window(&self, voxels: &[f32]) -> WindowLevel {
        match self.range {
            PresetRange::Percentiles { tail } => WindowLevel::from_percentiles(voxels, tail),
            PresetRange::Hounsfield { width, level } => WindowLevel::around(level, width),
        }
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
        assert!(WindowLevel::auto(&[f32::NAN]).width() > 0.0);
    }

    #[test]
    fn dragging_sideways_keeps_the_level_and_upwards_the_width() {
        let window = WindowLevel::around(40.0, 400.0);
        let wider = window.dragged(100.0, 0.0);
        assert!(wider.width() > 600.0 && (wider.level() - 40.0).abs() < 1e-3);
        let back = wider.dragged(-100.0, 0.0);
        assert!((back.width() - 400.0).abs() < 1e-3);
        let lifted = window.dragged(0.0, 10.0);
        assert!((lifted.level() - 60.0).abs() < 1e-3 && (lifted.width() - 400.0).abs() < 1e-3);
    }

    #[test]
    fn presets_are_those_of_the_reading_room() {
        let preset = |name: &str| WindowPreset::all().iter().find(|preset| preset.name == name).expect(name).window(&[0.0, 1.0]);
        assert_eq!(preset("CT brain"), WindowLevel { low: 0.0, high: 80.0 });
        assert_eq!(preset("CT lung"), WindowLevel { low: -1350.0, high: 150.0 });
        assert_eq!(preset("CT abdomen"), WindowLevel { low: -160.0, high: 240.0 });
        assert_eq!(preset("CT bone"), WindowLevel { low: -770.0, high: 1730.0 });
        assert_eq!(preset("Whole volume"), WindowLevel { low: 0.0, high: 1.0 });
    }
}
