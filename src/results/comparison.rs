//! Groups compared case by case: each pre-trained one with its from-scratch control and with the strongest from scratch, and arms from
//! scratch with the first of them.

use std::collections::BTreeMap;

use super::group::{Group, Repeat, bootstrap};
use crate::config::RunConfig;
use crate::experiment::Experiment;
use crate::metrics::score::LEAST_DICE;
use crate::metrics::{CaseScore, Interval, Metric, mean};

/// A group held against one from scratch.
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
}

/// Which from-scratch group a comparison is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of a pre-trained group: trained by the same settings, on the same labelled cases.
    Control,
    /// Of a pre-trained group: the same network on the same labelled cases, by the settings that served it best: what pre-training has to
    /// beat.
    Strongest,
    /// Of a group from scratch: the first arm from scratch at the same point.
    Baseline,
}

/// Group minus reference, case by case and repeat by repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// What was measured.
    pub metric: Metric,
    /// Means of group and reference over the cases that both have.
    pub means: [f64; 2],
    /// Mean difference over cases, each the mean over the repeats that both have, with its case-bootstrap interval.
    pub interval: Interval,
    /// Cases on which the group is better, and on which it is worse.
    pub better_worse: [usize; 2],
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
    /// One repeat, whose interval excludes zero: an illustration.
    Once,
    /// One test case, which has no interval: an illustration.
    OneCase,
}

impl Paired {
    /// Repeats whose difference has the sign of the mean.
    pub fn agreeing(&self) -> usize {
        self.by_repeat.iter().filter(|(_, difference)| difference * self.interval.mean > 0.0).count()
    }

    /// What it shows: never a winner by one repeat, and nothing of one case.
    pub fn reading(&self) -> Reading {
        match (self.by_repeat.len(), self.interval.excludes_zero()) {
            _ if self.interval.ends.is_none() => Reading::OneCase,
            (_, false) => Reading::Open,
            (..=1, true) => Reading::Once,
            (repeats, true) if self.agreeing() < repeats => Reading::Split,
            _ if self.metric.improves(self.interval.mean) => Reading::Better,
            _ => Reading::Worse,
        }
    }

    /// What it shows, in a cell of a table.
    pub fn words(&self) -> &'static str {
        match (self.reading(), self.metric.improves(self.interval.mean)) {
            (Reading::Better, _) => "better",
            (Reading::Worse, _) => "worse",
            (Reading::Open, _) => "no difference shown",
            (Reading::Split, _) => "repeats disagree",
            (Reading::Once, true) => "better, one training",
            (Reading::Once, false) => "worse, one training",
            (Reading::OneCase, _) => "no interval, one case",
        }
    }
}

impl Comparison {
    /// The difference of a metric.
    pub fn of(&self, metric: Metric) -> Option<&Paired> {
        match metric {
            Metric::Dice => self.dice.as_ref(),
            Metric::Hd95 => self.hd95.as_ref(),
        }
    }
}

impl Role {
    /// In a file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Strongest => "strongest",
            Self::Baseline => "baseline",
        }
    }
}

/// All comparisons, in the order of the groups.
pub(super) fn comparisons(experiment: &Experiment, groups: &[Group]) -> Vec<Comparison> {
    let of = |(index, group)| references(experiment, groups, group, index).into_iter().map(move |reference| (index, group, reference));
    let all = groups.iter().enumerate().flat_map(of);
    all.map(|(group, own, (reference, role))| {
        let paired = |metric| paired(experiment, own, &groups[reference], metric);
        Comparison { group, reference, role, dice: paired(Metric::Dice), hd95: paired(Metric::Hd95) }
    })
    .collect()
}

