//! Training without labels (METHOD: "One pre-training step"), whatever the pretext task.

use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use super::cases::sources;
use super::session::Rhythm;
use super::transfer::load_all;
use super::{
    CaseSet, Checkpoint, CheckpointError, CheckpointInfo, Control, DatasetInfo, Ending, Optimiser, Probe, Session, TrainError, accumulate,
    clip_grad_norm, lr,
};
use crate::config::RunConfig;
use crate::model::{Encoder, NamedWeights, Pass, Task, TokenEncoder as _, export_named, load_named};
use crate::objective::{Objective as _, Pretext, Setup};
use crate::protocol::{Event, StageKind, StepNumbers};
use crate::sampling::{CaseOrder, Loader, SamplingError, ViewBatch, ViewPlan};

/// What is trained: the encoder, and the pretext task's heads that are thrown away after.
#[derive(Module, Debug)]
pub struct Pretraining {
    /// Volume to tokens.
    pub encoder: Encoder,
    /// What is asked of them.
    pub pretext: Pretext,
}

/// What a pre-training works on.
pub struct Pretrain<'a> {
    /// The run's settings, the arm's laid over them.
    pub config: &'a RunConfig,
    /// What the dataset asks of the network.
    pub dataset: &'a DatasetInfo,
    /// Unlabelled cases.
    pub cases: CaseSet,
    /// The probe bank; none where there are too few volumes to hold any out.
    pub probe: Option<&'a Probe>,
}

impl Pretraining {
    /// With the initial weights of the config's seed.
    pub fn init(config: &RunConfig, channels: usize, device: &Device) -> Self {
        // An encoder knows no classes.
        let task = Task { channels, classes: 0, crop_size: config.pretrain.crop_size };
        let encoder = Encoder::init(&config.model, &task, config.seed, device);
        let pretext = Pretext::init(&Setup { config, channels, encoder: &encoder, device });
        Self { encoder, pretext }
    }

    /// After an optimiser step: what follows the trained network slowly takes its step too.
    fn follow(self) -> Self {
        let Self { encoder, pretext } = self;
        Self { pretext: pretext.follow(&encoder), encoder }
    }
}

impl NamedWeights for Pretraining {
    fn reference_name(&self, path: &[String]) -> String {
        match path.split_first() {
            Some((part, rest)) if part == "encoder" => self.encoder.reference_name(rest),
            Some((_, rest)) => self.pretext.reference_name(rest),
            None => String::new(),
        }
    }
}

/// Encoder and heads as they were before a checkpoint's first step.
pub fn untrained(info: &CheckpointInfo, device: &Device) -> Pretraining {
    Pretraining::init(&info.config, info.dataset.channels.len(), device)
}

/// The encoder of any checkpoint, with its heads if the checkpoint is one of pre-training.
///
/// # Errors
/// The checkpoint does not fit its own config.
pub fn load_encoder(checkpoint: &Checkpoint, place: &Path, device: &Device) -> Result<(Encoder, Option<Pretext>), CheckpointError> {
    let fresh = untrained(&checkpoint.info, device);
    if checkpoint.info.kind == StageKind::Pretrain {
        let Pretraining { encoder, pretext } = load_all(fresh, checkpoint, place)?;
        return Ok((encoder, Some(pretext)));
    }
    let (encoder, report) = load_named(fresh.encoder, &checkpoint.weights);
    match report.missing.is_empty() && report.mismatched.is_empty() {
        true => Ok((encoder, None)),
        false => Err(CheckpointError::Fit { path: place.to_owned(), cause: report.to_string() }),
    }
}

/// Pre-trains until the last step or a stop, and hands back the encoder with its heads.
///
/// # Errors
/// Loss or gradient that is no number, a batch that cannot be drawn, a checkpoint that cannot be written or read.
pub fn pretrain(session: &Session<'_>, work: &Pretrain<'_>) -> Result<(Pretraining, Ending), TrainError> {
    let (config, settings) = (work.config, &work.config.pretrain);
    let device = session.device.clone().autodiff();
    let mut training = begin(session, work, &device)?;
    let last = session.last_step(training.step, settings.steps);
    let mut loader = loader(work, &training.model, training.step, last)?;
    let mut rhythm = Rhythm::new(settings.checkpoint_every, settings.checkpoint_minutes);

    session.emit(Event::StageStarted { stage: session.stage.clone(), total: settings.steps, done: training.step });
    if training.step == 0 {
        training.probe(session, work);
    }
    while training.step < last {
        rhythm.step_begins();
        let step = training.step;
        let rate = lr(&settings.schedule, settings.optimiser.base_lr(), step, settings.steps);
        let mut gradients = GradientsParams::new();
        let mut numbers = StepNumbers { step: step + 1, lr: rate, ..StepNumbers::default() };
        let mut cases = Vec::new();
        for _ in 0..settings.accumulate {
            let (micro_step, batch) = loader.next().expect("a batch for each step").map_err(|error| TrainError::Data(error.to_string()))?;
            let pass = Pass::training(config.seed, micro_step, 0);
            let more = backward(&training.model, &batch, (pass, settings.accumulate), &mut numbers);
            accumulate(&training.model, &mut gradients, more);
            cases.extend(batch.cases);
        }
        numbers.grad_norm = clip_grad_norm(&training.model, &mut gradients, settings.clip_norm);
        session.require_finite(&numbers, &cases, training.saved)?;
        training.model = training.optimiser.step(training.model, gradients, rate).follow();
        training.step += 1;
        let loss = numbers.loss;
        session.emit(Event::Step { stage: session.stage.clone(), numbers: rhythm.timed(numbers, cases.len()) });

        if training.step.is_multiple_of(settings.probe_every) || training.step == settings.steps {
            training.probe(session, work);
        }
        let control = (session.control)();
        let ends = training.step == last || control == Control::Stop;
        if ends || control == Control::Save || rhythm.save_due(training.step) {
            training.save(session, work, loss)?;
            rhythm.saved();
        }
        if control == Control::Stop {
            return Ok((training.model, Ending::Stopped));
        }
    }
    let ending = if training.step == settings.steps { Ending::Completed } else { Ending::Stopped };
    Ok((training.model, ending))
}

