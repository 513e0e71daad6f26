//! Pre-trainings over their repeats: what became of their tokens, beside the untrained encoder and inputs without content.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Names;
use super::tokens::Tokens;
use super::training;
use crate::experiment::{Cell, Experiment, ExperimentState};
use crate::metrics::collapse::{Collapse, Judgement, verdict};
use crate::protocol::{CollapsePair, RunState, StageKind};

/// A pre-training over its repeats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pretraining {
    /// Levels and arm, as far as they tell it from the others.
    pub name: String,
    /// What it is called by its authors.
    pub task: &'static str,
    /// Its network.
    pub network: &'static str,
    /// Trainings of the experiment, one for each repeat.
    pub trainings: Vec<usize>,
    /// How many of them have measured their tokens.
    pub measured: usize,
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
            let place = *points.entry((names.levels_of(cell), cell.arm)).or_insert_with(|| known.unwrap_or(found.len()));
            if place == found.len() {
                found.push(Vec::new());
            }
            if known.is_none() {
                found[place].push(training);
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

/// The trainings of a kind, by their places among all.
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

/// The mean; none of nothing.
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Means of collapse numbers; of projected tokens only where all have them.
pub(super) fn mean_pair(pairs: &[&CollapsePair]) -> Option<CollapsePair> {
    let projected: Option<Vec<&Collapse>> = pairs.iter().map(|pair| pair.projected.as_ref()).collect();
    let encoder: Vec<&Collapse> = pairs.iter().map(|pair| &pair.encoder).collect();
    (!pairs.is_empty()).then(|| CollapsePair { projected: projected.map(|all| mean_collapse(&all)), encoder: mean_collapse(&encoder) })
}

fn mean_collapse(all: &[&Collapse]) -> Collapse {
    if let [only] = all {
        return (*only).clone();
    }
    let of = |value: fn(&Collapse) -> Option<f64>| mean(all.iter().filter_map(|own| value(own)).filter(|value| value.is_finite()));
    let by_number = |values: fn(&Collapse) -> &BTreeMap<usize, f64>| {
        let numbers: BTreeSet<usize> = all.iter().flat_map(|own| values(own).keys().copied()).collect();
        let mean_of = |n: usize| Some((n, mean(all.iter().filter_map(|own| values(own).get(&n).copied()))?));
        numbers.into_iter().filter_map(mean_of).collect()
    };
    let values = all.iter().map(|own| own.spectrum.len()).min().unwrap_or(0);
    Collapse {
        eta2: of(|c| c.eta2),
        eta2_turned: of(|c| c.eta2_turned),
        volume_share: of(|c| c.volume_share),
        remainder_share: of(|c| c.remainder_share),
        gap: of(|c| c.gap),
        index_lock: of(|c| c.index_lock),
        anatomy_lock: of(|c| c.anatomy_lock),
        label_probe_r2: by_number(|c| &c.label_probe_r2),
        label_probe_r2_position: by_number(|c| &c.label_probe_r2_position),
        rankme: of(|c| c.rankme),
        residual_rankme: of(|c| c.residual_rankme),
        position_probe_r2: of(|c| c.position_probe_r2),
        content_probe_accuracy: of(|c| c.content_probe_accuracy),
        alignment: of(|c| c.alignment),
        uniformity: of(|c| c.uniformity),
        retrieval_wrong_volume: of(|c| c.retrieval_wrong_volume),
        spectrum: (0..values).filter_map(|index| mean(all.iter().map(|own| own.spectrum[index]))).collect(),
    }
}
