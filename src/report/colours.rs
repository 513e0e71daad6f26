//! The page's colours: of the arms, and of the plots in both lights.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::palette::{GRID, INK, REFERENCE, SERIES, Tone};

/// The colour of a series in a plot.
pub(super) fn tone(series: usize) -> Tone {
    SERIES[series % SERIES.len()]
}

/// A dash in the colour of a series.
pub(super) fn swatch(series: usize) -> Markup {
    html! { span.swatch style={ "background:" (variable(series)) } {} }
}

/// The style sheet's variable of a series.
pub(super) fn variable(series: usize) -> String {
    format!("var(--series-{})", series % SERIES.len())
}

/// `#RRGGBB`.
pub(super) fn hex(colour: u32) -> String {
    format!("#{colour:06X}")
}

/// The style sheet's variables, and the dark page's colours in place of those that a plot was drawn with.
pub(super) fn css() -> String {
    let (mut light, mut dark) = (String::new(), String::new());
    for (series, tone) in SERIES.iter().enumerate() {
        let _ = write!(light, "--series-{series}:{};", hex(tone.light));
        let _ = write!(dark, "--series-{series}:{};", hex(tone.dark));
    }
    let swapped = |Tone { light, dark }: &Tone| {
        let (light, dark) = (hex(*light), hex(*dark));
        format!(".plot [stroke=\"{light}\"]{{stroke:{dark}}}.plot [fill=\"{light}\"]{{fill:{dark}}}")
    };
    let swapped: String = SERIES.iter().chain(&[INK, GRID, REFERENCE]).map(swapped).collect();
    format!(":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}{swapped}}}")
}
