//! Groups: cells of an experiment that differ in nothing but their repeats, with their means.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Names;
use super::pretraining::{Pretraining, mean_pair, untrained_of};
use crate::config::DistanceUnit;
use crate::experiment::{Cell, Experiment, ExperimentState, Progress};
use crate::metrics::{Bootstrap, CaseScore, Metric, distinct, mean};
use crate::protocol::{CollapsePair, StageKind};
use crate::wording::{NOTHING, word};

/// What stands where a group's trainings are the same on every level of an axis.
const ANY: &str = "any";

/// An arm at a point of the grid, over its repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The level on each of [`Names::axes`].
    pub levels: Vec<usize>,
    /// Their names; `any` where other levels are the very same trainings.
    pub level_names: Vec<String>,
    /// Index among the experiment's arms.
    pub arm: usize,
    /// Name of the arm.
    pub name: String,
    /// Levels and arm in words: `mask ratio 0.5, simtrot_w`.
    pub title: String,
    /// Its pre-training, by its index among [`super::ExperimentResults::pretrainings`]; none: from scratch.
    pub pretraining: Option<usize>,
    /// What that is called by its authors.
    pub task: Option<&'static str>,
    /// Unit of its distances.
    pub unit: DistanceUnit,
    /// One for each planned repeat.
    pub repeats: Vec<Repeat>,
    /// An earlier group made of the very same trainings: its axis touches pre-training alone, and this arm has none.
    pub same_as: Option<usize>,
    /// Mean over labels, then over cases.
    pub dice: Option<Spread>,
    /// The same of HD95.
    pub hd95: Option<Spread>,
    /// Mean over cases of each of [`super::ExperimentResults::labels`]: Dice, HD95.
    pub by_label: Vec<[Option<Spread>; 2]>,
    /// Distinct test cases.
    pub cases: usize,
    /// Labels that truth or prediction lacks where the other has them, over all repeats.
    pub missing_in_one: usize,
    /// Labels absent from truth and prediction, over all repeats: left out of every mean.
    pub absent: usize,
    /// Collapse numbers of the last measurement, means over repeats. From scratch: of the untrained encoder.
    pub collapse: Option<CollapsePair>,
    /// The untrained encoder of the same network.
    pub untrained: Option<CollapsePair>,
}

/// A cell as one of several alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// Index of the cell.
    pub cell: usize,
    /// The training that fine-tunes and tests.
    pub training: usize,
    /// The level on each axis that repeats: what pairs it with a repeat of another group.
    pub key: Vec<usize>,
    /// `seed 0`, or `seed 0, fold 2`; empty where nothing is repeated.
    pub title: String,
    /// Whether all of it is done. Of a cell that is not done nothing is counted: half of the test cases are no mean.
    pub done: bool,
    /// Scores by case; empty until it is done.
    pub scores: BTreeMap<String, Vec<CaseScore>>,
    /// Mean Dice over its cases.
    pub dice: Option<f64>,
}

/// A mean over cases, each case's mean over its repeats: where it would lie with other cases, and how repeats spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Ends of its 95 % interval over resampled cases; none of a label, and of fewer than two cases.
    pub interval: Option<[f64; 2]>,
    /// Standard deviation of the repeats' own means; none with fewer than three.
    pub deviation: Option<f64>,
    /// Lowest and highest of the repeats' own means; none with one.
    pub range: Option<[f64; 2]>,
}

impl Spread {
    /// Mean over cases of each case's mean over repeats; the repeats of folds have cases of their own, which are pooled by it.
    fn of(repeats: &[Repeat], number: impl Fn(&[CaseScore]) -> Option<f64>, bootstrap: Option<Bootstrap>) -> Option<Self> {
        let by_case = over_repeats(repeats, &number);
        let of_repeats: Vec<f64> =
            repeats.iter().filter_map(|repeat| mean(repeat.scores.values().filter_map(|scores| number(scores)))).collect();
        let centre = mean(of_repeats.iter().copied())?;
        let squares: f64 = of_repeats.iter().map(|value| (value - centre).powi(2)).sum();
        let extreme = |pick: fn(f64, f64) -> f64| of_repeats.iter().copied().reduce(pick);
        let interval = bootstrap.and_then(|bootstrap| bootstrap.interval(by_case.values().copied())?.ends);
        Some(Self {
            mean: mean(by_case.values().copied())?,
            interval,
            deviation: (of_repeats.len() > 2).then(|| (squares / (of_repeats.len() - 1) as f64).sqrt()),
            range: extreme(f64::min).zip(extreme(f64::max)).filter(|_| of_repeats.len() > 1).map(|(low, high)| [low, high]),
        })
    }

