//! What every training does, whatever it minimises: batches to gradients to a step, measurements, and checkpoints from which it
//! goes on.

use std::time::Instant;

use burn::optim::GradientsAccumulator;
use burn::tensor::Tensor;

use super::devices::{BatchLoss, Devices, MicroStep};
use super::read_ahead::read_ahead;
use super::session::{Control, Ending, Session, TrainError};
use super::transfer::load_all;
use super::{Checkpoint, CheckpointError, CheckpointInfo, DatasetInfo, GradientNorm, Optimiser, ParamGroups, clip_grad_norm, lr};
use crate::config::{FinetuneConfig, OptimiserConfig, PretrainConfig, RunConfig, ScheduleConfig};
use crate::device::on_host;
use crate::kernels::first_failure;
use crate::model::{NamedWeights, Pass, export_named};
use crate::objective::LossNumbers;
use crate::protocol::{Event, Severity, StepNumbers};
use crate::sampling::{Loader, LoaderError, ReadAhead, SamplingError};
use crate::wording;

/// What differs between pre-training and fine-tuning, beside the loss.
pub(super) trait TrainingTask: BatchLoss {
    /// Whether `checkpoints/best` is the one with the lowest loss; else the task chooses it when it measures.
    const BEST_BY_LOSS: bool;

    /// Updates the model once the optimiser has taken its step.
    fn after_step(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// Steps between measurements; none where there is nothing to measure.
    fn measure_every(&self) -> Option<usize>;

    /// Measures the model, and emits what it finds.
    fn measure(&self, training: &mut TrainingLoop<'_, Self::Model>) -> Result<(), TrainError>;
}

/// The settings that decide a step and when to save, alike for pre-training and fine-tuning.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrainingSchedule {
    steps: usize,
    accumulate: usize,
    optimiser: OptimiserConfig,
    schedule: ScheduleConfig,
    clip_norm: Option<f64>,
    checkpoint_every: usize,
    checkpoint_minutes: f64,
}

macro_rules! schedule_of {
    ($($config:ident)+) => {$(
        impl From<&$config> for TrainingSchedule {
            fn from(config: &$config) -> Self {
                let $config { steps, accumulate, optimiser, schedule, clip_norm, checkpoint_every, checkpoint_minutes, .. } = *config;
                Self { steps, accumulate, optimiser, schedule, clip_norm, checkpoint_every, checkpoint_minutes }
            }
        }
    )+};
}
schedule_of!(PretrainConfig FinetuneConfig);

/// Whose training it is.
#[derive(Clone, Copy)]
pub(super) struct RunContext<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) config: &'a RunConfig,
    pub(super) dataset: &'a DatasetInfo,
    /// Cases that are trained on.
    pub(super) cases: usize,
}

/// What a training's weights came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Parents {
    /// Checkpoints and files, nearest first.
    pub(super) places: Vec<String>,
    /// SHA-256 of the weights of the first; none for a training from scratch.
    pub(super) sha256: Option<String>,
}

/// A training between two steps.
pub(super) struct TrainingLoop<'a, M> {
    /// What is trained.
    pub(super) model: M,
    /// Steps done.
    pub(super) step: usize,
    /// What it started from.
    pub(super) parents: Parents,
    /// How the encoder moves beside the rest: by default alike.
    pub(super) param_groups: ParamGroups,
    /// Whether the measurement that is due at this step is still to be made.
    pub(super) unmeasured: bool,
    context: RunContext<'a>,
    schedule: TrainingSchedule,
    optimiser: Optimiser,
    devices: Devices,
    /// The steps after which this session begins and ends.
    first: usize,
    last: usize,
    /// The best of the figures by which `best` is chosen.
    best: Option<f64>,
    /// Step of `checkpoints/last`, and when it was saved or the session began.
    saved: (Option<usize>, Instant),
}

