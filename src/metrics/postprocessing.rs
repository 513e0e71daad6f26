//! Whether a label's largest component alone is nearer the truth than all that was segmented of it: measured on held-out cases, and the
//! rule that follows, as nnU-Net finds its own (label by label, by the mean Dice).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::counts::{LabelPair, Region, tally};
use super::score::mean;
use crate::geometry::keep_largest;
use crate::volume::LabelMap;

/// Dice of one label of a held-out case, which truth or segmentation has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The case.
    pub case: String,
    /// The label's value.
    pub label: u16,
    /// As it was segmented.
    pub dice: f64,
    /// With its largest component alone.
    pub dice_largest: f64,
}

/// What is done with one label, and the figures that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelRule {
    /// The label's value.
    pub label: u16,
    /// Held-out cases with it.
    pub cases: usize,
    /// Mean Dice as it was segmented.
    pub dice: f64,
    /// Mean Dice with its largest component alone.
    pub dice_largest: f64,
    /// Whether only that is kept: where it raised the mean.
    pub keep_largest: bool,
}

/// `postprocessing.json` of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Postprocessing {
    /// Which cases it was measured on, in words.
    pub measured_on: String,
    /// The rule of each label that they have, by these cases alone.
    pub rules: Vec<LabelRule>,
    /// The figures of each case.
    pub trials: Vec<Trial>,
}

/// Measures each of `labels` in a case.
///
/// # Panics
/// If the label maps do not have the shape they state.
pub fn try_largest(case: &str, truth: &LabelMap, segmented: &LabelMap, labels: &BTreeSet<u16>) -> Vec<Trial> {
    let regions: Vec<Region> = labels.iter().map(|&label| Region { name: label.to_string(), labels: vec![label] }).collect();
    let dice = |segmented: &LabelMap| -> Vec<Option<f64>> {
        tally(&LabelPair::of(truth, segmented), &regions).into_iter().map(|tally| tally.counts.dice()).collect()
    };
    let before = dice(segmented);
    let mut largest = segmented.clone();
    let removed = keep_largest(&mut largest.voxels, segmented.grid.shape, labels);
    let after = if removed == 0 { before.clone() } else { dice(&largest) };
    let trial = |(&label, (before, after)): (&u16, (Option<f64>, Option<f64>))| {
        Some(Trial { case: case.to_owned(), label, dice: before?, dice_largest: after? })
    };
    labels.iter().zip(before.into_iter().zip(after)).filter_map(trial).collect()
}

impl Postprocessing {
    /// Of cases in words, and what was measured on them.
    pub fn new(measured_on: String, trials: Vec<Trial>) -> Self {
        Self { measured_on, rules: rules(&trials), trials }
    }

    /// The test cases of a fold of `folds`, in words.
    pub fn of_fold(fold: usize, folds: usize) -> String {
        format!("fold {fold} of {folds}, which it did not train on")
    }

    /// Which cases several networks were measured on, in words: those of a cross-validation's folds, and equal ones, once with their number.
    pub fn pooled_on(measured: &[Self]) -> String {
        let mut kinds: Vec<(&str, Vec<Option<usize>>)> = Vec::new();
        for own in measured {
            let text = own.measured_on.as_str();
            let fold = text
                .strip_prefix("fold ")
                .and_then(|rest| rest.split_once(" of "))
                .and_then(|(fold, folds)| Some((fold.parse::<usize>().ok()?, folds)));
            let (kind, fold) = fold.map_or((text, None), |(fold, folds)| (folds, Some(fold)));
            match kinds.iter_mut().find(|(known, folds)| *known == kind && folds[0].is_some() == fold.is_some()) {
                Some((_, folds)) => folds.push(fold),
                None => kinds.push((kind, vec![fold])),
            }
        }
        let words = |(kind, folds): (&str, Vec<Option<usize>>)| match (folds[0], folds.len()) {
            (None, 1) => kind.to_owned(),
            (None, networks) => format!("{kind}, of {networks} networks"),
            (Some(fold), 1) => format!("fold {fold} of {kind}"),
            (Some(_), networks) => {
                let of = kind.split(',').next().unwrap_or(kind);
                let distinct = folds.into_iter().collect::<BTreeSet<_>>().len();
                let plural = if networks > distinct { "s" } else { "" };
                format!("{distinct} of {of} folds, each by the network{plural} that did not train on it")
            }
        };
        kinds.into_iter().map(words).collect::<Vec<_>>().join("; ")
    }