fn references(experiment: &Experiment, groups: &[Group], group: &Group, index: usize) -> Vec<(usize, Role)> {
    let here = |other: &Group| other.levels == group.levels;
    // A group of the same trainings at the same point stands for one elsewhere.
    let first_of = |index: usize| groups[index].same_as.unwrap_or(index);
    let scratch = || (0..groups.len()).filter(|&other| groups[other].is_from_scratch() && on_the_same(experiment, group, &groups[other]));
    if group.is_from_scratch() {
        let first = scratch().find(|&other| here(&groups[other]));
        return first
            .filter(|&first| first < index && group.same_as.is_none())
            .map(|first| (first_of(first), Role::Baseline))
            .into_iter()
            .collect();
    }
    let at_point: Vec<usize> = scratch().filter(|&other| here(&groups[other])).map(first_of).collect();
    let candidates = || scratch().filter(|&other| here(&groups[other]) || (groups[other].same_as.is_none() && !at_point.contains(&other)));
    let control =
        candidates().find(|&other| settings(experiment, group, &groups[other]).is_some_and(|[own, other]| own.finetune == other.finetune));
    let scored = candidates().filter_map(|other| Some((other, groups[other].dice?.mean))).filter(|(_, dice)| *dice >= LEAST_DICE);
    let strongest = scored.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(other, _)| other);
    let strongest = strongest.filter(|other| Some(*other) != control);
    control.map(|other| (other, Role::Control)).into_iter().chain(strongest.map(|other| (other, Role::Strongest))).collect()
}

/// The settings of both groups' fine-tunings in the first repeat that both plan.
fn settings<'a>(experiment: &'a Experiment, ours: &Group, theirs: &Group) -> Option<[&'a RunConfig; 2]> {
    let config = |repeat: &Repeat| &experiment.trainings[repeat.training].config;
    ours.repeats.iter().find_map(|own| {
        let other = theirs.repeats.iter().find(|other| other.key == own.key)?;
        Some([config(own), config(other)])
    })
}

/// Whether both groups train the same network on the same labelled cases, and are tested alike.
fn on_the_same(experiment: &Experiment, ours: &Group, theirs: &Group) -> bool {
    settings(experiment, ours, theirs).is_some_and(|[own, other]| {
        own.data == other.data && own.model == other.model && own.infer == other.infer && own.evaluate == other.evaluate
    })
}

/// `ours` minus `theirs`: the same case in the same repeat.
fn paired(experiment: &Experiment, ours: &Group, theirs: &Group, metric: Metric) -> Option<Paired> {
    let mut by_case: BTreeMap<&String, Vec<[f64; 2]>> = BTreeMap::new();
    let mut by_repeat = Vec::new();
    for repeat in &ours.repeats {
        let Some(other) = theirs.repeats.iter().find(|other| other.key == repeat.key) else { continue };
        let pair = |(case, scores): (_, &Vec<CaseScore>)| Some((case, [metric.of_case(scores)?, metric.of_case(other.scores.get(case)?)?]));
        let pairs: Vec<(&String, [f64; 2])> = repeat.scores.iter().filter_map(pair).collect();
        by_repeat.extend(mean(pairs.iter().map(|(_, [ours, theirs])| ours - theirs)).map(|difference| (repeat.title.clone(), difference)));
        for (case, pair) in pairs {
            by_case.entry(case).or_default().push(pair);
        }
    }
    let of_case = |pairs: Vec<[f64; 2]>| Some([mean(pairs.iter().map(|pair| pair[0]))?, mean(pairs.iter().map(|pair| pair[1]))?]);
    let cases: Vec<[f64; 2]> = by_case.into_values().filter_map(of_case).collect();
    let differences = || cases.iter().map(|[ours, theirs]| ours - theirs);
    Some(Paired {
        metric,
        means: [mean(cases.iter().map(|case| case[0]))?, mean(cases.iter().map(|case| case[1]))?],
        interval: bootstrap(experiment).interval(differences())?,
        better_worse: [1.0, -1.0].map(|sign| differences().filter(|difference| metric.improves(sign * difference)).count()),
        by_repeat,
    })
}
