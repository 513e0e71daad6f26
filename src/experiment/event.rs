//! What happens in an experiment at work, in order.

use std::path::PathBuf;
use std::sync::Arc;

use crate::folder_lock::Busy;
use crate::protocol::{Outcome, Record, RunState};

/// What happens in an experiment.
#[derive(Clone, Debug)]
pub enum ExperimentEvent {
    /// The experiment was looked over.
    Opened {
        /// Wanted trainings that earlier sessions finished.
        done: usize,
    },
    /// A training was copied from an experiment in a neighbouring folder, which has made the very same.
    Reused {
        /// Index of the training.
        training: usize,
        /// Its folder there.
        from: PathBuf,
        /// What its record holds.
        state: Arc<RunState>,
    },
    /// A training is being made by another shard: it is waited for.
    Elsewhere {
        /// Index of the training.
        training: usize,
        /// Who makes it.
        by: Busy,
    },
    /// A training began, or goes on.
    Began {
        /// Index of the training.
        training: usize,
        /// What earlier sessions recorded, where it goes on.
        state: Option<Arc<RunState>>,
    },
    /// An event of a training.
    Record {
        /// Index of the training.
        training: usize,
        /// What happened.
        record: Box<Record>,
    },
    /// A training ended.
    Ended {
        /// Index of the training.
        training: usize,
        /// How.
        outcome: Outcome,
    },
    /// A training was left out: the one that it starts from is not done.
    LeftOut {
        /// Index of the training.
        training: usize,
    },
    /// The experiment ended.
    Finished(Finish),
}

/// How many trainings are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All done.
    pub done: usize,
    /// Begun and not at its end.
    pub begun: usize,
    /// Ended by an error.
    pub failed: usize,
    /// Not begun.
    pub waiting: usize,
}

/// How far an experiment's wanted trainings are when the work on it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// Their number by progress.
    pub tally: Tally,
    /// Whether somebody asked it to stop, or it was taken for dead.
    pub stopped: bool,
    /// Whether others had taken the program for dead, so that it ended.
    pub lost: bool,
    /// Whether every failure was one of the input or the config.
    pub bad_input: bool,
}
