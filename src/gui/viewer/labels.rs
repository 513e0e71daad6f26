//! The label table: colour, name, visibility, volume, agreement with the truth, and the ways to a label's centre.

use eframe::egui::color_picker::{Alpha, color_picker_color32};
use eframe::egui::containers::menu::MenuButton;
use eframe::egui::{
    Button, Color32, Popup, PopupCloseBehavior, RichText, Role, Sense, Stroke, StrokeKind, TextWrapMode, Ui, WidgetInfo, vec2,
};

use super::case::OpenCase;
use super::layer::{Kind, Layer};
use super::requests::Request;
use super::views::Views;
use crate::gui::Settings;
use crate::gui::widgets::card::problem;
use crate::gui::widgets::slice::Difference;
use crate::gui::widgets::{Cell, Column, Table, Width};

/// Height of a row in points.
const ROW: f32 = 24.0;

/// Draws the table of the shown layer, and obeys its buttons; what is asked of the panel.
pub(super) fn show(ui: &mut Ui, case: &mut OpenCase, views: &Views, settings: &mut Settings) -> Option<Request> {
    let Some(layer) = views.shown_layer(case) else {
        ui.weak("No labels. Drop a label map on the volume, or segment it with a checkpoint.");
        return None;
    };
    if let Some(cause) = &layer.fault {
        problem(ui, &format!("The labels of {} cannot be shown: {cause}", layer.title));
        return None;
    }
    if layer.labels().is_none() {
        ui.weak(format!("Reading the labels of {} ...", layer.title));
        return None;
    }
    let scored = layer.kind != Kind::Truth && case.truth_labels().is_some();
    let rows = rows(case, layer, settings);
    let mut request = None;
    ui.horizontal(|ui| {
        let mut checked = rows.iter().all(|row| row.visible);
        let all = ui.checkbox(&mut checked, RichText::new("All labels").small()).on_hover_text("Show or hide all labels");
        if all.changed() {
            (1..=u8::MAX).for_each(|class| case.colours.set_visible(class, checked));
        }
        request = volumes_menu(ui);
        if settings.slices.difference && scored {
            legend(ui);
        }
    });
    match table(ui, &rows, scored) {
        Some(Asked::Toggle(class, visible)) => case.colours.set_visible(class, visible),
        Some(Asked::Recolour(value, Some(colour))) => {
            let [r, g, b, _] = colour.to_array();
            settings.label_colours.insert(value, [r, g, b]);
        }
        Some(Asked::Recolour(value, None)) => drop(settings.label_colours.remove(&value)),
        Some(Asked::Only(class, false)) => case.colours.show_only(class),
        Some(Asked::Only(_, true)) => case.colours.show_all(),
        Some(Asked::Jump(centre)) => case.cursor.voxel = centre,
        None => {}
    }
    request
}

/// A small menu that takes the table out of the window.
fn volumes_menu(ui: &mut Ui) -> Option<Request> {
    let mut request = None;
    let (response, _) = MenuButton::from_button(Button::new("...").small().frame(false)).ui(ui, |ui| {
        for (title, hint, asked) in [
            ("Copy volumes", "Volume, mean and deviation of every label, to paste into a spreadsheet", Request::CopyLabels),
            ("Save volumes as CSV ...", "Volume, mean and deviation of every label, in a file", Request::SaveLabels),
        ] {
            if ui.button(title).on_hover_text(hint).clicked() {
                request = Some(asked);
            }
        }
    });
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Volumes of the labels"));
    response.on_hover_text("Copy or save the volumes of all labels");
    request
}

/// A line of the table.
struct Row {
    class: u8,
    name: String,
    value: u32,
    colour: Color32,
    /// Whether the user chose the colour.
    chosen: bool,
    visible: bool,
    /// Whether it is the only one that is.
    alone: bool,
    volume_ml: f64,
    voxels: u64,
    dice: Option<f64>,
    centre: Option<[usize; 3]>,
    /// Whether the crosshair is inside it.
    here: bool,
}

#[derive(Clone, Copy)]
enum Asked {
    Toggle(u8, bool),
    /// This label alone, or all where it is alone.
    Only(u8, bool),
    /// A colour for a label value; none: back to the usual one.
    Recolour(u32, Option<Color32>),
    Jump([usize; 3]),
}

fn rows(case: &OpenCase, layer: &Layer, settings: &Settings) -> Vec<Row> {
    let Some(labels) = layer.labels() else { return Vec::new() };
    let voxel_ml = case.grid().voxel_mm3() / 1000.0;
    let here = case.class_at(layer, case.cursor.voxel);
    let truth = case.truth_labels();
    let visible = (1..case.classes.len()).filter(|&class| case.colours.get(class as u8).visible).count();
    let row = |class: u8| {
        let counted = labels.statistics.get(usize::from(class)).copied().unwrap_or_default();
        let colour = case.colours.get(class);
        let missed = truth.and_then(|truth| truth.statistics.get(usize::from(class))).and_then(|statistics| statistics.centre);
        let value = case.classes.value(class);
        let shown = (counted.voxels, counted.voxels as f64 * voxel_ml);
        let (voxels, volume_ml) = labels.own.as_ref().map_or(shown, |own| own.volume(value));
        Row {
            class,
            name: case.classes.name(class).to_owned(),
            value,
            colour: colour.colour,
            chosen: settings.label_colours.contains_key(&value),
            visible: colour.visible,
            alone: colour.visible && visible == 1,
            volume_ml,
            voxels,
            dice: layer.agreement().and_then(|agreement| agreement.whole(class)),
            centre: counted.centre.or(missed),
            here: here == Some(class),
        }
    };
    case.classes.in_order().into_iter().map(row).collect()
}

