//! The layout of a run on disk, and writing so that a crash leaves either the old file or the new one.

use std::path::{Path, PathBuf};

use super::{Environment, FolderError, RecordReader, RunState, Stage, StageKind, TokenPreview};
use crate::atomic_file;
use crate::config::RunConfig;
use crate::folder_lock::{Busy, FolderLock, is_lock_file};

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
}

/// The split of a training, with the content of its cases ([`crate::volume::SplitRecord`]): a file of its folder.
pub const SPLIT: &str = "split.json";

/// What a run ran on: a file of its folder.
const ENVIRONMENT: &str = "environment.json";

impl RunFolder {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes the folder ready for a new training, and keeps other programs out while the lock lives.
    ///
    /// # Errors
    /// A training or foreign files are there, or another program is at work there. With `overwrite` a training there is removed; foreign
    /// files never are. One that ended before its first checkpoint holds nothing to lose and makes way.
    pub fn create(&self, overwrite: bool) -> Result<FolderLock, FolderError> {
        let io = FolderError::io(&self.root);
        self.require_ours()?;
        std::fs::create_dir_all(&self.root).map_err(io)?;
        let lock = FolderLock::take(&self.root)?;
        // What was there before the lock may be another's by now.
        self.require_ours()?;
        if self.has_saved() && !overwrite {
            return Err(FolderError::Occupied(self.root.clone()));
        }
        lock.clear(&self.config_path()).map_err(io)?;
        Ok(lock)
    }

