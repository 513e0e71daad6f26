//! Supervised training of the whole network (METHOD: "Fine-tuning and evaluation").

use std::path::Path;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};

use super::session::{Ending, Obey, Session, TrainError};
use super::training_loop::{Parents, RunContext, TrainingLoop, TrainingTask};
use super::transfer::{load_all, transfer_encoder};
use super::{Checkpoint, CheckpointError, DatasetInfo, ParamGroups};
use crate::config::RunConfig;
use crate::model::{Pass, Segmenter, Task};
use crate::objective::{Loss, classes_from_host, deep_supervision};
use crate::protocol::{Event, StageKind};
use crate::sampling::{CaseOrder, CaseSet, LabelledBatch, LabelledPlan, SamplingError, chosen};

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
pub fn load_segmenter(checkpoint: &Checkpoint, place: &Path, device: &Device) -> Result<Segmenter, CheckpointError> {
    if checkpoint.info.kind != StageKind::Finetune {
        let wanted = "a network that segments is needed: fine-tune it first with `simtrot finetune CONFIG --from THIS`";
        return Err(CheckpointError::Kind { path: place.to_owned(), found: "a pre-trained encoder", wanted });
    }
    load_all(init_segmenter(&checkpoint.info.config, &checkpoint.info.dataset, device), checkpoint, place)
}

/// Trains until the last step or a stop, and hands back the network.
///
/// # Errors
/// Loss or gradient that is no number, a batch that cannot be drawn, a checkpoint that cannot be written or read.
pub fn finetune(session: &Session<'_>, work: &Finetune<'_>) -> Result<(Segmenter, Ending), TrainError> {
    let &Finetune { config, dataset, from, .. } = work;
    let device = session.device.clone().autodiff();
    let mut transferred = None;
    let start = |fresh| match from {
        None => Ok((fresh, Parents::default())),
        Some(from) => {
            let sha256 = Some(Checkpoint::weights_sha256(&Checkpoint::locate(from)?)?);
            let (network, report, places) = transfer_encoder(fresh, config, from)?;
            transferred = Some(report);
            Ok((network, Parents { places, sha256 }))
        }
    };
    let fresh = init_segmenter(config, dataset, &device);
    let context = RunContext { session, config, dataset, cases: work.cases.len() };
    let mut training = TrainingLoop::begin(context, (&config.finetune).into(), fresh, start)?;
    training.param_groups = ParamGroups::of(&training.model, &config.finetune);
    let batches = batches(work)?;
    training.announce();
    if let (Some(report), Some(from)) = (transferred, training.parents.places.first()) {
        session.emit(Event::Transfer { stage: session.stage.clone(), from: from.clone(), report });
    }
    training.run(&Validated { session, work }, batches)
}

/// Makes the batch of a micro-step.
fn batches(work: &Finetune<'_>) -> Result<impl Fn(u64) -> Result<LabelledBatch, SamplingError> + Send + Sync + use<>, TrainError> {
    let (config, settings) = (work.config, &work.config.finetune);
    let order = CaseOrder::repeating(config.seed, work.cases.len(), settings.batch)?;
    let plan = LabelledPlan::new(settings, config.seed);
    let cases = work.cases.clone();
    Ok(move |micro_step| plan.batch(&chosen(&cases, &order.cases(micro_step)), micro_step))
}

/// A fine-tuning whose best network is that of the highest Dice on the validation cases. Without them there is no best: a
/// training loss would choose the most overfitted.
struct Validated<'a> {
    session: &'a Session<'a>,
    work: &'a Finetune<'a>,
}

impl TrainingTask for Validated<'_> {
    type Model = Segmenter;
    type Batch = LabelledBatch;
    const BEST_BY_LOSS: bool = false;

    fn forward_loss(&self, network: &Segmenter, batch: LabelledBatch, pass: Pass) -> (Loss, Vec<String>) {
        let device = network.devices().pop().expect("a network has parameters");
        let [volumes, _, depth, height, width] = batch.shape;
        let image = Tensor::<5>::from_data(TensorData::new(batch.image, batch.shape), &device);
        let classes = classes_from_host(&batch.label, [volumes, depth, height, width], &device);
        (deep_supervision(network.forward(image, pass), &classes).read(), batch.cases)
    }

    fn measure_every(&self) -> Option<usize> {
        self.work.validate.map(|_| self.work.config.finetune.validate_every)
    }

    fn measure(&self, training: &mut TrainingLoop<'_, Segmenter>) -> Result<(), TrainError> {
        let Some(validate) = self.work.validate else { return Ok(()) };
        let dice_mean = validate(&training.model.valid(), &mut || training.obey())?;
        self.session.emit(Event::Validation { stage: self.session.stage.clone(), step: training.step, dice_mean });
        training.choose(dice_mean, f64::gt)
    }
}
