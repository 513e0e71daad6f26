//! Supervised training of the whole network (METHOD: "Fine-tuning and evaluation").

use std::path::Path;

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};

use super::devices::BatchLoss;
use super::session::{Ending, Obey, Session, TrainError};
use super::training_loop::{Parents, RunContext, TrainingLoop, TrainingTask};
use super::transfer::{load_all, transfer_encoder, transfer_network};
use super::{Checkpoint, CheckpointError, DatasetInfo, ParamGroups};
use crate::config::RunConfig;
use crate::device::Peers;
use crate::kernels::gather;
use crate::model::{Pass, Segmenter, Task};
use crate::objective::{DiceCeConfig, Loss, classes_from_host};
use crate::protocol::{Event, Severity, StageKind};
use crate::sampling::{CaseOrder, CaseSet, LabelledBatch, LabelledPlan, chosen};

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
    /// Checkpoint whose encoder to start from, or all of whose weights (`finetune.whole_network`); none: from scratch.
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

/// Trains until the last step or a stop.
///
/// # Errors
/// Loss or gradient that is no number, a batch that cannot be drawn, a checkpoint that cannot be written or read.
pub fn finetune(session: &Session<'_>, work: &Finetune<'_>) -> Result<Ending, TrainError> {
    let &Finetune { config, dataset, from, .. } = work;
    let device = session.device.clone().autodiff();
    let (mut transferred, mut foreign) = (None, false);
    let start = |fresh| match from {
        None => Ok((fresh, Parents::default())),
        Some(from) => {
            let place = Checkpoint::locate(from)?;
            let sha256 = Some(Checkpoint::weights_sha256(&place)?);
            foreign = !Checkpoint::read_info(&place)?.convention.is_own();
            let (network, report, places) = match config.finetune.whole_network {
                true => transfer_network(fresh, (config, dataset), from)?,
                false => transfer_encoder(fresh, config, from)?,
            };
            transferred = Some(report);
            Ok((network, Parents { places, sha256 }))
        }
    };
    let fresh = init_segmenter(config, dataset, &device);
    let context = RunContext { session, config, dataset, cases: work.cases.len() };
    let mut training = TrainingLoop::begin(context, (&config.finetune).into(), fresh, start)?;
    training.param_groups = ParamGroups::of(&training.model, &config.finetune);
    let order = CaseOrder::repeating(config.seed, work.cases.len(), config.finetune.batch)?;
    let plan = LabelledPlan::new(&config.finetune, config.seed);
    training.announce();
    if let (Some(report), Some(from)) = (transferred, training.parents.places.first()) {
        session.emit(Event::Transfer { stage: session.stage.clone(), from: from.clone(), report });
        if foreign {
            let text = "the encoder comes from MONAI, which hands volumes over with axes R,A,S; here they are S,A,R, slices first: it sees them \
                        transposed, and learns so in fine-tuning";
            session.emit(Event::Notice { severity: Severity::Info, text: text.to_owned() });
        }
    }
    let (cases, batch_bytes) = (work.cases.clone(), plan.batch_bytes(config.finetune.batch, dataset.channels.len()));
    training.run(work, batch_bytes, move |micro_step| plan.batch(&chosen(&cases, &order.cases(micro_step)), micro_step))
}

impl BatchLoss for Finetune<'_> {
    type Model = Segmenter;
    type Batch = LabelledBatch;

    fn shares(batch: &LabelledBatch, count: usize) -> Vec<LabelledBatch> {
        batch.shares(count)
    }

    fn forward_loss(config: &RunConfig, network: &Segmenter, share: LabelledBatch, pass: Pass, peers: &Peers) -> (Loss, Vec<String>) {
        let device = network.devices().pop().expect("a network has parameters");
        let LabelledBatch { shape, image, label, cases, .. } = share;
        let [volumes, _, depth, height, width] = shape;
        let image = Tensor::<5>::from_data(TensorData::new(image, shape), &device);
        let logits = network.forward(image, pass.of_share(volumes, peers));
        let loss = DiceCeConfig { batch_dice: config.finetune.batch_dice, ..DiceCeConfig::nnunet() };
        // The Dice of a batch is that of all its crops together.
        let peers = if loss.batch_dice { peers } else { &Peers::ALONE };
        let logits = logits.into_iter().map(|head| gather(head, 0, peers)).collect();
        let classes = classes_from_host(&gather_labels(label, peers), [volumes * peers.count(), depth, height, width], &device);
        (loss.deep_supervision(logits, &classes), cases)
    }
}

/// The labels of all devices' shares, in their order.
fn gather_labels(own: Vec<u8>, peers: &Peers) -> Vec<u8> {
    if peers.count() == 1 {
        return own;
    }
    let length = own.len();
    let shares = peers.exchange(TensorData::new(own, [length]));
    shares.iter().flat_map(|share| share.as_slice::<u8>().expect("labels are bytes")).copied().collect()
}

impl TrainingTask for Finetune<'_> {
    /// The best network is that of the highest Dice on the validation cases. Without them there is none: a training loss would choose the
    /// most overfitted.
    const BEST_BY_LOSS: bool = false;

    fn measure_every(&self) -> Option<usize> {
        self.validate.map(|_| self.config.finetune.validate_every)
    }

    fn measure(&self, training: &mut TrainingLoop<'_, Segmenter>) -> Result<(), TrainError> {
        let Some(validate) = self.validate else { return Ok(()) };
        let dice_mean = validate(&training.model.valid(), &mut || training.obey())?;
        let session = training.session();
        session.emit(Event::Validation { stage: session.stage.clone(), step: training.step, dice_mean });
        training.choose(dice_mean, f64::gt)
    }
}
