//! What a checkpoint says of itself, and with which settings a training may go on from it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CheckpointError;
use crate::config::{RunConfig, differing_settings};
use crate::infer::InputConvention;
use crate::protocol::{SCHEMA, StageKind};

/// What a checkpoint is of, and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointInfo {
    /// Version of this format.
    pub schema: u32,
    /// Pre-training (encoder and projector) or fine-tuning (the whole network).
    pub kind: StageKind,
    /// Optimiser steps done.
    pub step: usize,
    /// The best figure so far, by which `best/` is chosen.
    pub best: Option<f64>,
    /// The run's settings, the arm's laid over them.
    pub config: RunConfig,
    /// What the network was trained for.
    pub dataset: DatasetInfo,
    /// Version of simtrot.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Whether the probe or validation that was due at this step was still to be made.
    #[serde(default)]
    pub unmeasured: bool,
    /// Checkpoints and files whose weights it started from, nearest first.
    pub parents: Vec<String>,
    /// SHA-256 of the weights of the first parent when its encoder was taken over, in hexadecimal digits; none for a training from
    /// scratch, and where it was not recorded.
    #[serde(default)]
    pub parent_sha256: Option<String>,
    /// Cases that it was trained on; none where that is not known.
    #[serde(default)]
    pub cases: Option<usize>,
    /// How another program's file became this checkpoint; none for one that was trained here.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// How volumes are handed to its network.
    #[serde(default, skip_serializing_if = "InputConvention::is_own")]
    pub convention: InputConvention,
}

/// How another program's file became a checkpoint; the file itself is the first of the parents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// How the file is packed.
    pub container: String,
    /// What was changed on the way.
    pub adapted: Vec<String>,
}

/// What the dataset asks of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name of the dataset.
    pub name: String,
    /// Names of the image channels, in order.
    pub channels: Vec<String>,
    /// Label values and names, background (0) included; class k is the k-th value.
    pub labels: BTreeMap<u32, String>,
}

impl CheckpointInfo {
    /// Of a training that has done `step` steps.
    pub fn new(kind: StageKind, step: usize, config: &RunConfig, dataset: &DatasetInfo) -> Self {
        Self {
            schema: SCHEMA,
            kind,
            step,
            best: None,
            unmeasured: false,
            config: config.resolved(),
            dataset: dataset.clone(),
            version: crate::VERSION.to_owned(),
            commit: crate::COMMIT.to_owned(),
            parents: Vec::new(),
            parent_sha256: None,
            cases: None,
            origin: None,
            convention: InputConvention::default(),
        }
    }

    /// Checks that a training by `config` may go on from this checkpoint, which lies at `place`: only lengths, saving, scoring and the
    /// place of the data may have changed, and no more steps may be done than are asked for.
    ///
    /// # Errors
    /// Names the settings that differ, or the steps.
    pub fn require_same_training(&self, config: &RunConfig, place: &Path) -> Result<(), CheckpointError> {
        let (path, keys, asked) = (place.to_owned(), changed_settings(&self.config, config), self.kind.steps(config));
        if !keys.is_empty() {
            return Err(CheckpointError::Settings { path, keys: keys.join(", ") });
        }
        if self.step > asked { Err(CheckpointError::Steps { path, done: self.step, asked }) } else { Ok(()) }
    }

    /// As `checkpoint.json`.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("plain data becomes JSON")
    }

    /// Voxels along D,H,W of the crops that its network is built for.
    pub fn crop_size(&self) -> [usize; 3] {
        if self.kind == StageKind::Finetune { self.config.finetune.crop_size } else { self.config.pretrain.crop_size }
    }
}

/// Keys of the settings in which two configs differ, those left out that may change when a run goes on: lengths, saving,
/// how test cases are scored, and where the data lie (their content is compared in its own right).
pub fn changed_settings(then: &RunConfig, now: &RunConfig) -> Vec<String> {
    let [then, now] = [then, now].map(comparable);
    differing_settings(&then, &now).into_iter().map(|(key, _)| key).collect()
}

/// A config as a tree without what may change when a run goes on.
fn comparable(config: &RunConfig) -> Map<String, Value> {
    let tree = serde_json::to_value(config.resolved()).expect("plain data becomes JSON");
    let Value::Object(mut tree) = tree else { unreachable!("a config is a map") };
    let mut remove = |part: &str, keys: &[&str]| {
        let part = tree.get_mut(part).and_then(Value::as_object_mut).expect("a part of a config is a map");
        keys.iter().for_each(|key| drop(part.remove(*key)));
    };
    for part in ["pretrain", "finetune"] {
        remove(part, &["steps", "checkpoint_every", "checkpoint_minutes", "probe_every", "validate_every"]);
    }
    remove("data", &["source"]);
    ["name", "arms", "infer", "evaluate"].iter().for_each(|key| drop(tree.remove(*key)));
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_is_the_same_run_and_another_mask_ratio_is_not() {
        let change = |setting: &str| RunConfig::default().with_overrides(&[setting.to_owned()]).unwrap();
        let changed = |setting: &str| changed_settings(&RunConfig::default(), &change(setting));
        assert_eq!(changed("pretrain.steps=77"), [""; 0]);
        assert_eq!(changed("data.source={\"dataset\":\"moved\"}"), [""; 0]);
        assert_eq!(changed("pretrain.mask_ratio=0.1"), ["pretrain.mask_ratio"]);
    }
}
