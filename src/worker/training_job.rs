//! What a worker is given of one training.

use std::path::PathBuf;

use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::protocol::{RunFolder, Stage, StageKind};

/// A training to make, or to go on with.
#[derive(Clone, Debug)]
pub struct TrainingJob {
    /// `Pretrain` or `Finetune`.
    pub kind: StageKind,
    /// The arm that it is for.
    pub arm: String,
    /// Devices that share each batch with the job's own.
    pub beside: Vec<DeviceChoice>,
    /// Its settings.
    pub config: RunConfig,
    /// Where it is kept.
    pub folder: RunFolder,
    /// Fine-tuning: the checkpoint whose encoder it starts from; none: from scratch.
    pub from: Option<PathBuf>,
    /// What to do with a training that is already there.
    pub start: Start,
    /// End after so many steps.
    pub max_steps: Option<usize>,
    /// Bytes of memory that cases read ahead may take, and cases while they are prepared; none: no bound.
    pub memory: Option<u64>,
    /// Steps are only measured: that they are few is not worth a warning.
    pub is_trial: bool,
}

impl TrainingJob {
    /// A training from scratch, for no arm by name, in a folder that is new.
    pub fn new(kind: StageKind, config: RunConfig, folder: RunFolder) -> Self {
        let beside = Vec::new();
        Self {
            kind,
            arm: String::new(),
            beside,
            config,
            folder,
            from: None,
            start: Start::Fresh,
            max_steps: None,
            memory: None,
            is_trial: false,
        }
    }

    /// A stage of this training.
    pub(super) fn stage(&self, kind: StageKind) -> Stage {
        Stage { kind, arm: self.arm.clone() }
    }

    pub(super) fn steps(&self) -> usize {
        self.kind.steps(&self.config)
    }
}

/// What to do with a run that is already in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Refuse.
    Fresh,
    /// Replace it.
    Overwrite,
    /// Go on with it.
    Resume,
}
