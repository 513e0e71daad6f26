//! How panels lay out text and controls: cards, titles, notes, forms, bars, notices.

use std::borrow::Cow;

use eframe::egui::{self, Align, Button, Frame, Grid, Label, Layout, Margin, Rect, RichText, Role, ScrollArea, Ui, WidgetInfo, vec2};

use crate::gui::Palette;
use crate::protocol::Severity;

/// Opacity of quiet text: its contrast stays above 4.5 in both lights.
const QUIET: f32 = 0.78;

/// Content on a quiet background with a thin border, as wide as there is room.
pub(in crate::gui) fn card<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let visuals = ui.visuals();
    let frame = Frame::new()
        .fill(visuals.window_fill)
        .stroke(visuals.widgets.noninteractive.bg_stroke)
        .corner_radius(8)
        .inner_margin(Margin::symmetric(12, 10));
    frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            // Columns stretch their text to both edges, which tears settings apart.
            ui.vertical(contents).inner
        })
        .inner
}

/// A card whose border and headline carry a colour: something that must be seen.
pub(in crate::gui) fn loud_card<R>(ui: &mut Ui, colour: egui::Color32, headline: &str, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let fill = ui.visuals().window_fill;
    let frame = Frame::new().fill(fill).stroke((1.5, colour)).corner_radius(8).inner_margin(Margin::symmetric(14, 12));
    frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(headline).heading().color(colour));
            contents(ui)
        })
        .inner
}

/// A card's title.
pub(in crate::gui) fn title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).strong().size(15.0));
}

/// A row with something at its begin and at its end.
pub(in crate::gui) fn sides<R>(ui: &mut Ui, left: impl FnOnce(&mut Ui), right: impl FnOnce(&mut Ui) -> R) -> R {
    ui.horizontal(|ui| {
        left(ui);
        ui.with_layout(Layout::right_to_left(Align::Center), right).inner
    })
    .inner
}

/// A small button that closes something; `name` is what screen readers say. True where it was clicked.
pub(in crate::gui) fn close_button(ui: &mut Ui, name: &str, hover: &str) -> bool {
    let close = ui.add(Button::new(RichText::new("x").small()).frame(false));
    close.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    close.on_hover_text(hover).clicked()
}

/// Cards below one another, which scroll: the bar floats beside them, not over their edges.
pub(in crate::gui) fn column<R>(ui: &mut Ui, id: &str, cards: impl FnOnce(&mut Ui) -> R) -> R {
    let area = ScrollArea::vertical().id_salt(id).auto_shrink([false, false]);
    area.show(ui, |ui| {
        ui.set_max_width(ui.available_width() - ui.spacing().scroll.bar_width);
        cards(ui)
    })
    .inner
}

/// A title of a table or plot; what it means shows on hover.
pub(in crate::gui) fn heading(ui: &mut Ui, text: &str, meaning: &str) {
    ui.add(Label::new(RichText::new(text).strong()).truncate()).on_hover_text(meaning);
}

/// A line that says what went wrong or is worth knowing, in the colour of its severity. True where it was dismissed.
pub(in crate::gui) fn notice(ui: &mut Ui, severity: Severity, text: &str) -> bool {
    let palette = Palette::of(ui);
    let colour = if severity == Severity::Warning { palette.bad() } else { palette.reference() };
    ui.horizontal_wrapped(|ui| {
        let dismissed = ui.small_button("Dismiss").clicked();
        ui.label(RichText::new(text).color(colour));
        dismissed
    })
    .inner
}

/// Text beside what matters: quieter, and still read without effort.
pub(in crate::gui) fn quiet(ui: &Ui, text: impl Into<String>) -> RichText {
    RichText::new(text).color(ui.visuals().text_color().gamma_multiply(QUIET))
}

/// Small, quiet text that wraps.
pub(in crate::gui) fn note(ui: &mut Ui, text: impl Into<String>) {
    let text = quiet(ui, text).small();
    ui.add(Label::new(text).wrap());
}

/// What is wrong with a setting, beneath its control.
pub(in crate::gui) fn problem(ui: &mut Ui, text: &str) {
    let colour = Palette::of(ui).bad();
    ui.add(Label::new(RichText::new(format!("! {text}")).small().color(colour)).wrap());
}

/// One line that is cut where the room ends; the whole text shows under the pointer.
pub(in crate::gui) fn one_line(ui: &mut Ui, text: impl Into<egui::WidgetText>) -> egui::Response {
    ui.add(Label::new(text).truncate())
}

/// As much of a name as there is room for, its end rather than its beginning: names of cases, patients and files differ in their ends.
pub(in crate::gui) fn end_of_name<'a>(ui: &Ui, name: &'a str) -> Cow<'a, str> {
    let font = egui::TextStyle::Body.resolve(ui.style());
    let fits = |text: &str| {
        ui.painter().layout_no_wrap(text.to_owned(), font.clone(), egui::Color32::PLACEHOLDER).size().x <= ui.available_width()
    };
    if fits(name) {
        return Cow::Borrowed(name);
    }
    let mut ends = name.char_indices().skip(1).map(|(at, _)| format!("…{}", &name[at..]));
    Cow::Owned(ends.find(|end| fits(end)).unwrap_or_else(|| "…".to_owned()))
}

/// A thin bar, `share` of it filled. Screen readers are told its name and share.
pub(in crate::gui) fn bar(ui: &mut Ui, size: egui::Vec2, share: f32, colour: egui::Color32, name: &str) {
    let share = share.clamp(0.0, 1.0);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
        info.value = Some(f64::from(share * 100.0).round());
        info
    });
    let radius = size.y / 2.0;
    ui.painter().rect_filled(rect, radius, ui.visuals().widgets.inactive.weak_bg_fill);
    if share > 0.0 {
        let filled = Rect::from_min_size(rect.min, vec2((share * size.x).max(size.y), size.y));
        ui.painter().rect_filled(filled, radius, colour);
    }
}

/// The background of a text field on a card.
pub(in crate::gui) fn field_ground(ui: &Ui) -> egui::Color32 {
    let visuals = ui.visuals();
    if visuals.dark_mode { visuals.extreme_bg_color } else { visuals.faint_bg_color }
}

/// Width of the names in a form.
const NAMES: f32 = 104.0;

/// A form: names to the left, controls to the right.
pub(in crate::gui) fn form(ui: &mut Ui, id: &str, rows: impl FnOnce(&mut Ui)) {
    Grid::new(id).striped(false).num_columns(2).min_col_width(NAMES).spacing([10.0, 7.0]).show(ui, rows);
}

/// A row of a form. The name is the control's for screen readers as well.
pub(in crate::gui) fn row(ui: &mut Ui, name: &str, hint: &str, control: impl FnOnce(&mut Ui)) {
    let label = ui.label(name).on_hover_text(hint);
    ui.vertical(|ui| ui.label_inputs_by(label.id, control));
    ui.end_row();
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;

    use super::*;

    #[test]
    fn a_name_that_is_too_long_keeps_its_end() {
        let _window = Harness::builder().with_context_setup(crate::gui::theme::install).build_ui(|ui| {
            ui.set_max_width(60.0);
            let end = end_of_name(ui, "hippocampus_015");
            assert!(end.starts_with('…') && end.ends_with("_015") && end.len() < 15, "{end}");
            assert_eq!(end_of_name(ui, "a_15"), "a_15");
            ui.set_max_width(300.0);
            assert_eq!(end_of_name(ui, "hippocampus_015"), "hippocampus_015");
        });
    }
}
