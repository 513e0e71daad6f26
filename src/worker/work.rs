//! The trainings of a job, each with its own settings, folder and source: a comparison has several, the others one.

use std::path::{Path, PathBuf};

use super::{JobError, Training};
use crate::config::{Arm, RunConfig};
use crate::protocol::{RunFolder, RunFolderError, SPLIT, Stage, StageKind};
use crate::train::{Checkpoint, CheckpointError, CheckpointInfo, changed_settings};
use crate::volume::SplitRecord;

/// One training of a job.
pub(super) struct Work {
    /// `Pretrain` or `Finetune`, and the arm.
    pub(super) stage: Stage,
    /// Its settings, the arm's laid over the run's.
    pub(super) config: RunConfig,
    /// Where its split and its checkpoints are kept: the run's folder for a training by itself.
    pub(super) folder: RunFolder,
    /// Fine-tuning: the checkpoint whose encoder it starts from; none: from scratch.
    pub(super) from: Option<PathBuf>,
    /// What the arm sets.
    set: Vec<String>,
}

impl Work {
    /// The only training of a run.
    pub(super) fn alone(kind: StageKind, training: &Training, from: Option<&Path>) -> Self {
        let stage = Stage { kind, arm: String::new() };
        let (config, folder) = (training.config.clone(), training.folder.clone());
        Self { stage, config, folder, from: from.map(Path::to_owned), set: Vec::new() }
    }

    /// Every arm of a run: pre-trainings first, then fine-tunings.
    pub(super) fn of_arms(training: &Training) -> Result<Vec<Self>, JobError> {
        let Training { config, folder, .. } = training;
        let of_kind = |kind: StageKind, arms: &[Arm]| arms.iter().map(|arm| (kind, arm.clone())).collect::<Vec<_>>();
        let arms = [of_kind(StageKind::Pretrain, &config.arms.pretrain), of_kind(StageKind::Finetune, &config.arms.finetune)].concat();
        let work = |(kind, arm): (StageKind, Arm)| {
            let stage = Stage { kind, arm: arm.name.clone() };
            let own = config.with_arm(&arm)?;
            let source = arm.from.map(|from| folder.arm(&Stage { kind: StageKind::Pretrain, arm: from }));
            let from = source.map(|source| source.checkpoints().join("last"));
            Ok(Self { folder: folder.arm(&stage), stage, config: own, from, set: arm.set })
        };
        arms.into_iter().map(work).collect()
    }

    /// Optimiser steps in all.
    pub(super) fn steps(&self) -> usize {
        if self.stage.kind == StageKind::Pretrain { self.config.pretrain.steps } else { self.config.finetune.steps }
    }

    /// The test of a fine-tuning.
    pub(super) fn test(&self) -> Stage {
        Stage { kind: StageKind::Test, arm: self.stage.arm.clone() }
    }

    /// Whether this fine-tuning starts from what `other` pre-trains.
    pub(super) fn starts_from(&self, other: &Self) -> bool {
        other.stage.kind == StageKind::Pretrain && self.from.as_ref().is_some_and(|from| from.starts_with(other.folder.checkpoints()))
    }

    /// An error with its data, in the words of the arm whose settings it comes from.
    pub(super) fn explain(&self, error: JobError) -> JobError {
        let of_data = |setting: &&String| setting.starts_with("data.") || setting.split('=').next().is_some_and(|key| key.trim() == "seed");
        let settings: Vec<&str> = self.set.iter().filter(of_data).map(String::as_str).collect();
        match settings.is_empty() {
            true => error,
            false => JobError::Input(format!("arm {} ({}): {error}", self.stage.arm, settings.join(", "))),
        }
    }

    /// `split.json` of the training.
    pub(super) fn split_path(&self) -> PathBuf {
        self.folder.root().join(SPLIT)
    }

    /// The split that the training was recorded with; none before it began.
    pub(super) fn recorded_split(&self) -> Result<Option<SplitRecord>, JobError> {
        let path = self.split_path();
        match std::fs::read(&path) {
            Ok(text) => {
                let record = serde_json::from_slice(&text);
                Ok(Some(record.map_err(|error| RunFolderError::Content { path, cause: error.to_string() })?))
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && self.last()?.is_none() => Ok(None),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let cause = "it is missing, so that nobody can tell whether the data are those that the training began with".to_owned();
                Err(RunFolderError::Content { path, cause }.into())
            }
            Err(cause) => Err(RunFolderError::Io { path, cause }.into()),
        }
    }

    /// The split of the training that this one starts from; none where it is not known.
    pub(super) fn recorded_split_of_source(&self) -> Option<SplitRecord> {
        let place = Checkpoint::locate(self.from.as_ref()?).ok()?;
        let text = std::fs::read(place.parent()?.parent()?.join(SPLIT)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// What its last checkpoint tells of itself; none before the first was saved.
    pub(super) fn last(&self) -> Result<Option<CheckpointInfo>, JobError> {
        Ok(Checkpoint::last_info(&self.folder.checkpoints())?)
    }

    /// Refuses to go on with a training under other settings, or from another source, than it began with.
    pub(super) fn require_same(&self) -> Result<(), JobError> {
        let Some(then) = self.last()? else { return Ok(()) };
        let path = self.folder.checkpoints().join("last");
        let keys = changed_settings(&then.config, &self.config);
        if !keys.is_empty() {
            return Err(CheckpointError::Settings { path, keys: keys.join(", ") }.into());
        }
        // A checkpoint's own folder is called last or best: that of the arm lies two above it.
        let arm = |place: &Path| place.parent().and_then(Path::parent).and_then(Path::file_name).map(std::ffi::OsStr::to_owned);
        let (began, asked) = (then.parents.first().map(Path::new), self.from.as_deref());
        if !self.stage.arm.is_empty() && began.and_then(arm) != asked.and_then(arm) {
            let words = |place: Option<&Path>| place.map_or("from scratch".to_owned(), |place| format!("from {}", place.display()));
            return Err(JobError::Input(format!(
                "arm {} was started {} and now asks to start {}; give the arm another name, or start a new run",
                self.stage.arm,
                words(began),
                words(asked)
            )));
        }
        Ok(())
    }

    /// Whether what is saved of the training started from other weights than its source holds now.
    pub(super) fn is_of_another_source(&self) -> Result<bool, JobError> {
        let Some(then) = self.last()? else { return Ok(false) };
        // A source that is gone decides nothing: its encoder was taken over before the first step.
        let Some(place) = self.from.as_deref().and_then(|from| Checkpoint::locate(from).ok()) else { return Ok(false) };
        Ok(then.parent_sha256 != Some(Checkpoint::weights_sha256(&place)?))
    }
}
