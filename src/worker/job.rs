//! A job on a thread of its own: the device is opened, the work done, and whatever ends it is reported.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;

use super::error::JobError;
use super::handle::{COMMAND_QUEUE, EVENT_QUEUE, PREVIEW_QUEUE, RunHandle};
use super::infer::infer;
use super::infer_job::InferJob;
use super::mask_ratios::{MaskRatiosJob, mask_ratios};
use super::next_case::next_case;
use super::next_case_job::NextCaseJob;
use super::probe::{ProbeJob, probe};
use super::recorder::Recorder;
use super::training::train;
use super::training_job::TrainingJob;
use crate::device::{DeviceChoice, STACK_BYTES, own_threads};
use crate::protocol::Outcome;
use crate::stop_signal::JobGuard;

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
    /// Ranking unlabelled cases.
    NextCase(NextCaseJob),
}

/// Starts a job on a thread of its own.
///
/// # Panics
/// If the system has no thread to give.
pub fn spawn(job: Job, device: DeviceChoice) -> RunHandle {
    spawn_within(job, device, 1)
}

/// The same for one of so many jobs at work at once: each has its share of the processor's threads to itself, since threads that
/// serve several jobs cost more in waiting than they give.
pub(super) fn spawn_within(job: Job, device: DeviceChoice, at_once: usize) -> RunHandle {
    let (sender, events) = sync_channel(EVENT_QUEUE);
    let (commands, receiver) = sync_channel(COMMAND_QUEUE);
    let (preview_sender, previews) = sync_channel(PREVIEW_QUEUE);
    let guard = JobGuard::begin();
    let work = move || {
        let mut recorder = Recorder::new(sender, preview_sender, receiver);
        // Borrowed as mutable, it may go to another thread.
        let mut work = || execute(&job, &device, &mut recorder);
        let result = catch_unwind(AssertUnwindSafe(|| match at_once {
            0 | 1 => work(),
            _ => own_threads(rayon::current_num_threads() / at_once).install(work),
        }));
        let failed = |error: &JobError| Outcome::Failed { message: error.to_string(), bad_input: error.is_bad_input() };
        let outcome = match (result, recorder.failure()) {
            // A record that cannot be written stops the job as its front end would; what went wrong on the way says more.
            (Ok(Ok(()) | Err(JobError::Stopped)), Some(error)) => failed(&error.into()),
            (Ok(Ok(())), None) => Outcome::Completed,
            (Ok(Err(JobError::Stopped)), None) => Outcome::Stopped,
            (Ok(Err(error)), _) => failed(&error),
            (Err(panic), _) => panicked(panic.as_ref()),
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

fn execute(job: &Job, device: &DeviceChoice, recorder: &mut Recorder) -> Result<(), JobError> {
    if let Job::Train(job) = job {
        job.folder.require_free()?;
    }
    let opened = crate::device::open(device)?;
    match job {
        Job::Train(job) => train(job, opened, recorder),
        Job::Infer(job) => infer(job, &opened, recorder),
        Job::Probe(job) => probe(job, &opened, recorder),
        Job::MaskRatios(job) => mask_ratios(job, &opened, recorder),
        Job::NextCase(job) => next_case(job, &opened, recorder),
    }
}

/// How a job ended whose thread panicked.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Outcome {
    let text = crate::panic_text::panic_text(panic);
    let message =
        format!("an internal error ended the job: {text}. What was saved is intact; the same command goes on from the last checkpoint");
    Outcome::Failed { message, bad_input: false }
}

#[cfg(test)]
#[path = "front_end_tests.rs"]
mod tests;
