//! The what-if curve: what other mask ratios would do to a trained encoder's views.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::cases::{half_of_free, prepare};
use super::error::JobError;
use super::recorder::Recorder;
use crate::config::{DataSource, RunConfig};
use crate::device::Opened;
use crate::protocol::{Event, Severity, StageKind};
use crate::sampling::{CaseOrder, CaseSet};
use crate::train::{Checkpoint, CheckpointError, MaskTrial, load_encoder};
use crate::volume::Dataset;

/// A checkpoint, volumes, and the mask ratios to try on them.
#[derive(Clone, Debug)]
pub struct MaskRatiosJob {
    /// Checkpoint folder of a pre-training, or its run's.
    pub checkpoint: PathBuf,
    /// The volumes.
    pub data: DataSource,
    /// Shares of hidden mask cells, each from 0 to below 1.
    pub ratios: Vec<f64>,
    /// Draws of cases, crops, texture, turns and masks at each ratio.
    pub draws: usize,
    /// `key=value` changes of the checkpoint's settings.
    pub settings: Vec<String>,
}

impl MaskRatiosJob {
    /// The mask ratios of the curve that the window draws: 0 to 0.95 in steps of 0.05.
    pub fn all_ratios() -> Vec<f64> {
        (0..20).map(|step| f64::from(step) / 20.0).collect()
    }
}

pub(super) fn mask_ratios(job: &MaskRatiosJob, opened: &Opened, recorder: &Recorder) -> Result<(), JobError> {
    if let Some(ratio) = job.ratios.iter().find(|ratio| !(0.0..1.0).contains(*ratio)) {
        return Err(JobError::Input(format!("a mask ratio of {ratio} was asked for; allowed is 0 to below 1")));
    }
    let place = Checkpoint::locate(&job.checkpoint)?;
    let checkpoint = Checkpoint::open(&place)?;
    let config = checkpoint.info.config.with_overrides(&job.settings)?;
    let dataset = Dataset::open(&job.data)?;
    let (encoder, Some(pretext)) = load_encoder(&checkpoint, &place, &opened.device)? else {
        let (found, wanted) =
            ("an encoder without the heads of its pretext task", "mask ratios are tried on a checkpoint of a pre-training");
        return Err(CheckpointError::Kind { path: place, found, wanted }.into());
    };
    recorder.start("mask ratios", &opened.description, dataset.labels.values().cloned().collect());
    let (cases, draws) = cases(&dataset, &config, job.draws, recorder)?;
    let trial = MaskTrial { config: &config, cases: &cases, draws: &draws, encoder: &encoder, pretext: &pretext };

    let under_way = recorder.begin(StageKind::MaskRatios.into(), job.ratios.len() * job.draws, 0);
    // Draw by draw, so that the whole curve is there early and its spread grows.
    let points = (0..job.draws).flat_map(|draw| job.ratios.iter().map(move |&ratio| (draw, ratio)));
    for (done, (draw, mask_ratio)) in points.enumerate() {
        recorder.obey()?;
        match trial.point(mask_ratio, draw)? {
            Some(point) => recorder.emit(Event::MaskPoint { stage: under_way.stage.clone(), point }),
            None if draw == 0 => {
                let (task, settings) = (config.pretrain.task, &config.pretrain);
                let cells = settings.mask_cells(config.model.backbone().total_stride()).unwrap_or_default();
                let why = if settings.predicts_hidden() {
                    format!(": {} predicts what is hidden", task.title(settings.weight))
                } else {
                    String::new()
                };
                let text = format!("a mask ratio of {mask_ratio} hides no cell of {cells} and gives no point{why}");
                recorder.notice(Severity::Info, text);
            }
            None => {}
        }
        under_way.progress(done + 1);
    }
    under_way.finish();
    Ok(())
}

/// Prepares the cases that the draws take, and no others; beside them, which of them each draw takes.
fn cases(dataset: &Dataset, config: &RunConfig, draws: usize, recorder: &Recorder) -> Result<(CaseSet, Vec<Vec<usize>>), JobError> {
    let order = CaseOrder::distinct(config.seed, dataset.cases.len(), config.pretrain.batch)?;
    let mut chosen: Vec<Vec<usize>> = (0..draws as u64).map(|draw| order.cases(draw)).collect();
    let used: Vec<usize> = chosen.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    for case in chosen.iter_mut().flatten() {
        *case = used.partition_point(|known| known < case);
    }
    let names: Vec<String> = used.iter().map(|&case| dataset.cases[case].name.clone()).collect();
    Ok((prepare(dataset, &names, (&config.data.preprocess, ""), half_of_free(), recorder)?.into(), chosen))
}

#[cfg(test)]
#[path = "mask_ratios_tests.rs"]
mod tests;
