//! What every part of a report reads: the experiment, its records, and what they show.

use crate::config::RunConfig;
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState};
use crate::protocol::{RunFolder, RunState, StageKind, StageState};
use crate::results::ExperimentResults;

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

    /// The settings that are varied.
    pub(super) fn base(&self) -> &'a RunConfig {
        self.experiment.config.base()
    }

    /// The folder of a training.
    pub(super) fn training(&self, training: usize) -> RunFolder {
        self.folder.training(&self.experiment.trainings[training])
    }

    /// The records that there are, with their trainings.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, &'a RunState)> {
        self.state.runs.iter().enumerate().filter_map(|(training, run)| Some((training, run.as_deref()?)))
    }

    /// What a training is called.
    pub(super) fn title(&self, training: usize) -> &str {
        &self.results.trainings[training].title
    }

    /// The parts of a kind of some trainings, as far as they began.
    pub(super) fn stages(&self, trainings: impl IntoIterator<Item = usize>, kind: StageKind) -> Vec<&'a StageState> {
        trainings.into_iter().filter_map(|training| self.state.runs[training].as_ref()?.stages_of(kind).next()).collect()
    }
}
