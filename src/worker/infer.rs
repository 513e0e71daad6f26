//! Segmenting volumes outside any dataset.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{JobError, is_of_input};
use super::infer_job::{InferInput, InferJob};
use super::measure::Predicted;
use super::networks::{Networks, postprocess};
use super::recorder::Recorder;
use super::segmented::{self, Product, Segmented};
use crate::device::Opened;
use crate::folder_lock::{FolderLock, LockError};
use crate::infer::export::to_source;
use crate::infer::{entropy, probabilities_to_source};
use crate::metrics::LabelRule;
use crate::preprocess::{self, Case};
use crate::protocol::{FolderError, Preview, SegmentationPreview, Severity, StageKind};
use crate::train::DatasetInfo;
use crate::volume::datalist::inputs::{self, Inputs};
use crate::volume::file::write_float32;
use crate::volume::segmentation::{self, Subject};
use crate::volume::{CaseFiles, DataErrors, LabelMap, LoadedCase, Note, SourceHeader, load_image, segment};

/// Seconds between two previews, at least.
const PREVIEW_EVERY_SECS: f64 = 0.3;

/// A preview is made only after this many times the seconds that the last one took: looking must not slow the work down.
const PREVIEW_PATIENCE: f64 = 10.0;

pub(super) fn infer(job: &InferJob, opened: &Opened, recorder: &Recorder) -> Result<(), JobError> {
    let networks = Networks::open(&job.checkpoints, &job.settings, &opened.device)?;
    let (labels, channels) = (&networks.dataset.labels, networks.dataset.channels.len());
    let kept = if job.postprocess { networks.kept_largest() } else { Vec::new() };
    let Inputs { mut cases, errors: mut bad, notes } = match &job.input {
        InferInput::Files(files) => inputs::gather(files, channels)?,
        InferInput::Case(case) => Inputs { cases: vec![CaseFiles { label: None, ..(**case).clone() }], ..Inputs::default() },
    };
    let given = cases.len() + bad.len();
    if let Some(out) = &job.out {
        cases.retain(|case| {
            let file = segmented::place((out, job.format), case, Product::Segmentation);
            segmentation::check(&file, &case.images).map_err(|error| bad.push(error)).is_ok()
        });
        if cases.is_empty() {
            return Err(DataErrors(bad).into());
        }
        recorder.hold(lock(out)?);
    }
    let mut made = job.out.as_ref().map(|out| Segmented::open(out, &networks, &kept, job)).transpose()?;
    let (there, missing) = match &made {
        Some(made) => made.part(cases, job.overwrite)?,
        None => (0, cases),
    };

    recorder.start("infer", &opened.description, labels.values().cloned().collect());
    recorder.notes(&notes);
    networks.announce(&kept, recorder);
    if there > 0 {
        let text = format!(
            "{there} of {} segmentations are already there, of the same images by the same network{}",
            there + missing.len(),
            if networks.places.len() > 1 { "s" } else { "" },
        );
        recorder.notice(Severity::Info, format!("{text}; they stay as they are (--overwrite makes them anew)"));
    }
    if !bad.is_empty() && !missing.is_empty() {
        recorder.notice(
            Severity::Warning,
            format!("{} of {given} inputs cannot be segmented; the others are, and the causes follow", bad.len()),
        );
    }
    let under_way = recorder.begin(StageKind::Infer.into(), there + missing.len(), there);
    let work = Work { job, networks: &networks, kept: &kept, opened, recorder };
    for (done, source) in missing.iter().enumerate() {
        match work.case(source, made.as_mut()) {
            Ok(()) => {}
            // The next case may be better.
            Err(JobError::Data(errors)) if is_of_input(&errors) => bad.extend(errors.0),
            Err(error) => {
                if matches!(error, JobError::Stopped) {
                    bad.iter().for_each(|error| recorder.notice(Severity::Warning, error.to_string()));
                }
                return Err(error);
            }
        }
        under_way.progress(there + done + 1);
    }
    under_way.finish();
    Ok(DataErrors::or(bad, ())?)
}

/// What all cases are segmented with.
struct Work<'a> {
    job: &'a InferJob,
    networks: &'a Networks,
    /// Of which labels the largest component alone is kept.
    kept: &'a [LabelRule],
    opened: &'a Opened,
    recorder: &'a Recorder,
}

