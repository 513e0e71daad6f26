//! The colours of a run's arms, and the page's style sheet in both lights.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::palette::SERIES;
pub(super) use crate::palette::{GRID, INK, REFERENCE, TRUTH, Tone, label};
use crate::protocol::{RunState, StageKind};

/// One colour for each arm, the same in every section.
pub(super) struct ArmTones<'a> {
    arms: Vec<&'a str>,
}

impl<'a> ArmTones<'a> {
    /// Colours of a run's arms, in the order in which they began.
    pub(super) fn of(state: &'a RunState) -> Self {
        let mut arms: Vec<&str> = Vec::new();
        for stage in &state.stages {
            if !arms.contains(&stage.stage.arm.as_str()) && stage.stage.kind != StageKind::Prepare {
                arms.push(&stage.stage.arm);
            }
        }
        Self { arms }
    }

    fn index(&self, arm: &str) -> usize {
        self.arms.iter().position(|known| *known == arm).unwrap_or(self.arms.len()) % SERIES.len()
    }

    /// Colour in a plot.
    pub(super) fn tone(&self, arm: &str) -> Tone {
        SERIES[self.index(arm)]
    }

    /// A dash in the arm's colour.
    pub(super) fn swatch(&self, arm: &str) -> Markup {
        html! { span.swatch style={ "background:var(--series-" (self.index(arm)) ")" } {} }
    }
}

/// `#RRGGBB`.
pub(super) fn hex(colour: u32) -> String {
    format!("#{colour:06X}")
}

/// The style sheet's variables, and the dark page's colours in place of those that a plot was drawn with.
pub(super) fn css() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for (index, tone) in SERIES.iter().enumerate() {
        let _ = write!(light, "--series-{index}:{};", hex(tone.light));
        let _ = write!(dark, "--series-{index}:{};", hex(tone.dark));
    }
    let swapped: String = SERIES
        .iter()
        .chain(&[INK, GRID, REFERENCE])
        .map(|Tone { light, dark }| {
            let (light, dark) = (hex(*light), hex(*dark));
            format!(".plot [stroke=\"{light}\"]{{stroke:{dark}}}.plot [fill=\"{light}\"]{{fill:{dark}}}")
        })
        .collect();
    format!(":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}{swapped}}}")
}
