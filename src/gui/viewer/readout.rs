//! What lies under the pointer: position in the patient, voxel index, intensities, labels.

use std::fmt::Write as _;

use eframe::egui::{Label, RichText, Ui};

use super::case::OpenCase;
use super::digits::intensity;
use super::layer::Kind;
use crate::gui::widgets::slice::world_letters;

/// Channels named in the line; a perfusion series has hundreds.
const MOST_CHANNELS: usize = 6;

/// The line for a voxel (D,H,W).
pub(super) fn text(case: &OpenCase, voxel: [usize; 3]) -> String {
    let [d, h, w] = voxel;
    let mut text = world_letters(case.grid(), voxel.map(|index| index as f64));
    let _ = write!(text, " mm    voxel i {w}  j {h}  k {d}");
    let alone = case.channels.len() == 1;
    for (name, value) in case.channels.iter().zip(case.intensities(voxel)).take(MOST_CHANNELS) {
        let name = if alone && name == "channel 0" { "intensity" } else { name };
        let _ = write!(text, "    {name} {}", intensity(value));
    }
    if case.channels.len() > MOST_CHANNELS {
        let shown = case.intensities(voxel).nth(case.channel).unwrap_or_default();
        let _ = write!(text, "    shown channel {}", intensity(shown));
    }
    if let Some(map) = case.shown_map()
        && let Some(value) = map.value(voxel)
    {
        let _ = write!(text, "    {}: {}", map.title(), intensity(value));
    }
    for layer in &case.layers {
        if let Some(class) = case.class_at(layer, voxel) {
            let title = if layer.kind == Kind::Truth { "truth" } else { &layer.title };
            let name = if class == 0 { "-" } else { case.classes.name(class) };
            let _ = write!(text, "    {title}: {name}");
        }
    }
    text
}

/// Draws the line; without a voxel under the pointer, that of the crosshair.
pub(super) fn show(ui: &mut Ui, case: &OpenCase, hovered: Option<[usize; 3]>) {
    let text = match hovered {
        Some(voxel) => format!("Pointer      {}", text(case, voxel)),
        None => format!("Crosshair  {}", text(case, case.cursor.voxel)),
    };
    ui.add(Label::new(RichText::new(&text).small()).truncate()).on_hover_text(text);
}
