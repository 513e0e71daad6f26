//! What a training needs from the worker, and the bookkeeping that both loops share.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;

use super::{Checkpoint, CheckpointInfo};
use crate::protocol::{Event, Severity, Stage, StageKind, StepNumbers, TokenPreview};

/// What the worker wants of a training after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Save a checkpoint and go on.
    Save,
    /// Save a checkpoint and end.
    Stop,
}

/// A training's place in a job: where it runs, where it saves, whom it tells.
pub struct Session<'a> {
    /// Which stage of the job it is.
    pub stage: Stage,
    /// The device, without gradients.
    pub device: Device,
    /// Folder of `last/` and `best/`.
    pub checkpoints: PathBuf,
    /// Go on from `last/` if it is there.
    pub resume: bool,
    /// End after so many steps of this session's training, as if stopped.
    pub max_steps: Option<usize>,
    /// Takes events.
    pub emit: &'a dyn Fn(Event),
    /// Takes the tokens of a probe, to be shown and kept.
    pub show: &'a dyn Fn(TokenPreview),
    /// Asked once for each optimiser step, and for each window or batch of what is measured in between; blocks while paused.
    pub control: &'a dyn Fn() -> Control,
}

/// Called between two pieces of work: does what the front end wants. The error is [`TrainError::Stopped`] where that is to end.
pub type Obey<'a> = dyn FnMut() -> Result<(), TrainError> + 'a;

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps done.
    Completed,
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
    /// Too little to train on.
    #[error("{0}")]
    Data(String),
    /// Drawing a batch failed.
    #[error("preparing a batch failed: {0}")]
    Sampling(#[from] crate::sampling::SamplingError),
    /// No fault: the front end asked for it.
    #[error("stopped")]
    Stopped,
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] super::CheckpointError),
}

/// Decides when to save, and measures throughput.
pub(super) struct CheckpointSchedule {
    every: usize,
    minutes: f64,
    saved: Instant,
    step_began: Instant,
}

impl CheckpointSchedule {
    pub(super) fn new(every: usize, minutes: f64) -> Self {
        let now = Instant::now();
        Self { every, minutes, saved: now, step_began: now }
    }

    /// Whether a checkpoint is due after `step` steps.
    pub(super) fn save_due(&self, step: usize) -> bool {
        let by_steps = self.every > 0 && step.is_multiple_of(self.every);
        let by_minutes = self.minutes > 0.0 && self.saved.elapsed().as_secs_f64() >= self.minutes * 60.0;
        by_steps || by_minutes
    }

    pub(super) fn saved(&mut self) {
        self.saved = Instant::now();
    }

    /// Starts the clock of the next step: what lies between (probes, saves) does not count as training.
    pub(super) fn step_begins(&mut self) {
        self.step_began = Instant::now();
    }

    /// Completes a step's numbers with what the clock and the memory say.
    pub(super) fn timed(&self, numbers: StepNumbers, volumes: usize) -> StepNumbers {
        let step_secs = self.step_began.elapsed().as_secs_f64();
        StepNumbers {
            step_secs,
            volumes_per_sec: volumes as f64 / step_secs.max(1e-9),
            resident_mib: crate::device::memory::resident_mib(),
            ..numbers
        }
    }
}

impl Session<'_> {
    pub(super) fn emit(&self, event: Event) {
        (self.emit)(event);
    }

    /// Refuses to go on to fewer steps than are done, and says what more steps than planned mean.
    pub(super) fn require_as_long(&self, info: &CheckpointInfo, steps: usize) -> Result<(), TrainError> {
        let (stage, done) = (&self.stage, info.step);
        if done > steps {
            return Err(TrainError::Data(format!(
                "{stage}: {done} steps are done and the settings ask for {steps}; ask for at least {done}, or start a new run"
            )));
        }
        let planned = if info.kind == StageKind::Pretrain { info.config.pretrain.steps } else { info.config.finetune.steps };
        if planned != steps && done > 0 {
            let text = format!(
                "{stage}: its first {done} steps were made for a training of {planned}; a schedule of learning rates that depends on the \
                 length makes it another training than one of {steps} from the start"
            );
            self.emit(Event::Notice { severity: Severity::Info, text });
        }
        Ok(())
    }

    /// Saves `last` or `best`, and tells so.
    pub(super) fn save(&self, checkpoint: &Checkpoint, name: &str) -> Result<(), TrainError> {
        checkpoint.save(&self.checkpoints, name)?;
        let path = format!("checkpoints/{name}");
        self.emit(Event::Checkpoint { stage: self.stage.clone(), step: checkpoint.info.step, path, best: name == "best" });
        Ok(())
    }

    /// The step at which this session ends.
    pub(super) fn last_step(&self, first: usize, steps: usize) -> usize {
        self.max_steps.map_or(steps, |most| steps.min(first + most))
    }

    /// Refuses to go on with a loss or gradient that is no number.
    pub(super) fn require_finite(&self, numbers: &StepNumbers, cases: &[String], last_good: Option<usize>) -> Result<(), TrainError> {
        for (what, value) in [("loss", numbers.loss), ("gradient norm", numbers.grad_norm)] {
            if !value.is_finite() {
                let last_good = last_good.map(|step| (step, self.checkpoints.join("last")));
                return Err(TrainError::NonFinite { what, value, step: numbers.step, cases: cases.to_vec(), last_good });
            }
        }
        Ok(())
    }
}
