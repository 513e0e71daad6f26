//! The tested arms of a run, where each started from, and how two of them compare case by case.

use std::collections::BTreeMap;

use crate::config::{DataSource, DistanceUnit, RunConfig};
use crate::metrics::score::CaseScore;
pub(crate) use crate::metrics::score::LEAST_DICE;
pub(crate) use crate::metrics::score::Measure;
use crate::metrics::summary::{Bootstrap, Interval, paired_difference, summarise};
use crate::protocol::{ArmScores, RunState, StageKind};
use crate::wording::{distance, or_nothing, share};

/// Name of the arm that the others are compared with, where there is one of that name.
const REFERENCE: &str = "scratch";

/// The settings of the run, and of each of its arms that began.
pub(crate) fn began(config: &RunConfig, state: &RunState) -> Vec<RunConfig> {
    let arms = config.arms.pretrain.iter().chain(&config.arms.finetune);
    let own = arms.filter(|arm| state.stages.iter().any(|stage| stage.stage.arm == arm.name)).filter_map(|arm| config.with_arm(arm).ok());
    [config.clone()].into_iter().chain(own).collect()
}

/// What the pre-training `arm` asks of the network, as its authors name it; none where this run did not pre-train it.
pub(crate) fn task(config: &RunConfig, arm: &str) -> Option<&'static str> {
    let planned = config.arms.pretrain.iter().find(|planned| planned.name == arm);
    let own = match planned {
        Some(planned) => &config.with_arm(planned).ok()?,
        None if arm.is_empty() => config,
        None => return None,
    };
    Some(own.pretrain.task.title(own.pretrain.weight))
}

/// `pre-trained by SimTROT-W`, or without the task where the run does not know it.
pub(crate) fn pretrained(config: &RunConfig, arm: &str) -> String {
    task(config, arm).map_or_else(|| "pre-trained".to_owned(), |task| format!("pre-trained by {task}"))
}

/// Where an arm's training started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From random weights.
    Scratch,
    /// From a pre-trained encoder: the arm or checkpoint.
    Pretrained(String),
    /// The run scored an arm that it did not train.
    Unknown,
}

/// An arm with scored test cases.
#[derive(Clone, Debug)]
pub(crate) struct Arm<'a> {
    /// Its name; `this run` where there is only one.
    pub(crate) name: &'a str,
    /// Its name in folders: empty where there is only one.
    pub(crate) folder: &'a str,
    /// Where its training started.
    pub(crate) origin: Origin,
    /// Settings in which it departs from the run's.
    pub(crate) set: &'a [String],
    /// Whether its pre-training has the run's own settings, and is no ablation of them.
    pub(crate) pretrained_as_configured: bool,
    /// Where its cases come from: equal names of two datasets are not the same scan.
    pub(crate) source: DataSource,
    /// Scores by case.
    pub(crate) cases: &'a BTreeMap<String, Vec<CaseScore>>,
    /// Their means.
    pub(crate) means: ArmScores,
}

/// The arms with at least one scored test case, in the order of the run.
pub(crate) fn tested<'a>(config: &'a RunConfig, state: &'a RunState) -> Vec<Arm<'a>> {
    let scored = state.stages_of(StageKind::Test).filter(|stage| !stage.scores.is_empty());
    scored
        .map(|stage| {
            let folder = stage.stage.arm.as_str();
            let planned = config.arms.finetune.iter().find(|arm| arm.name == folder);
            let trained = state.stage(StageKind::Finetune, folder);
            let from = planned.and_then(|arm| arm.from.as_ref()).or(trained.and_then(|stage| Some(&stage.transfer.as_ref()?.0)));
            let origin = match from {
                Some(from) => Origin::Pretrained(from.clone()),
                None if trained.is_some() || planned.is_some() => Origin::Scratch,
                None => Origin::Unknown,
            };
            let source = config.arms.pretrain.iter().find(|arm| Some(&arm.name) == from);
            Arm {
                name: if folder.is_empty() { "this run" } else { folder },
                folder,
                origin,
                set: planned.map_or(&[], |arm| &arm.set),
                pretrained_as_configured: source.is_some_and(|arm| arm.set.is_empty()),
                source: planned.and_then(|arm| config.with_arm(arm).ok()).map_or(config.data.source.clone(), |own| own.data.source),
                cases: &stage.scores,
                means: ArmScores::new(&stage.scores, config.distance_unit(folder)),
            }
        })
        .collect()
}

/// The arm that the others are compared with: `scratch`, or else the first that was trained from scratch.
pub(crate) fn reference<'a, 'b>(arms: &'b [Arm<'a>]) -> Option<&'b Arm<'a>> {
    arms.iter().find(|arm| arm.name == REFERENCE).or_else(|| arms.iter().find(|arm| arm.origin == Origin::Scratch))
}

/// The arm that the pictures and the headline are about: the first pre-trained with the run's own settings, else the first
/// pre-trained, else the first.
pub(crate) fn leading<'a, 'b>(arms: &'b [Arm<'a>]) -> Option<&'b Arm<'a>> {
    let pretrained = || arms.iter().filter(|arm| matches!(arm.origin, Origin::Pretrained(_)));
    pretrained().find(|arm| arm.pretrained_as_configured).or_else(|| pretrained().next()).or(arms.first())
}

