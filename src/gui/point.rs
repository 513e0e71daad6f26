//! A point of an experiment's grid as the panels show it that look at one run at a time: its trainings' records as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::RunConfig;
use crate::experiment::{Experiment, ExperimentState};
use crate::protocol::{Event, Record, RunState, Stage, TokenPreview};

/// A point of a grid.
#[derive(Default)]
pub(super) struct Point {
    /// The level on each axis.
    pub(super) levels: Vec<usize>,
    /// Its trainings.
    pub(super) trainings: Vec<usize>,
    /// Their stages one after the other; each bears its arm's name.
    pub(super) state: RunState,
}

impl Point {
    /// A point whose records are still to be laid together; every training, where an experiment has no cells.
    pub(super) fn new(experiment: &Experiment, levels: Vec<usize>) -> Self {
        let here = |training: &usize| {
            let mut cells = experiment.cells_of(*training).peekable();
            cells.peek().is_none() || cells.any(|cell| cell.point == levels)
        };
        Self { trainings: (0..experiment.trainings.len()).filter(here).collect(), levels, state: RunState::default() }
    }

    /// The settings of the point, arms included.
    pub(super) fn config(&self, experiment: &Experiment) -> RunConfig {
        let levels = self.levels.iter().enumerate().flat_map(|(axis, &level)| experiment.levels[axis][level].set.clone());
        let base = experiment.config.base();
        base.with_overrides(&levels.collect::<Vec<_>>()).unwrap_or_else(|_| base.clone())
    }

    /// Lays the records together, and hands out the tokens of their stages.
    pub(super) fn merge(
        &mut self,
        name: &str,
        known: &ExperimentState,
        all: &BTreeMap<usize, Arc<TokenPreview>>,
    ) -> BTreeMap<Stage, Arc<TokenPreview>> {
        let mut merged = RunState { name: name.to_owned(), ..RunState::default() };
        let mut tokens = BTreeMap::new();
        for training in &self.trainings {
            let Some(run) = &known.runs[*training] else { continue };
            merged.stages.extend(run.stages.iter().cloned());
            for (name, pair) in &run.baselines {
                merged.baselines.entry(name.clone()).or_insert_with(|| pair.clone());
            }
            merged.notices.extend(run.notices.iter().cloned());
            (merged.environment, merged.classes) = (run.environment.clone(), run.classes.clone());
            tokens.extend(all.get(training).map(|seen| (seen.stage.clone(), seen.clone())));
        }
        self.state = merged;
        tokens
    }

    /// Folds an event of a training that is under way.
    pub(super) fn apply(&mut self, training: usize, record: &Record) {
        let is_of_a_stage = !matches!(record.event, Event::Started { .. } | Event::Finished { .. });
        if is_of_a_stage && self.trainings.contains(&training) {
            self.state.apply(record);
        }
    }
}
