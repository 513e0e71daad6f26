//! Titles of the columns of a comparison.

use eframe::egui::{Align2, Color32, FontSelection, Rect, Stroke, TextStyle, TextWrapMode, Ui, WidgetText};

use super::case::OpenCase;
use crate::gui::theme::colour;
use crate::palette;

/// The layer's name above its column, with its mean Dice over the visible labels. The chosen one is what the table shows.
pub(super) fn column_title(ui: &Ui, case: &OpenCase, (rect, layer): (Rect, Option<&str>), chosen: bool) {
    let text = column_text(case, layer);
    let galley =
        WidgetText::from(text).into_galley(ui, Some(TextWrapMode::Truncate), rect.width() - 8.0, FontSelection::Style(TextStyle::Body));
    let at = Align2::CENTER_CENTER.align_size_within_rect(galley.size(), rect);
    let failed = case.layer(layer).is_some_and(|layer| layer.fault.is_some());
    let colour = match (failed, chosen) {
        (true, _) => colour(palette::BAD.dark),
        (false, true) => Color32::WHITE,
        (false, false) => Color32::from_gray(185),
    };
    if chosen {
        let line = at.left()..=at.right();
        ui.painter().hline(line, rect.bottom() - 1.0, Stroke::new(2.0, colour));
    }
    ui.painter().galley_with_override_text_color(at.min, galley, colour);
}

/// A layer's name, and its mean Dice over the visible labels.
pub(super) fn column_text(case: &OpenCase, layer: Option<&str>) -> String {
    let Some(layer) = case.layer(layer) else { return "no labels".to_owned() };
    let Some(labels) = layer.labels() else {
        return format!("{}: {}", layer.title, if layer.fault.is_some() { "cannot be read" } else { "reading ..." });
    };
    let classes = case.classes.in_order().into_iter().filter(|&class| case.colours.get(class).visible);
    let scores: Vec<f64> = classes.filter_map(|class| layer.agreement()?.whole(class)).collect();
    let title = if labels.own.is_some() { format!("{} (resampled)", layer.title) } else { layer.title.clone() };
    if scores.is_empty() {
        return title;
    }
    format!("{title}   Dice {:.3}", scores.iter().sum::<f64>() / scores.len() as f64)
}
