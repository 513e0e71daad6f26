//! What an experiment shows so far: its cells gathered over repeats, their means and intervals, each against its from-scratch control, and
//! the sentences that follow. Terminal, report and window show what is worked out here, and work nothing out themselves.
//!
//! `names` says what is called how, `training`, `pretraining` and `group` hold the numbers, `comparison` the differences, `sentences` puts
//! them into words. `tokens` and `settings` explain collapse numbers and settings, `foretelling` says which of the numbers go with the Dice,
//! `curves` what is plotted over steps.

mod assessment;
mod comparison;
pub mod curves;
mod foretelling;
mod group;
mod names;
mod per_axis;
mod pretraining;
mod sentences;
pub mod settings;
mod summary;
pub mod table;
mod tables;
#[cfg(test)]
mod tests;
mod tokens;
mod training;

use std::collections::BTreeSet;

use crate::config::DistanceUnit;
use crate::experiment::{Experiment, ExperimentState, Progress, Tally};
use crate::metrics::collapse::Collapse;
use crate::metrics::score::LEAST_DICE;
use crate::metrics::{Metric, distinct};
use crate::protocol::{CollapsePair, StageKind};
use crate::wording::share;

pub use assessment::Assessment;
pub use comparison::{Comparison, Paired, Reading, Role};
pub use group::{Group, Repeat, Spread, spread};
pub use names::{ArmNames, AxisNames, Names};
pub use per_axis::{ArmLine, PerAxis};
pub use pretraining::{Pretraining, REFERENCES};
pub use summary::Summary;
pub use tokens::{Purpose, TokenMetric, Tokens, token_metrics};
pub use training::TrainingResult;

/// Everything that an experiment shows so far. Of a cell that is not done nothing is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExperimentResults {
    /// What is called how.
    pub names: Names,
    /// All trainings, in the experiment's order.
    pub trainings: Vec<TrainingResult>,
    /// How many of them are how far.
    pub tally: Tally,
    /// Pre-trainings over their repeats.
    pub pretrainings: Vec<Pretraining>,
    /// Cells that differ in nothing but repeats, in the order of the grid.
    pub groups: Vec<Group>,
    /// Each group that was pre-trained against those from scratch, in the order of the groups.
    pub comparisons: Vec<Comparison>,
    /// Names of labels and regions, in the order of the scores.
    pub labels: Vec<String>,
    /// The tokens by which all pre-trainings can be compared.
    pub tokens: Tokens,
    /// Seconds of all trainings and tests that were recorded.
    pub secs: f64,
    /// Devices and versions that the trainings were made with, each once.
    pub made_with: Vec<String>,
    /// Networks of the trainings, each once.
    pub networks: Vec<&'static str>,
    /// The only point's group with the highest mean Dice, where one can be named.
    best: Option<usize>,
    /// Whether the demo's few cases are all that was tested.
    is_demo: bool,
}

impl ExperimentResults {
    /// What `state` shows of `experiment`.
    pub fn new(experiment: &Experiment, state: &ExperimentState) -> Self {
        let names = Names::new(experiment);
        let labels = group::labels(experiment, state);
        let pretrainings = Pretraining::all(experiment, state, &names);
        let groups = group::groups(experiment, state, &names, &pretrainings, &labels);
        let runs = || state.runs.iter().flatten();
        let parts = runs().flat_map(|run| &run.stages).filter(|part| part.stage.kind != StageKind::Prepare);
        let made_with: BTreeSet<String> = runs()
            .map(|run| &run.environment)
            .filter(|own| !own.device_name.is_empty())
            .map(|own| format!("{} ({}), simtrot {}", own.device_name, own.device, own.version))
            .collect();
        Self {
            comparisons: comparison::comparisons(experiment, &groups),
            tokens: Tokens::shared(pretrainings.iter().filter_map(|own| own.collapse.as_ref())),
            trainings: TrainingResult::all(experiment, state),
            tally: state.tally(experiment, &(0..experiment.trainings.len()).collect::<Vec<_>>()),
            secs: parts.filter_map(|part| part.secs).sum(),
            made_with: made_with.into_iter().collect(),
            networks: distinct(experiment.trainings.iter().map(|own| own.config.model.backbone().title())),
            best: best(experiment, &groups),
            is_demo: experiment.config.base().data.source == crate::config::DataSource::Demo,
            names,
            labels,
            pretrainings,
            groups,
        }
    }

    /// Groups with trainings of their own, with their indices among [`Self::groups`].
    pub fn rows(&self) -> impl Iterator<Item = (usize, &Group)> {
        self.groups.iter().enumerate().filter(|(_, group)| group.same_as.is_none())
    }

    /// Those of [`Self::rows`] that have something to show.
    pub fn known_rows(&self) -> impl Iterator<Item = (usize, &Group)> {
        // Of one point, tokens have a table of their own.
        let tokens = |group: &Group| !self.is_one_point() && !group.is_from_scratch() && group.collapse.is_some();
        self.rows().filter(move |(_, group)| group.done() > 0 || tokens(group))
    }

