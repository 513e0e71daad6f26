//! What a training needs from the worker, and how it ends.

use std::path::PathBuf;

use burn::tensor::Device;

use crate::protocol::{Event, Stage, TokenPreview};

/// What the worker asks of a training after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Save a checkpoint and go on.
    Save,
    /// Save a checkpoint and end.
    Stop,
    /// End and write nothing: another program has taken the folder over.
    Lost,
}

/// Where a training runs, saves and reports.
pub struct Session<'a> {
    /// Which stage of the job it is.
    pub stage: Stage,
    /// The device, without gradients.
    pub device: Device,
    /// Devices that share each batch with it, without gradients; none: it has every batch to itself.
    pub beside: Vec<Device>,
    /// Folder of `last/` and `best/`.
    pub checkpoints: PathBuf,
    /// Go on from `last/` if it is there.
    pub resume: bool,
    /// End after so many steps of this session's training, as if stopped.
    pub max_steps: Option<usize>,
    /// Bytes of memory that batches made ahead of the device may take; none: as many as the loader's threads can use. Results do not depend
    /// on it.
    pub memory: Option<u64>,
    /// Takes events.
    pub emit: &'a dyn Fn(Event),
    /// Takes the tokens of a probe, to be shown and kept.
    pub show: &'a dyn Fn(TokenPreview),
    /// Asked once for each optimiser step, and for each window or batch of what is measured in between; blocks while paused.
    pub control: &'a dyn Fn() -> Control,
}

/// Called between two pieces of work: does what the front end asks for. The error is [`TrainError::Stopped`] where that is to end.
pub type Obey<'a> = dyn FnMut() -> Result<(), TrainError> + 'a;

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps done.
    Completed,
    /// Ended by [`Session::max_steps`]; the checkpoint is saved.
    CutShort,
    /// Ended early on request; the checkpoint is saved.
    Stopped,
}

/// Why a training ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss or the gradient is no longer a number.
    #[error("{what} became {value} at step {step}, on {cases}; {good}. Lower the learning rate, or check these volumes with `simtrot check`", cases = cases.join(", "), good = match last_good { Some((step, path)) => format!("the last good checkpoint is step {step} in {}", path.display()), None => "there is no checkpoint yet".to_owned() })]
    NonFinite {
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// NaN or an infinity.
        value: f64,
        /// The step, from 1.
        step: usize,
        /// Cases of the batch.
        cases: Vec<String>,
        /// Step and folder of the checkpoint before.
        last_good: Option<(usize, PathBuf)>,
    },
    /// An operation failed on the device.
    #[error("the device failed at step {step}{on}: {reason}. `simtrot plan` says what a step needs and what would fit", on = if cases.is_empty() { String::new() } else { format!(", on {}", cases.join(", ")) })]
    Device {
        /// The step, from 1.
        step: usize,
        /// Cases of the batch; none where it failed behind the gradients.
        cases: Vec<String>,
        /// The operation, where it is known, and the driver's words.
        reason: String,
    },
    /// Too little to train on.
    #[error("{0}")]
    Data(String),
    /// A prepared case could not be read.
    #[error(transparent)]
    Read(#[from] crate::volume::DataError),
    /// Drawing a batch failed.
    #[error("preparing a batch failed: {0}")]
    Sampling(#[from] crate::sampling::SamplingError),
    /// No fault: the front end asked for it.
    #[error("stopped")]
    Stopped,
    /// The folder is another program's by now: nothing was saved.
    #[error("another program has taken the folder over")]
    Lost,
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] super::checkpoint::CheckpointError),
}

impl Session<'_> {
    pub(super) fn emit(&self, event: Event) {
        (self.emit)(event);
    }
}
