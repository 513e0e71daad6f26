//! The window that lists keys and mouse, and lets keys be changed.

use eframe::egui::{self, Button, Grid, Key, Modifiers, RichText, Ui};

use super::{Action, KeyMap, Palette};

/// What the mouse does on a slice.
const MOUSE: [(&str, &str); 10] = [
    ("Click, drag", "Place the crosshair"),
    ("Drag with Ruler, Circle", "Measure, or change a measurement"),
    ("Shift + move", "The crosshair follows the pointer"),
    ("Wheel", "Scroll slices"),
    ("Ctrl + wheel, right drag", "Zoom"),
    ("Middle drag, Shift + drag", "Pan"),
    ("Ctrl + drag", "Window (sideways), level (up, down)"),
    ("Ctrl + double click", "Window and level from the volume"),
    ("Double click", "Show the view alone, or all"),
    ("Arrows, Shift + arrows", "Crosshair by 1 or 5 voxels"),
];

/// What mouse and fixed keys do on a slice while labels are corrected.
const BRUSH: [(&str, &str); 6] = [
    ("Left drag", "Paint; erase where the eraser is chosen"),
    ("Right drag", "Erase"),
    ("Shift + wheel", "Size of the brush"),
    (". and ,", "Label to paint: next, previous"),
    ("Ctrl + Z", "Undo"),
    ("Ctrl + Y, Ctrl + Shift + Z", "Redo"),
];

/// Between two rows, in points: all of them fit into the window as it is first opened.
const GAP: f32 = 3.0;

/// Whether it is shown, and which action waits for its new key.
#[derive(Default)]
pub(super) struct KeysWindow {
    shown: bool,
    rebinding: Option<Action>,
    /// Which action had the key that another one was given.
    taken: Option<String>,
}

impl KeysWindow {
    /// Shows or hides it.
    pub(super) fn toggle(&mut self) {
        *self = Self { shown: !self.shown, ..Self::default() };
    }

    /// Draws it where it is shown; its key shows and hides it, Escape closes it.
    pub(super) fn show(&mut self, ui: &mut Ui, keys: &mut KeyMap) {
        match self.rebinding {
            None => {
                keys.pressed(ui, &[Action::Help]).iter().for_each(|_| self.toggle());
                if self.shown && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
                    self.toggle();
                }
            }
            Some(action) => {
                if let Some(key) = ui.input(|input| input.events.iter().find_map(pressed_key)) {
                    self.rebind(action, key, keys);
                }
            }
        }
        let mut open = self.shown;
        let window = egui::Window::new("Keys and mouse").open(&mut open).resizable(false).collapsible(false).vscroll(true);
        window.default_pos([260.0, 50.0]).default_height(ui.ctx().content_rect().height() - 100.0).show(ui.ctx(), |ui| {
            ui.spacing_mut().item_spacing.y = GAP;
            // The brush's actions stand last.
            let (brush, others): (Vec<Action>, Vec<Action>) = Action::all().partition(|&action| action >= Action::Brush);
            ui.columns_const(|[left, right]| {
                self.heading(left, keys);
                self.key_table(left, keys, &others);
                gestures(right, "Mouse on a slice", &MOUSE);
                right.add_space(8.0);
                gestures(right, "With the brush", &BRUSH);
                self.key_table(right, keys, &brush);
            });
        });
        if self.shown && !open {
            self.toggle();
        }
    }

    /// Gives an action the key that was pressed; Escape leaves it as it is.
    fn rebind(&mut self, action: Action, key: Key, keys: &mut KeyMap) {
        self.rebinding = None;
        let other = if key == Key::Escape { None } else { keys.set(action, key) };
        self.taken = other.map(|other| {
            let (key, old) = (keys.hint(action), keys.hint(other));
            format!("{key} was taken by \"{}\", which is now on {old}.", other.title())
        });
    }

    fn heading(&mut self, ui: &mut Ui, keys: &mut KeyMap) {
        ui.horizontal(|ui| {
            ui.strong("Keys (click one to change it)");
            if ui.button("Back to the defaults").clicked() {
                keys.reset();
                self.taken = None;
            }
        });
        if let Some(taken) = &self.taken {
            ui.label(RichText::new(taken).color(Palette::of(ui).caution()));
        }
    }

    fn key_table(&mut self, ui: &mut Ui, keys: &KeyMap, actions: &[Action]) {
        Grid::new(("keys", actions.len())).num_columns(2).striped(true).show(ui, |ui| {
            for &action in actions {
                ui.label(action.title());
                let waiting = self.rebinding == Some(action);
                let text = if waiting { "press a key" } else { keys.hint(action) };
                if ui.add(Button::new(text).min_size(egui::vec2(80.0, 0.0))).clicked() {
                    (self.rebinding, self.taken) = ((!waiting).then_some(action), None);
                }
                ui.end_row();
            }
        });
    }
}

/// A list of what can be done by hand, and what it does.
fn gestures(ui: &mut Ui, title: &str, lines: &[(&str, &str)]) {
    ui.strong(title);
    Grid::new(title).num_columns(2).striped(true).show(ui, |ui| {
        for (gesture, meaning) in lines {
            ui.label(*gesture);
            ui.label(*meaning);
            ui.end_row();
        }
    });
}

fn pressed_key(event: &egui::Event) -> Option<Key> {
    match event {
        egui::Event::Key { key, pressed: true, .. } => Some(*key),
        _ => None,
    }
}
