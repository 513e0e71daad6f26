//! What a ranking rests on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Criterion;

/// What a ranking rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Name of the dataset.
    pub dataset: String,
    /// Checkpoints of the networks that segment.
    pub networks: Vec<String>,
    /// Checkpoint of the encoder whose tokens are compared.
    pub encoder: String,
    /// By what cases were ranked.
    pub by: Vec<Criterion>,
    /// Why the other criteria were not measured.
    pub not_measured: BTreeMap<Criterion, String>,
    /// Number of labelled cases that could be read.
    pub labelled: usize,
    /// Number of cases held out, which are not looked at.
    pub held_out: usize,
}