impl Work<'_> {
    /// Segments one case, and writes it, or shows it where it isn't written.
    fn case(&self, source: &CaseFiles, made: Option<&mut Segmented>) -> Result<(), JobError> {
        let (info, config) = (&self.networks.dataset, self.networks.config());
        let values: Vec<u32> = info.labels.keys().copied().collect();
        let preprocess = &config.data.preprocess;
        let image = load_image(&source.images, Some(info.channels.len()), Some(preprocess.non_finite))?;
        self.recorder.notes(&image.notes);
        let loaded = LoadedCase { image, label: None };
        let case = preprocess::prepare_one(&source.name, loaded, &values, preprocess)?;
        let mut show = Show { case: &case, info, values: &values, recorder: self.recorder, next: Instant::now() };
        let mut watch = |done, windows, found: &[u8]| {
            if self.job.out.is_none() {
                show.so_far(done, windows, found);
            }
            self.recorder.goes_on()
        };
        let predicted = Predicted {
            networks: &self.networks.segmenters,
            config,
            mirror: self.networks.mirror(),
            convention: self.networks.convention,
            classes: values.len(),
            probabilities: self.job.probabilities && made.is_some(),
            device: &self.opened.device,
        };
        let Some(found) = predicted.of(&case, &mut watch)? else { return Err(JobError::Stopped) };
        let mut labels = to_source(found.classes, &case.preprocess_record, &values);
        postprocess(&mut labels, self.kept);
        let Some(made) = made else {
            show.complete(labels);
            return Ok(());
        };
        made.note(source)?;
        let header = &case.preprocess_record.header;
        if let Some(probabilities) = found.probabilities {
            let probabilities = probabilities_to_source(probabilities, &case.preprocess_record);
            write_float32(&made.file(source, Product::Entropy), &entropy(&probabilities), header)?;
            write_float32(&made.file(source, Product::Probabilities), &probabilities, header)?;
        }
        self.write(source, &made.file(source, Product::Segmentation), &labels, header)
    }

    /// Writes the segmentation of a case; an empty one is said.
    fn write(&self, source: &CaseFiles, file: &Path, labels: &LabelMap, header: &SourceHeader) -> Result<(), JobError> {
        let info = &self.networks.dataset;
        let segments = segment::named(&info.labels);
        let subject = Subject { header, images: &source.images, segments: &segments, dataset: &info.name };
        let mut notes = segmentation::write(file, labels, &subject)?;
        if labels.voxels.iter().all(|&label| label == 0) {
            notes.push(Note::new(file, "is an empty segmentation: the network found none of its labels there"));
        }
        self.recorder.notes(&notes);
        Ok(())
    }
}

/// Shows a segmentation while windows arrive.
struct Show<'a> {
    case: &'a Case,
    info: &'a DatasetInfo,
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
        let labels = to_source(classes.to_vec(), &self.case.preprocess_record, self.values);
        self.recorder.preview(self.preview(done, windows, labels));
        let pause_secs = (began.elapsed().as_secs_f64() * PREVIEW_PATIENCE).max(PREVIEW_EVERY_SECS);
        self.next = Instant::now() + Duration::from_secs_f64(pause_secs);
    }

    fn complete(&self, labels: LabelMap) {
        // How many windows there were no longer matters: all of them are in.
        self.recorder.last_preview(self.preview(1, 1, labels));
    }

    fn preview(&self, done: usize, windows: usize, labels: LabelMap) -> Preview {
        Preview::Segmentation(Arc::new(SegmentationPreview {
            case: self.case.name.clone(),
            done,
            windows,
            labels,
            header: self.case.preprocess_record.header.clone(),
            dataset: self.info.name.clone(),
            names: self.info.labels.clone(),
        }))
    }
}

/// Makes a folder, and keeps other programs from writing into it.
pub(super) fn lock(out: &Path) -> Result<FolderLock, JobError> {
    std::fs::create_dir_all(out).map_err(FolderError::io(out))?;
    FolderLock::take(out).map_err(|error| match error {
        LockError::Busy(busy) => {
            JobError::Input(format!("{busy}; wait until it has ended, or stop it with `simtrot stop {}`", out.display()))
        }
        LockError::Io { path, cause } => FolderError::Io { path, cause }.into(),
    })
}