    /// The rules by what was measured for several networks together: of the folds of a cross-validation, each case once.
    pub fn pooled(measured: &[Self]) -> Vec<LabelRule> {
        rules(measured.iter().flat_map(|own| &own.trials))
    }
}

/// The rule of each label, in the order of their values.
fn rules<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Vec<LabelRule> {
    let mut by_label: BTreeMap<u16, Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        by_label.entry(trial.label).or_default().push(trial);
    }
    let rule = |(label, trials): (u16, Vec<&Trial>)| {
        let dice = mean(trials.iter().map(|trial| trial.dice))?;
        let dice_largest = mean(trials.iter().map(|trial| trial.dice_largest))?;
        Some(LabelRule { label, cases: trials.len(), dice, dice_largest, keep_largest: dice_largest > dice })
    };
    by_label.into_iter().filter_map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;

    fn map(voxels: &[u16]) -> LabelMap {
        LabelMap { grid: Grid::axis_aligned([1, 2, 8], [1.0; 3]), voxels: voxels.to_vec() }
    }

    /// Label 1 has a stray voxel, label 2 is two things, label 3 is missed and label 4 is nowhere.
    fn trials() -> Vec<Trial> {
        #[rustfmt::skip]
        let (truth, segmented) = (
            map(&[1, 1, 0, 0, 0, 2, 0, 2,
                  1, 1, 0, 3, 0, 2, 0, 2]),
            map(&[1, 1, 0, 0, 1, 2, 0, 2,
                  1, 1, 0, 0, 0, 2, 0, 0]),
        );
        try_largest("a", &truth, &segmented, &[1, 2, 3, 4].into())
    }

    #[test]
    fn the_largest_component_is_kept_where_that_raises_dice() {
        let trial = |label, dice, dice_largest| Trial { case: "a".to_owned(), label, dice, dice_largest };
        assert_eq!(trials(), [trial(1, 8.0 / 9.0, 1.0), trial(2, 6.0 / 7.0, 4.0 / 6.0), trial(3, 0.0, 0.0)]);
        let found = Postprocessing::new("case a".to_owned(), trials());
        let kept: Vec<(u16, bool)> = found.rules.iter().map(|rule| (rule.label, rule.keep_largest)).collect();
        assert_eq!(kept, [(1, true), (2, false), (3, false)], "no gain, no change");
    }

    #[test]
    fn cases_of_many_networks_are_said_once_with_their_number() {
        let on = |texts: &[String]| {
            Postprocessing::pooled_on(&texts.iter().map(|text| Postprocessing::new(text.clone(), Vec::new())).collect::<Vec<_>>())
        };
        let fold = |fold| Postprocessing::of_fold(fold, 5);
        let own = "its validation cases".to_owned();
        assert_eq!(on(&[fold(3)]), "fold 3 of 5, which it did not train on");
        assert_eq!(on(&(0..5).map(fold).collect::<Vec<_>>()), "5 of 5 folds, each by the network that did not train on it");
        let of_seeds = [fold(0), fold(2), fold(0), own.clone()];
        assert_eq!(on(&of_seeds), "2 of 5 folds, each by the networks that did not train on it; its validation cases");
        assert_eq!(on(&[own.clone(), own]), "its validation cases, of 2 networks");
    }

    #[test]
    fn folds_decide_together() {
        let fold = |case: &str, dice_largest| {
            let trials = vec![Trial { case: case.to_owned(), label: 1, dice: 0.8, dice_largest }];
            Postprocessing::new(case.to_owned(), trials)
        };
        let folds = [fold("a", 0.9), fold("b", 0.75), fold("c", 0.77)];
        assert_eq!(folds.each_ref().map(|fold| fold.rules[0].keep_largest), [true, false, false]);
        let [rule] = &Postprocessing::pooled(&folds)[..] else { panic!("one label") };
        assert!(rule.keep_largest && rule.cases == 3 && (rule.dice_largest - 2.42 / 3.0).abs() < 1e-12, "{rule:?}");
    }
}
