//! An experiment: which trainings its arms and axes need, where they lie, how far they are.
//!
//! Nothing here computes with tensors: the worker makes the trainings, front ends show what this module reads of them.

mod contents;
mod estimate;
mod event;
mod folder;
mod key;
mod lock;
mod only;
mod plan;
mod progress;
mod reuse;
mod shard;
#[cfg(test)]
pub(crate) mod synthetic;

pub use contents::Contents;
pub use estimate::Estimate;
pub use event::{ExperimentEvent, Finish, Tally};
pub use folder::{ExperimentFolder, FolderContent};
pub use lock::{ExperimentLock, ShardLock};
pub use only::{Only, OnlyError};
pub use plan::{Cell, Experiment, TrainingPlan};
pub use progress::{ExperimentState, Progress};
pub use shard::Shard;