    /// One standard deviation, or half of the range, whichever there is.
    pub fn reach(&self) -> Option<f64> {
        self.deviation.or_else(|| self.range.map(|[low, high]| (high - low) / 2.0))
    }
}

/// `0.812 ± 0.004`: a mean over cases, and the deviation (of two repeats half the range) of the repeats' own means.
pub fn spread(spread: Option<&Spread>, metric: Metric) -> String {
    let Some(spread) = spread else { return NOTHING.to_owned() };
    let word = word(metric);
    spread.reach().map_or_else(|| word(spread.mean), |reach| format!("{} ± {}", word(spread.mean), word(reach)))
}

impl Group {
    /// Repeats that are done.
    pub fn done(&self) -> usize {
        self.repeats.iter().filter(|repeat| repeat.done).count()
    }

    /// The mean of a metric.
    pub fn mean(&self, metric: Metric) -> Option<&Spread> {
        match metric {
            Metric::Dice => self.dice.as_ref(),
            Metric::Hd95 => self.hd95.as_ref(),
        }
    }

    /// R² of the label probe fitted on `volumes` labelled volumes: of encoder tokens, which fine-tuning starts from.
    pub fn label_probe(&self, volumes: usize) -> Option<f64> {
        self.collapse.as_ref()?.encoder.label_probe_r2.get(&volumes).copied()
    }

    /// Each case with the mean of a metric over repeats.
    pub fn by_case(&self, metric: Metric) -> BTreeMap<&str, f64> {
        over_repeats(&self.repeats, |scores| metric.of_case(scores))
    }

    /// Whether its training starts from random weights.
    pub fn is_from_scratch(&self) -> bool {
        self.task.is_none()
    }

    /// The cases that it was tested on.
    pub fn test_cases(&self) -> BTreeSet<&str> {
        self.repeats.iter().flat_map(|repeat| repeat.scores.keys().map(String::as_str)).collect()
    }
}

/// How the experiment's intervals are drawn.
pub(super) fn bootstrap(experiment: &Experiment) -> Bootstrap {
    let base = experiment.config.base();
    Bootstrap { seed: base.seed, resamples: base.evaluate.bootstrap }
}

/// Scores of a cell that is done.
fn scores<'a>(experiment: &Experiment, state: &'a ExperimentState, cell: &Cell) -> Option<&'a BTreeMap<String, Vec<CaseScore>>> {
    (state.progress(experiment, cell.finetuned) == Progress::Done)
        .then(|| state.runs[cell.finetuned].as_ref()?.stages_of(StageKind::Test).next().map(|stage| &stage.scores))
        .flatten()
}

/// Names of labels and regions, in the order in which they were scored.
pub(super) fn labels(experiment: &Experiment, state: &ExperimentState) -> Vec<String> {
    let scored = experiment.cells.iter().filter_map(|cell| scores(experiment, state, cell)).flat_map(|scores| scores.values().flatten());
    distinct(scored.map(|score| &score.region)).into_iter().cloned().collect()
}