impl<'a, M: NamedWeights> TrainingLoop<'a, M> {
    /// Goes on from the last checkpoint where the session asks for it and there is one. Else it begins with what `start` makes
    /// of `model`, and what this came from.
    pub(super) fn begin(
        context: RunContext<'a>,
        schedule: TrainingSchedule,
        model: M,
        start: impl FnOnce(M) -> Result<(M, Parents), CheckpointError>,
    ) -> Result<Self, TrainError> {
        let RunContext { session, config, dataset, .. } = context;
        let (model, optimiser, info) = match Checkpoint::last(&session.checkpoints)?.filter(|_| session.resume) {
            None => {
                let (model, Parents { places: parents, sha256: parent_sha256 }) = start(model)?;
                let info = CheckpointInfo { parents, parent_sha256, ..CheckpointInfo::new(session.stage.kind, 0, config, dataset) };
                (model, Optimiser::new(schedule.optimiser), info)
            }
            Some(checkpoint) => {
                let place = session.checkpoints.join("last");
                checkpoint.info.require_same_training(config, &place)?;
                mention_other_length(session, &checkpoint.info, schedule.steps);
                let model = load_all(model, &checkpoint, &place)?;
                let optimiser = Optimiser::from_bytes(schedule.optimiser, &checkpoint.optimiser, &model).map_err(CheckpointError::from)?;
                (model, optimiser, checkpoint.info)
            }
        };
        let CheckpointInfo { step, best, parents: places, parent_sha256: sha256, unmeasured, .. } = info;
        let last = session.max_steps.map_or(schedule.steps, |most| schedule.steps.min(step + most));
        Ok(Self {
            model,
            step,
            parents: Parents { places, sha256 },
            param_groups: ParamGroups::default(),
            unmeasured,
            context,
            schedule,
            optimiser,
            devices: Devices::new(&session.device, &session.beside),
            first: step,
            last,
            best,
            saved: ((step > 0).then_some(step), Instant::now()),
        })
    }

    /// Whose training it is.
    pub(super) fn session(&self) -> &'a Session<'a> {
        self.context.session
    }

    /// Emits `StageStarted`.
    pub(super) fn announce(&self) {
        let RunContext { session, .. } = self.context;
        session.emit(Event::StageStarted { stage: session.stage.clone(), total: self.schedule.steps, done: self.step });
    }

    /// Trains until the last step or a stop; `batch` makes the batch of a micro-step, of `batch_bytes`, on the loader's threads.
    pub(super) fn run<T: TrainingTask<Model = M>>(
        mut self,
        task: &T,
        batch_bytes: u64,
        batch: impl Fn(u64) -> Result<T::Batch, SamplingError> + Send + Sync + 'static,
    ) -> Result<Ending, TrainError> {
        let per_step = self.schedule.accumulate as u64;
        let ahead = self.last.saturating_sub(self.step) as u64 * per_step;
        let mut batches = Loader::new(self.step as u64 * per_step, ahead, self.read_ahead(batch_bytes), batch);
        // An earlier session may have been stopped during its last measurement.
        let mut stopped = is_stop(self.measure(task))?;
        while self.step < self.last && !stopped {
            let loss;
            (self, loss) = self.next_step(task, &mut batches)?;
            self.unmeasured = task.measure_every().is_some_and(|every| self.is_due(every));
            stopped = is_stop(self.obey())?;
            if T::BEST_BY_LOSS && self.is_due(self.schedule.checkpoint_every) {
                self.choose(loss, f64::lt)?;
            }
            if stopped || self.unmeasured || self.save_due() {
                self.save()?;
            }
            stopped = stopped || is_stop(self.measure(task))?;
        }
        Ok(match self.step == self.schedule.steps {
            _ if stopped => Ending::Stopped,
            true => Ending::Completed,
            false => Ending::CutShort,
        })
    }

    /// [`Self::optimiser_step`]. What a device cannot do shows at the first one, which names the operation.
    fn next_step<T: TrainingTask<Model = M>>(
        self,
        task: &T,
        batches: &mut Loader<T::Batch, SamplingError>,
    ) -> Result<(Self, f64), TrainError> {
        if self.step > self.first {
            return self.optimiser_step(task, batches);
        }
        let (number, (stepped, failure)) = (self.step + 1, first_failure(|| self.optimiser_step(task, batches)));
        match (stepped, failure) {
            (Err(TrainError::Device { step, cases, .. }), Some(reason)) => Err(TrainError::Device { step, cases, reason }),
            // What the step leaves behind is not read before the next one.
            (Ok(_), Some(reason)) => Err(TrainError::Device { step: number, cases: Vec::new(), reason }),
            (stepped, _) => stepped,
        }
    }

    /// How far batches are made ahead within the session's memory; says so where not even one has room.
    fn read_ahead(&self, batch_bytes: u64) -> ReadAhead {
        let session = self.context.session;
        if let Some(memory) = session.memory.filter(|&memory| memory < batch_bytes) {
            let [batch, memory] = [batch_bytes, memory].map(wording::bytes);
            let text = format!("{}: a batch takes {batch}, more than the {memory} of --memory; one at a time is made ahead", session.stage);
            session.emit(Event::Notice { severity: Severity::Warning, text });
        }
        read_ahead(on_host(&session.device), session.memory, batch_bytes)
    }

