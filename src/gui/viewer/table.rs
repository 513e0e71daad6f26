//! The label table: colour, name, visibility, volume, agreement with the truth, and the ways to a label's centre.

use eframe::egui::color_picker::{Alpha, color_picker_color32};
use eframe::egui::{
    Align, Align2, Button, Color32, CornerRadius, FontSelection, Layout, Popup, PopupCloseBehavior, Rect, RichText, Role, ScrollArea,
    Sense, Stroke, StrokeKind, TextStyle, TextWrapMode, Ui, UiBuilder, WidgetInfo, WidgetText, vec2,
};

use super::case::OpenCase;
use super::layer::{Kind, Layer, Reading};
use crate::gui::slice::Difference;
use crate::gui::{Palette, Settings};

/// Height of a row in points.
const ROW: f32 = 24.0;
/// Width of the columns of numbers.
const NUMBER: f32 = 50.0;
/// Width of a button.
const BUTTON: f32 = 42.0;

/// Draws the table of the shown layer, and obeys its buttons.
pub(super) fn show(ui: &mut Ui, case: &mut OpenCase, shown: Option<usize>, settings: &mut Settings) {
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
    let rows = rows(case, layer, settings);
    if settings.slices.difference && case.truth().is_some() && layer.kind != Kind::Truth {
        legend(ui);
    }
    head(ui, case, &rows);
    let mut asked = None;
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().auto_shrink([false, true]).show_rows(ui, ROW, rows.len(), |ui, range| {
        for row in &rows[range] {
            asked = draw(ui, row).or(asked.take());
        }
    });
    match asked {
        Some(Asked::Toggle(class, visible)) => case.colours.set_visible(class, visible),
        Some(Asked::Recolour(value, Some(colour))) => {
            let [r, g, b, _] = colour.to_array();
            settings.label_colours.insert(value, [r, g, b]);
        }
        Some(Asked::Recolour(value, None)) => drop(settings.label_colours.remove(&value)),
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
    colour: Color32,
    /// Whether the user chose the colour.
    chosen: bool,
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
    /// A colour for a label value; none: back to the usual one.
    Recolour(u32, Option<Color32>),
    Jump([usize; 3]),
}

fn rows(case: &OpenCase, layer: &Layer, settings: &Settings) -> Vec<Row> {
    let Some(labels) = layer.labels() else { return Vec::new() };
    let voxel_ml = case.ground.scan.volume.grid.spacing_mm().iter().product::<f64>() / 1000.0;
    let here = case.class_at(layer, case.cursor.voxel);
    let truth = case.truth_labels();
    let visible = (1..case.classes.len()).filter(|&class| case.colours.get(class as u8).visible).count();
    let row = |class: u8| {
        let counted = labels.label_statistics.get(usize::from(class)).copied().unwrap_or_default();
        let colour = case.colours.get(class);
        let missed =
            truth.and_then(|truth| truth.label_statistics.get(usize::from(class))).and_then(|label_statistics| label_statistics.centre);
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
            scored: layer.kind != Kind::Truth && truth.is_some(),
            centre: counted.centre.or(missed),
            here: here == Some(class),
        }
    };
    case.classes.in_order().into_iter().map(row).collect()
}

/// Crosshair to the centre of the next or previous label that the layer has, after the one under the crosshair.
pub(super) fn step(case: &mut OpenCase, shown: Option<usize>, forwards: bool) {
    let Some(layer) = shown.and_then(|index| case.layers.get(index)) else { return };
    let Some(labels) = layer.labels() else { return };
    let centre = |class: u8| labels.label_statistics.get(usize::from(class)).and_then(|label_statistics| label_statistics.centre);
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
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let mut left = ui.new_child(UiBuilder::new().id_salt("head").max_rect(rect).layout(Layout::left_to_right(Align::Center)));
    let mut checked = rows.iter().all(|row| row.visible);
    let response = left.checkbox(&mut checked, RichText::new("All labels").small()).on_hover_text("Show or hide all labels");
    if response.changed() {
        (1..=u8::MAX).for_each(|class| case.colours.set_visible(class, checked));
    }
    let columns = Columns::of(rect, scored);
    let font = TextStyle::Small.resolve(ui.style());
    let title = |cell: Option<Rect>, title: &str, hint: &str| {
        let Some(cell) = cell else { return };
        ui.painter().text(cell.right_center(), Align2::RIGHT_CENTER, title, font.clone(), ui.visuals().text_color());
        ui.interact(cell, ui.scope_id().with(title), Sense::hover()).on_hover_text(hint);
    };
    title(Some(columns.volume), "ml", "Volume of the label in millilitres");
    title(columns.dice, "Dice", "Overlap with the truth over the whole volume: 0 none, 1 perfect");
}

/// Where the columns of a row lie.
struct Columns {
    swatch: Rect,
    name: Rect,
    volume: Rect,
    dice: Option<Rect>,
    only: Rect,
    centre: Rect,
}

