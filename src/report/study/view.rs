//! What every part of a study's report reads: the study, its records, and what they show.

use std::collections::BTreeSet;

use crate::protocol::{RunState, StageKind};
use crate::report::unit;
use crate::study::{Cell, Group, Study, StudyFolder, StudyResults, StudyState};

/// A study and what it shows so far.
pub(super) struct View<'a> {
    pub(super) folder: &'a StudyFolder,
    pub(super) study: &'a Study,
    pub(super) state: &'a StudyState,
    pub(super) results: StudyResults,
}

impl<'a> View<'a> {
    /// Of a study as its folder holds it.
    pub(super) fn new(folder: &'a StudyFolder, study: &'a Study, state: &'a StudyState) -> Self {
        Self { folder, study, state, results: StudyResults::new(study, state) }
    }

    /// `52 test cases, 3 seeds`.
    pub(super) fn evidence(&self) -> String {
        self.results.evidence(self.study)
    }

    /// `mm` or `voxels`.
    pub(super) fn unit(&self) -> &'static str {
        unit(&self.study.config.base().evaluate)
    }

    /// The cells of a group, one for each repeat.
    pub(super) fn cells(&self, group: &Group) -> Vec<&'a Cell> {
        group.repeats.iter().map(|repeat| &self.study.cells[repeat.cell]).collect()
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