    /// One optimiser step: the training after it, and its loss.
    fn optimiser_step<T: TrainingTask<Model = M>>(
        mut self,
        task: &T,
        batches: &mut Loader<T::Batch, SamplingError>,
    ) -> Result<(Self, f64), TrainError> {
        let began = Instant::now();
        let (RunContext { session, config, .. }, schedule) = (self.context, self.schedule);
        let rate = lr(&schedule.schedule, schedule.optimiser.base_lr(), self.step, schedule.steps);
        let mut numbers = StepNumbers { step: self.step + 1, lr: rate, ..StepNumbers::default() };
        let mut gradients = GradientsAccumulator::new();
        let (mut cases, mut losses) = (Vec::new(), Vec::new());
        let weight = 1.0 / schedule.accumulate as f64;
        let held = self.param_groups.held(&self.model, self.step);
        let model = held.as_ref().unwrap_or(&self.model);
        for _ in 0..schedule.accumulate {
            let (micro_step, batch) = batches.next().expect("a batch for each step").map_err(|error| match error {
                LoaderError::Make { cause: SamplingError::Read(cause), .. } => TrainError::Read(cause),
                error => TrainError::Data(error.to_string()),
            })?;
            let micro_step = MicroStep { config, pass: Pass::training(config.seed, micro_step, 0), weight };
            let failed = |reason| TrainError::Device { step: numbers.step, cases: cases.clone(), reason };
            for result in self.devices.compute::<T>(model, batch, micro_step).map_err(failed)? {
                losses.push(result.numbers);
                gradients.accumulate(model, result.gradients);
                cases.extend(result.cases);
            }
        }
        let mut gradients = gradients.grads();
        let norm = clip_grad_norm(model, &mut gradients, schedule.clip_norm);
        // It shares its values with the model, which is updated in place where nothing else holds them.
        drop(held);
        let rate_of = |parameter| self.param_groups.rate(parameter, rate);
        self.model = task.after_step(self.optimiser.step_at(self.model, gradients, Some(&norm), &rate_of));
        let (losses, norm) =
            read_numbers(losses, &norm).map_err(|reason| TrainError::Device { step: numbers.step, cases: cases.clone(), reason })?;
        numbers.grad_norm = norm;
        let share = weight / self.devices.count() as f64;
        for LossNumbers { value, parts } in losses {
            numbers.loss += value * share;
            for (name, value) in parts {
                *numbers.parts.entry(name.to_owned()).or_default() += value * share;
            }
        }
        // A step along what is no number is thrown away with all of this training.
        self.require_finite(&numbers, &cases)?;
        self.step += 1;
        let loss = numbers.loss;
        numbers.step_secs = began.elapsed().as_secs_f64();
        numbers.volumes_per_sec = cases.len() as f64 / numbers.step_secs.max(1e-9);
        numbers.resident_mib = crate::device::memory::resident_mib();
        session.emit(Event::Step { stage: session.stage.clone(), numbers });
        Ok((self, loss))
    }

    /// Measures where that is due, and notes it in the checkpoint as well: a training that goes on from it does not measure again.
    /// A measurement that is cut off is made when the training goes on.
    fn measure<T: TrainingTask<Model = M>>(&mut self, task: &T) -> Result<(), TrainError> {
        if !self.unmeasured || task.measure_every().is_none() {
            return Ok(());
        }
        task.measure(self)?;
        self.unmeasured = false;
        if self.saved.0 == Some(self.step) {
            Checkpoint::rewrite_info(&self.context.session.checkpoints.join("last"), &self.info())?;
        }
        Ok(())
    }

    /// Does what the front end asks for: saves at once, also while it holds.
    pub(super) fn obey(&mut self) -> Result<(), TrainError> {
        loop {
            match (self.context.session.control)() {
                Control::Continue => return Ok(()),
                Control::Save => self.save()?,
                Control::Stop => return Err(TrainError::Stopped),
                Control::Lost => return Err(TrainError::Lost),
            }
        }
    }

    /// Saves `best` where `figure` is `better` than every one before.
    pub(super) fn choose(&mut self, figure: f64, better: fn(&f64, &f64) -> bool) -> Result<(), TrainError> {
        if self.best.is_none_or(|best| better(&figure, &best)) {
            self.best = Some(figure);
            self.save_as("best")?;
        }
        Ok(())
    }

