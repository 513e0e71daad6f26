//! What every training does, whatever it minimises: batches to gradients to a step, and checkpoints from which it goes on.

use burn::optim::GradientsParams;

use super::session::CheckpointSchedule;
use super::transfer::load_all;
use super::{
    Checkpoint, CheckpointError, CheckpointInfo, Control, DatasetInfo, Ending, Optimiser, ParamGroups, Session, TrainError, accumulate,
    clip_grad_norm, lr,
};
use crate::config::{FinetuneConfig, OptimiserConfig, PretrainConfig, RunConfig, ScheduleConfig};
use crate::model::{NamedWeights, Pass, export_named};
use crate::objective::Loss;
use crate::protocol::{Event, StepNumbers};
use crate::sampling::{Loader, SamplingError};

/// Threads that prepare batches ahead of the device.
const LOADER_THREADS: usize = 2;

/// The settings that decide a step and when to save, alike for pre-training and fine-tuning.
#[derive(Clone, Debug)]
pub(super) struct TrainingSchedule {
    steps: usize,
    accumulate: usize,
    optimiser: OptimiserConfig,
    schedule: ScheduleConfig,
    clip_norm: Option<f64>,
    checkpoint_every: usize,
    checkpoint_minutes: f64,
}

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
    /// Whether the probe or validation that is due at this step is still to be made.
    pub(super) unmeasured: bool,
    owner: RunContext<'a>,
    regime: TrainingSchedule,
    optimiser: Optimiser,
    rhythm: CheckpointSchedule,
    /// The step at which this session ends.
    last: usize,
    /// The best of the figures by which `best` is chosen.
    best: Option<f64>,
    /// Step of `checkpoints/last`.
    saved: Option<usize>,
}

impl From<&PretrainConfig> for TrainingSchedule {
    fn from(config: &PretrainConfig) -> Self {
        let PretrainConfig { steps, accumulate, optimiser, schedule, clip_norm, checkpoint_every, checkpoint_minutes, .. } = *config;
        Self { steps, accumulate, optimiser, schedule, clip_norm, checkpoint_every, checkpoint_minutes }
    }
}

impl From<&FinetuneConfig> for TrainingSchedule {
    fn from(config: &FinetuneConfig) -> Self {
        let FinetuneConfig { steps, accumulate, optimiser, schedule, clip_norm, checkpoint_every, checkpoint_minutes, .. } = *config;
        Self { steps, accumulate, optimiser, schedule, clip_norm, checkpoint_every, checkpoint_minutes }
    }
}

impl<'a, M: NamedWeights> TrainingLoop<'a, M> {
    /// Goes on from the last checkpoint where the session asks for it and there is one. Else it begins with what `start` makes
    /// of `model`, and what this came from.
    pub(super) fn begin(
        owner: RunContext<'a>,
        regime: TrainingSchedule,
        model: M,
        start: impl FnOnce(M) -> Result<(M, Parents), CheckpointError>,
    ) -> Result<Self, TrainError> {
        let RunContext { session, config, .. } = owner;
        let (model, optimiser, info) = match Checkpoint::last(&session.checkpoints)?.filter(|_| session.resume) {
            None => {
                let (model, parents) = start(model)?;
                let Parents { places: parents, sha256: parent_sha256 } = parents;
                let fresh = CheckpointInfo::new(session.stage.kind, 0, config, owner.dataset);
                let info = CheckpointInfo { parents, parent_sha256, ..fresh };
                (model, Optimiser::new(regime.optimiser), info)
            }
            Some(checkpoint) => {
                let place = session.checkpoints.join("last");
                checkpoint.require_same_settings(config, &place)?;
                session.require_as_long(&checkpoint.info, regime.steps)?;
                let model = load_all(model, &checkpoint, &place)?;
                let optimiser = Optimiser::from_bytes(regime.optimiser, &checkpoint.optimiser, &model).map_err(CheckpointError::from)?;
                (model, optimiser, checkpoint.info)
            }
        };
        let CheckpointInfo { step, best, parents: places, parent_sha256: sha256, unmeasured, .. } = info;
        let parents = Parents { places, sha256 };
        let last = session.last_step(step, regime.steps);
        let rhythm = CheckpointSchedule::new(regime.checkpoint_every, regime.checkpoint_minutes);
        let saved = (step > 0).then_some(step);
        Ok(Self {
            model,
            step,
            parents,
            param_groups: ParamGroups::default(),
            unmeasured,
            owner,
            regime,
            optimiser,
            rhythm,
            last,
            best,
            saved,
        })
    }

    /// Tells that the stage began.
    pub(super) fn announce(&self) {
        let RunContext { session, .. } = self.owner;
        session.emit(Event::StageStarted { stage: session.stage.clone(), total: self.regime.steps, done: self.step });
    }

