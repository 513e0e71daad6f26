//! Every colour of the report, light and dark. The first hues are those of Okabe and Ito, told apart by colour-blind
//! readers as well (<https://jfly.uni-koeln.de/color/>), darkened or lightened where a background asks for contrast.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::protocol::{RunState, StageKind};

/// A colour on a light and on a dark page, `0xRRGGBB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tone {
    /// On a light page, and on paper.
    pub(super) light: u32,
    /// On a dark page.
    pub(super) dark: u32,
}

const fn tone(light: u32, dark: u32) -> Tone {
    Tone { light, dark }
}

/// Text and axes of a plot.
pub(super) const INK: Tone = tone(0x3B4350, 0xC5CCD6);
/// Grid of a plot.
pub(super) const GRID: Tone = tone(0xDDE1E7, 0x39414D);
/// Reference lines: the untrained network.
pub(super) const REFERENCE: Tone = tone(0x7A8290, 0x99A1AE);
/// Arms of a comparison, in their order.
const SERIES: [Tone; 10] = [
    tone(0x0072B2, 0x56B4E9),
    tone(0xD55E00, 0xFF8F4D),
    tone(0x00835F, 0x2FC99B),
    tone(0xB0578D, 0xE79CC6),
    tone(0x9A6B00, 0xE6B800),
    tone(0x4B3FA8, 0xA59BFF),
    // More arms than six are rare, and their colours not safe for every eye.
    tone(0x8C2D19, 0xE8806C),
    tone(0x007A8A, 0x5FD3E3),
    tone(0x5B7C00, 0xB4D84A),
    tone(0x6E6259, 0xC9BBAE),
];
/// Outlines of labels on a grey image, in the order of the label values; the same on any page.
pub(super) const LABELS: [u32; 8] = [0xFFB000, 0x4CC3FF, 0x2EE6A6, 0xFF7AC8, 0xF0E442, 0xFF6A3D, 0xB39DFF, 0xA6E22E];
/// The reference segmentation's outline behind a prediction.
pub(super) const TRUTH: u32 = 0xFFFFFF;

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

/// Outline colour of the label at a place of the dataset's list.
pub(super) fn label(index: usize) -> u32 {
    LABELS[index % LABELS.len()]
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
