//! Each pre-trained group against its from-scratch twin, and against the strongest that was trained from scratch.

use std::collections::BTreeMap;

use super::gather::mean;
use super::{Comparison, Group, Paired, Role, Study, StudyResults, sentence};
use crate::metrics::{Bootstrap, CaseScore, Measure, paired_difference};

/// All comparisons, in the order of the groups.
pub(super) fn comparisons(study: &Study, results: &StudyResults) -> Vec<Comparison> {
    let base = study.config.base();
    let bootstrap = Bootstrap { seed: base.seed, resamples: base.evaluate.bootstrap };
    let mut comparisons = Vec::new();
    for (index, group) in results.groups.iter().enumerate().filter(|(_, group)| group.pretraining.is_some()) {
        for (reference, role) in references(study, results, group) {
            let theirs = &results.groups[reference];
            let [dice, hd95] = [Measure::Dice, Measure::Hd95].map(|measure| paired(group, theirs, measure, bootstrap));
            let sentence = sentence::comparison(study, results, [group, theirs], dice.as_ref());
            comparisons.push(Comparison { group: index, reference, role, dice, hd95, sentence });
        }
    }
    comparisons
}

/// The twin, and the strongest from scratch at the same point if that is another.
fn references(study: &Study, results: &StudyResults, group: &Group) -> Vec<(usize, Role)> {
    let own = settings(study, group);
    let scratch = || {
        let groups = results.groups.iter().enumerate();
        groups.filter(|(_, other)| other.pretraining.is_none() && other.levels == group.levels)
    };
    let twin = scratch().find(|(_, other)| settings(study, other) == own).map(|(index, _)| index);
    let scored = scratch().filter_map(|(index, other)| Some((index, other.dice?.mean)));
    let strongest = scored.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(index, _)| index);
    let strongest = strongest.filter(|index| Some(*index) != twin);
    twin.map(|index| (index, Role::Twin)).into_iter().chain(strongest.map(|index| (index, Role::Strongest))).collect()
}

/// The settings of a group's fine-tuning, in any order.
fn settings(study: &Study, group: &Group) -> Vec<String> {
    let mut set: Vec<String> = study.arms()[group.arm].set.iter().map(|setting| setting.replace(' ', "")).collect();
    set.sort();
    set
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
    CaseScore { case: case.to_owned(), region, dice: value, hd95: None, truth_voxels: 0, predicted_voxels: 0, one_sided: false }
}
