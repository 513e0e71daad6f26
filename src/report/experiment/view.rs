//! What every part of an experiment's report reads: the experiment, its records, and what they show.

use std::collections::BTreeSet;

use crate::experiment::{Cell, Experiment, ExperimentFolder, ExperimentState};
use crate::protocol::{RunState, StageKind};
use crate::report::unit;
use crate::results::{ExperimentResults, Group};

/// An experiment and what it shows so far.
pub(super) struct View<'a> {
    pub(super) folder: &'a ExperimentFolder,
    pub(super) experiment: &'a Experiment,
    pub(super) state: &'a ExperimentState,
    pub(super) results: ExperimentResults,
}

impl<'a> View<'a> {
    /// Of an experiment as its folder holds it.
    pub(super) fn new(folder: &'a ExperimentFolder, experiment: &'a Experiment, state: &'a ExperimentState) -> Self {
        Self { folder, experiment, state, results: ExperimentResults::new(experiment, state) }
    }

    /// `52 test cases, 3 seeds`.
    pub(super) fn evidence(&self) -> String {
        self.results.evidence(self.experiment)
    }

    /// `mm` or `voxels`.
    pub(super) fn unit(&self) -> &'static str {
        unit(&self.experiment.config.base().evaluate)
    }

    /// The cells of a group, one for each repeat.
    pub(super) fn cells(&self, group: &Group) -> Vec<&'a Cell> {
        group.repeats.iter().map(|repeat| &self.experiment.cells[repeat.cell]).collect()
    }

    /// The records of some stages that have one.
    pub(super) fn records(&self, stages: &[usize]) -> Vec<&'a RunState> {
        stages.iter().filter_map(|&stage| self.state.runs[stage].as_ref()).collect()
    }

    /// Seconds of all trainings and tests that were recorded.
    pub(super) fn secs(&self) -> f64 {
        let parts = self.state.runs.iter().flatten().flat_map(|run| &run.stages);
        parts.filter(|part| part.stage.kind != StageKind::Prepare).filter_map(|part| part.secs).sum()
    }

    /// Devices and versions that the trainings were made with, each once.
    pub(super) fn made_with(&self) -> Vec<String> {
        let own = self.state.runs.iter().flatten().map(|run| &run.environment).filter(|own| !own.device_name.is_empty());
        let words: BTreeSet<String> = own.map(|own| format!("{} ({}), simtrot {}", own.device_name, own.device, own.version)).collect();
        words.into_iter().collect()
    }
}
