//! The window that lists keys and mouse, and lets keys be changed.

use eframe::egui::{self, Button, Key, Ui};

use super::{Action, KeyMap};

/// Whether it is shown, and which action waits for its new key.
#[derive(Default)]
pub(super) struct KeysWindow {
    shown: bool,
    rebinding: Option<Action>,
}

impl KeysWindow {
    /// Shows or hides it.
    pub(super) fn toggle(&mut self) {
        self.shown = !self.shown;
    }

    /// Draws it where it is shown, and lets its key show and hide it.
    pub(super) fn show(&mut self, ui: &mut Ui, keys: &mut KeyMap) {
        if self.rebinding.is_none() {
            keys.pressed(ui, &[Action::Help]).iter().for_each(|_| self.toggle());
        }
        if !self.shown {
            return;
        }
        if let Some(action) = self.rebinding
            && let Some(key) = ui.input(|input| input.events.iter().find_map(pressed_key))
        {
            if key != Key::Escape {
                keys.set(action, key);
            }
            self.rebinding = None;
        }
        let mut open = true;
        egui::Window::new("Keys and mouse").open(&mut open).resizable(false).collapsible(false).default_pos([260.0, 70.0]).show(
            ui.ctx(),
            |ui| {
                ui.columns_const(|[left, right]| {
                    self.key_table(left, keys);
                    mouse_table(right);
                });
            },
        );
        self.shown = open;
        if !open {
            self.rebinding = None;
        }
    }

    fn key_table(&mut self, ui: &mut Ui, keys: &mut KeyMap) {
        ui.strong("Keys (click one to change it)");
        egui::Grid::new("keys").num_columns(2).striped(true).show(ui, |ui| {
            for action in Action::ALL {
                ui.label(action.title());
                let waiting = self.rebinding == Some(action);
                let text = if waiting { "press a key".to_owned() } else { keys.hint(action).to_owned() };
                if ui.add(Button::new(text).min_size(egui::vec2(80.0, 0.0))).clicked() {
                    self.rebinding = (!waiting).then_some(action);
                }
                ui.end_row();
            }
        });
        if ui.button("Back to the defaults").clicked() {
            keys.reset();
        }
    }
}

fn pressed_key(event: &egui::Event) -> Option<Key> {
    match event {
        egui::Event::Key { key, pressed: true, .. } => Some(*key),
        _ => None,
    }
}

fn mouse_table(ui: &mut Ui) {
    ui.strong("Mouse on a slice");
    let rows = [
        ("Click, drag", "Place the crosshair"),
        ("Shift + move", "The crosshair follows the pointer"),
        ("Wheel", "Scroll slices"),
        ("Ctrl + wheel, right drag", "Zoom"),
        ("Middle drag, Shift + drag", "Pan"),
        ("Ctrl + drag", "Window (sideways), level (up, down)"),
        ("Ctrl + double click", "Window and level from the volume"),
        ("Double click", "Show the view alone, or all"),
        ("Arrows, Shift + arrows", "Crosshair by 1 or 5 voxels"),
    ];
    egui::Grid::new("mouse").num_columns(2).striped(true).show(ui, |ui| {
        for (gesture, meaning) in rows {
            ui.label(gesture);
            ui.label(meaning);
            ui.end_row();
        }
    });
}
