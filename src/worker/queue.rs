//! The wanted trainings of an experiment: those under way, those that wait, and those that another shard makes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::handle::RunHandle;
use crate::experiment::Experiment;
use crate::folder_lock::FolderLock;

/// How long to leave a training alone that another shard makes.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A training under way.
pub(super) struct Active {
    /// Its index.
    pub(super) training: usize,
    pub(super) handle: RunHandle,
    /// Keeps other shards from it.
    pub(super) claim: Option<FolderLock>,
}

impl Active {
    /// Whether another shard has taken it over.
    pub(super) fn is_lost(&self) -> bool {
        self.claim.as_ref().is_some_and(FolderLock::is_lost)
    }
}

/// How far the wanted trainings are.
pub(super) struct Queue {
    pub(super) done: BTreeSet<usize>,
    /// Not begun by this program, in order.
    pub(super) waiting: Vec<usize>,
    /// Those of them that another shard makes, and when to ask for them again.
    elsewhere: BTreeMap<usize, Instant>,
    /// Whether every failure was one of the input or the config.
    pub(super) bad_input: bool,
}

impl Queue {
    pub(super) fn new(done: BTreeSet<usize>, waiting: Vec<usize>) -> Self {
        Self { done, waiting, elsewhere: BTreeMap::new(), bad_input: true }
    }

    /// Where among the waiting the next one is that can begin now.
    pub(super) fn next(&self, experiment: &Experiment) -> Option<usize> {
        let now = Instant::now();
        let is_ready = |training: &usize| {
            let is_due = self.elsewhere.get(training).is_none_or(|next| *next <= now);
            is_due && experiment.trainings[*training].after.is_none_or(|after| self.done.contains(&after))
        };
        self.waiting.iter().position(is_ready)
    }

    pub(super) fn remove(&mut self, next: usize) {
        let training = self.waiting.remove(next);
        self.elsewhere.remove(&training);
    }

    /// Leaves a training alone for a while that another shard makes; whether it was not left so before.
    pub(super) fn leave(&mut self, training: usize) -> bool {
        self.elsewhere.insert(training, Instant::now() + LOOK_AGAIN).is_none()
    }

    /// Whether nothing can be begun any more, now or when somebody else is done.
    pub(super) fn is_over(&self, paused: bool) -> bool {
        self.waiting.is_empty() || !paused && self.elsewhere.is_empty()
    }
}
