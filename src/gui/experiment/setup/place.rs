//! Where the experiment is computed and kept.

use eframe::egui::{Button, ComboBox, RichText, TextEdit, Ui};

use super::form::Form;
use crate::device::DeviceChoice;
use crate::gui::widgets::card::{self, form as grid, row};
use crate::worker::AvailableDevice;

/// Width of a field, in points.
const BOX: f32 = 214.0;

/// The devices of the machine; a choice, where one was made.
pub(in crate::gui::experiment) fn device_list(ui: &mut Ui, devices: &[AvailableDevice], device: &DeviceChoice) -> Option<DeviceChoice> {
    let mut chosen = None;
    let name = |known: &AvailableDevice| if known.software { format!("{}: software, slow", known.name) } else { known.name.clone() };
    let current = devices.iter().find(|known| known.choice == *device).map_or_else(|| device.to_string(), name);
    let list = ComboBox::from_id_salt("device").width(BOX).truncate().selected_text(current.as_str());
    let list = list.show_ui(ui, |ui| {
        for known in devices {
            let entry = ui.selectable_label(known.choice == *device, name(known));
            let entry = if known.software { entry.on_hover_text("The CPU imitates this GPU: slower than the CPU itself") } else { entry };
            if entry.clicked() {
                chosen = Some(known.choice.clone());
            }
        }
    });
    list.response.on_hover_text(current);
    chosen
}

/// Name and folder of the experiment; whether another folder is asked for.
pub(super) fn place(ui: &mut Ui, form: &mut Form) -> bool {
    let mut asked = false;
    grid(ui, "place", |ui| {
        row(ui, "Name", "Names the experiment and its folder: letters, digits, '-', '_' or '.'", |ui| {
            let mut name = form.config().name.clone();
            if ui.add(TextEdit::singleline(&mut name).desired_width(BOX).background_color(card::field_ground(ui))).changed() {
                form.set("name", &name);
            }
            if let Some(problem) = form.problem_of("name") {
                card::problem(ui, problem);
            }
        });
        row(ui, "Kept in", "The folder in which the experiment's own folder is made", |ui| {
            ui.horizontal(|ui| {
                if ui.add(Button::new("Change ...").small()).on_hover_text("Choose another folder").clicked() {
                    asked = true;
                }
                let parent = form.parent.display().to_string();
                card::one_line(ui, RichText::new(parent.as_str()).small()).on_hover_text(parent.as_str());
            });
        });
    });
    asked
}
