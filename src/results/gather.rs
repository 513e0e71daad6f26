//! From cells to groups: which repeats belong together, and their means.

use std::collections::BTreeMap;

use super::{Experiment, ExperimentResults, ExperimentState, Group, Progress, Repeat, Spread};
use crate::experiment::Cell;
use crate::metrics::{CaseScore, Collapse, Measure};
use crate::protocol::{CollapsePair, RunState, StageKind, StageState};

/// The reference measured before the first step, among a run's baselines.
const UNTRAINED: &str = "untrained";

/// Scores of a cell that is done.
fn scores<'a>(experiment: &Experiment, state: &'a ExperimentState, cell: &Cell) -> Option<&'a BTreeMap<String, Vec<CaseScore>>> {
    (state.progress(experiment, cell.finetuned) == Progress::Done)
        .then(|| state.runs[cell.finetuned].as_ref()?.stages_of(StageKind::Test).next().map(|stage| &stage.scores))
        .flatten()
}

/// Names of labels and regions, in the order in which they were scored.
pub(super) fn labels(experiment: &Experiment, state: &ExperimentState) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for score in experiment.cells.iter().filter_map(|cell| scores(experiment, state, cell)).flat_map(|scores| scores.values().flatten()) {
        if !labels.contains(&score.region) {
            labels.push(score.region.clone());
        }
    }
    labels
}

/// The pre-training part of a stage's record.
fn pretraining(state: &ExperimentState, stage: usize) -> Option<(&RunState, &StageState)> {
    let run = state.runs[stage].as_ref()?;
    Some((run, run.stages_of(StageKind::Pretrain).next()?))
}

/// Whether every measurement has projected tokens.
pub(super) fn all_projected(experiment: &Experiment, state: &ExperimentState) -> bool {
    let probes = (0..experiment.stages.len()).filter_map(|stage| pretraining(state, stage)?.1.last_probe());
    let mut probes = probes.peekable();
    probes.peek().is_some() && probes.all(|pair| pair.projected.is_some())
}

/// The untrained encoder as a stage's pre-training measured it.
fn untrained(state: &ExperimentState, stage: usize) -> Option<&CollapsePair> {
    let (run, training) = pretraining(state, stage)?;
    training.untrained_probe().or_else(|| run.baselines.get(UNTRAINED))
}

/// The untrained encoder of a cell's network: measured by its own pre-training, or by one of the same network, of the same seed if
/// there is one.
fn untrained_of<'a>(experiment: &Experiment, state: &'a ExperimentState, cell: &Cell) -> Option<&'a CollapsePair> {
    let own = &experiment.stages[cell.finetuned].config;
    let alike = |same_seed: bool| {
        let stages = experiment.stages.iter().enumerate().filter(|(_, stage)| stage.kind == StageKind::Pretrain);
        let mut alike = stages.filter(|(_, stage)| stage.config.model == own.model && (stage.config.seed == own.seed || !same_seed));
        alike.find_map(|(index, _)| untrained(state, index))
    };
    cell.pretrained.and_then(|stage| untrained(state, stage)).or_else(|| alike(true)).or_else(|| alike(false))
}

