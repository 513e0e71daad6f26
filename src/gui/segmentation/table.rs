//! The label table: colour, name, visibility, volume, agreement with the truth, and the ways to a label's centre.

use eframe::egui::{
    Align, Button, CornerRadius, FontSelection, Layout, Rect, RichText, Role, ScrollArea, Sense, Stroke, TextStyle, TextWrapMode, Ui,
    UiBuilder, WidgetInfo, WidgetText, vec2,
};

use super::case::OpenCase;
use super::layer::{Kind, Layer, Reading};
use crate::gui::Palette;
use crate::gui::slice::{Difference, SliceSettings};

/// Height of a row in points.
const ROW: f32 = 24.0;
/// Width of the columns of numbers.
const NUMBER: f32 = 58.0;

/// Draws the table of the shown layer, and obeys its buttons.
pub(super) fn show(ui: &mut Ui, case: &mut OpenCase, shown: Option<usize>, settings: &SliceSettings) {
    let palette = Palette::of(ui);
    let Some(layer) = shown.and_then(|index| case.layers.get(index)) else {
        ui.weak("No labels. Drop a label map on the volume, or segment it with a checkpoint.");
        return;
    };
    match &layer.reading {
        Reading::Failed(cause) => {
            ui.colored_label(palette.bad(), format!("The labels of {} cannot be shown", layer.title));
            ui.add(eframe::egui::Label::new(cause).wrap());
            return;
        }
        Reading::Unread | Reading::Working(_, None) => {
            ui.weak(format!("Reading the labels of {} ...", layer.title));
            return;
        }
        Reading::Ready(_) | Reading::Working(_, Some(_)) => {}
    }
    let rows = rows(case, layer);
    if settings.difference && case.truth().is_some() && layer.kind != Kind::Truth {
        legend(ui);
    }
    head(ui, case, &rows);
    let mut asked = None;
    ScrollArea::vertical().auto_shrink([false, true]).show_rows(ui, ROW, rows.len(), |ui, range| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for row in &rows[range] {
            asked = draw(ui, row).or(asked.take());
        }
    });
    match asked {
        Some(Asked::Toggle(class, visible)) => case.colours.set_visible(class, visible),
        Some(Asked::Only(class)) => toggle_only(case, class),
        Some(Asked::Jump(centre)) => case.cursor.voxel = centre,
        None => {}
    }
}

/// A line of the table.
struct Row {
    class: u8,
    name: String,
    value: u32,
    colour: eframe::egui::Color32,
    visible: bool,
    /// Whether it is the only one that is.
    alone: bool,
    volume_ml: f64,
    voxels: u64,
    dice: Option<f64>,
    scored: bool,
    centre: Option<[usize; 3]>,
    /// Whether the crosshair is inside it.
    here: bool,
}

enum Asked {
    Toggle(u8, bool),
    Only(u8),
    Jump([usize; 3]),
}

fn rows(case: &OpenCase, layer: &Layer) -> Vec<Row> {
    let Some(labels) = layer.labels() else { return Vec::new() };
    let voxel_ml = case.ground.scan.volume.grid.spacing_mm().iter().product::<f64>() / 1000.0;
    let here = case.class_at(layer, case.cursor.voxel);
    let truth = case.truth_labels();
    let visible = (1..case.classes.len()).filter(|&class| case.colours.get(class as u8).visible).count();
    let row = |class: u8| {
        let counted = labels.census.get(usize::from(class)).copied().unwrap_or_default();
        let colour = case.colours.get(class);
        let missed = truth.and_then(|truth| truth.census.get(usize::from(class))).and_then(|census| census.centre);
        Row {
            class,
            name: case.classes.name(class).to_owned(),
            value: case.classes.value(class),
            colour: colour.colour,
            visible: colour.visible,
            alone: colour.visible && visible == 1,
            volume_ml: counted.voxels as f64 * voxel_ml,
            voxels: counted.voxels,
            dice: layer.agreement().and_then(|agreement| agreement.whole(class)),
            scored: layer.kind != Kind::Truth && truth.is_some(),
            centre: counted.centre.or(missed),
            here: here == Some(class),
        }
    };
    (1..=u8::MAX).take(case.classes.len().saturating_sub(1)).map(row).collect()
}

/// Crosshair to the centre of the next or previous label that the layer has, after the one under the crosshair.
pub(super) fn step(case: &mut OpenCase, shown: Option<usize>, forwards: bool) {
    let Some(layer) = shown.and_then(|index| case.layers.get(index)) else { return };
    let Some(labels) = layer.labels() else { return };
    let there: Vec<(u8, [usize; 3])> =
        (0..=u8::MAX).zip(labels.census.iter()).filter_map(|(class, census)| Some((class, census.centre?))).collect();
    // The label whose centre the crosshair is at, else the one it is in.
    let at = there.iter().position(|(_, centre)| *centre == case.cursor.voxel);
    let inside = case.class_at(layer, case.cursor.voxel);
    let at = at.or_else(|| there.iter().position(|(class, _)| Some(*class) == inside));
    let count = there.len();
    let next = match (at, forwards) {
        (None, _) if count == 0 => return,
        (Some(at), true) => (at + 1) % count,
        (Some(at), false) => (at + count - 1) % count,
        (None, true) => 0,
        (None, false) => count - 1,
    };
    case.cursor.voxel = there[next].1;
}