/// One batch of views through the network and back: adds to `numbers`, returns the gradients.
fn backward(model: &Pretraining, batch: &ViewBatch, (pass, share): (Pass, usize), numbers: &mut StepNumbers) -> GradientsParams {
    let outcome = model.pretext.loss(&model.encoder, batch, pass);
    let share = 1.0 / share as f64;
    numbers.loss += outcome.value * share;
    for (name, value) in outcome.parts {
        *numbers.parts.entry(name.to_owned()).or_default() += value * share;
    }
    GradientsParams::from_grads((outcome.loss * share).backward(), model)
}

/// A pre-training between two steps.
struct Training {
    model: Pretraining,
    optimiser: Optimiser,
    step: usize,
    best: Option<f64>,
    /// Step of `checkpoints/last`.
    saved: Option<usize>,
}

fn begin(session: &Session<'_>, work: &Pretrain<'_>, device: &Device) -> Result<Training, TrainError> {
    let config = work.config;
    let model = Pretraining::init(config, work.dataset.channels.len(), device);
    let place = session.checkpoints.join("last");
    match Checkpoint::last(&session.checkpoints)?.filter(|_| session.resume) {
        None => Ok(Training { model, optimiser: Optimiser::new(config.pretrain.optimiser), step: 0, best: None, saved: None }),
        Some(checkpoint) => {
            checkpoint.require_same_settings(config, &place)?;
            let model = load_all(model, &checkpoint, &place)?;
            let optimiser =
                Optimiser::from_bytes(config.pretrain.optimiser, &checkpoint.optimiser, &model).map_err(CheckpointError::from)?;
            let step = checkpoint.info.step;
            Ok(Training { model, optimiser, step, best: checkpoint.info.best, saved: Some(step) })
        }
    }
}

/// Batches for steps `first..last`, prepared ahead by threads.
fn loader(work: &Pretrain<'_>, model: &Pretraining, first: usize, last: usize) -> Result<Loader<ViewBatch, SamplingError>, TrainError> {
    let (config, settings) = (work.config, &work.config.pretrain);
    let order = CaseOrder::distinct(config.seed, work.cases.len(), settings.batch)?;
    let plan = ViewPlan::new(settings, config.model.backbone().patch_size(), model.encoder.total_stride(), config.seed)?;
    let cases = work.cases.clone();
    let make = move |micro_step| plan.batch(&sources(&cases, &order.cases(micro_step)), micro_step);
    let per_step = settings.accumulate as u64;
    Ok(Loader::new(first as u64 * per_step, (last - first) as u64 * per_step, super::session::LOADER_THREADS, make))
}

impl Training {
    /// Measures collapse, and the baselines beside it while the encoder is untrained.
    fn probe(&self, session: &Session<'_>, work: &Pretrain<'_>) {
        let Some(probe) = work.probe else { return };
        let (encoder, pretext) = (self.model.encoder.valid(), self.model.pretext.valid());
        let collapse = Box::new(probe.measure(&encoder, Some(&pretext)));
        if self.step == 0 {
            session.emit(Event::Baseline { name: "untrained".to_owned(), collapse: collapse.clone() });
            for (name, collapse) in probe.baselines(&encoder, Some(&pretext)) {
                session.emit(Event::Baseline { name: name.to_owned(), collapse: Box::new(collapse) });
            }
        }
        session.emit(Event::Probe { stage: session.stage.clone(), step: self.step, collapse });
    }

    /// Saves `last`, and `best` where the loss is the lowest of all saves.
    fn save(&mut self, session: &Session<'_>, work: &Pretrain<'_>, loss: f64) -> Result<(), TrainError> {
        let is_best = self.best.is_none_or(|best| loss < best);
        if is_best {
            self.best = Some(loss);
        }
        let mut info = CheckpointInfo::new(StageKind::Pretrain, self.step, work.config, work.dataset);
        info.best = self.best;
        let checkpoint = Checkpoint { info, weights: export_named(&self.model), optimiser: self.optimiser.to_bytes() };
        session.save(&checkpoint, is_best)?;
        self.saved = Some(self.step);
        Ok(())
    }
}

#[cfg(test)]
#[path = "pretrain_tests.rs"]
mod tests;
