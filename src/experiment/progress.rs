//! How far an experiment is, read off its stages' records: by the program that works on it, and by any other that looks.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{Experiment, ExperimentFolder};
use crate::protocol::{RunState, StageKind};

/// How far a stage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing done yet.
    Waiting,
    /// Begun: units done, units in all, of the part under way.
    Begun {
        /// Optimiser steps or cases.
        done: usize,
        /// In all.
        total: usize,
    },
    /// All done, tested cases included.
    Done,
    /// Ended by an error; it is tried again when the experiment goes on.
    Failed {
        /// Cause and next step.
        message: String,
    },
}

/// How many stages are how far.
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

/// What is known of each stage of an experiment.
#[derive(Clone, Debug, Default)]
pub struct ExperimentState {
    /// By stage; none where nothing was recorded.
    pub runs: Vec<Option<RunState>>,
    /// Why stages failed when they were tried last, by name.
    failures: BTreeMap<String, String>,
    /// What each record looked like when it was read last.
    stamps: Vec<Option<(u64, SystemTime)>>,
}

/// Whether a record is that of a training done to its end, tested cases included.
pub(super) fn is_done(kind: StageKind, run: &RunState) -> bool {
    let last = if kind == StageKind::Pretrain { StageKind::Pretrain } else { StageKind::Test };
    // A training cut short by --max-steps tells its end as well.
    run.stages_of(last).any(|stage| stage.secs.is_some() && stage.done >= stage.total)
}

impl ExperimentState {
    /// What is known, by stage.
    pub fn of(runs: Vec<Option<RunState>>) -> Self {
        Self { runs, ..Self::default() }
    }

    /// What the folder holds.
    pub fn read(experiment: &Experiment, folder: &ExperimentFolder) -> Self {
        let mut state = Self::default();
        state.refresh(experiment, folder);
        state
    }

    /// Reads the records that changed since; true where one did. A record that cannot be read counts as not there.
    pub fn refresh(&mut self, experiment: &Experiment, folder: &ExperimentFolder) -> bool {
        let count = experiment.stages.len();
        self.runs.resize(count, None);
        self.stamps.resize(count, None);
        let failures = folder.failures();
        let mut changed = failures != self.failures;
        self.failures = failures;
        for (index, stage) in experiment.stages.iter().enumerate() {
            let run = folder.stage(stage);
            let stamp = std::fs::metadata(run.events_path()).ok().and_then(|data| Some((data.len(), data.modified().ok()?)));
            if stamp != self.stamps[index] {
                self.runs[index] = stamp.and_then(|_| run.replay().ok());
                self.stamps[index] = stamp;
                changed = true;
            }
        }
        changed
    }

    /// How far a stage is.
    pub fn progress(&self, experiment: &Experiment, stage: usize) -> Progress {
        let failed = self.failures.get(&experiment.stages[stage].name).map(|message| Progress::Failed { message: message.clone() });
        let Some(run) = &self.runs[stage] else { return failed.unwrap_or(Progress::Waiting) };
        if is_done(experiment.stages[stage].kind, run) {
            return Progress::Done;
        }
        if let Some(failed) = failed {
            return failed;
        }
        let under_way = run.stages.iter().rev().find(|stage| stage.stage.kind != StageKind::Prepare);
        under_way.map_or(Progress::Waiting, |stage| Progress::Begun { done: stage.done, total: stage.total })
    }

    /// How many of some stages are how far.
    pub fn tally(&self, experiment: &Experiment, stages: &[usize]) -> Tally {
        let mut tally = Tally::default();
        for &stage in stages {
            match self.progress(experiment, stage) {
                Progress::Waiting => tally.waiting += 1,
                Progress::Begun { .. } => tally.begun += 1,
                Progress::Done => tally.done += 1,
                Progress::Failed { .. } => tally.failed += 1,
            }
        }
        tally
    }
}