impl Columns {
    fn of(row: Rect, scored: bool) -> Self {
        let mut right = row.right();
        let mut take = |width: f32| {
            right -= width;
            Rect::from_x_y_ranges(right..=right + width, row.y_range())
        };
        let (centre, only) = (take(BUTTON), take(BUTTON));
        take(6.0);
        let dice = scored.then(|| take(NUMBER));
        let volume = take(NUMBER);
        let swatch = Rect::from_x_y_ranges(row.left()..=row.left() + 24.0, row.y_range());
        let name = Rect::from_x_y_ranges(swatch.right() + 4.0..=volume.left().max(swatch.right() + 4.0), row.y_range());
        Self { swatch, name, volume, dice, only, centre }
    }
}

/// Draws a row; what was asked by it.
fn draw(ui: &mut Ui, row: &Row) -> Option<Asked> {
    let mut asked = None;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    if row.here {
        ui.painter().rect_filled(rect, 3.0, ui.visuals().selection.bg_fill.gamma_multiply(0.4));
    }
    let columns = Columns::of(rect, row.scored);
    asked = swatch(ui, row, columns.swatch).or(asked);
    name(ui, row, columns.name);
    let volume = (format!("{:.2}", row.volume_ml), format!("{:.3} ml, {} voxels", row.volume_ml, row.voxels));
    number(ui, (row, columns.volume), volume, "volume");
    if let Some(cell) = columns.dice {
        let text = row.dice.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.3}"));
        number(ui, (row, cell), (text, "Overlap with the truth over the whole volume".to_owned()), "Dice");
    }
    ui.spacing_mut().button_padding.x = 4.0;
    let button = |text: &str| Button::new(RichText::new(text).small()).small().wrap_mode(TextWrapMode::Extend);
    let only = ui.put(columns.only.shrink2(vec2(2.0, 3.0)), button("only").selected(row.alone));
    only.widget_info(|| WidgetInfo::selected(Role::Button, true, row.alone, format!("Only {}", row.name)));
    if only.on_hover_text("Show only this label; once more shows all").clicked() {
        asked = Some(Asked::Only(row.class));
    }
    let there = row.centre.is_some();
    let jump = ui.add_enabled_ui(there, |ui| ui.put(columns.centre.shrink2(vec2(2.0, 3.0)), button("go to"))).inner;
    jump.widget_info(|| WidgetInfo::labeled(Role::Button, there, format!("Go to {}", row.name)));
    if jump.on_hover_text("Crosshair to the label's centre").clicked() {
        asked = row.centre.map(Asked::Jump);
    }
    asked
}

fn number(ui: &Ui, (row, cell): (&Row, Rect), (text, hint): (String, String), what: &str) {
    let font = TextStyle::Monospace.resolve(ui.style());
    let colour = if row.voxels == 0 { ui.visuals().weak_text_color() } else { ui.visuals().text_color() };
    ui.painter().text(cell.right_center(), Align2::RIGHT_CENTER, &text, font, colour);
    let response = ui.interact(cell, ui.scope_id().with((what, row.class)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{what} of {}: {text}", row.name)));
    response.on_hover_text(hint);
}

fn name(ui: &Ui, row: &Row, cell: Rect) {
    let colour = if row.voxels == 0 { ui.visuals().weak_text_color() } else { ui.visuals().text_color() };
    let text = WidgetText::from(RichText::new(&row.name).color(colour));
    let galley = text.into_galley(ui, Some(TextWrapMode::Truncate), cell.width(), FontSelection::Default);
    ui.painter().galley(cell.left_center() - vec2(0.0, galley.size().y / 2.0), galley, colour);
    let response = ui.interact(cell, ui.scope_id().with(("name", row.class)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &row.name));
    let absent = if row.voxels == 0 { ", not in this volume" } else { "" };
    response.on_hover_text(format!("{}, label number {}{absent}", row.name, row.value));
}

/// The colour, filled where the label is shown and hollow where it is hidden. A click shows or hides, the other button recolours.
fn swatch(ui: &Ui, row: &Row, cell: Rect) -> Option<Asked> {
    let response = ui.interact(cell, ui.scope_id().with(("swatch", row.class)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, row.visible, format!("Show {}", row.name)));
    let square = Rect::from_center_size(cell.center(), vec2(14.0, 14.0));
    let corner = CornerRadius::same(3);
    if row.visible {
        ui.painter().rect_filled(square, corner, row.colour);
    }
    let pointed = response.hovered() || response.has_focus();
    let stroke = Stroke::new(2.0, if pointed { ui.visuals().strong_text_color() } else { row.colour });
    ui.painter().rect_stroke(square, corner, stroke, StrokeKind::Inside);
    let mut asked = response.clicked().then_some(Asked::Toggle(row.class, !row.visible));
    let hint = if row.visible { "Hide this label" } else { "Show this label" };
    let response = response.on_hover_text(format!("{hint}. Right click changes its colour"));
    let stays = PopupCloseBehavior::CloseOnClickOutside;
    Popup::context_menu(&response).close_behavior(stays).show(|ui| {
        ui.label(&row.name);
        let mut colour = row.colour;
        if color_picker_color32(ui, &mut colour, Alpha::Opaque) {
            asked = Some(Asked::Recolour(row.value, Some(colour)));
        }
        let usual = ui.add_enabled(row.chosen, Button::new("Back to its usual colour"));
        if usual.on_hover_text("That of a label table beside the data, else that of its number").clicked() {
            asked = Some(Asked::Recolour(row.value, None));
        }
    });
    asked
}
