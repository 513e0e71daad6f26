//! The row of controls of the brush: what it paints, how, and what is done with the whole.

use eframe::egui::{Button, ComboBox, DragValue, Label, Response, RichText, Role, Ui, WidgetInfo};

use super::super::case::OpenCase;
use super::super::requests::Request;
use super::brush::{BrushSettings, WIDEST_MM};
use super::correction::Correction;
use super::editing::Editing;
use super::new_label::NewLabel;
use crate::edit::{BrushShape, MOST_STEPS, Over};
use crate::gui::widgets::slice::Plane;
use crate::gui::widgets::slice::PlaneGeometry;
use crate::gui::{Action, Convention, KeyMap, Palette};

/// Draws the row; what is asked for. `shown` is the layer that the panes show, `plane` that whose slices are filled before any was painted.
pub(in crate::gui::viewer) fn controls(
    ui: &mut Ui,
    editing: &mut Editing,
    case: &mut OpenCase,
    (shown, plane): (Option<&str>, Plane),
    keys: &KeyMap,
) -> Option<Request> {
    if editing.correction.is_none() {
        let text = match (editing.is_beginning(), editing.recovery.has_news()) {
            (true, _) => "Copying the labels ...",
            (false, true) => "Restore or discard the correction that was not saved; then the brush can paint.",
            (false, false) => "The brush waits for labels to correct.",
        };
        ui.weak(text);
        return None;
    }
    let before = editing.brush.class;
    if paints(ui, &mut editing.brush, case, keys) {
        editing.label = Some(NewLabel::after(&case.segments()));
    }
    if editing.brush.class != before {
        editing.brush.erases = false;
    }
    brush(ui, &mut editing.brush, case, keys);
    limits(ui, &mut editing.brush, case);
    ui.separator();
    let saving = editing.is_saving();
    let Some(correction) = &mut editing.correction else { return None };
    if correction.title != shown.unwrap_or_default() {
        let text = format!("{} is not shown: choose it above to paint", correction.title);
        ui.label(RichText::new(text).color(Palette::of(ui).caution()));
    }
    steps(ui, correction, case, (&editing.brush, plane));
    ui.separator();
    whole(ui, correction, saving)
}

/// Which label is painted, or that it is erased; true where a new one is asked for.
fn paints(ui: &mut Ui, brush: &mut BrushSettings, case: &OpenCase, keys: &KeyMap) -> bool {
    let mut new = false;
    let name = |class: u8| if class == 0 { "choose a label" } else { case.classes.name(class) };
    let chosen = name(brush.class).to_owned();
    let text = RichText::new(&chosen).color(if brush.class == 0 { Palette::of(ui).caution() } else { ui.visuals().text_color() });
    let combo = ComboBox::from_id_salt("painted label").width(110.0).truncate().selected_text(text).show_ui(ui, |ui| {
        for class in case.paintable() {
            ui.horizontal(|ui| {
                ui.label(RichText::new("\u{25a0}").color(case.colours.get(class).colour));
                ui.selectable_value(&mut brush.class, class, name(class));
            });
        }
        new = ui.button("New label...").clicked();
    });
    let hint =
        format!("Which label is painted ({} and {}: next, previous)", keys.hint(Action::NextLabel), keys.hint(Action::PreviousLabel));
    named(&combo.response.on_hover_text(hint), Role::ComboBox, &format!("Painted label {chosen}"));
    let hint = format!("The left button erases, as the right one always does ({})", keys.hint(Action::ToggleEraser));
    ui.toggle_value(&mut brush.erases, "Erase").on_hover_text(hint);
    new
}

/// Width, shape, depth.
fn brush(ui: &mut Ui, brush: &mut BrushSettings, case: &OpenCase, keys: &KeyMap) {
    let least = case.grid().spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let width = DragValue::new(&mut brush.width_mm).range(least..=WIDEST_MM.max(least)).speed(0.1).max_decimals(1).suffix(" mm");
    let sizes = [Action::BrushSmaller, Action::BrushLarger].map(|action| keys.hint(action)).join(" and ");
    let response = ui.add(width).on_hover_text(format!("Width of the brush (Shift + wheel, {sizes})"));
    named(&response, Role::SpinButton, "Width of the brush");
    let mut square = brush.shape == BrushShape::Square;
    ui.toggle_value(&mut square, "Square").on_hover_text("A square brush, or a round one");
    brush.shape = if square { BrushShape::Square } else { BrushShape::Round };
    let hint = format!("The brush reaches into the slices beside as far as it is wide ({})", keys.hint(Action::ToggleBrushDepth));
    ui.toggle_value(&mut brush.deep, "3D").on_hover_text(hint);
}

