//! Segmenting volumes outside any dataset.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::measure::segment;
use super::{Ended, JobError, Recorder};
use crate::config::DataSource;
use crate::device::Opened;
use crate::folder_lock::{FolderLock, LockError};
use crate::infer::export::{to_source, write_segmentation};
use crate::preprocess::{self, Case};
use crate::protocol::{Event, Preview, RunFolderError, SegmentationPreview, Stage, StageKind};
use crate::train::{Checkpoint, load_segmenter};
use crate::volume::datalist::naming::{channel_suffix, stem};
use crate::volume::{CaseSource, Dataset, VolumeSource};

/// Volumes to segment.
#[derive(Clone, Debug)]
pub struct InferJob {
    /// Checkpoint folder, or a run's.
    pub checkpoint: PathBuf,
    /// What to segment.
    pub input: InferInput,
    /// Folder for the segmentations; none: they are shown as previews, the last of each case complete, and not written.
    pub out: Option<PathBuf>,
    /// Replace segmentations that are already there.
    pub overwrite: bool,
    /// `key=value` changes of the checkpoint's settings.
    pub settings: Vec<String>,
}

/// What to segment.
#[derive(Clone, Debug)]
pub enum InferInput {
    /// NIfTI files, and folders of them.
    Files(Vec<PathBuf>),
    /// A case of a dataset; its truth is not looked at.
    Case(Box<CaseSource>),
}

/// Seconds between two previews, at least.
const PREVIEW_EVERY_SECS: f64 = 0.3;

/// A preview is made only after this many times the seconds that the last one took: looking must not slow the work down.
const PREVIEW_PATIENCE: f64 = 10.0;

pub(super) fn infer(job: &InferJob, opened: &Opened, recorder: &Recorder) -> Result<Ended, JobError> {
    let place = Checkpoint::locate(&job.checkpoint)?;
    let checkpoint = Checkpoint::open(&place)?;
    let config = checkpoint.info.config.with_overrides(&job.settings)?;
    let network = load_segmenter(&checkpoint, &place, &opened.device)?;
    let labels = &checkpoint.info.dataset.labels;
    let values: Vec<u32> = labels.keys().copied().collect();
    let cases = match &job.input {
        InferInput::Files(files) => cases(files)?,
        InferInput::Case(case) => vec![CaseSource { label: None, ..(**case).clone() }],
    };
    let output = |case: &CaseSource| Some(job.out.as_ref()?.join(format!("{}.nii.gz", case.name)));
    let outputs: Vec<PathBuf> = cases.iter().filter_map(output).collect();
    if let Some(out) = &job.out {
        recorder.hold(lock(out)?);
    }
    refuse_to_overwrite(job, &outputs)?;

    recorder.start("infer", &opened.description, labels.values().cloned().collect());
    let stage = Stage { kind: StageKind::Infer, arm: String::new() };
    let began = Instant::now();
    recorder.emit(Event::StageStarted { stage: stage.clone(), total: cases.len(), done: 0 });
    for (done, source) in cases.iter().enumerate() {
        let channels = checkpoint.info.dataset.channels.len();
        let loaded = source.load(Some(channels), None)?;
        let case = preprocess::prepare_one(&source.name, loaded, &values, &config.data.preprocess)?;
        let mut show = Show { case: &case, labels, values: &values, recorder, next: Instant::now() };
        let mut watch = |done, windows, found: &[u8]| {
            if job.out.is_none() {
                show.so_far(done, windows, found);
            }
            recorder.goes_on()
        };
        let Some(classes) = segment(&network, &case, (&config, values.len()), &opened.device, &mut watch)? else {
            return Ok(Ended::Stopped);
        };
        match output(source) {
            Some(output) => write_segmentation(&output, classes, &case.way_back, &values)?,
            None => show.complete(classes),
        }
        recorder.emit(Event::Progress { stage: stage.clone(), done: done + 1, total: cases.len() });
    }
    recorder.emit(Event::StageFinished { stage, secs: began.elapsed().as_secs_f64() });
    Ok(Ended::Completed)
}

/// Shows a segmentation while windows arrive.
struct Show<'a> {
    case: &'a Case,
    labels: &'a BTreeMap<u32, String>,
    values: &'a [u32],
    recorder: &'a Recorder,
    next: Instant,
}

impl Show<'_> {
    fn so_far(&mut self, done: usize, windows: usize, classes: &[u8]) {
        let began = Instant::now();
        if began < self.next {
            return;
        }
        self.recorder.preview(self.preview(done, windows, classes.to_vec()));
        let pause_secs = (began.elapsed().as_secs_f64() * PREVIEW_PATIENCE).max(PREVIEW_EVERY_SECS);
        self.next = Instant::now() + Duration::from_secs_f64(pause_secs);
    }

    fn complete(&self, classes: Vec<u8>) {
        // How many windows there were no longer matters: all of them are in.
        self.recorder.last_preview(self.preview(1, 1, classes));
    }

    fn preview(&self, done: usize, windows: usize, classes: Vec<u8>) -> Preview {
        let way_back = &self.case.way_back;
        Preview::Segmentation(Arc::new(SegmentationPreview {
            case: self.case.name.clone(),
            done,
            windows,
            labels: to_source(classes, way_back, self.values),
            header: way_back.header.clone(),
            names: self.labels.clone(),
        }))
    }
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

/// Keeps other programs from writing segmentations into the same folder.
fn lock(out: &Path) -> Result<FolderLock, JobError> {
    std::fs::create_dir_all(out).map_err(|cause| RunFolderError::Io { path: out.to_owned(), cause })?;
    FolderLock::take(out).map_err(|error| match error {
        LockError::Busy(busy) => {
            JobError::Input(format!("{busy}; wait until it has ended, or stop it with `simtrot stop {}`", out.display()))
        }
        LockError::Io { path, cause } => RunFolderError::Io { path, cause }.into(),
    })
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
