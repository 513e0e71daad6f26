//! Correction of label maps: brush, eraser, fill between slices, undo and redo, a journal against crashes, saving beside the source.
//!
//! [`LabelEdit`] holds the one further copy of a label map, as class indices in shared slices ([`ClassVolume`]): a snapshot costs nothing, and other
//! threads count, fill or save it while the user goes on painting. A [`Brush`] is in millimetres, whatever the grid. [`Step`]s are what undo takes
//! back and what its journal keeps until it is saved; [`Recovered`] brings it back after a crash. Positions are voxels along D,H,W, whole
//! numbers at voxel centres. No window and no tensors.

mod brush;
mod class_volume;
mod fill;
mod history;
mod journal;
mod label_edit;
mod new_label;
mod save;
mod step;
#[cfg(test)]
mod tests;

pub use brush::{Brush, BrushExtent, BrushShape};
pub use class_volume::ClassVolume;
pub use fill::{Filled, fill_between};
pub use history::MOST_STEPS;
pub use journal::{JournalSubject, Recovered, find_journals};
pub use label_edit::{LabelEdit, Over, Paint, WithinRange};
pub use new_label::check_new_label;
pub use save::{Corrected, IfThere, corrected_file, save};
pub use step::{PaintLabel, Step};
