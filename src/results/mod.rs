//! What an experiment shows so far: its cells gathered over repeats, their means, and each against its from-scratch twin.
//!
//! Plain numbers and sentences; terminal, report and window print the same ones.

mod along;
mod compare;
mod gather;
mod sentence;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use crate::experiment::{Experiment, ExperimentState, Progress, Tally};
use crate::metrics::{CaseScore, Collapse, Interval, Measure};
use crate::protocol::CollapsePair;
use crate::wording::{NOTHING, word};

pub use along::{AlongAxis, Course};
pub use words::Pretraining;

/// Everything that an experiment shows so far. Of a cell that is not done nothing is counted: half of the test cases are no mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExperimentResults {
    /// Axes of the config that vary the experiment, in order; the others repeat it.
    pub axes: Vec<usize>,
    /// What a repeat is called: `seed`, `fold`, or `repeat` where both vary.
    pub repeat: &'static str,
    /// Names of labels and regions, in the order of the scores.
    pub labels: Vec<String>,
    /// Cells that differ in nothing but repeats, in the order of the grid.
    pub groups: Vec<Group>,
    /// Each group that was pre-trained against those from scratch, in the order of the groups.
    pub comparisons: Vec<Comparison>,
    /// How far the stages are.
    pub tally: Tally,
    /// Stages that ended by an error, with cause and next step.
    pub failures: Vec<(usize, String)>,
    /// Whether the loss compares tokens in all pre-trainings: then collapse is read where it sees them, or else of encoder tokens.
    pub projected: bool,
}

/// An arm at a point of the grid, over its repeats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The level on each of [`ExperimentResults::axes`].
    pub levels: Vec<usize>,
    /// Index among the experiment's arms.
    pub arm: usize,
    /// Name of the arm.
    pub name: String,
    /// Levels and arm in words: `mask ratio 0.5, simtrot_w`.
    pub title: String,
    /// What its pre-training is called by its authors; none: from scratch.
    pub pretraining: Option<&'static str>,
    /// One for each planned repeat.
    pub repeats: Vec<Repeat>,
    /// An earlier group made of the very same trainings: its axis touches pre-training alone, and this arm has none.
    pub same_as: Option<usize>,
    /// Mean over labels, then over cases.
    pub dice: Option<Spread>,
    /// The same of HD95.
    pub hd95: Option<Spread>,
    /// Mean over cases of each of [`ExperimentResults::labels`]: Dice, HD95.
    pub by_label: Vec<[Option<Spread>; 2]>,
    /// Distinct test cases.
    pub cases: usize,
    /// Labels that truth or prediction lacks where the other has them, over all repeats.
    pub missing_in_one: usize,
    /// Collapse numbers of the last measurement, means over repeats. From scratch: of the untrained encoder.
    pub collapse: Option<CollapsePair>,
    /// The untrained encoder of the same network.
    pub untrained: Option<CollapsePair>,
}

/// A cell as one of several alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeat {
    /// Index of the cell.
    pub cell: usize,
    /// The level on each axis that repeats: what pairs it with a repeat of another group.
    pub key: Vec<usize>,
    /// `seed 0`, or `seed 0, fold 2`; empty where nothing is repeated.
    pub title: String,
    /// Whether all of it is done.
    pub done: bool,
    /// Scores by case; empty until it is done.
    pub scores: BTreeMap<String, Vec<CaseScore>>,
    /// Mean Dice over its cases.
    pub dice: Option<f64>,
    /// Mean HD95 over its cases.
    pub hd95: Option<f64>,
}

/// A mean over cases, each case's mean over its repeats, and how repeats spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of the repeats' own means; none with fewer than three.
    pub deviation: Option<f64>,
    /// Lowest and highest of the repeats' own means; none with one.
    pub range: Option<[f64; 2]>,
    /// Repeats that have the number.
    pub repeats: usize,
}

/// A pre-trained group against one from scratch.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The group.
    pub group: usize,
    /// The group that it is held against.
    pub reference: usize,
    /// Why this one.
    pub role: Role,
    /// Difference of Dice; none without a case that both have in the same repeat.
    pub dice: Option<Paired>,
    /// The same of HD95.
    pub hd95: Option<Paired>,
    /// What the Dice shows, in plain words.
    pub sentence: String,
}

/// Which from-scratch group a comparison is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained by the same settings, on the same labelled cases.
    Twin,
    /// The same network on the same labelled cases, by the settings that served it best: what pre-training has to beat.
    Strongest,
}

/// Group minus reference, case by case and repeat by repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// What was measured.
    pub measure: Measure,
    /// Mean difference over cases, each the mean over the repeats that both have, with its case-bootstrap interval.
    pub interval: Interval,
    /// Mean difference of each repeat, by its name.
    pub by_repeat: Vec<(String, f64)>,
}

/// What a difference shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The interval excludes zero, and all of several repeats agree.
    Better,
    /// The same the other way.
    Worse,
    /// The interval includes zero.
    Open,
    /// The interval excludes zero, but repeats disagree in sign.
    Split,
    /// One repeat: an illustration.
    Once,
}

impl Paired {
    /// Repeats whose difference has the sign of the mean.
    pub fn agreeing(&self) -> usize {
        self.by_repeat.iter().filter(|(_, difference)| difference * self.interval.mean > 0.0).count()
    }

    /// Whether zero lies outside the interval.
    pub fn excludes_zero(&self) -> bool {
        self.interval.excludes_zero()
    }