fn toggle_only(case: &mut OpenCase, class: u8) {
    let alone = (1..=u8::MAX).take(case.classes.len() - 1).all(|other| case.colours.get(other).visible == (other == class));
    if alone { case.colours.show_all() } else { case.colours.show_only(class) }
}

fn legend(ui: &mut Ui) {
    ui.horizontal(|ui| {
        for difference in Difference::ALL {
            let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
            ui.painter().rect_filled(rect, 2.0, difference.colour());
            ui.label(RichText::new(difference.title()).small());
        }
    });
}

fn head(ui: &mut Ui, case: &mut OpenCase, rows: &[Row]) {
    let scored = rows.first().is_some_and(|row| row.scored);
    ui.horizontal(|ui| {
        let all = rows.iter().all(|row| row.visible);
        let mut checked = all;
        let response = ui.checkbox(&mut checked, RichText::new("Labels").small()).on_hover_text("Show or hide all labels");
        if response.changed() {
            (1..=u8::MAX).for_each(|class| case.colours.set_visible(class, checked));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            ui.add_space(2.0 * 22.0);
            let mut column = |title: &str, hint: &str| {
                let label = eframe::egui::Label::new(RichText::new(title).small());
                ui.allocate_ui_with_layout(vec2(NUMBER, ui.available_height()), Layout::right_to_left(Align::Center), |ui| {
                    ui.add(label).on_hover_text(hint);
                });
            };
            if scored {
                column("Dice", "Overlap with the truth over the whole volume: 0 none, 1 perfect");
            }
            column("ml", "Volume of the label in millilitres");
        });
    });
}

/// Draws a row; what was asked by it.
fn draw(ui: &mut Ui, row: &Row) -> Option<Asked> {
    let mut asked = None;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    if row.here {
        ui.painter().rect_filled(rect, 3.0, ui.visuals().selection.bg_fill.gamma_multiply(0.4));
    }
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).layout(Layout::left_to_right(Align::Center)));
    let ui = &mut ui;
    ui.spacing_mut().item_spacing.x = 0.0;
    if swatch(ui, row) {
        asked = Some(Asked::Toggle(row.class, !row.visible));
    }
    ui.add_space(6.0);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let jump = ui.add_enabled(row.centre.is_some(), Button::new("+").frame(false).min_size(vec2(22.0, ROW)));
        jump.widget_info(|| WidgetInfo::labeled(Role::Button, row.centre.is_some(), format!("Go to {}", row.name)));
        if jump.on_hover_text("Crosshair to the label's centre").clicked() {
            asked = row.centre.map(Asked::Jump);
        }
        let only = ui.add(Button::selectable(row.alone, "1").frame(row.alone).min_size(vec2(22.0, ROW)));
        only.widget_info(|| WidgetInfo::selected(Role::Button, true, row.alone, format!("Only {}", row.name)));
        if only.on_hover_text("Show only this label; once more shows all").clicked() {
            asked = Some(Asked::Only(row.class));
        }
        let font = TextStyle::Monospace;
        let mut number = |text: String, hint: String| {
            ui.allocate_ui_with_layout(vec2(NUMBER, ROW), Layout::right_to_left(Align::Center), |ui| {
                ui.label(RichText::new(text).text_style(font.clone())).on_hover_text(hint);
            });
        };
        if row.scored {
            let text = row.dice.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.3}"));
            number(text, "Overlap with the truth over the whole volume".to_owned());
        }
        number(format!("{:.2}", row.volume_ml), format!("{:.3} ml, {} voxels", row.volume_ml, row.voxels));
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| name(ui, row));
    });
    asked
}

fn name(ui: &mut Ui, row: &Row) {
    let text = WidgetText::from(RichText::new(&row.name).color(if row.voxels == 0 {
        ui.visuals().weak_text_color()
    } else {
        ui.visuals().text_color()
    }));
    let galley = text.into_galley(ui, Some(TextWrapMode::Truncate), ui.available_width() - 4.0, FontSelection::Default);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &row.name));
    ui.painter().galley(rect.left_center() - vec2(0.0, galley.size().y / 2.0), galley, ui.visuals().text_color());
    response.on_hover_text(format!("{}, label value {}", row.name, row.value));
}

/// The colour, filled where the label is shown and hollow where it is hidden; whether it was clicked.
fn swatch(ui: &mut Ui, row: &Row) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(24.0, ROW), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, row.visible, format!("Show {}", row.name)));
    let square = Rect::from_center_size(rect.center(), vec2(14.0, 14.0));
    let corner = CornerRadius::same(3);
    if row.visible {
        ui.painter().rect_filled(square, corner, row.colour);
    }
    let stroke = if response.hovered() || response.has_focus() {
        Stroke::new(2.0, ui.visuals().strong_text_color())
    } else {
        Stroke::new(2.0, row.colour)
    };
    ui.painter().rect_stroke(square, corner, stroke, eframe::egui::StrokeKind::Inside);
    let clicked = response.clicked();
    response.on_hover_text(if row.visible { "Hide this label" } else { "Show this label" });
    clicked
}
