//! Supervised training of the whole network (METHOD: "Fine-tuning and evaluation").

use std::path::Path;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};

use super::cases::sources;
use super::session::Obey;
use super::training_loop::{Parents, RunContext, TrainingLoop, is_stop};
use super::transfer::{load_all, transfer_encoder};
use super::{CaseSet, Checkpoint, DatasetInfo, Ending, ParamGroups, Session, TrainError};
use crate::config::RunConfig;
use crate::model::{Pass, Segmenter, Task};
use crate::objective::{DiceCeConfig, Loss, classes_from_host};
use crate::protocol::{Event, StageKind};
use crate::sampling::{CaseOrder, LabelledBatch, LabelledPlan, SamplingError};

/// Measures a network on the validation cases; asks before each window.
pub type Validate<'a> = dyn Fn(&Segmenter, &mut Obey<'_>) -> Result<f64, TrainError> + 'a;

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
    let &Finetune { config, dataset, from, .. } = work;
    let settings = &config.finetune;
    let device = session.device.clone().autodiff();
    let mut taken_over = None;
    let start = |fresh| match from {
        None => Ok((fresh, Parents::default())),
        Some(from) => {
            let sha256 = Some(Checkpoint::weights_sha256(&Checkpoint::locate(from)?)?);
            let (network, report, places) = transfer_encoder(fresh, config, from)?;
            taken_over = Some(report);
            Ok((network, Parents { places, sha256 }))
        }
    };
    let fresh = init_segmenter(config, dataset, &device);
    let mut course = TrainingLoop::begin(RunContext { session, config, dataset, cases: work.cases.len() }, settings.into(), fresh, start)?;
    course.param_groups = ParamGroups::of(&course.model, settings);
    let mut batches = course.batches(batches(work)?);

    course.announce();
    if let (Some(report), Some(from)) = (taken_over, course.parents.places.first()) {
        session.emit(Event::Transfer { stage: session.stage.clone(), from: from.clone(), report });
    }
    // An earlier session may have been stopped during its last validation.
    let mut stopped = is_stop(validate(&mut course, session, work))?;
    while course.goes_on() && !stopped {
        (course, _) = course.advance(&mut batches, look, |network| network)?;
        course.unmeasured = work.validate.is_some() && course.is_due(settings.validate_every);
        stopped = is_stop(course.obey())?;
        if stopped || course.unmeasured || course.save_due() {
            course.save()?;
        }
        stopped = stopped || is_stop(validate(&mut course, session, work))?;
    }
    Ok(course.finish(stopped))
}

/// One batch through the network.
fn look(network: &Segmenter, batch: LabelledBatch, pass: Pass) -> (Loss, Vec<String>) {
    let device = network.devices().pop().expect("a network has parameters");
    let [volumes, _, depth, height, width] = batch.shape;
    let image = Tensor::<5>::from_data(TensorData::new(batch.image, batch.shape), &device);
    let classes = classes_from_host(&batch.label, [volumes, depth, height, width], &device);
    (DiceCeConfig::nnunet().deep_supervision(network.forward(image, pass), &classes).into(), batch.cases)
}

/// Makes the batch of a micro-step.
fn batches(work: &Finetune<'_>) -> Result<impl Fn(u64) -> Result<LabelledBatch, SamplingError> + Send + Sync + use<>, TrainError> {
    let (config, settings) = (work.config, &work.config.finetune);
    let order = CaseOrder::repeating(config.seed, work.cases.len(), settings.batch)?;
    let plan = LabelledPlan::new(settings, config.seed);
    let cases = work.cases.clone();
    Ok(move |micro_step| plan.batch(&sources(&cases, &order.cases(micro_step)), micro_step))
}

/// Dice on the validation cases where it is due. One that is cut off is made when the training goes on.
fn validate(course: &mut TrainingLoop<'_, Segmenter>, session: &Session<'_>, work: &Finetune<'_>) -> Result<(), TrainError> {
    let Some(validate) = work.validate.filter(|_| course.unmeasured) else { return Ok(()) };
    let dice_mean = validate(&course.model.valid(), &mut || course.obey())?;
    session.emit(Event::Validation { stage: session.stage.clone(), step: course.step, dice_mean });
    // Without validation cases there is no best: a training loss would choose the most overfitted.
    course.choose(dice_mean, f64::gt)?;
    course.measured()
}
