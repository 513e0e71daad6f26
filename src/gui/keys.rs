//! Which key does what: the defaults are those of ITK-SNAP and 3D Slicer, and each can be changed.

use std::collections::BTreeMap;

use eframe::egui::{Event, Key, Modifiers, Ui};
use serde::{Deserialize, Serialize};

/// Something that a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Shows the keys.
    Help,
    /// One slice up (towards head, front or right) in the view under the pointer.
    SliceUp,
    /// One slice down.
    SliceDown,
    /// Zoom and pan back to the whole slice.
    ResetView,
    /// Shows the view under the pointer alone, or all again.
    Maximise,
    /// Window and level of the whole volume's percentiles.
    AutoWindow,
    /// Labels more transparent.
    OpacityDown,
    /// Labels more opaque.
    OpacityUp,
    /// Labels shown or hidden.
    ToggleLabels,
    /// Filled labels or none.
    ToggleFill,
    /// Outlined labels or none.
    ToggleOutline,
    /// Crosshair to the next label's centre.
    NextLabel,
    /// Crosshair to the label's before.
    PreviousLabel,
    /// The slice with the worst Dice.
    WorstSlice,
    /// The next case of the list.
    NextCase,
    /// The case before.
    PreviousCase,
    /// Label colours or differences from the truth.
    ToggleDifference,
    /// Nearest voxel or linear interpolation.
    ToggleInterpolation,
    /// The crosshair shown or hidden.
    ToggleCrosshair,
    /// The planes zoom together, or each by itself.
    ToggleLinkedZoom,
    /// Patient's right or left on the left of the screen.
    ToggleConvention,
}

impl Action {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 21] = [
        Self::Help,
        Self::SliceUp,
        Self::SliceDown,
        Self::ResetView,
        Self::Maximise,
        Self::AutoWindow,
        Self::OpacityDown,
        Self::OpacityUp,
        Self::ToggleLabels,
        Self::ToggleFill,
        Self::ToggleOutline,
        Self::NextLabel,
        Self::PreviousLabel,
        Self::WorstSlice,
        Self::NextCase,
        Self::PreviousCase,
        Self::ToggleDifference,
        Self::ToggleInterpolation,
        Self::ToggleCrosshair,
        Self::ToggleLinkedZoom,
        Self::ToggleConvention,
    ];

    /// What it does, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Help => "Show the keys",
            Self::SliceUp => "One slice up (head, front, right)",
            Self::SliceDown => "One slice down",
            Self::ResetView => "Fit the slice into its view",
            Self::Maximise => "Show one view alone, or all",
            Self::AutoWindow => "Window and level from the volume",
            Self::OpacityDown => "Labels more transparent",
            Self::OpacityUp => "Labels more opaque",
            Self::ToggleLabels => "Show or hide labels",
            Self::ToggleFill => "Fill labels",
            Self::ToggleOutline => "Outline labels",
            Self::NextLabel => "Next label",
            Self::PreviousLabel => "Previous label",
            Self::WorstSlice => "Slice with the worst Dice",
            Self::NextCase => "Next case",
            Self::PreviousCase => "Previous case",
            Self::ToggleDifference => "Labels or differences from truth",
            Self::ToggleInterpolation => "Nearest voxel or linear",
            Self::ToggleCrosshair => "Show or hide the crosshair",
            Self::ToggleLinkedZoom => "Zoom the planes together, or one",
            Self::ToggleConvention => "Radiological or neurological",
        }
    }

    fn default_key(self) -> Key {
        match self {
            Self::Help => Key::Questionmark,
            Self::SliceUp => Key::PageUp,
            Self::SliceDown => Key::PageDown,
            Self::ResetView => Key::R,
            Self::Maximise => Key::M,
            Self::AutoWindow => Key::W,
            Self::OpacityDown => Key::A,
            Self::OpacityUp => Key::D,
            Self::ToggleLabels => Key::S,
            Self::ToggleFill => Key::F,
            Self::ToggleOutline => Key::O,
            Self::NextLabel => Key::Period,
            Self::PreviousLabel => Key::Comma,
            Self::WorstSlice => Key::X,
            Self::NextCase => Key::N,
            Self::PreviousCase => Key::P,
            Self::ToggleDifference => Key::E,
            Self::ToggleInterpolation => Key::I,
            Self::ToggleCrosshair => Key::H,
            Self::ToggleLinkedZoom => Key::L,
            Self::ToggleConvention => Key::C,
        }
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

    /// Gives an action another key; whichever action had it before takes this one's old key.
    pub fn set(&mut self, action: Action, key: Key) {
        let old = self.key(action);
        if let Some(other) = Action::ALL.into_iter().find(|&other| other != action && self.key(other) == key) {
            self.put(other, old);
        }
        self.put(action, key);
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

    /// The presses of these actions' keys in this frame, each of them and in their order, unless the user was typing text. Repeats of a
    /// held key count.
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
            key => key.name(),
        }
    }
}

/// Takes the key presses that mean something out of the frame's events, in their order; none while the user types text.
pub(super) fn take_presses<T>(ui: &Ui, meaning: impl Fn(Key, Modifiers) -> Option<T>) -> Vec<T> {
    let mut taken = Vec::new();
    if !ui.ctx().text_edit_focused() {
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
            let mut keys: Vec<Key> = Action::ALL.into_iter().map(|action| map.key(action)).collect();
            keys.sort();
            keys.dedup();
            keys.len() == Action::ALL.len()
        };
        let mut map = KeyMap::default();
        assert!(distinct(&map));
        map.set(Action::ResetView, Key::A);
        assert_eq!((map.key(Action::ResetView), map.key(Action::OpacityDown)), (Key::A, Key::R));
        assert!(distinct(&map));
        let text = ron::to_string(&map).unwrap();
        assert_eq!(ron::from_str::<KeyMap>(&text).unwrap(), map);
        map.reset();
        assert_eq!(map, KeyMap::default());
    }
}