    /// Batches for the steps of this session, prepared ahead by threads.
    pub(super) fn batches<B: Send + 'static>(
        &self,
        make: impl Fn(u64) -> Result<B, SamplingError> + Send + Sync + 'static,
    ) -> Loader<B, SamplingError> {
        let per_step = self.regime.accumulate as u64;
        Loader::new(self.step as u64 * per_step, self.last.saturating_sub(self.step) as u64 * per_step, LOADER_THREADS, make)
    }

    /// Whether a step is left for this session.
    pub(super) fn goes_on(&self) -> bool {
        self.step < self.last
    }

    /// Whether all steps are done.
    pub(super) fn is_complete(&self) -> bool {
        self.step == self.regime.steps
    }

    /// One optimiser step: the course after it, and its loss. `look` takes a batch through the model and names its cases;
    /// `settle` has the last word on the model.
    pub(super) fn advance<B: Send + 'static>(
        mut self,
        batches: &mut Loader<B, SamplingError>,
        look: impl Fn(&M, B, Pass) -> (Loss, Vec<String>),
        settle: impl FnOnce(M) -> M,
    ) -> Result<(Self, f64), TrainError> {
        self.rhythm.step_begins();
        let (RunContext { session, config, .. }, TrainingSchedule { steps, accumulate: micro_steps, clip_norm, .. }) =
            (self.owner, self.regime.clone());
        let rate = lr(&self.regime.schedule, self.regime.optimiser.base_lr(), self.step, steps);
        let mut gradients = GradientsParams::new();
        let mut numbers = StepNumbers { step: self.step + 1, lr: rate, ..StepNumbers::default() };
        let mut cases = Vec::new();
        let share = 1.0 / micro_steps as f64;
        let held = self.param_groups.held(&self.model, self.step);
        let model = held.as_ref().unwrap_or(&self.model);
        for _ in 0..micro_steps {
            let (micro_step, batch) =
                batches.next().expect("a batch for each step").map_err(|error| TrainError::Data(error.to_string()))?;
            let (outcome, own_cases) = look(model, batch, Pass::training(config.seed, micro_step, 0));
            numbers.loss += outcome.value * share;
            for (name, value) in outcome.parts {
                *numbers.parts.entry(name.to_owned()).or_default() += value * share;
            }
            let more = GradientsParams::from_grads((outcome.loss * share).backward(), model);
            accumulate(model, &mut gradients, more);
            cases.extend(own_cases);
        }
        numbers.grad_norm = clip_grad_norm(model, &mut gradients, clip_norm);
        session.require_finite(&numbers, &cases, self.saved)?;
        // It shares its values with the model, which is updated in place where nothing else holds them.
        drop(held);
        self.model = settle(self.optimiser.step_at(self.model, gradients, &|parameter| self.param_groups.rate(parameter, rate)));
        self.step += 1;
        let loss = numbers.loss;
        session.emit(Event::Step { stage: session.stage.clone(), numbers: self.rhythm.timed(numbers, cases.len()) });
        Ok((self, loss))
    }

    /// Does what the front end wants: saves at once, also while it holds.
    pub(super) fn obey(&mut self) -> Result<(), TrainError> {
        loop {
            match (self.owner.session.control)() {
                Control::Continue => return Ok(()),
                Control::Save => self.save()?,
                Control::Stop => return Err(TrainError::Stopped),
            }
        }
    }

    /// Whether what is made every so many steps, and after the last, is due. A stop makes nothing due: a training that goes on
    /// after one measures, and chooses its best, where an unbroken one does.
    pub(super) fn is_due(&self, every: usize) -> bool {
        self.is_complete() || self.step.is_multiple_of(every)
    }

    /// Whether a checkpoint is due, or this session's last.
    pub(super) fn save_due(&self) -> bool {
        !self.goes_on() || self.rhythm.save_due(self.step)
    }

    /// Saves `last`. Before the first step there is nothing to save.
    pub(super) fn save(&mut self) -> Result<(), TrainError> {
        if self.step > 0 {
            self.owner.session.save(&self.checkpoint(), "last")?;
            self.saved = Some(self.step);
            self.rhythm.saved();
        }
        Ok(())
    }

    /// Saves `best` where `figure` is `better` than every one before.
    pub(super) fn choose(&mut self, figure: f64, better: fn(&f64, &f64) -> bool) -> Result<(), TrainError> {
        if self.best.is_none_or(|best| better(&figure, &best)) {
            self.best = Some(figure);
            self.owner.session.save(&self.checkpoint(), "best")?;
        }
        Ok(())
    }

    /// Notes that what was due at this step is measured, in the checkpoint as well: a training that goes on from it does not
    /// measure again.
    pub(super) fn measured(&mut self) -> Result<(), TrainError> {
        self.unmeasured = false;
        if self.saved == Some(self.step) {
            self.info().rewrite(&self.owner.session.checkpoints.join("last"))?;
        }
        Ok(())
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { info: self.info(), weights: export_named(&self.model), optimiser: self.optimiser.to_bytes() }
    }

    fn info(&self) -> CheckpointInfo {
        let RunContext { session, config, dataset, cases } = self.owner;
        let (best, unmeasured) = (self.best, self.unmeasured);
        let Parents { places: parents, sha256: parent_sha256 } = self.parents.clone();
        CheckpointInfo {
            best,
            parents,
            parent_sha256,
            unmeasured,
            cases: Some(cases),
            ..CheckpointInfo::new(session.stage.kind, self.step, config, dataset)
        }
    }

    /// What was trained, and how it ended.
    pub(super) fn finish(self, stopped: bool) -> (M, Ending) {
        let ending = if self.is_complete() && !stopped { Ending::Completed } else { Ending::Stopped };
        (self.model, ending)
    }
}

/// Whether a piece of work was ended by the front end; another error stays one.
pub(super) fn is_stop(result: Result<(), TrainError>) -> Result<bool, TrainError> {
    match result {
        Ok(()) => Ok(false),
        Err(TrainError::Stopped) => Ok(true),
        Err(error) => Err(error),
    }
}