    /// Whether what is made every so many steps, and after the last, is due. A stop makes nothing due: a training that goes on
    /// after one measures, and chooses its best, where an unbroken one does.
    fn is_due(&self, every: usize) -> bool {
        self.step == self.schedule.steps || self.step.is_multiple_of(every)
    }

    /// Whether a checkpoint is due, or this session's last.
    fn save_due(&self) -> bool {
        let TrainingSchedule { checkpoint_every, checkpoint_minutes, .. } = self.schedule;
        let by_steps = checkpoint_every > 0 && self.step.is_multiple_of(checkpoint_every);
        let by_minutes = checkpoint_minutes > 0.0 && self.saved.1.elapsed().as_secs_f64() >= checkpoint_minutes * 60.0;
        self.step >= self.last || by_steps || by_minutes
    }

    /// Saves `last`. Before the first step there is nothing to save.
    fn save(&mut self) -> Result<(), TrainError> {
        if self.step > 0 {
            self.save_as("last")?;
            self.saved = (Some(self.step), Instant::now());
        }
        Ok(())
    }

    fn save_as(&self, name: &str) -> Result<(), TrainError> {
        let RunContext { session, .. } = self.context;
        let checkpoint = Checkpoint { info: self.info(), weights: export_named(&self.model), optimiser: self.optimiser.to_bytes() };
        checkpoint.save(&session.checkpoints, name)?;
        let path = format!("checkpoints/{name}");
        session.emit(Event::Checkpoint { stage: session.stage.clone(), step: self.step, path, best: name == "best" });
        Ok(())
    }

    fn info(&self) -> CheckpointInfo {
        let RunContext { session, config, dataset, cases } = self.context;
        let Parents { places: parents, sha256: parent_sha256 } = self.parents.clone();
        let (best, unmeasured, cases) = (self.best, self.unmeasured, Some(cases));
        CheckpointInfo {
            best,
            parents,
            parent_sha256,
            unmeasured,
            cases,
            ..CheckpointInfo::new(session.stage.kind, self.step, config, dataset)
        }
    }

    /// Refuses to go on with a loss or gradient that is no number.
    fn require_finite(&self, numbers: &StepNumbers, cases: &[String]) -> Result<(), TrainError> {
        let bad = [("loss", numbers.loss), ("gradient norm", numbers.grad_norm)].into_iter().find(|(_, value)| !value.is_finite());
        bad.map_or(Ok(()), |(what, value)| {
            let last_good = self.saved.0.map(|step| (step, self.context.session.checkpoints.join("last")));
            Err(TrainError::NonFinite { what, value, step: numbers.step, cases: cases.to_vec(), last_good })
        })
    }
}

/// Reads the losses of a step and the norm of its gradients, all at once and last: the device is waited for a single time.
fn read_numbers(losses: Vec<(Tensor<1>, Vec<&'static str>)>, norm: &GradientNorm) -> Result<(Vec<LossNumbers>, f64), String> {
    let (tensors, names): (Vec<_>, Vec<_>) = losses.into_iter().unzip();
    let data = Tensor::cat(tensors.into_iter().chain(norm.unread().cloned()).collect(), 0);
    let data = data.try_into_data().map_err(|error| error.to_string())?;
    let mut values = data.iter::<f64>();
    let losses = names.into_iter().map(|names| LossNumbers::new(values.by_ref().take(1 + names.len()), &names)).collect();
    let norm = if let GradientNorm::Known(norm) = norm { *norm } else { values.next().expect("a norm behind the losses") };
    Ok((losses, norm))
}

/// Emits what another number of steps than planned means.
fn mention_other_length(session: &Session<'_>, info: &CheckpointInfo, steps: usize) {
    let (stage, done, planned) = (&session.stage, info.step, info.kind.steps(&info.config));
    if planned != steps && done > 0 {
        let text = format!(
            "{stage}: its first {done} steps were made for a training of {planned}; a schedule of learning rates that depends on the \
             length makes it another training than one of {steps} from the start"
        );
        session.emit(Event::Notice { severity: Severity::Info, text });
    }
}

/// Whether a piece of work was ended by the front end; another error stays one.
fn is_stop(result: Result<(), TrainError>) -> Result<bool, TrainError> {
    match result {
        Ok(()) => Ok(false),
        Err(TrainError::Stopped) => Ok(true),
        Err(error) => Err(error),
    }
}
