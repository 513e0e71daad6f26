//! The layout of a run on disk, and writing so that a crash leaves either the old file or the new one.

use std::path::{Path, PathBuf};

use super::{Environment, RecordReader, RunFolderError, RunState, Stage, TokenPreview};
use crate::atomic_file;
use crate::config::RunConfig;
use crate::folder_lock::{Busy, FolderLock, is_lock_file};

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
}

/// What lies where a run is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing, or an empty folder.
    Nothing,
    /// A run.
    Run {
        /// Whether it has saved anything: a run that ended before its first checkpoint holds nothing to lose.
        saved: bool,
    },
    /// Files that are no run's: they are never deleted.
    Foreign,
}

/// The split of a training, with the content of its cases ([`crate::volume::SplitRecord`]): a file of its folder.
pub const SPLIT: &str = "split.json";

/// What a run ran on: a file of its folder.
const ENVIRONMENT: &str = "environment.json";

/// Where a run of a name goes when no folder is given.
const DEFAULT_PARENT: &str = "runs";

impl RunFolder {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `out`, or `runs/NAME`.
    pub fn named(out: Option<&Path>, name: &str) -> Self {
        Self::new(out.map_or_else(|| Path::new(DEFAULT_PARENT).join(name), Path::to_owned))
    }

    /// Makes the folder ready for a new run, and keeps other programs out while the lock lives.
    ///
    /// # Errors
    /// A run or foreign files are there, or another program is at work there. With `overwrite` a run there is removed; foreign
    /// files never are. A run that ended before its first checkpoint holds nothing to lose and makes way.
    pub fn create(&self, overwrite: bool) -> Result<FolderLock, RunFolderError> {
        let io = |cause| RunFolderError::Io { path: self.root.clone(), cause };
        if self.content()? == Content::Foreign {
            return Err(RunFolderError::Foreign(self.root.clone()));
        }
        std::fs::create_dir_all(&self.root).map_err(io)?;
        let lock = FolderLock::take(&self.root)?;
        // What was there before the lock may be another's by now.
        match self.content()? {
            Content::Nothing => Ok(lock),
            Content::Run { saved } if overwrite || !saved => self.clear().map(|()| lock).map_err(io),
            Content::Run { .. } => Err(RunFolderError::Occupied(self.root.clone())),
            Content::Foreign => Err(RunFolderError::Foreign(self.root.clone())),
        }
    }