/// What may be painted over, and which intensities.
fn limits(ui: &mut Ui, brush: &mut BrushSettings, case: &OpenCase) {
    let text = |over: Over| match over {
        Over::All => "over all".to_owned(),
        Over::Background => "over background".to_owned(),
        Over::Label(class) => format!("over {}", case.classes.name(class)),
    };
    let chosen = text(brush.over);
    let combo = ComboBox::from_id_salt("painted over").width(120.0).truncate().selected_text(&chosen).show_ui(ui, |ui| {
        for over in [Over::All, Over::Background].into_iter().chain(case.paintable().into_iter().map(Over::Label)) {
            ui.selectable_value(&mut brush.over, over, text(over));
        }
    });
    let hint = "What may be painted over. Over background, the eraser takes the painted label alone; else it takes the same that may be painted over";
    named(&combo.response.on_hover_text(hint), Role::ComboBox, &format!("Painted {chosen}"));
    let window = case.window();
    if ui.toggle_value(&mut brush.ranged, "Intensities").on_hover_text("Only voxels whose intensity lies between two").clicked()
        && brush.range == [0.0; 2]
    {
        brush.range = [window.low, window.high];
    }
    if brush.ranged {
        let speed = f64::from((window.width() * 0.005).max(1e-4));
        for (value, name) in brush.range.iter_mut().zip(["Lowest intensity", "Highest intensity"]) {
            let response = ui.add(DragValue::new(value).speed(speed).max_decimals(3)).on_hover_text(format!("{name} that is painted"));
            named(&response, Role::SpinButton, name);
        }
        if brush.range[0] > brush.range[1] {
            ui.label(RichText::new("no intensity lies between").color(Palette::of(ui).caution()));
        }
    }
}

/// Filling, and the way back and forth.
fn steps(ui: &mut Ui, correction: &mut Correction, case: &mut OpenCase, (brush, plane): (&BrushSettings, Plane)) {
    let axis = correction.axis.unwrap_or_else(|| PlaneGeometry::new(case.grid(), plane, Convention::default()).through);
    let of_axis = |plane: &Plane| PlaneGeometry::new(case.grid(), *plane, Convention::default()).through == axis;
    let slices = Plane::ALL.into_iter().find(of_axis).map_or("painted", Plane::title).to_lowercase();
    let free = correction.filling.is_none() && brush.class != 0;
    let fill = ui.add_enabled(free, Button::new(if correction.filling.is_some() { "Filling ..." } else { "Fill between slices" }));
    let hint = format!("Fills the label in the {slices} slices between those in which it is, by their shapes");
    if fill.on_hover_text(hint).clicked() {
        correction.fill(ui.ctx(), brush.class, axis);
    }
    let (back, forth) = correction.edit.depth();
    let undo = ui.add_enabled(back > 0, Button::new("Undo")).on_hover_text(format!("{back} of at most {MOST_STEPS} steps (Ctrl + Z)"));
    if undo.clicked() {
        correction.undo(case);
    }
    let redo = ui.add_enabled(forth > 0, Button::new("Redo")).on_hover_text(format!("{forth} steps (Ctrl + Y, Ctrl + Shift + Z)"));
    if redo.clicked() {
        correction.redo(case);
    }
}

/// Saving, and taking it off.
fn whole(ui: &mut Ui, correction: &Correction, saving: bool) -> Option<Request> {
    let unsaved = correction.is_unsaved();
    if saving {
        ui.weak("saving ...");
    } else if unsaved {
        ui.add(Label::new(RichText::new("not saved").color(Palette::of(ui).caution())));
    }
    let hint = format!("A new file beside {}, which stays as it is", correction.origin.title);
    let save = ui.add_enabled(unsaved && !saving, Button::new("Save correction")).on_hover_text(hint).clicked();
    let ask = ui.add_enabled(!saving, Button::new("Save as...")).on_hover_text("In a file of another name or format").clicked();
    let off = ui.add_enabled(!saving, Button::new("Take off")).on_hover_text("Take the corrected labels off the volume").clicked();
    let save = save.then_some(Request::SaveCorrection { ask: false }).or(ask.then_some(Request::SaveCorrection { ask: true }));
    save.or(off.then_some(Request::DiscardCorrection))
}

/// Names a control for a screen reader.
fn named(response: &Response, role: Role, name: &str) {
    response.widget_info(|| WidgetInfo::labeled(role, true, name));
}
