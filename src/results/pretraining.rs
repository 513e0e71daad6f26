//! Pre-trainings over their repeats: what became of their tokens, beside the untrained encoder and inputs without content.

use std::collections::BTreeMap;

use super::names::Names;
use super::tokens::Tokens;
use super::training;
use crate::experiment::{Cell, Experiment, ExperimentState};
use crate::metrics::collapse::{Collapse, Judgement, verdict};
use crate::protocol::{CollapsePair, RunState, StageKind};

/// A pre-training over its repeats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pretraining {
    /// Levels and arm, as far as they distinguish it from the others.
    pub name: String,
    /// What it is called by its authors.
    pub task: &'static str,
    /// Its network.
    pub network: &'static str,
    /// Trainings of the experiment, one for each repeat.
    pub trainings: Vec<usize>,
    /// How many of them have measured their tokens.
    pub measured: usize,
    /// Why they never measure them, where one said so.
    pub unmeasured: Option<String>,
    /// Numbers of the last measurement, means over repeats.
    pub collapse: Option<CollapsePair>,
    /// The untrained encoder's, and those of the untrained encoder on a constant and on a noise input.
    pub references: [Option<CollapsePair>; 3],
}

/// What the references are called, in their order.
pub const REFERENCES: [&str; 3] = ["untrained", "constant", "noise"];

impl Pretraining {
    /// All pre-trainings of an experiment, in the order of the cells that start from them; those that serve none come last.
    pub(super) fn all(experiment: &Experiment, state: &ExperimentState, names: &Names) -> Vec<Self> {
        let mut found: Vec<Vec<usize>> = Vec::new();
        let mut points: BTreeMap<(Vec<usize>, usize), usize> = BTreeMap::new();
        for (cell, training) in experiment.cells.iter().filter_map(|cell| Some((cell, cell.pretrained?))) {
            let known = found.iter().position(|trainings| trainings.contains(&training));
            let index = *points.entry((names.levels_of(cell), cell.arm)).or_insert_with(|| known.unwrap_or(found.len()));
            if index == found.len() {
                found.push(Vec::new());
            }
            if known.is_none() {
                found[index].push(training);
            }
        }
        let alone = of_kind(experiment, StageKind::Pretrain).filter(|&training| experiment.cells_of(training).next().is_none());
        found.extend(alone.map(|training| vec![training]));
        found.into_iter().map(|trainings| Self::new(experiment, state, names, trainings)).collect()
    }

    fn new(experiment: &Experiment, state: &ExperimentState, names: &Names, trainings: Vec<usize>) -> Self {
        let runs: Vec<&RunState> = trainings.iter().filter_map(|&training| state.runs[training].as_deref()).collect();
        let measured: Vec<&CollapsePair> = runs.iter().filter_map(|run| training::measured(run)).collect();
        let reference = |name: &str| {
            let of = |run: &&'_ RunState| {
                if name == REFERENCES[0] { training::untrained(run).cloned() } else { run.baselines.get(name).cloned() }
            };
            let pairs: Vec<CollapsePair> = runs.iter().filter_map(of).collect();
            mean_pair(&pairs.iter().collect::<Vec<_>>())
        };
        let config = &experiment.trainings[trainings[0]].config;
        Self {
            name: name(experiment, names, trainings[0]),
            task: config.pretrain.task.title(config.pretrain.weight),
            network: config.model.backbone().title(),
            measured: measured.len(),
            unmeasured: runs.iter().find_map(|run| run.why_unmeasured()).map(str::to_owned),
            collapse: mean_pair(&measured),
            references: REFERENCES.map(reference),
            trainings,
        }
    }

    /// The untrained encoder.
    pub fn untrained(&self) -> Option<&CollapsePair> {
        self.references[0].as_ref()
    }

    /// The verdict on `tokens`.
    pub fn judgement(&self, tokens: Tokens) -> Option<Judgement> {
        let untrained = self.untrained().and_then(|pair| tokens.numbers(pair)).cloned().unwrap_or_default();
        verdict(tokens.numbers(self.collapse.as_ref()?)?, &untrained)
    }
}

/// The trainings of a kind, by their indices among all.
fn of_kind(experiment: &Experiment, kind: StageKind) -> impl Iterator<Item = usize> {
    (0..experiment.trainings.len()).filter(move |&training| experiment.trainings[training].kind == kind)
}

/// Levels that all cells of a pre-training share, and its arm where there are several.
fn name(experiment: &Experiment, names: &Names, training: usize) -> String {
    let levels = Names::shared_levels(experiment, training, |axis| names.axes.iter().any(|own| own.index == axis));
    let arm = &experiment.trainings[training].arm;
    match (experiment.config.base().arms.pretrain.len() > 1, levels.is_empty()) {
        (_, true) => arm.to_owned(),
        (true, false) => format!("{arm}, {levels}"),
        (false, false) => levels,
    }
}

/// The untrained encoder of a cell's network: as its own pre-training measured it, or one of the same network, of the same seed if there
/// is one.
pub(super) fn untrained_of<'a>(experiment: &Experiment, state: &'a ExperimentState, cell: &Cell) -> Option<&'a CollapsePair> {
    let of = |training: usize| training::untrained(state.runs[training].as_ref()?);
    let own = &experiment.trainings[cell.finetuned].config;
    let alike = |same_seed: bool| {
        of_kind(experiment, StageKind::Pretrain).find_map(|training| {
            let other = &experiment.trainings[training].config;
            (other.model == own.model && (other.seed == own.seed || !same_seed)).then(|| of(training)).flatten()
        })
    };
    cell.pretrained.and_then(of).or_else(|| alike(true)).or_else(|| alike(false))
}

/// Means of collapse numbers; of projected tokens only where all have them.
pub(super) fn mean_pair(pairs: &[&CollapsePair]) -> Option<CollapsePair> {
    let projected: Option<Vec<&Collapse>> = pairs.iter().map(|pair| pair.projected.as_ref()).collect();
    let encoder: Vec<&Collapse> = pairs.iter().map(|pair| &pair.encoder).collect();
    (!pairs.is_empty()).then(|| CollapsePair { projected: projected.map(|all| Collapse::mean(&all)), encoder: Collapse::mean(&encoder) })
}
