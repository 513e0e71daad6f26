//! A study on disk: each training is a run folder by itself, named by its settings, beside what the study makes of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::{StagePlan, Study};
use crate::atomic_file;
use crate::config::{ConfigError, StudyConfig};
use crate::protocol::{RunFolder, StageKind};

/// Where a study of a name goes when no folder is given.
const DEFAULT_PARENT: &str = "studies";

/// A study's folder: `study.ron`, `pretrain/NAME-KEY/`, `finetune/NAME-KEY/`, and the report.
///
/// Stages are named by a digest of their settings: a study that grows by a level finds all that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyFolder {
    root: PathBuf,
}

/// Kept while a program works on a study; another one is refused meanwhile. Let go when dropped, or when the program dies.
#[derive(Debug)]
pub struct StudyLock {
    _file: File,
}

/// What can be wrong with a study's folder.
#[derive(Debug, thiserror::Error)]
pub enum StudyFolderError {
    /// Files that are no study's are there.
    #[error("{} holds files that are no study of simtrot; name another folder with --out", .0.display())]
    Foreign(PathBuf),
    /// Not a study.
    #[error("{} holds no study: there is no study.ron; name the folder that `simtrot study CONFIG.ron` wrote", .0.display())]
    Nothing(PathBuf),
    /// Another program works on it.
    #[error("{} is being worked on by another simtrot; look at it with `simtrot study status`, or wait until that one has ended", .0.display())]
    Busy(PathBuf),
    /// Reading or writing failed.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// `study.ron` does not pass.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl StudyFolder {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `out`, or `studies/NAME`.
    pub fn named(out: Option<&Path>, name: &str) -> Self {
        Self::new(out.map_or_else(|| Path::new(DEFAULT_PARENT).join(name), Path::to_owned))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `study.ron`.
    pub fn config_path(&self) -> PathBuf {
        self.root.join("study.ron")
    }

    /// Whether a study lies there.
    pub fn holds_study(&self) -> bool {
        self.config_path().is_file()
    }

    /// The run folder of a stage.
    pub fn stage(&self, stage: &StagePlan) -> RunFolder {
        let kind = if stage.kind == StageKind::Pretrain { "pretrain" } else { "finetune" };
        RunFolder::new(self.root.join(kind).join(&stage.name))
    }

    /// Makes the folder ready to work on: keeps others out, and writes `study.ron`. What earlier sessions made stays.
    ///
    /// # Errors
    /// Foreign files, another program at work, or a folder that cannot be written.
    pub fn begin(&self, study: &Study) -> Result<StudyLock, StudyFolderError> {
        let io = |cause| StudyFolderError::Io { path: self.root.clone(), cause };
        std::fs::create_dir_all(&self.root).map_err(io)?;
        let foreign = !self.holds_study() && std::fs::read_dir(&self.root).map_err(io)?.flatten().any(|entry| entry.file_name() != LOCK);
        if foreign {
            return Err(StudyFolderError::Foreign(self.root.clone()));
        }
        let file = File::create(self.root.join(LOCK)).map_err(io)?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => StudyFolderError::Busy(self.root.clone()),
            std::fs::TryLockError::Error(cause) => io(cause),
        })?;
        self.write("study.ron", study.config.to_ron().as_bytes())?;
        Ok(StudyLock { _file: file })
    }

    /// Whether a program works on the study right now.
    pub fn is_busy(&self) -> bool {
        let lock = File::open(self.root.join(LOCK));
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Reads the study that lies there.
    ///
    /// # Errors
    /// There is none, or its `study.ron` no longer passes.
    pub fn read(&self) -> Result<Study, StudyFolderError> {
        if !self.holds_study() {
            return Err(StudyFolderError::Nothing(self.root.clone()));
        }
        Ok(Study::new(StudyConfig::load(&self.config_path())?)?)
    }

    /// Why stages failed when they were tried last, by name: some fail before they have a folder of their own.
    pub fn failures(&self) -> BTreeMap<String, String> {
        let text = std::fs::read(self.root.join(FAILURES)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps why stages failed.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_failures(&self, failures: &BTreeMap<String, String>) -> Result<(), StudyFolderError> {
        let text = serde_json::to_vec_pretty(failures).expect("plain data becomes JSON");
        self.write(FAILURES, &text).map(|_| ())
    }

    /// Writes a file of the study atomically; `name` is relative to the folder.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StudyFolderError> {
        let path = self.root.join(name);
        match atomic_file::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(cause) => Err(StudyFolderError::Io { path, cause }),
        }
    }
}

/// Held by whoever works on the study.
const LOCK: &str = "study.lock";
/// Causes by stage.
const FAILURES: &str = "failures.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn one_program_at_a_time_and_nobody_elses_files() {
        let place = tempfile::tempdir().unwrap();
        let study = Study::new(StudyConfig::of_run(RunConfig::default())).unwrap();
        let folder = StudyFolder::new(place.path().join("s"));
        assert!(matches!(folder.read(), Err(StudyFolderError::Nothing(_))));
        let lock = folder.begin(&study).unwrap();
        assert!(matches!(folder.begin(&study), Err(StudyFolderError::Busy(_))) && folder.is_busy());
        drop(lock);
        assert!(!folder.is_busy());
        assert!(folder.begin(&study).is_ok());
        assert_eq!(folder.read().unwrap(), study);
        std::fs::write(place.path().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(StudyFolder::new(place.path()).begin(&study), Err(StudyFolderError::Foreign(_))));
    }
}
