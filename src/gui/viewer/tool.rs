//! What the left mouse button does on a slice.

use crate::gui::Action;

/// What the left mouse button does on a slice, where no key is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tool {
    /// Moves the crosshair.
    #[default]
    Look,
    /// Draws a ruler, or drags a measurement.
    Ruler,
    /// Draws a circle, or drags a measurement.
    Circle,
    /// Corrects labels. The right button and the wheel with Shift belong to it as well.
    Brush,
}

impl Tool {
    /// In the order of the toolbar, each with its name, what it does, and its key.
    pub(super) const ALL: [(Self, &str, &str, Option<Action>); 4] = [
        (Self::Look, "Look", "The left button moves the crosshair", Some(Action::Look)),
        (
            Self::Ruler,
            "Ruler",
            "A length in mm: drag from end to end. Drag an end or the line to change it; Delete removes it",
            Some(Action::Ruler),
        ),
        (
            Self::Circle,
            "Circle",
            "Mean and deviation inside: drag from the centre outwards. Drag the centre or the rim to change it; Delete removes it",
            Some(Action::Circle),
        ),
        (Self::Brush, "Brush", "Correct the shown labels: the left button paints, the right one erases", Some(Action::Brush)),
    ];

    /// Takes the tool of a key in hand, or puts it back where it is in hand already.
    pub(super) fn toggle(&mut self, key: Action) {
        if let Some(&(tool, ..)) = Self::ALL.iter().find(|(.., of)| *of == Some(key)) {
            *self = if *self == tool { Self::Look } else { tool };
        }
    }
}
