//! Supervised training of the whole network (METHOD: "Fine-tuning and evaluation").

use std::path::Path;

use burn::module::Module as _;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::cases::sources;
use super::session::Rhythm;
use super::transfer::{load_all, transfer_encoder};
use super::{
    CaseSet, Checkpoint, CheckpointInfo, Control, DatasetInfo, Ending, Optimiser, Session, TrainError, accumulate, clip_grad_norm, lr,
};
use crate::config::RunConfig;
use crate::model::{Pass, Segmenter, Task, export_named};
use crate::objective::{DiceCeConfig, classes_from_host};
use crate::protocol::{Event, StageKind, StepNumbers};
use crate::sampling::{CaseOrder, LabelledBatch, LabelledPlan, Loader, SamplingError};

/// Measures a network on the validation cases.
pub type Validate<'a> = dyn Fn(&Segmenter) -> Result<f64, TrainError> + 'a;

/// What a fine-tuning works on.
pub struct Finetune<'a> {
    /// The run's settings, the arm's laid over them.
    pub config: &'a RunConfig,
    /// What the dataset asks of the network.
    pub dataset: &'a DatasetInfo,
    /// Labelled cases.
    pub cases: CaseSet,
    /// Checkpoint whose encoder to start from; none: from scratch.
    pub from: Option<&'a Path>,
    /// Mean Dice on the validation cases; none where there are none.
    pub validate: Option<&'a Validate<'a>>,
}

/// A segmentation network with the initial weights of the config's seed.
pub fn init_segmenter(config: &RunConfig, dataset: &DatasetInfo, device: &Device) -> Segmenter {
    let task = Task { channels: dataset.channels.len(), classes: dataset.labels.len(), crop_size: config.finetune.crop_size };
    Segmenter::init(&config.model, &task, config.seed, device)
}

/// The network of a fine-tuned checkpoint.
///
/// # Errors
/// The checkpoint is one of pre-training, or does not fit its own config.
pub fn load_segmenter(checkpoint: &Checkpoint, place: &Path, device: &Device) -> Result<Segmenter, super::CheckpointError> {
    if checkpoint.info.kind != StageKind::Finetune {
        let wanted = "a network that segments is needed: fine-tune it first with `simtrot finetune CONFIG --from THIS`";
        return Err(super::CheckpointError::Kind { path: place.to_owned(), found: "a pre-trained encoder", wanted });
    }
    load_all(init_segmenter(&checkpoint.info.config, &checkpoint.info.dataset, device), checkpoint, place)
}

/// Trains until the last step or a stop, and hands back the network.
///
/// # Errors
/// Loss or gradient that is no number, a batch that cannot be drawn, a checkpoint that cannot be written or read.
pub fn finetune(session: &Session<'_>, work: &Finetune<'_>) -> Result<(Segmenter, Ending), TrainError> {
    let (config, settings) = (work.config, &work.config.finetune);
    let device = session.device.clone().autodiff();
    let mut training = begin(session, work, &device)?;
    let objective = DiceCeConfig::nnunet();
    let last = session.last_step(training.step, settings.steps);
    let mut loader = loader(work, training.step, last)?;
    let mut rhythm = Rhythm::new(settings.checkpoint_every, settings.checkpoint_minutes);

    session.emit(Event::StageStarted { stage: session.stage.clone(), total: settings.steps, done: training.step });
    training.tell_transfer(session);
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
            let more = supervised_step(&training.network, &objective, &batch, (pass, settings.accumulate), &mut numbers);
            accumulate(&training.network, &mut gradients, more);
            cases.extend(batch.cases);
        }
        numbers.grad_norm = clip_grad_norm(&training.network, &mut gradients, settings.clip_norm);
        session.require_finite(&numbers, &cases, training.saved)?;
        training.network = training.optimiser.step(training.network, gradients, rate);
        training.step += 1;
        session.emit(Event::Step { stage: session.stage.clone(), numbers: rhythm.timed(numbers, cases.len()) });

        let control = (session.control)();
        let ends = training.step == last || control == Control::Stop;
        let figure = training.validate(session, work, ends)?;
        if ends || figure.is_some() || control == Control::Save || rhythm.save_due(training.step) {
            training.save(session, work, figure)?;
            rhythm.saved();
        }
        if control == Control::Stop {
            return Ok((training.network, Ending::Stopped));
        }
    }
    let ending = if training.step == settings.steps { Ending::Completed } else { Ending::Stopped };
    Ok((training.network, ending))
}

