//! What an export says of itself in the file's header: enough for an import without a flag, and for a script to build
//! the same network elsewhere.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::error::ExchangeError;
use super::file::{METADATA, WeightsFile};
use crate::config::{DataConfig, RunConfig};
use crate::infer::InputConvention;
use crate::protocol::StageKind;
use crate::train::{CheckpointInfo, DatasetInfo};

/// Whose names the tensors get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// simtrot's own, everything that the checkpoint holds.
    Safetensors,
    /// Those that the reference implementation's `load_state_dict` takes, with nothing missing.
    Monai,
}

/// What a file of weights is of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportMetadata {
    /// Version of simtrot that wrote it.
    pub(super) version: String,
    /// Whose names the tensors have.
    pub(super) format: Format,
    /// Encoder, or whole network.
    pub(super) kind: StageKind,
    /// Optimiser steps done.
    pub(super) step: usize,
    /// The settings. Where the data were, and which cases trained, is the owner's affair and left out.
    pub(super) config: RunConfig,
    /// Channels and labels.
    pub(super) dataset: DatasetInfo,
    /// How volumes are handed to the network.
    #[serde(default, skip_serializing_if = "InputConvention::is_own")]
    pub(super) convention: InputConvention,
}

/// Voxels along D,H,W of the crops of a kind of training.
pub(super) fn crop_size(config: &RunConfig, kind: StageKind) -> [usize; 3] {
    if kind == StageKind::Finetune { config.finetune.crop_size } else { config.pretrain.crop_size }
}

impl ExportMetadata {
    /// Of a checkpoint.
    pub(super) fn of(info: &CheckpointInfo, kind: StageKind, format: Format) -> Self {
        let DataConfig { regions, preprocess, .. } = info.config.data.clone();
        let data = DataConfig { regions, preprocess, ..DataConfig::default() };
        let config = RunConfig { data, ..info.config.resolved() };
        Self {
            version: crate::VERSION.to_owned(),
            format,
            kind,
            step: info.step,
            config,
            dataset: info.dataset.clone(),
            convention: info.convention,
        }
    }

    /// From a file's header; none if another program wrote it.
    pub(super) fn read(file: &WeightsFile) -> Result<Option<Self>, ExchangeError> {
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|error| ExchangeError::Contradiction {
                path: file.path.clone(),
                cause: format!("its header was written by another version of simtrot ({error}); export the checkpoint anew"),
            })
        };
        file.metadata.as_ref().map(parse).transpose()
    }

    /// Whether the tensors have simtrot's own names.
    pub(super) fn has_own_names(&self) -> bool {
        self.format == Format::Safetensors
    }

    /// Whether it is of a whole network, and not of an encoder.
    pub(super) fn is_whole(&self) -> bool {
        self.kind == StageKind::Finetune
    }

    /// Voxels along D,H,W of the crops that the network was built for.
    pub(super) fn crop_size(&self) -> [usize; 3] {
        crop_size(&self.config, self.kind)
    }

    /// As a header's entries.
    pub(super) fn header(&self) -> HashMap<String, String> {
        HashMap::from([(METADATA.to_owned(), serde_json::to_string(self).expect("plain data becomes JSON"))])
    }
}
