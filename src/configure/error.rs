//! Why no config was made.

use crate::config::ConfigError;
use crate::device::DeviceError;
use crate::volume::DataErrors;
use crate::wording::bytes;

/// Why no config was made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// Cases cannot be used.
    #[error("{0}\n`simtrot check` shows every case; --skip-bad goes on without those that cannot be used")]
    Data(DataErrors),
    /// The device cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Nothing can be trained.
    #[error("{name}: no case has a label map, and {cases} are too few to pre-train on (at least {least}): add label maps or images")]
    NothingToTrain {
        /// The dataset.
        name: String,
        /// Its usable cases, in words.
        cases: String,
        /// How many pre-training needs.
        least: usize,
    },
    /// Names that the pattern does not fit, or no pattern.
    #[error("--groups {pattern:?} {cause}")]
    Groups {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Not even the smallest network fits.
    #[error("not even the smallest crops fit, {crop_size:?} voxels: a step takes {}, and {} were planned for; --memory plans for more", bytes(*needed), bytes(*planned))]
    Memory {
        /// Its crops, D,H,W.
        crop_size: [usize; 3],
        /// Bytes that its step takes.
        needed: u64,
        /// Bytes that there are.
        planned: u64,
    },
    /// A time too short for any training.
    #[error(
        "{given} are too few: {step}, so that {steps} steps fit, and {least} are the least that are planned for. Give {}, another \
         --device, or fewer cases",
        enough.as_ref().map_or_else(|| "--time more".to_owned(), |enough| format!("at least about --time {enough}"))
    )]
    Time {
        /// The time, in words.
        given: String,
        /// What a step of the training that it is too short for takes, and its test, in words.
        step: String,
        /// Steps that fit.
        steps: usize,
        /// The least steps.
        least: usize,
        /// About how much time allows them, as `--time` takes it; none where ten years would not.
        enough: Option<String>,
    },
    /// A step could not be measured.
    #[error("{what} could not be measured: {cause}. Where no time is given, nothing is measured")]
    Measuring {
        /// The step.
        what: String,
        /// What the device said.
        cause: String,
    },
    /// No fault: it was asked to stop.
    #[error("stopped: nothing was planned")]
    Stopped,
    /// The choices contradict each other.
    #[error("the choices do not make a config, a fault of the program; please report it: {0}")]
    Config(#[from] ConfigError),
}
