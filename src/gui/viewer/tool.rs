//! What the left mouse button does on a slice.

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
}
