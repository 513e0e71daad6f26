//! Why a checkpoint could not be read or written.

use std::path::PathBuf;

use crate::model::WeightsError;
use crate::protocol::checkpoints::NoCheckpoint;
use crate::train::optimiser::OptimiserError;

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// None was found.
    #[error(transparent)]
    None(#[from] NoCheckpoint),
    /// The file system refused.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A new checkpoint could not be written.
    #[error(
        "{path}: {cause}; an earlier checkpoint, if there is one, is kept. Free space on that disk or check it; then the same command goes on from \
         there (pretrain, finetune, demo: with --resume)",
        path = path.display()
    )]
    Save {
        /// The file that could not be written.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// `checkpoint.json` is damaged or of another version.
    #[error("{path}: {cause}; written by another version of simtrot, or damaged", path = path.display())]
    Info {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The weights file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The optimiser's state does not fit.
    #[error(transparent)]
    Optimiser(#[from] OptimiserError),
    /// It is of another kind than asked for.
    #[error("{path} holds {found}; {wanted}", path = path.display())]
    Kind {
        /// The checkpoint.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
        /// What is needed and how to get it.
        wanted: &'static str,
    },
    /// Tensors are missing or have another shape.
    #[error("{path} does not fit the network of the config: {cause}", path = path.display())]
    Fit {
        /// The checkpoint.
        path: PathBuf,
        /// Which tensors.
        cause: String,
    },
    /// The settings changed in a way that a resumed run cannot follow.
    #[error("{path} was trained with other settings ({keys}); start a new run, or resume with the settings in its config.ron", path = path.display())]
    Settings {
        /// The checkpoint.
        path: PathBuf,
        /// Which keys differ.
        keys: String,
    },
    /// More steps are done than are asked for.
    #[error("{}: {done} steps are done, and {asked} are asked for; ask for as many, or start anew", path.display())]
    Steps {
        /// The checkpoint.
        path: PathBuf,
        /// Done.
        done: usize,
        /// Asked for.
        asked: usize,
    },
}

impl CheckpointError {
    /// Whether the disk is at fault rather than what lies on it.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Save { .. } | Self::Weights(WeightsError::Io { .. }))
    }
}
