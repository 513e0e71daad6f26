//! What can be wrong with a training's folder.

use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::folder_lock::{Busy, LockError};

/// What can be wrong with a run's folder.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// A run is already there.
    #[error("{} already holds a run; go on with it by --resume, replace it by --overwrite, or name another folder with --out", .0.display())]
    Occupied(PathBuf),
    /// Files that are not a run's are there; they are never deleted.
    #[error("{} holds files that are no run of simtrot; name another folder with --out", .0.display())]
    Foreign(PathBuf),
    /// Another program writes there.
    #[error("{0}; follow it with `simtrot follow {folder}`, or stop it with `simtrot stop {folder}`", folder = .0.folder.display())]
    Busy(Busy),
    /// Nothing to resume.
    #[error("{} holds no run to resume; leave --resume away to start one", .0.display())]
    Nothing(PathBuf),
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
    /// The run's own config no longer passes.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl RunFolderError {
    /// Makes an error of what the file system says of a path.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + Copy {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }
}

impl From<LockError> for RunFolderError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy(busy) => Self::Busy(busy),
            LockError::Io { path, cause } => Self::Io { path, cause },
        }
    }
}