    /// What it shows: never a winner by one repeat.
    pub fn reading(&self) -> Reading {
        match (self.by_repeat.len(), self.excludes_zero()) {
            (..=1, _) => Reading::Once,
            (_, false) => Reading::Open,
            (repeats, true) if self.agreeing() < repeats => Reading::Split,
            _ if self.measure.improves(self.interval.mean) => Reading::Better,
            _ => Reading::Worse,
        }
    }
}

impl Comparison {
    /// What it shows; the strongest reference is told as such.
    pub fn told(&self) -> String {
        sentence::told(self)
    }
}

impl Role {
    /// In a file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Twin => "twin",
            Self::Strongest => "strongest",
        }
    }
}

impl Reading {
    /// In a cell of a table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Open => "no difference shown",
            Self::Split => "repeats disagree",
            Self::Once => "illustration",
        }
    }
}

impl Spread {
    /// Half of the range or one standard deviation, whichever there is.
    pub fn reach(&self) -> Option<f64> {
        self.deviation.or_else(|| self.range.map(|[low, high]| (high - low) / 2.0))
    }
}

impl Group {
    /// Repeats that are done.
    pub fn done(&self) -> usize {
        self.repeats.iter().filter(|repeat| repeat.done).count()
    }

    /// The mean of a measure.
    pub fn mean(&self, measure: Measure) -> Option<&Spread> {
        match measure {
            Measure::Dice => self.dice.as_ref(),
            Measure::Hd95 => self.hd95.as_ref(),
        }
    }
}

impl ExperimentResults {
    /// What `state` shows of `experiment`.
    pub fn new(experiment: &Experiment, state: &ExperimentState) -> Self {
        let stages: Vec<usize> = (0..experiment.stages.len()).collect();
        let failure = |&stage: &usize| match state.progress(experiment, stage) {
            Progress::Failed { message } => Some((stage, message)),
            _ => None,
        };
        let axes: Vec<usize> = (0..experiment.config.axes.len()).filter(|&axis| !experiment.config.axes[axis].repeats()).collect();
        let mut results = Self {
            repeat: repeat_word(experiment),
            labels: gather::labels(experiment, state),
            projected: gather::all_projected(experiment, state),
            tally: state.tally(experiment, &stages),
            failures: stages.iter().filter_map(failure).collect(),
            axes,
            ..Self::default()
        };
        results.groups = gather::groups(experiment, state, &results);
        results.comparisons = compare::comparisons(experiment, &results);
        results
    }

    /// The numbers of `pair` that the experiment's tables show.
    pub fn seen<'a>(&self, pair: &'a CollapsePair) -> &'a Collapse {
        if self.projected { pair.seen() } else { &pair.encoder }
    }

    /// What [`Self::seen`] is of.
    pub fn tokens(&self) -> &'static str {
        if self.projected { "projected tokens" } else { "encoder tokens" }
    }

    /// Numbers of labelled volumes that label probes were fitted on.
    pub fn probed(&self) -> Vec<usize> {
        let pairs = self.groups.iter().filter_map(|group| group.collapse.as_ref());
        let volumes: std::collections::BTreeSet<usize> = pairs.flat_map(|pair| pair.encoder.label_probe_r2.keys().copied()).collect();
        volumes.into_iter().collect()
    }

    /// What the comparisons show, a sentence each; without any, why there is none.
    pub fn sentences(&self) -> Vec<String> {
        sentence::all(self)
    }

    /// R² of the label probe fitted on `volumes` labelled volumes: of encoder tokens, which are handed to fine-tuning.
    pub fn label_probe(group: &Group, volumes: usize) -> Option<f64> {
        group.collapse.as_ref()?.encoder.label_probe_r2.get(&volumes).copied()
    }

    /// Comparisons that there is something to tell of, each told once.
    pub fn told(&self) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().filter(|comparison| !sentence::idle(self, comparison))
    }

    /// All comparisons with twins and with the strongest from scratch in one sentence; none where there are fewer than two.
    pub fn summary(&self) -> Option<String> {
        sentence::summary(self)
    }

    /// Which encoders are collapsed, and which are not.
    pub fn collapse_sentences(&self, experiment: &Experiment) -> Vec<String> {
        sentence::collapse(experiment, self)
    }

    /// How far the numbers carry.
    pub fn caveat(&self, experiment: &Experiment) -> String {
        sentence::caveat(experiment, self)
    }

    /// What is not there yet, in sentences.
    pub fn missing(&self, experiment: &Experiment) -> Vec<String> {
        sentence::missing(experiment, self)
    }
}

/// `0.812 ± 0.004`: a mean over cases, and the deviation (of two repeats half the range) of the repeats' own means.
pub(crate) fn spread(spread: Option<&Spread>, measure: Measure) -> String {
    let Some(spread) = spread else { return NOTHING.to_owned() };
    let word = word(measure);
    spread.reach().map_or_else(|| word(spread.mean), |reach| format!("{} ± {}", word(spread.mean), word(reach)))
}

/// What the axes that repeat are about.
fn repeat_word(experiment: &Experiment) -> &'static str {
    let keys = |axis: &crate::config::Axis| axis.all_levels().into_iter().flat_map(|level| level.set).collect::<Vec<_>>();
    let settings: Vec<String> = experiment.config.axes.iter().filter(|axis| axis.repeats()).flat_map(keys).collect();
    let seeds = settings.iter().filter(|setting| setting.trim_start().starts_with("seed")).count();
    match seeds {
        _ if seeds == settings.len() => "seed",
        0 => "fold",
        _ => "repeat",
    }
}
