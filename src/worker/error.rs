//! Why a job failed, and whose fault it was.

use crate::device::DeviceError;
use crate::protocol::FolderError;
use crate::train::{CheckpointError, TrainError};
use crate::volume::{DataError, DataErrors, Fault};

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Data(#[from] DataErrors),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Train(TrainError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Segment(#[from] crate::infer::sliding_window::SlidingWindowError),
    #[error(transparent)]
    Evaluate(#[from] crate::metrics::EvaluateError),
    #[error("{0}")]
    Input(String),
    /// No fault: somebody asked for it, where there was nothing to save.
    #[error("stopped")]
    Stopped,
}

impl From<TrainError> for JobError {
    fn from(error: TrainError) -> Self {
        match error {
            // Why a folder is lost, the recorder tells.
            TrainError::Stopped | TrainError::Lost => Self::Stopped,
            error => Self::Train(error),
        }
    }
}

impl From<DataError> for JobError {
    fn from(error: DataError) -> Self {
        Self::Data(DataErrors(vec![error]))
    }
}

impl From<crate::sampling::SamplingError> for JobError {
    fn from(error: crate::sampling::SamplingError) -> Self {
        match error {
            crate::sampling::SamplingError::Read(error) => error.into(),
            error => Self::Input(error.to_string()),
        }
    }
}

impl JobError {
    /// Whether the input or the config was at fault rather than the program or the device.
    pub(super) fn is_bad_input(&self) -> bool {
        match self {
            Self::Config(_) | Self::Input(_) | Self::Evaluate(_) => true,
            Self::Data(errors) => is_of_input(errors),
            Self::Folder(error) => !error.is_of_the_disk(),
            Self::Checkpoint(error) | Self::Train(TrainError::Checkpoint(error)) => !error.is_of_the_disk(),
            Self::Device(error) => matches!(
                error,
                DeviceError::NoAdapter
                    | DeviceError::NoneFits { .. }
                    | DeviceError::NoHalf
                    | DeviceError::Twice { .. }
                    | DeviceError::Uneven { .. }
            ),
            Self::Train(TrainError::Read(_) | TrainError::Sampling(crate::sampling::SamplingError::Read(_))) => false,
            Self::Train(TrainError::Data(_) | TrainError::Sampling(_) | TrainError::NonFinite { .. }) => true,
            Self::Train(TrainError::Stopped | TrainError::Lost | TrainError::Device { .. }) | Self::Segment(_) | Self::Stopped => false,
        }
    }
}

/// Whether data errors are those of files that were given, not of the program's own.
pub(super) fn is_of_input(errors: &DataErrors) -> bool {
    let of_the_disk =
        |fault: &Fault| matches!(fault, Fault::Unwritable(..) | Fault::DiskFull(..) | Fault::NoCache(..) | Fault::PreparedLost(..));
    !errors.0.iter().any(|error| of_the_disk(&error.fault))
}
