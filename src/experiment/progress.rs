//! How far an experiment is: folded from events by who works on it, read off the trainings' records by any other that looks.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Experiment, ExperimentEvent, ExperimentFolder, Tally};
use crate::geometry::quantile;
use crate::protocol::{Outcome, RunState, StageKind};

/// How far a training is.
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

/// What is known of each training of an experiment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ExperimentState {
    /// By training; none where nothing was recorded.
    pub runs: Vec<Option<Arc<RunState>>>,
    /// By training: why it failed when it was tried last.
    pub failures: Vec<Option<String>>,
    /// Why the folder cannot be read any more, where it could before: what was known then stays.
    pub lost: Option<String>,
    /// Whether the folder was read.
    found: bool,
    /// What each record looked like when it was read last.
    stamps: Vec<Option<(u64, SystemTime)>>,
}

impl ExperimentState {
    /// Nothing is known yet of an experiment's trainings.
    pub fn new(experiment: &Experiment) -> Self {
        Self::of(vec![None; experiment.trainings.len()])
    }

    /// What is known, by training.
    pub fn of(runs: Vec<Option<Arc<RunState>>>) -> Self {
        let count = runs.len();
        Self { runs, failures: vec![None; count], lost: None, found: false, stamps: vec![None; count] }
    }

    /// What the folder holds.
    pub fn read(experiment: &Experiment, folder: &ExperimentFolder) -> Self {
        let mut state = Self::new(experiment);
        state.refresh(experiment, folder);
        state
    }

    /// Takes one event in: the only fold.
    pub fn apply(&mut self, event: &ExperimentEvent) {
        match event {
            ExperimentEvent::Began { training, state } => {
                self.runs[*training] = Some(state.clone().unwrap_or_default());
                self.failures[*training] = None;
            }
            ExperimentEvent::Record { training, record } => {
                Arc::make_mut(self.runs[*training].get_or_insert_default()).apply(record);
            }
            ExperimentEvent::Reused { training, state, .. } => self.runs[*training] = Some(state.clone()),
            ExperimentEvent::Ended { training, outcome: Outcome::Failed { message, .. } } => {
                self.failures[*training] = Some(message.clone());
            }
            ExperimentEvent::Opened { .. }
            | ExperimentEvent::Elsewhere { .. }
            | ExperimentEvent::Ended { .. }
            | ExperimentEvent::LeftOut { .. }
            | ExperimentEvent::Finished(_) => {}
        }
    }

    /// Reads the records that changed since; true where one did. A record that cannot be read counts as not there, unless none can.
    pub fn refresh(&mut self, experiment: &Experiment, folder: &ExperimentFolder) -> bool {
        let unreadable = folder.unreadable().map(|error| format!("{error}; shown is what was known before, until the folder is back"));
        let is_found = unreadable.is_none();
        self.lost = unreadable.filter(|_| self.found);
        if self.lost.is_some() {
            return false;
        }
        self.found |= is_found;
        let causes = folder.failures();
        let failures: Vec<_> = experiment.trainings.iter().map(|plan| causes.get(&plan.name).cloned()).collect();
        let mut changed = failures != self.failures;
        self.failures = failures;
        for (index, plan) in experiment.trainings.iter().enumerate() {
            let run = folder.training(plan);
            let stamp = std::fs::metadata(run.events_path()).ok().and_then(|data| Some((data.len(), data.modified().ok()?)));
            if stamp != self.stamps[index] {
                self.runs[index] = stamp.and_then(|_| run.replay().ok()).map(Arc::new);
                self.stamps[index] = stamp;
                changed = true;
            }
        }
        changed
    }

    /// How far a training is.
    pub fn progress(&self, experiment: &Experiment, training: usize) -> Progress {
        let failed = self.failures[training].as_ref().map(|message| Progress::Failed { message: message.clone() });
        let Some(run) = &self.runs[training] else { return failed.unwrap_or(Progress::Waiting) };
        if run.is_done(experiment.trainings[training].kind) {
            return Progress::Done;
        }
        if let Some(failed) = failed {
            return failed;
        }
        let under_way = run.stages.iter().rev().find(|stage| stage.stage.kind != StageKind::Prepare);
        under_way.map_or(Progress::Waiting, |stage| Progress::Begun { done: stage.done, total: stage.total })
    }

    /// Median of the seconds that a training's steps took, as far as they were recorded.
    pub fn step_secs(&self, training: usize) -> Option<f64> {
        let steps = self.runs[training].iter().flat_map(|run| run.stages.iter().flat_map(|stage| &stage.steps));
        quantile(&mut steps.map(|numbers| numbers.step_secs).collect::<Vec<_>>(), 0.5)
    }

    /// How many of some trainings are how far.
    pub fn tally(&self, experiment: &Experiment, trainings: &[usize]) -> Tally {
        let mut tally = Tally::default();
        for &training in trainings {
            match self.progress(experiment, training) {
                Progress::Waiting => tally.waiting += 1,
                Progress::Begun { .. } => tally.begun += 1,
                Progress::Done => tally.done += 1,
                Progress::Failed { .. } => tally.failed += 1,
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::synthetic;

    #[test]
    fn what_is_known_outlives_a_share_that_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let experiment = synthetic::experiment();
        let (there, away) = (place.path().join("there"), place.path().join("away"));
        let folder = ExperimentFolder::new(&there);
        drop(folder.begin(&experiment, false).unwrap());
        let records = |share| {
            let records = synthetic::records(&experiment, 0, share);
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect::<String>()
        };
        folder.training(&experiment.trainings[0]).write("events.jsonl", records(0.5).as_bytes()).unwrap();
        let mut state = ExperimentState::read(&experiment, &folder);
        let begun = state.progress(&experiment, 0);
        assert!(matches!(begun, Progress::Begun { .. }) && state.lost.is_none());
        std::fs::rename(&there, &away).unwrap();
        assert!(!state.refresh(&experiment, &folder));
        assert!(state.lost.as_ref().unwrap().contains("there") && state.progress(&experiment, 0) == begun);
        std::fs::rename(&away, &there).unwrap();
        folder.training(&experiment.trainings[0]).write("events.jsonl", records(1.0).as_bytes()).unwrap();
        assert!(state.refresh(&experiment, &folder) && state.lost.is_none());
        assert_eq!(state.progress(&experiment, 0), Progress::Done);
    }
}
