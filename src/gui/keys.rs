//! Which key does what: the defaults are those of ITK-SNAP and 3D Slicer, and each can be changed.

use std::collections::BTreeMap;

use eframe::egui::{Context, Event, Key, Modifiers, Ui};
use serde::{Deserialize, Serialize};

/// Something that a key does, as [`ACTIONS`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Help,
    SliceUp,
    SliceDown,
    ResetView,
    Maximise,
    AutoWindow,
    OpacityDown,
    OpacityUp,
    ToggleLabels,
    ToggleFill,
    ToggleOutline,
    NextLabel,
    PreviousLabel,
    WorstSlice,
    NextCase,
    PreviousCase,
    ToggleDifference,
    ToggleInterpolation,
    ToggleCrosshair,
    ToggleLinkedZoom,
    ToggleConvention,
    Ruler,
    Circle,
    DeleteMeasurement,
    Look,
    Brush,
    ToggleEraser,
    ToggleBrushDepth,
    BrushSmaller,
    BrushLarger,
}

/// Every action in the order in which they are listed: its key at first, and what it does, in a few words.
const ACTIONS: [(Action, Key, &str); 30] = [
    (Action::Help, Key::Questionmark, "Show the keys"),
    (Action::SliceUp, Key::PageUp, "One slice up (head, front, right)"),
    (Action::SliceDown, Key::PageDown, "One slice down"),
    (Action::ResetView, Key::R, "Fit the slice into its view"),
    (Action::Maximise, Key::M, "Show one view alone, or all"),
    (Action::AutoWindow, Key::W, "Window and level from the volume"),
    (Action::OpacityDown, Key::A, "Labels more transparent"),
    (Action::OpacityUp, Key::D, "Labels more opaque"),
    (Action::ToggleLabels, Key::S, "Show or hide labels"),
    (Action::ToggleFill, Key::F, "Fill labels"),
    (Action::ToggleOutline, Key::O, "Outline labels"),
    (Action::NextLabel, Key::Period, "Next label"),
    (Action::PreviousLabel, Key::Comma, "Previous label"),
    (Action::WorstSlice, Key::X, "Slice with the worst Dice"),
    (Action::NextCase, Key::N, "Next case"),
    (Action::PreviousCase, Key::P, "Previous case"),
    (Action::ToggleDifference, Key::E, "Labels or differences from truth"),
    (Action::ToggleInterpolation, Key::I, "Nearest voxel or linear"),
    (Action::ToggleCrosshair, Key::H, "Show or hide the crosshair"),
    (Action::ToggleLinkedZoom, Key::L, "Zoom the planes together, or one"),
    (Action::ToggleConvention, Key::C, "Radiological or neurological"),
    (Action::Ruler, Key::U, "Ruler in the hand, or put back"),
    (Action::Circle, Key::Q, "Circle in the hand, or put back"),
    (Action::DeleteMeasurement, Key::Delete, "Delete the selected measurement"),
    (Action::Look, Key::Num1, "Crosshair on the left button"),
    (Action::Brush, Key::Num4, "Brush in the hand, or put back"),
    (Action::ToggleEraser, Key::B, "Brush: paint or erase"),
    (Action::ToggleBrushDepth, Key::V, "Brush: one slice, or in depth"),
    (Action::BrushSmaller, Key::Minus, "Brush smaller"),
    (Action::BrushLarger, Key::Plus, "Brush larger"),
];

impl Action {
    /// All of them, in the order in which they are listed.
    pub fn all() -> impl Iterator<Item = Self> {
        ACTIONS.into_iter().map(|(action, ..)| action)
    }

    fn row(self) -> (Self, Key, &'static str) {
        ACTIONS[self as usize]
    }

    /// What it does, in a few words.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn default_key(self) -> Key {
        self.row().1
    }
}

/// Which key does what. On disk only what departs from the defaults, by key names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMap {
    changed: BTreeMap<Action, String>,
}

impl KeyMap {
    /// The key of an action.
    pub fn key(&self, action: Action) -> Key {
        self.changed.get(&action).and_then(|name| Key::from_name(name)).unwrap_or(action.default_key())
    }

    /// Gives an action another key. The action that had it before gets this one's old key, and is returned.
    pub fn set(&mut self, action: Action, key: Key) -> Option<Action> {
        let old = self.key(action);
        let other = Action::all().find(|&other| other != action && self.key(other) == key);
        if let Some(other) = other {
            self.put(other, old);
        }
        self.put(action, key);
        other
    }

    fn put(&mut self, action: Action, key: Key) {
        if key == action.default_key() {
            self.changed.remove(&action);
        } else {
            self.changed.insert(action, key.name().to_owned());
        }
    }

    /// Back to the defaults.
    pub fn reset(&mut self) {
        self.changed.clear();
    }

    /// The presses of these actions' keys in this frame, each of them and in their order, unless they do not
    /// [reach the panels](reach_panels). Repeats of a held key count.
    pub fn pressed(&self, ui: &Ui, actions: &[Action]) -> Vec<Action> {
        take_presses(ui, |key, modifiers| self.meant(key, modifiers, actions))
    }

    /// Which of these actions a pressed key means.
    pub(super) fn meant(&self, key: Key, modifiers: Modifiers, actions: &[Action]) -> Option<Action> {
        // Shift is let through: "?" lies on another key of each keyboard, with Shift on some.
        let plain = modifiers.matches_logically(Modifiers::NONE);
        actions.iter().copied().find(|&action| plain && self.key(action) == key)
    }

    /// The key as tooltips show it.
    pub fn hint(&self, action: Action) -> &'static str {
        match self.key(action) {
            Key::Questionmark => "?",
            Key::Period => ".",
            Key::Comma => ",",
            Key::Minus => "-",
            Key::Plus => "+",
            key => key.name(),
        }
    }
}

/// Whether keys are meant for what the window shows: the user neither types text nor has a question or a dialog to answer.
pub(super) fn reach_panels(ctx: &Context) -> bool {
    !ctx.text_edit_focused() && ctx.memory(|memory| memory.top_modal_layer().is_none())
}

/// Takes the key presses that mean something out of the frame's events, in their order; none where they do not [`reach_panels`].
pub(super) fn take_presses<T>(ui: &Ui, meaning: impl Fn(Key, Modifiers) -> Option<T>) -> Vec<T> {
    let mut taken = Vec::new();
    if reach_panels(ui.ctx()) {
        ui.input_mut(|input| {
            input.events.retain(|event| match event {
                Event::Key { key, pressed: true, modifiers, .. } => meaning(*key, *modifiers).map(|press| taken.push(press)).is_none(),
                _ => true,
            });
        });
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_even_after_a_change() {
        let distinct = |map: &KeyMap| {
            let mut keys: Vec<Key> = Action::all().map(|action| map.key(action)).collect();
            keys.sort();
            keys.dedup();
            keys.len() == ACTIONS.len()
        };
        let mut map = KeyMap::default();
        assert!(distinct(&map) && Action::all().all(|action| action.row().0 == action));
        assert_eq!(map.set(Action::ResetView, Key::A), Some(Action::OpacityDown));
        assert_eq!((map.key(Action::ResetView), map.key(Action::OpacityDown)), (Key::A, Key::R));
        assert!(distinct(&map));
        let text = ron::to_string(&map).unwrap();
        assert_eq!(ron::from_str::<KeyMap>(&text).unwrap(), map);
        map.reset();
        assert_eq!(map, KeyMap::default());
    }
}
