//! What scripts read of scores and probes: parts of `summary.json`. Versioned by `schema`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RunState;
use crate::config::DistanceUnit;
use crate::metrics::{Bootstrap, CaseScore, Collapse, Interval, RegionSummary, summarise};

/// Version of `summary.json`. 3: of an experiment; `trainings` in place of `stages`, `missing_in_one` in place of `one_sided`.
pub const SUMMARY_SCHEMA: u32 = 3;

/// Scores of one arm on the test cases. Pairs absent from truth and prediction are left out of every mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmScores {
    /// Mean over cases of each case's mean over labels.
    pub dice_mean: Option<f64>,
    /// Mean over cases, by label or region name.
    pub dice: BTreeMap<String, f64>,
    /// Mean over cases of each case's mean over labels, in `unit`.
    pub hd95_mean: Option<f64>,
    /// Mean over cases, by label or region name, in `unit`.
    pub hd95: BTreeMap<String, f64>,
    /// Unit of the distances.
    pub unit: DistanceUnit,
    /// Number of cases.
    pub cases: usize,
    /// Labels that truth or prediction lacks where the other has them: Dice 0, HD95 the diagonal.
    pub missing_in_one: usize,
}

impl ArmScores {
    /// Means of the scores of one arm, by case; its distances are in `unit`.
    pub fn new(scores: &BTreeMap<String, Vec<CaseScore>>, unit: DistanceUnit) -> Self {
        let all: Vec<CaseScore> = scores.values().flatten().cloned().collect();
        let summary = summarise(&all, Bootstrap { seed: 0, resamples: 0 });
        let by_name = |value: fn(&RegionSummary) -> Option<Interval>| {
            summary.regions.iter().filter_map(|region| Some((region.region.clone(), value(region)?.mean))).collect()
        };
        Self {
            dice_mean: summary.dice.map(|interval| interval.mean),
            dice: by_name(|region| region.dice),
            hd95_mean: summary.hd95.map(|interval| interval.mean),
            hd95: by_name(|region| region.hd95),
            unit,
            cases: scores.len(),
            missing_in_one: summary.regions.iter().map(|region| region.missing_in_one).sum(),
        }
    }
}

/// [`ArmScores::dice_mean`] alone.
pub fn mean_dice(scores: &BTreeMap<String, Vec<CaseScore>>) -> Option<f64> {
    ArmScores::new(scores, DistanceUnit::default()).dice_mean
}

/// The numbers of a probed checkpoint that scripts read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeSummary {
    /// Version of this format.
    pub schema: u32,
    /// Collapse numbers of projected tokens: `untrained`, `constant`, `noise`, and `probe`, the checkpoint's. Where the pretext task
    /// compares no tokens: of encoder tokens.
    pub collapse: BTreeMap<String, Collapse>,
    /// The same of encoder tokens.
    pub collapse_encoder: BTreeMap<String, Collapse>,
}

impl ProbeSummary {
    /// Of what a probe has measured.
    pub fn new(state: &RunState) -> Self {
        let measured = state.stages.iter().filter_map(|stage| Some((stage.stage.to_string(), stage.last_probe()?)));
        let pairs: Vec<_> = state.baselines.iter().map(|(name, pair)| (name.clone(), pair)).chain(measured).collect();
        Self {
            schema: SUMMARY_SCHEMA,
            collapse: pairs.iter().map(|(name, pair)| (name.clone(), pair.seen().clone())).collect(),
            collapse_encoder: pairs.iter().map(|(name, pair)| (name.clone(), pair.encoder.clone())).collect(),
        }
    }
}
