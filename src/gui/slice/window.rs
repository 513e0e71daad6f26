//! Named windows, and windows dragged with the mouse.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::geometry::WindowLevel;

impl WindowLevel {
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
        tail: f64,
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
