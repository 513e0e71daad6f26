//! A table or figure of the paper as a grid of runs: which stages it needs, where they lie, how far they are, what they show.
//!
//! Nothing here computes with tensors: the worker makes the runs, front ends show what this module reads of them.

mod contents;
mod estimate;
mod folder;
#[cfg(test)]
pub(crate) mod made_up;
mod plan;
mod progress;
mod results;

pub use contents::Contents;
pub use estimate::Estimate;
pub use folder::{StudyFolder, StudyFolderError};
pub use plan::{Cell, Only, OnlyError, StagePlan, Study};
pub use progress::{Progress, StudyState, Tally};
pub use results::{AlongAxis, Comparison, Course, Group, Paired, Pretraining, Reading, Repeat, Role, Spread, StudyResults};
