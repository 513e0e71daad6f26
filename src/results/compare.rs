//! Each pre-trained group against its from-scratch twin, and against the strongest from scratch on the same data.

use std::collections::BTreeMap;

use super::gather::mean;
use super::{Comparison, Experiment, ExperimentResults, Group, Paired, Repeat, Role, sentence};
use crate::config::RunConfig;
use crate::metrics::score::LEAST_DICE;
use crate::metrics::{Bootstrap, CaseScore, Measure, paired_difference};

/// All comparisons, in the order of the groups.
pub(super) fn comparisons(experiment: &Experiment, results: &ExperimentResults) -> Vec<Comparison> {
    let base = experiment.config.base();
    let bootstrap = Bootstrap { seed: base.seed, resamples: base.evaluate.bootstrap };
    let mut comparisons = Vec::new();
    for (index, group) in results.groups.iter().enumerate().filter(|(_, group)| group.pretraining.is_some()) {
        for (reference, role) in references(experiment, results, group) {
            let theirs = &results.groups[reference];
            let [dice, hd95] = [Measure::Dice, Measure::Hd95].map(|measure| paired(group, theirs, measure, bootstrap));
            let sentence = sentence::comparison(experiment, results, [group, theirs], dice.as_ref());
            comparisons.push(Comparison { group: index, reference, role, dice, hd95, sentence });
        }
    }
    comparisons
}

/// The twin, and the strongest from scratch on the same data with the same network if that is another.
fn references(experiment: &Experiment, results: &ExperimentResults, group: &Group) -> Vec<(usize, Role)> {
    // A group of the same trainings at the same point stands for one elsewhere.
    let here = |other: &Group| other.levels == group.levels;
    let first_of = |index: usize, other: &Group| other.same_as.unwrap_or(index);
    let groups = || results.groups.iter().enumerate().filter(|(_, other)| other.pretraining.is_none());
    let at_point: Vec<usize> = groups().filter(|(_, other)| here(other)).map(|(index, other)| first_of(index, other)).collect();
    let scratch = || groups().filter(|(index, other)| here(other) || (other.same_as.is_none() && !at_point.contains(index)));
    let twin = scratch().filter(|(_, other)| settings(experiment, group, other).is_some_and(|[own, other]| own.finetune == other.finetune));
    let twin = twin.filter(|(_, other)| on_the_same(experiment, group, other)).map(|(index, _)| index).next();
    let scored =
        scratch().filter(|(_, other)| on_the_same(experiment, group, other)).filter_map(|(index, other)| Some((index, other.dice?.mean)));
    let strongest = scored
        .filter(|(_, dice)| *dice >= LEAST_DICE)
        .reduce(|best, other| if other.1 > best.1 { other } else { best })
        .map(|(index, _)| index);
    let strongest = strongest.filter(|index| Some(*index) != twin);
    twin.map(|index| (index, Role::Twin)).into_iter().chain(strongest.map(|index| (index, Role::Strongest))).collect()
}

/// The settings of both groups' fine-tunings in the first repeat that both plan.
fn settings<'a>(experiment: &'a Experiment, ours: &Group, theirs: &Group) -> Option<[&'a RunConfig; 2]> {
    let config = |repeat: &Repeat| &experiment.stages[experiment.cells[repeat.cell].finetuned].config;
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
fn paired(ours: &Group, theirs: &Group, measure: Measure, bootstrap: Bootstrap) -> Option<Paired> {
    let mut by_case: BTreeMap<&String, Vec<[f64; 2]>> = BTreeMap::new();
    let mut by_repeat = Vec::new();
    for repeat in &ours.repeats {
        let Some(other) = theirs.repeats.iter().find(|other| other.key == repeat.key) else { continue };
        let pair =
            |(case, scores): (_, &Vec<CaseScore>)| Some((case, [measure.of_case(scores)?, measure.of_case(other.scores.get(case)?)?]));
        let pairs: Vec<(&String, [f64; 2])> = repeat.scores.iter().filter_map(pair).collect();
        by_repeat.extend(mean(pairs.iter().map(|(_, [ours, theirs])| ours - theirs)).map(|difference| (repeat.title.clone(), difference)));
        for (case, pair) in pairs {
            by_case.entry(case).or_default().push(pair);
        }
    }
    let side = |place: usize| -> Vec<CaseScore> {
        by_case.iter().map(|(case, pairs)| whole(case, mean(pairs.iter().map(|pair| pair[place])))).collect()
    };
    let (_, interval) = paired_difference(&side(0), &side(1), |score| score.dice, bootstrap).pop()?;
    Some(Paired { measure, interval: interval?, by_repeat })
}

/// A case's mean over repeats, as the one score of the case: what is resampled.
fn whole(case: &str, value: Option<f64>) -> CaseScore {
    let region = String::new();
    CaseScore { case: case.to_owned(), region, dice: value, hd95: None, truth_voxels: 0, predicted_voxels: 0, missing_in_one: false }
}
