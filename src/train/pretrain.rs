//! Training without labels (METHOD: "One pre-training step"), whatever the pretext task.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::devices::BatchLoss;
use super::session::{Ending, Session, TrainError};
use super::training_loop::{Parents, RunContext, TrainingLoop, TrainingTask};
use super::transfer::load_all;
use super::{Checkpoint, CheckpointError, CheckpointInfo, DatasetInfo, Probe};
use crate::config::RunConfig;
use crate::device::Peers;
use crate::model::{Encoder, NamedWeights, Pass, Task, load_named};
use crate::objective::{Loss, Objective as _, Pretext, Setup};
use crate::protocol::{Event, StageKind};
use crate::sampling::{CaseOrder, CaseSet, ViewBatch, ViewPlan, chosen};

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
    /// The probe set; none where there are too few volumes to hold any out.
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

    /// Updates what follows the trained network slowly, once the optimiser has taken its step.
    pub fn after_step(self) -> Self {
        let Self { encoder, pretext } = self;
        Self { pretext: pretext.after_step(&encoder), encoder }
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

/// The encoder of any checkpoint, with its heads if the checkpoint has them: a fine-tuned or imported one does not.
///
/// # Errors
/// The checkpoint does not fit its own config.
pub fn load_encoder(checkpoint: &Checkpoint, place: &Path, device: &Device) -> Result<(Encoder, Option<Pretext>), CheckpointError> {
    let fresh = untrained(&checkpoint.info, device);
    let has_heads = || checkpoint.weights.keys().any(|name| !name.starts_with(fresh.encoder.prefix()));
    if checkpoint.info.kind == StageKind::Pretrain && has_heads() {
        let Pretraining { encoder, pretext } = load_all(fresh, checkpoint, place)?;
        return Ok((encoder, Some(pretext)));
    }
    let (encoder, report) = load_named(fresh.encoder, &checkpoint.weights);
    match report.missing.is_empty() && report.mismatched.is_empty() {
        true => Ok((encoder, None)),
        false => Err(CheckpointError::Fit { path: place.to_owned(), cause: report.to_string() }),
    }
}

/// Pre-trains until the last step or a stop.
///
/// # Errors
/// Loss or gradient that is no number, a batch that cannot be drawn, a checkpoint that cannot be written or read.
pub fn pretrain(session: &Session<'_>, work: &Pretrain<'_>) -> Result<Ending, TrainError> {
    let &Pretrain { config, dataset, .. } = work;
    let (settings, backbone) = (&config.pretrain, config.model.backbone());
    let fresh = Pretraining::init(config, dataset.channels.len(), &session.device.clone().autodiff());
    let context = RunContext { session, config, dataset, cases: work.cases.len() };
    let mut training = TrainingLoop::begin(context, settings.into(), fresh, |fresh| Ok((fresh, Parents::default())))?;
    let order = CaseOrder::distinct(config.seed, work.cases.len(), settings.batch)?;
    let plan = ViewPlan::new(settings, backbone.patch_size(), backbone.total_stride(), config.seed)?;
    training.announce();
    // The untrained encoder is what later probes are read against.
    training.unmeasured |= training.step == 0;
    let (cases, batch_bytes) = (work.cases.clone(), plan.batch_bytes(settings.batch, dataset.channels.len()));
    training.run(work, batch_bytes, move |micro_step| plan.batch(&chosen(&cases, &order.cases(micro_step)), micro_step))
}

impl BatchLoss for Pretrain<'_> {
    type Model = Pretraining;
    type Batch = ViewBatch;

    fn shares(batch: &ViewBatch, count: usize) -> Vec<ViewBatch> {
        batch.shares(count)
    }

    fn forward_loss(_: &RunConfig, model: &Pretraining, share: ViewBatch, pass: Pass, peers: &Peers) -> (Loss, Vec<String>) {
        let pass = pass.of_share(share.shape[0], peers);
        (model.pretext.loss_of_share(&model.encoder, &share, pass, peers), share.cases)
    }
}

impl TrainingTask for Pretrain<'_> {
    const BEST_BY_LOSS: bool = true;

    fn after_step(&self, model: Pretraining) -> Pretraining {
        model.after_step()
    }

    fn measure_every(&self) -> Option<usize> {
        self.probe.map(|_| self.config.pretrain.probe_every)
    }

    /// Measures collapse on the probe set, and the baselines while the encoder is untrained.
    fn measure(&self, training: &mut TrainingLoop<'_, Pretraining>) -> Result<(), TrainError> {
        let (Some(probe), session) = (self.probe, training.session()) else { return Ok(()) };
        let (encoder, pretext) = (training.model.encoder.valid(), training.model.pretext.valid());
        let probed = probe.measure(&encoder, Some(&pretext), &mut || training.obey())?;
        (session.show)(probe.preview(&probed, &session.stage, training.step));
        let collapse = Box::new(probed.collapse);
        if training.step == 0 {
            session.emit(Event::Baseline { name: "untrained".to_owned(), collapse: collapse.clone() });
            for (name, collapse) in probe.baselines(&encoder, Some(&pretext), &mut || training.obey())? {
                session.emit(Event::Baseline { name: name.to_owned(), collapse: Box::new(collapse) });
            }
        }
        session.emit(Event::Probe { stage: session.stage.clone(), step: training.step, collapse });
        Ok(())
    }
}

#[cfg(test)]
#[path = "pretrain_tests.rs"]
pub(super) mod tests;
