//! The one thread that owns the device: takes a job, emits events, obeys commands.

mod attach;
mod available;
mod cases;
mod continued;
mod experiment;
mod infer;
mod mask_ratios;
mod measure;
mod outbox;
mod probe;
mod record;
mod segmented;
mod training;
pub mod views;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::device::{DeviceChoice, DeviceError, Opened};
use crate::protocol::{Command, Outcome, Preview, Record, RunFolderError};
use crate::stop_signal::JobGuard;
use crate::train::{CheckpointError, TrainError};
use crate::volume::{DataError, DataErrors, Fault};
use cases::CaseStore;
use record::Recorder;

/// Events that may wait for a lagging front end before droppable ones are dropped; of the others any number may.
const EVENT_QUEUE: usize = 1024;

/// Previews that may wait for a front end: it wants the newest, and they are large.
const PREVIEW_QUEUE: usize = 4;

/// Commands that may wait for the worker.
const COMMAND_QUEUE: usize = 16;

/// Stack of the worker's thread: automatic differentiation walks deep graphs.
const STACK_BYTES: usize = 64 << 20;

/// A running job as a front end holds it.
pub struct RunHandle {
    /// What happens, in order. `Step`, `Probe` and `Progress` are dropped while a front end lags; all others arrive.
    pub events: Receiver<Record>,
    /// Something to look at while the job runs; dropped while a front end lags or has none of it.
    pub previews: Receiver<Preview>,
    /// What to do; read once for each optimiser step, window and case. A front end that drops it has the job saved and stopped.
    pub commands: SyncSender<Command>,
    /// The worker's thread; joins after `Finished`.
    pub join: JoinHandle<Outcome>,
}

/// What a worker can be asked to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// One training.
    Train(Box<TrainingJob>),
    /// Segmenting volumes.
    Infer(InferJob),
    /// Measuring a checkpoint's tokens.
    Probe(ProbeJob),
    /// Measuring what mask ratios do to a checkpoint's views.
    MaskRatios(MaskRatiosJob),
}

pub use attach::attach;
pub use available::{AvailableDevice, available_devices};
pub use continued::require_begun;
pub use experiment::{ExperimentHandle, ExperimentJob, spawn_experiment};
pub use infer::{InferInput, InferJob};
pub use mask_ratios::MaskRatiosJob;
pub use probe::ProbeJob;
pub use training::TrainingJob;

/// What to do with a run that is already in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Refuse.
    Fresh,
    /// Replace it.
    Overwrite,
    /// Go on with it.
    Resume,
}

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Data(#[from] DataErrors),
    #[error(transparent)]
    Folder(#[from] RunFolderError),
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
        if matches!(error, TrainError::Stopped) { Self::Stopped } else { Self::Train(error) }
    }
}

impl From<DataError> for JobError {
    fn from(error: DataError) -> Self {
        Self::Data(DataErrors(vec![error]))
    }
}

impl From<crate::sampling::SamplingError> for JobError {
    fn from(error: crate::sampling::SamplingError) -> Self {
        Self::Input(error.to_string())
    }
}

impl JobError {
    /// Whether the input or the config was at fault rather than the program or the device.
    fn is_bad_input(&self) -> bool {
        match self {
            Self::Config(_) | Self::Input(_) | Self::Evaluate(_) => true,
            Self::Data(errors) => !errors.0.iter().any(|error| matches!(error.fault, Fault::Unwritable(..))),
            Self::Folder(error) => !matches!(error, RunFolderError::Io { .. }),
            Self::Checkpoint(error) | Self::Train(TrainError::Checkpoint(error)) => !error.is_of_the_disk(),
            Self::Device(error) => matches!(error, DeviceError::NoAdapter | DeviceError::NoneFits { .. }),
            Self::Train(TrainError::Data(_) | TrainError::Sampling(_) | TrainError::NonFinite { .. }) => true,
            Self::Train(TrainError::Stopped) | Self::Segment(_) | Self::Stopped => false,
        }
    }
}

/// How a job went when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Completed,
    /// By `max_steps`, before a training was complete.
    CutShort,
    Stopped,
}

/// Starts a job on a thread of its own.
///
/// # Panics
/// If the system has no thread to give.
pub fn spawn(job: Job, device: DeviceChoice) -> RunHandle {
    spawn_within(job, device, 1, CaseStore::default())
}

/// The same for one of so many jobs at work at once: each has its share of the processor's threads to itself, since threads that
/// serve several jobs cost more in waiting than they give.
fn spawn_within(job: Job, device: DeviceChoice, at_once: usize, store: CaseStore) -> RunHandle {
    let (sender, events) = sync_channel(EVENT_QUEUE);
    let (commands, receiver) = sync_channel(COMMAND_QUEUE);
    let (preview_sender, previews) = sync_channel(PREVIEW_QUEUE);
    let guard = JobGuard::begin();
    let work = move || {
        let mut recorder = Recorder::new(sender, preview_sender, receiver);
        let mut work = || execute(&job, &device, &mut recorder, &store);
        let result = catch_unwind(AssertUnwindSafe(|| match at_once {
            0 | 1 => work(),
            _ => own_threads(at_once).install(work),
        }));
        // A record that cannot be written stops the job as its front end would; what went wrong on the way says more.
        let result = result.map(|done| done.and_then(|ended| recorder.failure().map_or(Ok(ended), |error| Err(error.into()))));
        let outcome = match result {
            Ok(Ok(Ended::Completed | Ended::CutShort)) => Outcome::Completed,
            Ok(Ok(Ended::Stopped) | Err(JobError::Stopped)) => Outcome::Stopped,
            Ok(Err(error)) => Outcome::Failed { message: error.to_string(), bad_input: error.is_bad_input() },
            Err(panic) => panicked(panic.as_ref()),
        };
        let mut untold = recorder.finish(outcome.clone());
        drop(guard);
        untold.flush();
        outcome
    };
    let join =
        std::thread::Builder::new().name("worker".to_owned()).stack_size(STACK_BYTES).spawn(work).expect("the system has a thread to give");
    RunHandle { events, previews, commands, join }
}

/// A share of the processor's threads.
fn own_threads(at_once: usize) -> rayon::ThreadPool {
    let threads = (rayon::current_num_threads() / at_once).max(1);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).thread_name(|thread| format!("worker-{thread}"));
    pool.build().expect("the system has a thread to give")
}

fn execute(job: &Job, device: &DeviceChoice, recorder: &mut Recorder, store: &CaseStore) -> Result<Ended, JobError> {
    if let Job::Train(job) = job {
        job.folder.require_free()?;
    }
    let opened: Opened = crate::device::open(device)?;
    match job {
        Job::Train(job) => training::train(job, &opened, recorder, store),
        Job::Infer(job) => infer::infer(job, &opened, recorder),
        Job::Probe(job) => probe::probe(job, &opened, recorder),
        Job::MaskRatios(job) => mask_ratios::mask_ratios(job, &opened, recorder),
    }
}

/// How a job ended whose thread panicked.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Outcome {
    let text = crate::panic_text::panic_text(panic);
    let message =
        format!("an internal error ended the job: {text}. What was saved is intact; the same command goes on from the last checkpoint");
    Outcome::Failed { message, bad_input: false }
}

#[cfg(test)]
#[path = "front_end_tests.rs"]
mod tests;
