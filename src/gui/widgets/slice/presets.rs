//! Windows with a name.

use std::sync::LazyLock;

use serde::Deserialize;

use super::WindowLevel;

/// A window with a name.
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
            ron::from_str(include_str!("../../../../assets/window_presets.ron"))
                .expect("the embedded presets can be read; a test reads them")
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

#[test]
fn presets_are_those_of_the_reading_room() {
    let preset = |name: &str| WindowPreset::all().iter().find(|preset| preset.name == name).expect(name).window(&[0.0, 1.0]);
    for (name, low, high) in [
        ("CT brain", 0.0, 80.0),
        ("CT lung", -1350.0, 150.0),
        ("CT abdomen", -160.0, 240.0),
        ("CT bone", -770.0, 1730.0),
        ("Whole volume", 0.0, 1.0),
    ] {
        assert_eq!(preset(name), WindowLevel { low, high }, "{name}");
    }
}
