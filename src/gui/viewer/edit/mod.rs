//! Correcting labels: a copy of the shown ones is painted on, as a layer of its own beside them, until it is saved as a new file.
//!
//! `correction` holds the copy and what is counted of it, `begin` makes it, `editing` is what the panel knows of all this. `brush` is what
//! strokes are made with and `cursor` its outline; `controls` is the row of buttons and `new_label` the question for one. `recovery` offers what a crash left,
//! `saved` is what is known of a correction in a file: the place for what may follow.

mod begin;
mod brush;
mod controls;
mod correction;
mod cursor;
mod editing;
mod new_label;
mod recovery;
mod saved;

pub(super) use controls::controls;
pub(super) use cursor::{BrushCursor, Painted};
pub(super) use editing::Editing;
pub(super) use saved::SavedCorrection;