    /// Distinct levels of the groups, in their order: the points of the grid without repeats.
    pub fn points(&self) -> Vec<Vec<usize>> {
        distinct(self.groups.iter().map(|group| group.levels.clone()))
    }

    /// Whether there is one point alone: its arms are all that is compared.
    pub fn is_one_point(&self) -> bool {
        self.groups.iter().all(|group| group.levels == self.groups[0].levels)
    }

    /// The group with the highest mean Dice: of one point, where it found something, where the others are not as good to three decimals,
    /// and where all were tested on the same cases.
    pub fn best(&self) -> Option<usize> {
        self.best
    }

    /// Comparisons that have a difference to show, each once.
    pub fn shown(&self) -> impl Iterator<Item = &Comparison> {
        let has = |own: &&Comparison| own.dice.is_some() && self.groups[own.group].same_as.is_none();
        self.comparisons.iter().filter(has)
    }

    /// The unit of all distances; none where groups differ in it.
    pub fn unit(&self) -> Option<DistanceUnit> {
        let unit = self.groups.first()?.unit;
        self.groups.iter().all(|group| group.unit == unit).then_some(unit)
    }

    /// What a metric is called, with its unit.
    pub fn metric_title(&self, metric: Metric) -> String {
        match (metric, self.unit()) {
            (Metric::Dice, _) => "Dice".to_owned(),
            (Metric::Hd95, Some(unit)) => format!("HD95, {}", unit.word()),
            (Metric::Hd95, None) => "HD95".to_owned(),
        }
    }

    /// `0.812 ± 0.004`: the mean of a group, with the unit where the title has none.
    pub fn mean_text(&self, group: &Group, metric: Metric) -> String {
        let text = spread(group.mean(metric), metric);
        let own = metric == Metric::Hd95 && group.hd95.is_some() && self.unit().is_none();
        if own { format!("{text} {}", group.unit.word()) } else { text }
    }

    /// The numbers of `pair` on the tokens that all pre-trainings have.
    pub fn seen<'a>(&self, pair: &'a CollapsePair) -> &'a Collapse {
        self.tokens.numbers(pair).unwrap_or(&pair.encoder)
    }

    /// Numbers of labelled volumes that label probes were fitted on.
    pub fn probed(&self) -> Vec<usize> {
        let volumes: BTreeSet<usize> = self.encoders().iter().flat_map(|(_, pair)| pair.encoder.label_probe_r2.keys().copied()).collect();
        volumes.into_iter().collect()
    }

    /// Collapse numbers that were measured, for tables.
    pub fn token_metrics(&self) -> Vec<TokenMetric> {
        token_metrics(&self.probed())
    }

    /// The references, each once, and every pre-training that has measured its tokens: the rows of a table.
    pub fn encoders(&self) -> Vec<(String, &CollapsePair)> {
        let mut found: Vec<(String, &CollapsePair)> = Vec::new();
        for (index, reference) in REFERENCES.into_iter().enumerate() {
            // Networks differ in their untrained encoders: each is named by the first pre-training that starts from it.
            for own in &self.pretrainings {
                let Some(pair) = &own.references[index] else { continue };
                if !found.iter().any(|(_, known)| *known == pair) {
                    let first = !found.iter().any(|(name, _)| name == reference);
                    found.push((if first { reference.to_owned() } else { format!("{reference}, {}", own.name) }, pair));
                }
            }
        }
        found.extend(self.pretrainings.iter().filter_map(|own| Some((own.name.clone(), own.collapse.as_ref()?))));
        found
    }

    /// Trainings that ended by an error, with cause and next step.
    pub fn failures(&self) -> impl Iterator<Item = (&TrainingResult, &str)> {
        self.trainings.iter().filter_map(|training| match &training.progress {
            Progress::Failed { message } => Some((training, message.as_str())),
            _ => None,
        })
    }
}

fn best(experiment: &Experiment, groups: &[Group]) -> Option<usize> {
    let source = |group: &Group| group.repeats.first().map(|repeat| &experiment.trainings[repeat.training].config.data.source);
    let alike = |group: &Group, other: &Group| group.test_cases() == other.test_cases() && source(group) == source(other);
    let comparable = |group: &Group| group.levels == groups[0].levels && alike(group, &groups[0]);
    let scored = || groups.iter().enumerate().filter_map(|(index, group)| Some((index, group.dice?.mean)));
    let (best, dice) = scored().reduce(|best, other| if other.1 > best.1 { other } else { best })?;
    let equal = scored().all(|(_, other)| share(other) == share(dice));
    (dice >= LEAST_DICE && !equal && groups.iter().filter(|group| group.dice.is_some()).all(comparable)).then_some(best)
}
