//! Segmenting volumes outside any dataset.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::measure::segment;
use super::{Ended, JobError, Recorder};
use crate::config::DataSource;
use crate::device::Opened;
use crate::infer::export::write_segmentation;
use crate::preprocess;
use crate::protocol::{Event, Stage, StageKind};
use crate::train::{Checkpoint, load_segmenter};
use crate::volume::datalist::naming::{channel_suffix, stem};
use crate::volume::{CaseSource, Dataset, VolumeSource};

/// Volumes to segment.
#[derive(Clone, Debug)]
pub struct InferJob {
    /// Checkpoint folder, or a run's.
    pub checkpoint: PathBuf,
    /// NIfTI files, and folders of them.
    pub inputs: Vec<PathBuf>,
    /// Folder for the segmentations.
    pub out: PathBuf,
    /// Replace segmentations that are already there.
    pub overwrite: bool,
    /// `key=value` changes of the checkpoint's settings.
    pub settings: Vec<String>,
}

pub(super) fn infer(job: &InferJob, opened: &Opened, recorder: &Recorder) -> Result<Ended, JobError> {
    let place = Checkpoint::locate(&job.checkpoint)?;
    let checkpoint = Checkpoint::open(&place)?;
    let config = checkpoint.info.config.with_overrides(&job.settings)?;
    let network = load_segmenter(&checkpoint, &place, &opened.device)?;
    let labels = &checkpoint.info.dataset.labels;
    let values: Vec<u32> = labels.keys().copied().collect();
    let cases = cases(&job.inputs)?;
    let outputs: Vec<PathBuf> = cases.iter().map(|case| job.out.join(format!("{}.nii.gz", case.name))).collect();
    refuse_to_overwrite(job, &outputs)?;

    recorder.start("infer", &opened.description, labels.values().cloned().collect());
    let stage = Stage { kind: StageKind::Infer, arm: String::new() };
    let began = std::time::Instant::now();
    recorder.emit(Event::StageStarted { stage: stage.clone(), total: cases.len(), done: 0 });
    for (done, (source, output)) in cases.iter().zip(&outputs).enumerate() {
        let channels = checkpoint.info.dataset.channels.len();
        let loaded = source.load(Some(channels), None)?;
        let case = preprocess::prepare_one(&source.name, loaded, &values, &config.data.preprocess)?;
        let Some(classes) = segment(&network, &case, (&config, values.len()), &opened.device, &|| recorder.control())? else {
            return Ok(Ended::Stopped);
        };
        write_segmentation(output, classes, &case.way_back, &values)?;
        recorder.emit(Event::Progress { stage: stage.clone(), done: done + 1, total: cases.len() });
    }
    recorder.emit(Event::StageFinished { stage, secs: began.elapsed().as_secs_f64() });
    Ok(Ended::Completed)
}

/// The cases of files and folders; channels in files of their own (`_0000`, `_0001`) become one case.
fn cases(inputs: &[PathBuf]) -> Result<Vec<CaseSource>, JobError> {
    let mut cases = Vec::new();
    let (folders, files): (Vec<_>, Vec<_>) = inputs.iter().partition(|input| input.is_dir());
    for folder in folders {
        let dataset = Dataset::open(&DataSource::Folders { images: folder.clone(), labels: None })?;
        cases.extend(dataset.cases);
    }
    let mut channels: BTreeMap<String, Vec<(usize, PathBuf)>> = BTreeMap::new();
    for file in files {
        let stem = stem(file);
        let (name, channel) = channel_suffix(&stem).unwrap_or((&stem, 0));
        channels.entry(name.to_owned()).or_default().push((channel, file.clone()));
    }
    for (name, mut files) in channels {
        files.sort();
        let images = files.into_iter().map(|(_, file)| VolumeSource::File(file)).collect();
        cases.push(CaseSource { name, images, label: None, fold: None });
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(JobError::Input(format!(
            "two inputs are called {}: their segmentations would have one name; give them in two calls",
            pair[0]
        ))),
        None => Ok(cases),
    }
}

fn refuse_to_overwrite(job: &InferJob, outputs: &[PathBuf]) -> Result<(), JobError> {
    let existing: Vec<_> = outputs.iter().filter(|path| !job.overwrite && path.exists()).map(|path| shown(path)).collect();
    match existing.as_slice() {
        [] => Ok(()),
        some => {
            Err(JobError::Input(format!("already there: {}; replace with --overwrite, or name another folder with --out", some.join(", "))))
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
