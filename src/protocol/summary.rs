//! `summary.json`: the numbers of a run that scripts read. Versioned by `schema`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{RunState, StageKind, StageState};
use crate::config::{DistanceUnit, RunConfig};
use crate::metrics::{Bootstrap, CaseScore, Collapse, Interval, RegionSummary, summarise};

/// Version of `summary.json`. 2: distances are `hd95` and `hd95_mean`, their unit is a field of its own.
pub const SUMMARY_SCHEMA: u32 = 2;

/// The numbers of a run that scripts read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// Name of the run.
    pub name: String,
    /// `cpu` or `gpu`.
    pub device: String,
    /// Name of the processor or adapter.
    pub device_name: String,
    /// What was done, in order.
    pub stages: Vec<StageTime>,
    /// Scores on the test cases, by arm.
    pub test: BTreeMap<String, ArmScores>,
    /// Collapse numbers of projected tokens: `untrained`, `constant`, `noise`, and each pre-training arm. Where the pretext task
    /// compares no tokens: of encoder tokens.
    pub collapse: BTreeMap<String, Collapse>,
    /// The same of encoder tokens.
    pub collapse_encoder: BTreeMap<String, Collapse>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// Its name, for example `finetune scratch`.
    pub name: String,
    /// Seconds it took.
    pub secs: f64,
    /// Optimiser steps, or cases.
    pub steps: usize,
}

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

impl Summary {
    /// The summary of what a run of these settings has done so far.
    pub fn new(config: &RunConfig, state: &RunState) -> Self {
        let time = |stage: &StageState| Some(StageTime { name: stage.stage.to_string(), secs: stage.secs?, steps: stage.done });
        let scored = |stage: &StageState| (stage_name(stage), ArmScores::new(&stage.scores, config.distance_unit(&stage.stage.arm)));
        let mut collapse = BTreeMap::new();
        let mut collapse_encoder = BTreeMap::new();
        let measured = state.stages.iter().filter_map(|stage| Some((stage_name(stage), stage.last_probe()?)));
        for (name, pair) in state.baselines.iter().map(|(name, pair)| (name.clone(), pair)).chain(measured) {
            collapse.insert(name.clone(), pair.seen().clone());
            collapse_encoder.insert(name, pair.encoder.clone());
        }
        Self {
            schema: SUMMARY_SCHEMA,
            name: state.name.clone(),
            device: state.environment.device.clone(),
            device_name: state.environment.device_name.clone(),
            stages: state.stages.iter().filter_map(time).collect(),
            test: state.stages_of(StageKind::Test).map(scored).collect(),
            collapse,
            collapse_encoder,
        }
    }
}

/// The arm, or the stage's kind where there is only one.
fn stage_name(stage: &StageState) -> String {
    if stage.stage.arm.is_empty() { stage.stage.to_string() } else { stage.stage.arm.clone() }
}