/// Crosshair to the centre of the next or previous label that the layer has, after the one under the crosshair.
pub(super) fn step(case: &mut OpenCase, views: &Views, forwards: bool) {
    let Some(layer) = views.shown_layer(case) else { return };
    let Some(labels) = layer.labels() else { return };
    let centre = |class: u8| labels.statistics.get(usize::from(class)).and_then(|statistics| statistics.centre);
    let there: Vec<(u8, [usize; 3])> = case.classes.in_order().into_iter().filter_map(|class| Some((class, centre(class)?))).collect();
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

fn legend(ui: &mut Ui) {
    for difference in Difference::ALL {
        let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
        ui.painter().rect_filled(rect, 2.0, difference.colour());
        ui.label(RichText::new(difference.title()).small());
    }
}

/// Draws the rows; what was asked by one.
fn table(ui: &mut Ui, rows: &[Row], scored: bool) -> Option<Asked> {
    let mut columns = vec![
        Column::new("", "Colour of the label: a click shows or hides it, the right button changes the colour", Width::Exact(16.0)),
        Column::new("Label", "Name of the label; the row in which the crosshair lies is marked", Width::Rest(40.0)),
        Column::numbers("ml", "Volume of the label in millilitres", Width::Exact(42.0)),
        Column::new("", "Shows only this label, and moves the crosshair to its centre", Width::Exact(76.0)),
    ];
    if scored {
        columns.insert(3, Column::numbers("Dice", "Overlap with the truth over the whole volume: 0 none, 1 perfect", Width::Exact(42.0)));
    }
    let asked = std::cell::Cell::new(None);
    let cell = |row: usize, column: usize| {
        let (row, asked) = (&rows[row], &asked);
        let absent = if row.voxels == 0 { ", not in this volume" } else { "" };
        let weak = row.voxels == 0;
        match column {
            0 => Cell { draw: Some(Box::new(move |ui| swatch(ui, row, asked))), ..Cell::default() },
            1 => Cell { hover: format!("{}, label number {}{absent}", row.name, row.value).into(), weak, ..Cell::from(row.name.clone()) },
            2 => {
                let hover = format!("Volume of {}: {:.3} ml, {} voxels", row.name, row.volume_ml, row.voxels).into();
                Cell { hover, weak, ..Cell::from(format!("{:.2}", row.volume_ml)) }
            }
            3 if scored => Cell { weak, ..Cell::from(row.dice.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.3}"))) },
            _ => Cell { draw: Some(Box::new(move |ui| buttons(ui, row, asked))), ..Cell::default() },
        }
    };
    ui.spacing_mut().item_spacing = vec2(4.0, 0.0);
    let marked = rows.iter().position(|row| row.here);
    let clicked = Table::new("Labels", columns).scrolling().row_height(ROW).marked(marked).show(ui, rows.len(), cell);
    asked.get().or_else(|| clicked.and_then(|row| rows[row].centre).map(Asked::Jump))
}

fn buttons(ui: &mut Ui, row: &Row, asked: &std::cell::Cell<Option<Asked>>) {
    ui.spacing_mut().button_padding.x = 4.0;
    let button = |text: &str| Button::new(RichText::new(text).small()).small().wrap_mode(TextWrapMode::Extend);
    let only = ui.add(button("only").selected(row.alone));
    only.widget_info(|| WidgetInfo::selected(Role::Button, true, row.alone, format!("Only {}", row.name)));
    if only.on_hover_text("Show only this label; once more shows all").clicked() {
        asked.set(Some(Asked::Only(row.class, row.alone)));
    }
    let there = row.centre.is_some();
    let jump = ui.add_enabled(there, button("go to"));
    jump.widget_info(|| WidgetInfo::labeled(Role::Button, there, format!("Go to {}", row.name)));
    if jump.on_hover_text("Crosshair to the label's centre").clicked() {
        asked.set(row.centre.map(Asked::Jump));
    }
}

/// The colour, filled where the label is shown and hollow where it is hidden. A click shows or hides, the other button recolours.
fn swatch(ui: &mut Ui, row: &Row, asked: &std::cell::Cell<Option<Asked>>) {
    let (square, response) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, row.visible, format!("Show {}", row.name)));
    if row.visible {
        ui.painter().rect_filled(square, 3.0, row.colour);
    }
    let pointed = response.hovered() || response.has_focus();
    let stroke = Stroke::new(2.0, if pointed { ui.visuals().strong_text_color() } else { row.colour });
    ui.painter().rect_stroke(square, 3.0, stroke, StrokeKind::Inside);
    if response.clicked() {
        asked.set(Some(Asked::Toggle(row.class, !row.visible)));
    }
    let hint = if row.visible { "Hide this label" } else { "Show this label" };
    let response = response.on_hover_text(format!("{hint}. Right click changes its colour"));
    Popup::context_menu(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
        ui.label(&row.name);
        let mut colour = row.colour;
        if color_picker_color32(ui, &mut colour, Alpha::Opaque) {
            asked.set(Some(Asked::Recolour(row.value, Some(colour))));
        }
        let usual = ui.add_enabled(row.chosen, Button::new("Back to its usual colour"));
        if usual.on_hover_text("That of a label table beside the data, else that of its number").clicked() {
            asked.set(Some(Asked::Recolour(row.value, None)));
        }
    });
}
