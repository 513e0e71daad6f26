//! A table or figure of the paper as a grid of runs: which stages it needs, where they lie, how far they are, what they show.
//!
//! Nothing here computes with tensors: the worker makes the runs, front ends show what this module reads of them.

mod contents;
mod estimate;
mod folder;
mod plan;
mod progress;
#[cfg(test)]
pub(crate) mod synthetic;

pub use contents::Contents;
pub use estimate::Estimate;
pub use folder::{ExperimentFolder, ExperimentFolderError};
pub use plan::{Cell, Experiment, Only, OnlyError, TrainingPlan};
pub use progress::{ExperimentState, Progress, Tally};