/// Groups in the order of their first cell.
pub(super) fn groups(experiment: &Experiment, state: &ExperimentState, results: &ExperimentResults) -> Vec<Group> {
    let mut groups: Vec<(Group, Vec<&Cell>)> = Vec::new();
    for (index, cell) in experiment.cells.iter().enumerate() {
        let levels: Vec<usize> = results.axes.iter().map(|&axis| cell.point[axis]).collect();
        let place = groups.iter().position(|(group, _)| group.levels == levels && group.arm == cell.arm).unwrap_or_else(|| {
            groups.push((begun(experiment, results, cell, levels), Vec::new()));
            groups.len() - 1
        });
        groups[place].0.repeats.push(repeat(experiment, state, index));
        groups[place].1.push(cell);
    }
    for index in 0..groups.len() {
        let trainings = |cells: &[&Cell]| cells.iter().map(|cell| cell.finetuned).collect::<Vec<_>>();
        let own = trainings(&groups[index].1);
        let same_as = groups[..index].iter().position(|(_, cells)| trainings(cells) == own);
        let (group, cells) = &mut groups[index];
        group.same_as = same_as;
        fill(group, &results.labels);
        let probe = |cell: &&&Cell| pretraining(state, cell.pretrained?)?.1.last_probe();
        let before: Vec<_> = cells.iter().filter_map(|cell| untrained_of(experiment, state, cell)).collect();
        group.untrained = mean_pair(&before);
        group.collapse = match group.pretraining {
            Some(_) => mean_pair(&cells.iter().filter_map(|cell| probe(&cell)).collect::<Vec<_>>()),
            None => group.untrained.clone(),
        };
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn begun(experiment: &Experiment, results: &ExperimentResults, cell: &Cell, levels: Vec<usize>) -> Group {
    let name = experiment.arms()[cell.arm].name.clone();
    let words = [results.place(experiment, &levels), name.clone()];
    let title = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
    let pretraining = cell.pretrained.map(|stage| {
        let own = &experiment.stages[stage].config.pretrain;
        own.task.title(own.weight)
    });
    Group { levels, arm: cell.arm, name, title, pretraining, ..Group::default() }
}

fn repeat(experiment: &Experiment, state: &ExperimentState, index: usize) -> Repeat {
    let cell = &experiment.cells[index];
    let axes: Vec<usize> = (0..experiment.config.axes.len()).filter(|&axis| experiment.config.axes[axis].repeats()).collect();
    let title = axes.iter().map(|&axis| format!("{} {}", experiment.config.axes[axis].name, experiment.level(cell, axis)));
    let scores = scores(experiment, state, cell);
    let mean = |measure: Measure| mean(scores?.values().filter_map(|scores| measure.of_case(scores)));
    Repeat {
        cell: index,
        key: axes.iter().map(|&axis| cell.point[axis]).collect(),
        title: title.collect::<Vec<_>>().join(", "),
        done: scores.is_some(),
        dice: mean(Measure::Dice),
        hd95: mean(Measure::Hd95),
        scores: scores.cloned().unwrap_or_default(),
    }
}

/// Means of a group whose repeats are known.
fn fill(group: &mut Group, labels: &[String]) {
    let whole = |measure: Measure| spread(group, |scores| measure.of_case(scores));
    let of_label = |label: &String, measure: Measure| {
        spread(group, |scores| scores.iter().find(|score| score.region == *label).and_then(|score| measure.of(score)))
    };
    let (dice, hd95) = (whole(Measure::Dice), whole(Measure::Hd95));
    let by_label = labels.iter().map(|label| [Measure::Dice, Measure::Hd95].map(|measure| of_label(label, measure))).collect();
    let scored = || group.repeats.iter().flat_map(|repeat| &repeat.scores);
    let cases: std::collections::BTreeSet<&String> = scored().map(|(case, _)| case).collect();
    let missing_in_one = scored().flat_map(|(_, scores)| scores).filter(|score| score.missing_in_one).count();
    (group.cases, group.missing_in_one) = (cases.len(), missing_in_one);
    (group.dice, group.hd95, group.by_label) = (dice, hd95, by_label);
}

/// Mean over cases of each case's mean over repeats; the repeats of folds have cases of their own, which are pooled by it.
fn spread(group: &Group, number: impl Fn(&[CaseScore]) -> Option<f64>) -> Option<Spread> {
    let mut by_case: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    let mut of_repeats = Vec::new();
    for repeat in &group.repeats {
        let numbers: Vec<_> = repeat.scores.iter().filter_map(|(case, scores)| Some((case, number(scores)?))).collect();
        of_repeats.extend(mean(numbers.iter().map(|(_, value)| *value)));
        for (case, value) in numbers {
            by_case.entry(case).or_default().push(value);
        }
    }
    let overall = mean(by_case.values().filter_map(|values| mean(values.iter().copied())))?;
    let repeats = of_repeats.len();
    let centre = mean(of_repeats.iter().copied())?;
    let squares: f64 = of_repeats.iter().map(|value| (value - centre).powi(2)).sum();
    let extreme = |pick: fn(f64, f64) -> f64| of_repeats.iter().copied().reduce(pick);
    Some(Spread {
        mean: overall,
        deviation: (repeats > 2).then(|| (squares / (repeats - 1) as f64).sqrt()),
        range: extreme(f64::min).zip(extreme(f64::max)).filter(|_| repeats > 1).map(|(low, high)| [low, high]),
        repeats,
    })
}

/// The mean; none of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

fn mean_pair(pairs: &[&CollapsePair]) -> Option<CollapsePair> {
    let projected: Option<Vec<&Collapse>> = pairs.iter().map(|pair| pair.projected.as_ref()).collect();
    let encoder: Vec<&Collapse> = pairs.iter().map(|pair| &pair.encoder).collect();
    (!pairs.is_empty()).then(|| CollapsePair { projected: projected.map(|all| mean_collapse(&all)), encoder: mean_collapse(&encoder) })
}

/// Means of the numbers that an experiment's tables and verdicts read.
fn mean_collapse(all: &[&Collapse]) -> Collapse {
    let of =
        |value: fn(&Collapse) -> Option<f64>| mean(all.iter().filter_map(|collapse| value(collapse)).filter(|value| value.is_finite()));
    let by_number = |values: fn(&Collapse) -> &BTreeMap<usize, f64>| {
        let numbers: std::collections::BTreeSet<usize> = all.iter().flat_map(|collapse| values(collapse).keys().copied()).collect();
        let mean_of = |n: usize| Some((n, mean(all.iter().filter_map(|collapse| values(collapse).get(&n).copied()))?));
        numbers.into_iter().filter_map(mean_of).collect()
    };
    Collapse {
        eta2: of(|c| c.eta2),
        eta2_turned: of(|c| c.eta2_turned),
        gap: of(|c| c.gap),
        index_lock: of(|c| c.index_lock),
        anatomy_lock: of(|c| c.anatomy_lock),
        uniformity: of(|c| c.uniformity),
        rankme: of(|c| c.rankme),
        label_probe_r2: by_number(|c| &c.label_probe_r2),
        label_probe_r2_position: by_number(|c| &c.label_probe_r2_position),
        ..Collapse::default()
    }
}
