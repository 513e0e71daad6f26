//! Measuring a checkpoint's tokens on a dataset.

use std::path::PathBuf;
use std::sync::Arc;

use super::cases::{frame, prepare_all};
use super::error::JobError;
use super::recorder::Recorder;
use crate::config::DataSource;
use crate::device::Opened;
use crate::protocol::{Event, Severity, StageKind};
use crate::train::{Checkpoint, Probe, ProbeData, TrainError, load_encoder, untrained};
use crate::volume::Dataset;

/// A checkpoint and the volumes to measure it on.
#[derive(Clone, Debug)]
pub struct ProbeJob {
    /// Checkpoint folder, or a run's.
    pub checkpoint: PathBuf,
    /// The volumes. Of a labelled dataset the first half fits the label probe, the rest is measured.
    pub data: DataSource,
    /// `key=value` changes of the checkpoint's settings.
    pub settings: Vec<String>,
}

pub(super) fn probe(job: &ProbeJob, opened: &Opened, recorder: &Recorder) -> Result<(), JobError> {
    let place = Checkpoint::locate(&job.checkpoint)?;
    let checkpoint = Checkpoint::open(&place)?;
    let config = checkpoint.info.config.with_overrides(&job.settings)?;
    let dataset = Dataset::open(&job.data)?;
    recorder.start("probe", &opened.description, dataset.labels.values().cloned().collect());
    let cases = prepare_all(&dataset, &config, recorder)?;
    if cases.len() < 2 {
        return Err(JobError::Input(format!(
            "{} has {} case; collapse shows between volumes: at least two are needed",
            dataset.name,
            cases.len()
        )));
    }
    // Cases of the run's own training are looked at last: held-out volumes tell the truth.
    let (labelled, unlabelled): (Vec<_>, Vec<_>) = cases.iter().cloned().partition(|case| case.is_labelled());
    let fitted = if unlabelled.is_empty() { labelled.len() / 2 } else { labelled.len() };
    let (fit, rest) = labelled.split_at(fitted);
    let held_out: Vec<_> =
        if rest.len() + unlabelled.len() >= 2 { rest.iter().chain(&unlabelled).cloned().collect() } else { cases.clone() };
    let data = ProbeData { held_out: Arc::from(held_out), labelled: Arc::from(fit.to_vec()), classes: dataset.class_count() };
    let probe = Probe::new(&config.probe, frame(&config), &data, config.seed)?;

    let under_way = recorder.begin(StageKind::Probe.into(), 1, 0);
    let (encoder, pretext) = load_encoder(&checkpoint, &place, &opened.device)?;
    if !checkpoint.info.convention.is_own() {
        recorder.notice(Severity::Warning, "the encoder comes from MONAI, which hands it axes R,A,S; here it is probed on S,A,R");
    }
    let mut obey = || if recorder.goes_on() { Ok(()) } else { Err(TrainError::Stopped) };
    let probed = probe.measure(&encoder, pretext.as_ref(), &mut obey)?;
    recorder.show_tokens(probe.preview(&probed, &under_way.stage, checkpoint.info.step), None);
    let collapse = Box::new(probed.collapse);
    let fresh = untrained(&checkpoint.info, &opened.device);
    let fresh_pretext = pretext.as_ref().map(|_| &fresh.pretext);
    if pretext.is_none() {
        recorder.notice(Severity::Info, "the checkpoint has no projector: the numbers are those of the encoder's tokens");
    } else if collapse.projected.is_none() {
        let task = config.pretrain.task.title(config.pretrain.weight);
        recorder.notice(Severity::Info, format!("{task} compares no tokens: the numbers are those of the encoder's tokens"));
    }
    let collapse_untrained = Box::new(probe.measure(&fresh.encoder, fresh_pretext, &mut obey)?.collapse);
    recorder.emit(Event::Baseline { name: "untrained".to_owned(), collapse: collapse_untrained });
    for (name, collapse) in probe.baselines(&fresh.encoder, fresh_pretext, &mut obey)? {
        recorder.emit(Event::Baseline { name: name.to_owned(), collapse: Box::new(collapse) });
    }
    recorder.emit(Event::Probe { stage: under_way.stage.clone(), step: checkpoint.info.step, collapse });
    under_way.progress(1);
    under_way.finish();
    Ok(())
}