/// All groups, in the order of their first cell.
pub(super) fn groups(
    experiment: &Experiment,
    state: &ExperimentState,
    names: &Names,
    pretrainings: &[Pretraining],
    labels: &[String],
) -> Vec<Group> {
    let mut found: Vec<(Vec<usize>, usize, Vec<Repeat>)> = Vec::new();
    for (index, cell) in experiment.cells.iter().enumerate() {
        let (levels, repeat) = (names.levels_of(cell), repeat(experiment, state, names, index));
        match found.iter_mut().find(|(known, arm, _)| *known == levels && *arm == cell.arm) {
            Some((.., repeats)) => repeats.push(repeat),
            None => found.push((levels, cell.arm, vec![repeat])),
        }
    }
    let trainings = |repeats: &[Repeat]| repeats.iter().map(|repeat| repeat.training).collect::<Vec<_>>();
    let mut groups: Vec<Group> = Vec::new();
    for (levels, arm, repeats) in found {
        let cells = || repeats.iter().map(|repeat| &experiment.cells[repeat.cell]);
        let untrained = mean_pair(&cells().filter_map(|cell| untrained_of(experiment, state, cell)).collect::<Vec<_>>());
        let start = cells().find_map(|cell| cell.pretrained);
        let pretraining = start.and_then(|start| pretrainings.iter().position(|own| own.trainings.contains(&start)));
        let own = pretraining.map(|own| &pretrainings[own]);
        let spread = |metric: Metric| Spread::of(&repeats, |scores| metric.of_case(scores), Some(bootstrap(experiment)));
        let of_label = |label: &String, metric: Metric| {
            Spread::of(&repeats, |scores| scores.iter().find(|score| score.region == *label).and_then(|score| metric.of(score)), None)
        };
        let scored = || repeats.iter().flat_map(|repeat| repeat.scores.values().flatten());
        groups.push(Group {
            title: names.group(&levels, arm),
            levels,
            level_names: Vec::new(),
            arm,
            name: names.arms[arm].name.clone(),
            pretraining,
            task: own.map(|own| own.task).or(names.arms[arm].task),
            unit: experiment.trainings[repeats[0].training].config.evaluate.distance_unit,
            same_as: groups.iter().position(|other| trainings(&other.repeats) == trainings(&repeats)),
            dice: spread(Metric::Dice),
            hd95: spread(Metric::Hd95),
            by_label: labels.iter().map(|label| Metric::ALL.map(|metric| of_label(label, metric))).collect(),
            cases: repeats.iter().flat_map(|repeat| repeat.scores.keys()).collect::<BTreeSet<_>>().len(),
            missing_in_one: scored().filter(|score| score.missing_in_one).count(),
            absent: scored().filter(|score| score.dice.is_none()).count(),
            collapse: own.map_or_else(|| untrained.clone(), |own| own.collapse.clone()),
            untrained,
            repeats,
        });
    }
    name_levels(&mut groups, names);
    groups
}

fn repeat(experiment: &Experiment, state: &ExperimentState, names: &Names, index: usize) -> Repeat {
    let cell = &experiment.cells[index];
    let axes = experiment.config.axes.iter().enumerate().filter(|(_, axis)| axis.repeats());
    let scores = scores(experiment, state, cell);
    Repeat {
        cell: index,
        training: cell.finetuned,
        key: axes.map(|(axis, _)| cell.point[axis]).collect(),
        title: names.repeat_of(experiment, cell),
        done: scores.is_some(),
        dice: scores.and_then(|scores| mean(scores.values().filter_map(|scores| Metric::Dice.of_case(scores)))),
        scores: scores.cloned().unwrap_or_default(),
    }
}

/// Each case with the mean of a number over repeats.
fn over_repeats(repeats: &[Repeat], number: impl Fn(&[CaseScore]) -> Option<f64>) -> BTreeMap<&str, f64> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (case, scores) in repeats.iter().flat_map(|repeat| &repeat.scores) {
        values.entry(case).or_default().extend(number(scores));
    }
    values.into_iter().filter_map(|(case, values)| Some((case, mean(values)?))).collect()
}

fn name_levels(groups: &mut [Group], names: &Names) {
    for index in 0..groups.len() {
        let level = |(axis, level): (usize, &usize)| {
            let any = groups.iter().any(|other| other.same_as == Some(index) && other.levels[axis] != *level);
            if any { ANY.to_owned() } else { names.axes[axis].levels[*level].clone() }
        };
        let level_names = groups[index].levels.iter().enumerate().map(level).collect();
        groups[index].level_names = level_names;
    }
}