/// Whether two arms were tested on the same cases.
pub(crate) fn on_the_same_cases(one: &Arm<'_>, other: &Arm<'_>) -> bool {
    one.source == other.source && one.cases.keys().eq(other.cases.keys())
}

/// The arm with the highest mean Dice; none where it found nothing, where the others are as good to three decimals, or where not all
/// were tested on the same cases.
pub(crate) fn best<'a, 'b>(arms: &'b [Arm<'a>]) -> Option<&'b Arm<'a>> {
    if arms.iter().any(|arm| !on_the_same_cases(arm, &arms[0])) {
        return None;
    }
    let scored = || arms.iter().filter_map(|arm| Some((arm.means.dice_mean?, arm)));
    let (dice, best) = scored().reduce(|best, arm| if arm.0 > best.0 { arm } else { best })?;
    let alike = arms.len() > 1 && scored().all(|(other, _)| share(other) == share(dice));
    (dice >= LEAST_DICE && !alike).then_some(best)
}

/// The unit of the arms' distances, where they share one.
pub(crate) fn unit(arms: &[Arm<'_>]) -> Option<DistanceUnit> {
    let unit = arms.first()?.means.unit;
    arms.iter().all(|arm| arm.means.unit == unit).then_some(unit)
}

/// An arm's mean HD95, with its unit where the head of the table tells none.
pub(crate) fn hd95(arm: &Arm<'_>, shared: Option<DistanceUnit>) -> String {
    let number = or_nothing(arm.means.hd95_mean, distance);
    if shared.is_some() || arm.means.hd95_mean.is_none() { number } else { format!("{number} {}", arm.means.unit.word()) }
}

/// Names of labels and regions, in the order in which they were scored.
pub(crate) fn labels<'a>(arms: &[Arm<'a>]) -> Vec<&'a str> {
    let mut labels: Vec<&str> = Vec::new();
    for score in arms.iter().flat_map(|arm| arm.cases.values().flatten()) {
        if !labels.contains(&score.region.as_str()) {
            labels.push(&score.region);
        }
    }
    labels
}

/// An arm minus the reference, on the cases that both have.
pub(crate) struct Difference {
    /// Mean difference with its case-bootstrap interval.
    pub(crate) interval: Interval,
    /// Cases on which the arm is better.
    pub(crate) better: usize,
    /// Cases on which it is worse.
    pub(crate) worse: usize,
}

impl Difference {
    /// Whether zero lies outside the interval.
    pub(crate) fn excludes_zero(&self) -> bool {
        self.interval.excludes_zero()
    }
}

/// The mean of a measure over an arm's cases, with its interval.
pub(crate) fn interval(config: &RunConfig, arm: &Arm<'_>, measure: Measure) -> Option<Interval> {
    let summary = summarise(&whole_cases(arm), bootstrap(config));
    match measure {
        Measure::Dice => summary.dice,
        Measure::Hd95 => summary.hd95,
    }
}

/// `arm` minus `reference`, case by case; none where they share no case.
pub(crate) fn difference(config: &RunConfig, arm: &Arm<'_>, reference: &Arm<'_>, measure: Measure) -> Option<Difference> {
    if arm.source != reference.source || (measure == Measure::Hd95 && arm.means.unit != reference.means.unit) {
        return None;
    }
    let (ours, theirs) = (whole_cases(arm), whole_cases(reference));
    let (_, interval) = paired_difference(&ours, &theirs, |score| measure.of(score), bootstrap(config)).pop()?;
    let pair = |(case, scores): (&String, &Vec<CaseScore>)| Some(measure.of_case(scores)? - measure.of_case(reference.cases.get(case)?)?);
    let differences: Vec<f64> = arm.cases.iter().filter_map(pair).filter(|difference| *difference != 0.0).collect();
    let better = differences.iter().filter(|difference| measure.improves(**difference)).count();
    Some(Difference { interval: interval?, better, worse: differences.len() - better })
}

fn bootstrap(config: &RunConfig) -> Bootstrap {
    Bootstrap { seed: config.seed, resamples: config.evaluate.bootstrap }
}

/// Each case as one score, the mean over its labels: what [`ArmScores`] averages, so that an interval stands around
/// the mean that is printed beside it.
fn whole_cases(arm: &Arm<'_>) -> Vec<CaseScore> {
    let whole = |(case, scores): (&String, &Vec<CaseScore>)| CaseScore {
        case: case.clone(),
        region: String::new(),
        dice: Measure::Dice.of_case(scores),
        hd95: Measure::Hd95.of_case(scores),
        truth_voxels: scores.iter().map(|score| score.truth_voxels).sum(),
        predicted_voxels: scores.iter().map(|score| score.predicted_voxels).sum(),
        missing_in_one: scores.iter().any(|score| score.missing_in_one),
    };
    arm.cases.iter().map(whole).collect()
}
