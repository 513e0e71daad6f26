//! `summary.json`: the numbers of an experiment that scripts read. Versioned by `schema`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ExperimentResults;
use super::group::{Group, Spread};
use crate::metrics::collapse::Collapse;
use crate::protocol::{ArmScores, SUMMARY_SCHEMA};

/// The numbers of an experiment that scripts read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// Name of the experiment.
    pub name: String,
    /// Devices and versions that it was made with.
    pub made_with: Vec<String>,
    /// Its trainings, in order.
    pub trainings: Vec<TrainingTime>,
    /// Means over the test cases and over repeats, by arm; where axes vary, by levels and arm (`mask ratio 0.5, simtrot_w`).
    pub test: BTreeMap<String, ArmScores>,
    /// Collapse numbers, means over repeats: `untrained`, `constant`, `noise`, and each pre-training. Of projected tokens; of encoder tokens
    /// where the pretext task compares none.
    pub collapse: BTreeMap<String, Collapse>,
    /// The same of encoder tokens.
    pub collapse_encoder: BTreeMap<String, Collapse>,
}

/// One training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingTime {
    /// Levels and arm in words.
    pub name: String,
    /// Seconds of its last session.
    pub secs: f64,
    /// Whether it is done, tested cases included.
    pub done: bool,
}

impl Summary {
    /// Of what an experiment shows so far.
    pub fn new(results: &ExperimentResults) -> Self {
        let encoders = results.encoders();
        Self {
            schema: SUMMARY_SCHEMA,
            name: results.names.name.clone(),
            made_with: results.made_with.clone(),
            trainings: results
                .trainings
                .iter()
                .map(|own| TrainingTime {
                    name: own.title.clone(),
                    secs: own.secs,
                    done: own.progress == crate::experiment::Progress::Done,
                })
                .collect(),
            // Also of arms that share their training with another: a script finds each by its name.
            test: results
                .groups
                .iter()
                .filter(|group| group.done() > 0)
                .map(|group| (group.title.clone(), scores(results, group)))
                .collect(),
            collapse: encoders.iter().map(|(name, pair)| (name.clone(), pair.seen().clone())).collect(),
            collapse_encoder: encoders.into_iter().map(|(name, pair)| (name, pair.encoder.clone())).collect(),
        }
    }
}

fn scores(results: &ExperimentResults, group: &Group) -> ArmScores {
    let mean = |spread: Option<Spread>| spread.map(|spread| spread.mean);
    let by_label = |metric: usize| {
        let named = results.labels.iter().zip(&group.by_label);
        named.filter_map(|(label, spreads)| Some((label.clone(), spreads[metric]?.mean))).collect()
    };
    ArmScores {
        dice_mean: mean(group.dice),
        dice: by_label(0),
        hd95_mean: mean(group.hd95),
        hd95: by_label(1),
        unit: group.unit,
        cases: group.cases,
        missing_in_one: group.missing_in_one,
    }
}
