//! What the lines of plots are.

use eframe::egui::{Color32, RichText, Sense, Shape, Stroke, Ui, vec2};
use egui_plot::LineStyle;

use super::card;

/// An entry of a legend.
pub(in crate::gui) struct LegendEntry<'a> {
    pub(in crate::gui) name: &'a str,
    pub(in crate::gui) colour: Color32,
    pub(in crate::gui) style: LineStyle,
    pub(in crate::gui) hidden: bool,
}

/// What the lines are, in one row that wraps. Returns the entry that was clicked, where they can be hidden.
pub(in crate::gui) fn legend(ui: &mut Ui, entries: &[LegendEntry<'_>], can_hide: bool) -> Option<usize> {
    let mut clicked = None;
    ui.horizontal_wrapped(|ui| {
        for (index, entry) in entries.iter().enumerate() {
            let colour = if entry.hidden { entry.colour.gamma_multiply(0.3) } else { entry.colour };
            line_sample(ui, colour, entry.style);
            if !can_hide {
                ui.label(RichText::new(entry.name).small());
                continue;
            }
            let text = if entry.hidden { card::quiet(ui, entry.name).strikethrough() } else { RichText::new(entry.name) };
            if ui.selectable_label(false, text).on_hover_text("Show or hide").clicked() {
                clicked = Some(index);
            }
        }
    });
    clicked
}

/// A piece of a line, for a legend.
fn line_sample(ui: &mut Ui, colour: Color32, style: LineStyle) {
    let (rect, _) = ui.allocate_exact_size(vec2(24.0, 10.0), Sense::hover());
    let ends = [rect.left_center(), rect.right_center()];
    let stroke = Stroke::new(2.2, colour);
    ui.painter().extend(match style {
        LineStyle::Solid => vec![Shape::line(ends.to_vec(), stroke)],
        LineStyle::Dotted { spacing } => Shape::dotted_line(&ends, colour, spacing, 1.4),
        LineStyle::Dashed { length } => Shape::dashed_line(&ends, stroke, length, length * 0.6),
    });
}
