//! What can be wrong with the folder of an experiment or of a training.

use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::folder_lock::{Busy, LockError};

/// What can be wrong with the folder of an experiment or of a training.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// One is already there.
    #[error(
        "{} already holds an experiment or a training; go on with it by --resume, replace it by --overwrite, or name another folder with --out",
        .0.display()
    )]
    Occupied(PathBuf),
    /// Files that are neither's are there; they are never deleted.
    #[error("{} holds files that are no experiment of simtrot; name another folder with --out", .0.display())]
    Foreign(PathBuf),
    /// An older program wrote it.
    #[error(
        "{} holds a run or a study of an older simtrot, which kept its trainings in another layout: it can be neither gone on with nor \
         reported. Its checkpoints can be used by their own path; name another folder with --out to make the experiment anew",
        .0.display()
    )]
    Old(PathBuf),
    /// A training's own folder where an experiment's is wanted.
    #[error("{} holds one training of an experiment; name the experiment's folder, two above it", .0.display())]
    Training(PathBuf),
    /// Not an experiment.
    #[error("{} holds no experiment: there is no config.ron; name the folder that `simtrot run CONFIG.ron` wrote", .0.display())]
    NoExperiment(PathBuf),
    /// Nothing to resume.
    #[error("{} holds no run to resume; leave --resume away to start one", .0.display())]
    Nothing(PathBuf),
    /// Another program writes there.
    #[error("{0}; follow it with `simtrot follow {folder}`, or stop it with `simtrot stop {folder}`", folder = .0.folder.display())]
    Busy(Busy),
    /// Another program has taken this one for dead, and the folder over.
    #[error(
        "{}: this program had given no sign of life for two minutes, as where its network or its computer stood still, and another one \
         took it for dead. It writes nothing there any more. What it had saved is intact: the other one goes on with it, and the same \
         command takes part in that again",
        .0.display()
    )]
    Lost(PathBuf),
    /// A training cannot be made.
    #[error("{0}")]
    Trouble(String),
    /// Reading or writing failed.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {cause}; the run was written by another version or damaged", path = path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// `config.ron` does not pass.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl FolderError {
    /// Makes an error of what the file system says of a path.
    pub fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + Copy {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }

    /// Whether the disk or the network is at fault rather than what was asked for.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Lost(_))
    }
}

impl From<LockError> for FolderError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy(busy) => Self::Busy(busy),
            LockError::Io { path, cause } => Self::Io { path, cause },
        }
    }
}