/// One batch through the network and back: adds to `numbers`, returns the gradients.
fn supervised_step(
    network: &Segmenter,
    objective: &DiceCeConfig,
    batch: &LabelledBatch,
    (pass, share): (Pass, usize),
    numbers: &mut StepNumbers,
) -> GradientsParams {
    let device = network.devices().pop().expect("a network has parameters");
    let [volumes, _, depth, height, width] = batch.shape;
    let image = Tensor::<5>::from_data(TensorData::new(batch.image.clone(), batch.shape), &device);
    let classes = classes_from_host(&batch.label, [volumes, depth, height, width], &device);
    let result = objective.deep_supervision(network.forward(image, pass), &classes);
    let read = result.numbers();
    let share = 1.0 / share as f64;
    numbers.loss += read.loss * share;
    for (name, value) in [("soft_dice", read.soft_dice), ("cross_entropy", read.cross_entropy)] {
        *numbers.parts.entry(name.to_owned()).or_default() += value * share;
    }
    GradientsParams::from_grads((result.loss * share).backward(), network)
}

/// A fine-tuning between two steps.
struct Training {
    network: Segmenter,
    optimiser: Optimiser,
    step: usize,
    best: Option<f64>,
    /// Step of `checkpoints/last`.
    saved: Option<usize>,
    parents: Vec<String>,
    transfer: Option<crate::protocol::TransferReport>,
}

fn begin(session: &Session<'_>, work: &Finetune<'_>, device: &Device) -> Result<Training, TrainError> {
    let config = work.config;
    let network = init_segmenter(config, work.dataset, device);
    let optimiser = Optimiser::new(config.finetune.optimiser);
    let place = session.checkpoints.join("last");
    if let Some(checkpoint) = Checkpoint::last(&session.checkpoints)?.filter(|_| session.resume) {
        checkpoint.require_same_settings(config, &place)?;
        let network = load_all(network, &checkpoint, &place)?;
        let optimiser =
            Optimiser::from_bytes(config.finetune.optimiser, &checkpoint.optimiser, &network).map_err(super::CheckpointError::from)?;
        let CheckpointInfo { step, best, parents, .. } = checkpoint.info;
        return Ok(Training { network, optimiser, step, best, saved: Some(step), parents, transfer: None });
    }
    let (network, transfer, parents) = match work.from {
        None => (network, None, Vec::new()),
        Some(from) => {
            let (network, report, parents) = transfer_encoder(network, from)?;
            (network, Some(report), parents)
        }
    };
    Ok(Training { network, optimiser, step: 0, best: None, saved: None, parents, transfer })
}

/// Batches for steps `first..last`, prepared ahead by threads.
fn loader(work: &Finetune<'_>, first: usize, last: usize) -> Result<Loader<LabelledBatch, SamplingError>, TrainError> {
    let (config, settings) = (work.config, &work.config.finetune);
    let order = CaseOrder::repeating(config.seed, work.cases.len(), settings.batch)?;
    let plan = LabelledPlan::new(settings, config.seed);
    let cases = work.cases.clone();
    let make = move |micro_step| plan.batch(&sources(&cases, &order.cases(micro_step)), micro_step);
    let per_step = settings.accumulate as u64;
    Ok(Loader::new(first as u64 * per_step, (last - first) as u64 * per_step, super::session::LOADER_THREADS, make))
}

impl Training {
    fn tell_transfer(&mut self, session: &Session<'_>) {
        if let Some(report) = self.transfer.take() {
            let from = self.parents.first().cloned().unwrap_or_default();
            session.emit(Event::Transfer { stage: session.stage.clone(), from, report });
        }
    }

    /// Dice on the validation cases where it is due.
    fn validate(&self, session: &Session<'_>, work: &Finetune<'_>, ends: bool) -> Result<Option<f64>, TrainError> {
        let due = ends || self.step.is_multiple_of(work.config.finetune.validate_every);
        let Some(validate) = work.validate.filter(|_| due) else { return Ok(None) };
        let dice_mean = validate(&self.network.valid())?;
        session.emit(Event::Validation { stage: session.stage.clone(), step: self.step, dice_mean });
        Ok(Some(dice_mean))
    }

    /// Saves `last`, and `best` where `figure`, the validation Dice, is the highest so far. Without validation cases there is
    /// no best: a training loss would choose the most overfitted.
    fn save(&mut self, session: &Session<'_>, work: &Finetune<'_>, figure: Option<f64>) -> Result<(), TrainError> {
        let is_best = figure.is_some_and(|figure| self.best.is_none_or(|best| figure > best));
        if is_best {
            self.best = figure;
        }
        let mut info = CheckpointInfo::new(StageKind::Finetune, self.step, work.config, work.dataset);
        (info.best, info.parents) = (self.best, self.parents.clone());
        let checkpoint = Checkpoint { info, weights: export_named(&self.network), optimiser: self.optimiser.to_bytes() };
        session.save(&checkpoint, is_best)?;
        self.saved = Some(self.step);
        Ok(())
    }
}