    /// Removes everything but the lock; the config last, so that half a removal still leaves a run's folder.
    fn clear(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            if is_lock_file(&entry.file_name()) || entry.path() == self.config_path() {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
        std::fs::remove_file(self.config_path())
    }

    /// The program that writes into the folder right now.
    pub fn busy(&self) -> Option<Busy> {
        Busy::look(&self.root)
    }

    /// Checks that no program writes into the folder right now.
    ///
    /// # Errors
    /// One does.
    pub fn require_free(&self) -> Result<(), RunFolderError> {
        self.busy().map_or(Ok(()), |busy| Err(RunFolderError::Busy(busy)))
    }

    /// What lies there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn content(&self) -> Result<Content, RunFolderError> {
        let io = |cause| RunFolderError::Io { path: self.root.clone(), cause };
        let is_content = |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|entry| !is_lock_file(&entry.file_name()));
        let empty = !self.root.exists() || !std::fs::read_dir(&self.root).map_err(io)?.any(is_content);
        Ok(match (empty, self.holds_run()) {
            (true, _) => Content::Nothing,
            (false, true) => Content::Run { saved: self.holds_training() },
            (false, false) => Content::Foreign,
        })
    }

    /// Checks that there is a run to go on with, and keeps other programs out while the lock lives.
    ///
    /// # Errors
    /// There is none, or another program is at work on it.
    pub fn resume(&self) -> Result<FolderLock, RunFolderError> {
        if self.holds_run() { Ok(FolderLock::take(&self.root)?) } else { Err(RunFolderError::Nothing(self.root.clone())) }
    }

    fn holds_training(&self) -> bool {
        let arms = std::fs::read_dir(self.root.join("arms")).into_iter().flatten().flatten();
        let trained = arms.map(|arm| Self::new(arm.path())).chain([self.clone()]).any(|training| training.checkpoints().exists());
        trained || self.root.join("predictions").exists()
    }

    /// Whether a run lies there.
    pub fn holds_run(&self) -> bool {
        self.config_path().is_file()
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
    pub fn remove_predictions(&self) -> Result<(), RunFolderError> {
        match std::fs::remove_dir_all(self.predictions()) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(RunFolderError::Io { path: self.predictions(), cause }),
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
    pub fn write_tokens(&self, tokens: &TokenPreview) -> Result<(), RunFolderError> {
        let bytes = tokens.to_safetensors();
        let untrained = (tokens.step == 0).then(|| self.untrained_tokens_path(&tokens.stage));
        for path in [self.tokens_path(&tokens.stage)].into_iter().chain(untrained) {
            atomic_file::write(&path, &bytes).map_err(|cause| RunFolderError::Io { path, cause })?;
        }
        Ok(())
    }

    /// The tokens that a stage measured last; none where it kept none.
    ///
    /// # Errors
    /// The file is there but cannot be read, or holds something else.
    pub fn read_tokens(&self, stage: &Stage) -> Result<Option<TokenPreview>, RunFolderError> {
        read_tokens(self.tokens_path(stage))
    }

    /// The tokens that a stage measured before its first step; none where it kept none.
    ///
    /// # Errors
    /// As [`RunFolder::read_tokens`].
    pub fn read_untrained_tokens(&self, stage: &Stage) -> Result<Option<TokenPreview>, RunFolderError> {
        read_tokens(self.untrained_tokens_path(stage))
    }

    /// `report.html`.
    pub fn report_path(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The folder of one arm's training inside a comparison.
    pub fn arm(&self, stage: &Stage) -> Self {
        Self::new(self.root.join("arms").join(stage_name(stage)))
    }

    /// Keeps what the run runs on.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_environment(&self, environment: &Environment) -> Result<(), RunFolderError> {
        self.write(ENVIRONMENT, &serde_json::to_vec_pretty(environment).expect("plain data becomes JSON"))
    }

    /// What the run ran on last.
    ///
    /// # Errors
    /// The file is missing or holds something else.
    pub fn environment(&self) -> Result<Environment, RunFolderError> {
        let path = self.root.join(ENVIRONMENT);
        let text = std::fs::read(&path).map_err(|cause| RunFolderError::Io { path: path.clone(), cause })?;
        serde_json::from_slice(&text).map_err(|error| RunFolderError::Content { path, cause: error.to_string() })
    }

    /// Reads the run's config.
    ///
    /// # Errors
    /// Missing or invalid.
    pub fn config(&self) -> Result<RunConfig, RunFolderError> {
        Ok(RunConfig::load(&self.config_path())?)
    }

    /// Replays `events.jsonl` through the one fold. A last line that is cut off is left out.
    ///
    /// # Errors
    /// The file is missing, cannot be read, or holds something else.
    pub fn replay(&self) -> Result<RunState, RunFolderError> {
        Ok(self.replay_so_far()?.0)
    }

    /// The same, with a reader for what comes after.
    ///
    /// # Errors
    /// As [`RunFolder::replay`].
    pub fn replay_so_far(&self) -> Result<(RunState, RecordReader), RunFolderError> {
        let mut state = RunState::default();
        let mut reader = RecordReader::new(self.events_path());
        reader.read(&mut |record| state.apply(&record))?;
        if reader.found_nothing() {
            return Err(RunFolderError::Content { path: self.events_path(), cause: "line 1 is no event".to_owned() });
        }
        Ok((state, reader))
    }

    /// Writes a file of the run atomically; `name` is relative to the folder.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunFolderError> {
        let path = self.root.join(name);
        atomic_file::write(&path, bytes).map_err(|cause| RunFolderError::Io { path, cause })
    }
}

fn read_tokens(path: PathBuf) -> Result<Option<TokenPreview>, RunFolderError> {
    match std::fs::read(&path) {
        Ok(bytes) => TokenPreview::from_safetensors(&bytes).map(Some).map_err(|cause| RunFolderError::Content { path, cause }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(RunFolderError::Io { path, cause }),
    }
}

/// What a stage is called in file names.
fn stage_name(stage: &Stage) -> String {
    stage.to_string().replace(' ', "_")
}