    /// Refuses a folder with files of others.
    fn require_ours(&self) -> Result<(), FolderError> {
        let is_content = |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|entry| !is_lock_file(&entry.file_name()));
        let foreign =
            !self.holds_run() && self.root.exists() && std::fs::read_dir(&self.root).map_err(FolderError::io(&self.root))?.any(is_content);
        if foreign { Err(FolderError::Foreign(self.root.clone())) } else { Ok(()) }
    }

    /// The program that writes into the folder right now.
    pub fn busy(&self) -> Option<Busy> {
        Busy::look(&self.root)
    }

    /// Checks that no program writes into the folder right now.
    ///
    /// # Errors
    /// One does.
    pub fn require_free(&self) -> Result<(), FolderError> {
        self.busy().map_or(Ok(()), |busy| Err(FolderError::Busy(busy)))
    }

    /// Checks that there is a run to go on with, and keeps other programs out while the lock lives.
    ///
    /// # Errors
    /// There is none, or another program is at work on it.
    pub fn resume(&self) -> Result<FolderLock, FolderError> {
        if self.holds_run() { Ok(FolderLock::take(&self.root)?) } else { Err(FolderError::Nothing(self.root.clone())) }
    }

    /// Whether a training lies there that has saved something.
    pub fn has_saved(&self) -> bool {
        self.holds_run() && self.checkpoints().exists()
    }

    /// Whether a run lies there.
    pub fn holds_run(&self) -> bool {
        self.config_path().is_file()
    }

    /// Whether it is named as a pre-training, or as a fine-tuning.
    pub fn kind(&self) -> StageKind {
        let pretrains = self.root.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pretrain-"));
        if pretrains { StageKind::Pretrain } else { StageKind::Finetune }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config.ron`: every value spelt out.
    pub fn config_path(&self) -> PathBuf {
        self.root.join("config.ron")
    }

    /// `events.jsonl`: everything that happened.
    pub fn events_path(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// `checkpoints/` of the run.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// `predictions/`: the segmentations of the test cases.
    pub fn predictions(&self) -> PathBuf {
        self.root.join("predictions")
    }

    /// Removes `predictions/`, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_predictions(&self) -> Result<(), FolderError> {
        match std::fs::remove_dir_all(self.predictions()) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(FolderError::Io { path: self.predictions(), cause }),
            _ => Ok(()),
        }
    }

    /// `tokens/STAGE.safetensors`: the tokens that a stage measured last.
    pub fn tokens_path(&self, stage: &Stage) -> PathBuf {
        self.root.join("tokens").join(format!("{}.safetensors", stage_name(stage)))
    }

    /// `tokens/STAGE_untrained.safetensors`: the tokens that a stage measured before its first step.
    fn untrained_tokens_path(&self, stage: &Stage) -> PathBuf {
        self.root.join("tokens").join(format!("{}_untrained.safetensors", stage_name(stage)))
    }

    /// Keeps the tokens that a stage measured last, atomically, in place of older ones; those before the first step are kept beside them.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_tokens(&self, tokens: &TokenPreview) -> Result<(), FolderError> {
        let bytes = tokens.to_safetensors();
        let untrained = (tokens.step == 0).then(|| self.untrained_tokens_path(&tokens.stage));
        for path in [self.tokens_path(&tokens.stage)].into_iter().chain(untrained) {
            atomic_file::write(&path, &bytes).map_err(FolderError::io(&path))?;
        }
        Ok(())
    }

    /// The tokens that a stage measured last; none where it kept none.
    ///
    /// # Errors
    /// The file is there but cannot be read, or holds something else.
    pub fn read_tokens(&self, stage: &Stage) -> Result<Option<TokenPreview>, FolderError> {
        read_tokens(self.tokens_path(stage))
    }

    /// The tokens that a stage measured before its first step; none where it kept none.
    ///
    /// # Errors
    /// As [`RunFolder::read_tokens`].
    pub fn read_untrained_tokens(&self, stage: &Stage) -> Result<Option<TokenPreview>, FolderError> {
        read_tokens(self.untrained_tokens_path(stage))
    }

    /// Keeps what the run runs on.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_environment(&self, environment: &Environment) -> Result<(), FolderError> {
        self.write(ENVIRONMENT, &serde_json::to_vec_pretty(environment).expect("plain data becomes JSON"))
    }

    /// What the run ran on last.
    ///
    /// # Errors
    /// The file is missing or holds something else.
    pub fn environment(&self) -> Result<Environment, FolderError> {
        let path = self.root.join(ENVIRONMENT);
        let text = std::fs::read(&path).map_err(FolderError::io(&path))?;
        serde_json::from_slice(&text).map_err(|error| FolderError::Content { path, cause: error.to_string() })
    }

    /// Reads the run's config.
    ///
    /// # Errors
    /// Missing or invalid.
    pub fn config(&self) -> Result<RunConfig, FolderError> {
        Ok(RunConfig::load(&self.config_path())?)
    }

    /// Replays `events.jsonl` through the one fold. A last line that is cut off is left out.
    ///
    /// # Errors
    /// The file is missing, cannot be read, or holds something else.
    pub fn replay(&self) -> Result<RunState, FolderError> {
        Ok(self.replay_so_far()?.0)
    }

    /// The same, with a reader for what comes after.
    ///
    /// # Errors
    /// As [`RunFolder::replay`].
    pub fn replay_so_far(&self) -> Result<(RunState, RecordReader), FolderError> {
        let mut state = RunState::default();
        let mut reader = RecordReader::new(self.events_path());
        reader.read(&mut |record| state.apply(&record))?;
        if reader.found_nothing() {
            return Err(FolderError::Content { path: self.events_path(), cause: "line 1 is no event".to_owned() });
        }
        Ok((state, reader))
    }

    /// Writes a file of the run atomically; `name` is relative to the folder.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.root.join(name);
        atomic_file::write(&path, bytes).map_err(FolderError::io(&path))
    }
}

fn read_tokens(path: PathBuf) -> Result<Option<TokenPreview>, FolderError> {
    match std::fs::read(&path) {
        Ok(bytes) => TokenPreview::from_safetensors(&bytes).map(Some).map_err(|cause| FolderError::Content { path, cause }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FolderError::Io { path, cause }),
    }
}

/// What a stage is called in file names.
fn stage_name(stage: &Stage) -> String {
    stage.to_string().replace(' ', "_")
}
