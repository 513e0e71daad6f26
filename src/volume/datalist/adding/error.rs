//! Why a case cannot be added to a dataset.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::volume::{DataError, DataErrors, Fault};

/// Why a case cannot be added to a dataset: what happened, in which file, what to do next.
#[derive(Debug, Error)]
pub enum AddError {
    /// Files or the dataset's list that cannot be read, or do not fit together.
    #[error(transparent)]
    Data(#[from] DataErrors),
    /// The case has a label map already, and nobody asked to replace it.
    #[error(
        "{case} has a label map already: {}. Nothing was changed. Ask for it to be replaced (--replace; in the window the button) if the new one is the better one; the old one is then kept beside it",
        file.display()
    )]
    HasLabel {
        /// The case.
        case: String,
        /// Its label map.
        file: PathBuf,
    },
    /// Something that does not fit, in a sentence with the remedy.
    #[error("{0}")]
    Refused(String),
    /// A file that cannot be read or written.
    #[error("{}: {cause}. What was there before is as it was; call again when that is mended", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
}

impl From<DataError> for AddError {
    fn from(error: DataError) -> Self {
        Self::Data(error.into())
    }
}

impl AddError {
    /// Of a file that the system does not read or write.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }

    /// Of a file, with a cause and a remedy.
    pub(super) fn refuse(file: &Path, cause: impl std::fmt::Display) -> Self {
        Self::Refused(format!("{}: {cause}", file.display()))
    }

    /// Whether the disk is to blame rather than what was asked for.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Data(DataErrors(errors)) => errors.iter().any(|error| matches!(error.fault, Fault::Unwritable(_))),
            Self::HasLabel { .. } | Self::Refused(_) => false,
        }
    }
}
