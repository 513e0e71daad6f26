//! A training's cases: opened, split, recorded, prepared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::JobError;
use super::recorder::Recorder;
use super::training_job::TrainingJob;
use crate::config::{PreprocessConfig, RunConfig};
use crate::device::memory::available_mib;
use crate::preprocess::{Needs, Preparation, PreparedCase};
use crate::protocol::{SPLIT, Severity, Stage, StageKind, UNMEASURED, checkpoints};
use crate::sampling::{CaseSet, TokenFrame};
use crate::train::{Checkpoint, DatasetInfo, Probe, ProbeData};
use crate::volume::{DataError, Dataset, Note, Split, SplitRecord, Together};
use crate::wording::{bytes, count};

/// Cases named in a notice; the others are counted.
const NAMED: usize = 8;

/// A dataset with its split and the content of its cases, before any voxel is prepared.
pub(super) struct TrainingData {
    pub(super) dataset: Dataset,
    pub(super) record: SplitRecord,
    /// What was left out, for a notice.
    left_out: Vec<String>,
}

/// Prepared cases by the part of the split.
pub(super) struct Prepared {
    pub(super) pretrain: CaseSet,
    pub(super) finetune: CaseSet,
    pub(super) validation: CaseSet,
    pub(super) test: CaseSet,
}

impl TrainingData {
    /// Opens the dataset of a config and draws its split; with `skip_bad`, without the cases that a check finds unusable.
    pub(super) fn open(config: &RunConfig) -> Result<Self, JobError> {
        let data = &config.data;
        let mut dataset = Dataset::open(&data.source)?;
        let mut left_out = Vec::new();
        if data.skip_bad {
            let report = crate::volume::check::inspect(&dataset, data.preprocess.non_finite, &|_, _| {});
            left_out = report.problems.iter().map(|problem| problem.error.to_string()).collect();
            dataset = dataset.without(&report.unusable());
        } else {
            let stray = |error: &DataError| Note::new(&error.file, format!("is not used, for it {}", error.fault));
            let strays: Vec<Note> = dataset.strays().map(stray).collect();
            dataset.notes.extend(strays);
        }
        dataset.notes.extend(Together::of(&dataset, data)?.notes(&dataset));
        let split = Split::draw(&dataset, data, config.seed)?;
        crate::metrics::dataset_regions(&dataset, &data.regions)?;
        let record = SplitRecord::new(&dataset, split, &mut BTreeMap::new())?;
        Ok(Self { dataset, record, left_out })
    }

    /// Channels and labels.
    pub(super) fn info(&self) -> DatasetInfo {
        let Dataset { name, channels, labels, .. } = &self.dataset;
        DatasetInfo { name: name.clone(), channels: channels.clone(), labels: labels.clone() }
    }

    /// Label names in the order of the classes.
    pub(super) fn classes(&self) -> Vec<String> {
        self.dataset.labels.values().cloned().collect()
    }

    /// Says what of the data and settings a reader of the results should know.
    pub(super) fn announce(&self, job: &TrainingJob, recorder: &Recorder) {
        if let Some(unused) = unused_settings(job.kind, &job.config) {
            recorder.notice(Severity::Warning, format!("{}: {unused}", job.stage(job.kind)));
        }
        if job.config.data.hold_back_test {
            let text = format!(
                "the test cases are left out of this run (data.hold_back_test); the {} validation cases are scored in their place, at the \
                 end only, and choose no checkpoint",
                self.record.split.test.len()
            );
            recorder.notice(Severity::Info, text);
        }
        for problem in &self.left_out {
            recorder.notice(Severity::Warning, format!("left out (--skip-bad): {problem}"));
        }
        match &job.from {
            Some(from) => self.warn_of_seen(job, from, recorder),
            None if job.kind == StageKind::Finetune => {
                let slowed = slowed_scratch(&job.config).map(|text| format!("{}: {text}", job.stage(job.kind)));
                slowed.into_iter().for_each(|text| recorder.notice(Severity::Info, text));
            }
            None => {}
        }
    }

    /// Warns of test cases that the network it starts from has seen, where that is known.
    fn warn_of_seen(&self, job: &TrainingJob, from: &Path, recorder: &Recorder) {
        let Ok(place) = checkpoints::locate(from) else { return };
        let Some(source) = recorded_split(&place) else { return };
        let Split { pretrain, finetune, .. } = &source.split;
        // A pre-training reads no label map.
        let is_tuned = Checkpoint::read_info(&place).is_ok_and(|info| info.kind == StageKind::Finetune);
        let finetune: &[String] = if is_tuned { finetune } else { &[] };
        for (learned, how) in
            [(pretrain.as_slice(), "pre-trained on, without their labels"), (finetune, "fine-tuned on, with their labels")]
        {
            let seen: BTreeSet<&String> = learned.iter().filter_map(|name| source.content.get(name)).collect();
            let tested = &self.record.split.test;
            let both: Vec<&str> = tested.iter().filter(|name| seen.contains(&self.record.content[*name])).map(String::as_str).collect();
            if both.is_empty() {
                continue;
            }
            let named = both[..both.len().min(NAMED)].join(", ");
            let text = format!(
                "{}: {} of the {} test cases were {how} ({named}{}) by what it starts from: its test is not one of unseen scans. Equal \
                 data.split_seed keep test cases out of both",
                job.stage(job.kind),
                both.len(),
                tested.len(),
                if both.len() > NAMED { ", ..." } else { "" }
            );
            recorder.notice(Severity::Warning, text);
        }
    }

    /// Opens the cases of the split; those that are not on disk yet are prepared.
    pub(super) fn prepare(&self, job: &TrainingJob, recorder: &Recorder) -> Result<Prepared, JobError> {
        let Self { dataset, record: SplitRecord { split, .. }, .. } = self;
        let names: Vec<String> = split.cases().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let opened = prepare(dataset, &names, (&job.config.data.preprocess, &job.arm), job.memory, recorder)?;
        let cases: BTreeMap<&str, &Arc<PreparedCase>> = opened.iter().map(|case| (case.name(), case)).collect();
        let set = |names: &[String]| names.iter().map(|name| cases[name.as_str()].clone()).collect::<Vec<_>>().into();
        let Split { pretrain, finetune, validation, test } = split;
        Ok(Prepared { pretrain: set(pretrain), finetune: set(finetune), validation: set(validation), test: set(test) })
    }

    /// The probe set on cases that the training does not see: of the test or, where those are fewer than two, of the validation. None,
    /// with a notice, where fewer than two are held out.
    pub(super) fn probe(&self, config: &RunConfig, prepared: &Prepared, recorder: &Recorder) -> Result<Option<Probe>, JobError> {
        let held_out = if prepared.test.len() >= 2 { &prepared.test } else { &prepared.validation };
        if held_out.len() < 2 {
            let text = format!("{UNMEASURED}: fewer than two cases are held out. Set data.split so that some are tested");
            recorder.notice(Severity::Warning, text);
            return Ok(None);
        }
        let classes = self.dataset.labels.len();
        let data = ProbeData { held_out: held_out.clone(), labelled: prepared.finetune.clone(), classes };
        Ok(Some(Probe::new(&config.probe, frame(config), &data, config.seed)?))
    }
}

/// The split that was recorded by the training of the checkpoint at `place`; none where it is not known.
pub(super) fn recorded_split(place: &Path) -> Option<SplitRecord> {
    serde_json::from_slice(&std::fs::read(place.parent()?.parent()?.join(SPLIT)).ok()?).ok()
}

/// Settings of a kind of training that depart from the defaults although it does not read them, in words; none where there are none.
pub fn unused_settings(kind: StageKind, config: &RunConfig) -> Option<String> {
    let settings = &config.pretrain;
    let (unused, reason) = match kind {
        StageKind::Pretrain => (settings.unused(), format!("not used by {}", settings.task.title(settings.weight))),
        _ => (config.finetune.augment.unused(), "not used where the probability is 0".to_owned()),
    };
    (!unused.is_empty()).then(|| format!("set, but {reason}: {}", unused.join(", ")))
}

/// That a fine-tuning from scratch treats its encoder as one that was pre-trained, in words; none where it does not.
pub fn slowed_scratch(config: &RunConfig) -> Option<String> {
    let settings = config.finetune.of_encoder();
    (!settings.is_empty()).then(|| {
        format!(
            "its encoder, not pre-trained, moves by {}: as a control it has the settings of what it is compared with, not the best of its own. \
             To train it plainly, set them in the arms that start from an encoder",
            settings.join(", ")
        )
    })
}

/// How the network of a config cuts a pre-training crop into tokens.
pub(super) fn frame(config: &RunConfig) -> TokenFrame {
    let network = config.model.backbone();
    TokenFrame { crop: config.pretrain.crop_size, patch: network.patch_size(), stride: network.total_stride() }
}

/// Half of the memory that is free: what reading ahead and preparing may take unless they are told otherwise. None where the system does
/// not say what is free.
pub(super) fn half_of_free() -> Option<u64> {
    available_mib().map(|mib| (mib * f64::from(1 << 20)) as u64 / 2)
}

/// Opens every case of a dataset, as [`prepare`].
pub(super) fn prepare_all(dataset: &Dataset, config: &RunConfig, recorder: &Recorder) -> Result<Vec<Arc<PreparedCase>>, JobError> {
    let names: Vec<String> = dataset.cases.iter().map(|case| case.name.clone()).collect();
    prepare(dataset, &names, (&config.data.preprocess, ""), half_of_free(), recorder)
}

/// Opens the named cases of a dataset, for an arm; those that are not on disk yet are prepared, within `memory` bytes.
pub(super) fn prepare(
    dataset: &Dataset,
    names: &[String],
    (config, arm): (&PreprocessConfig, &str),
    memory: Option<u64>,
    recorder: &Recorder,
) -> Result<Vec<Arc<PreparedCase>>, JobError> {
    let folder = prepared_folder();
    let preparation = Preparation { dataset, config, folder: Some(&folder), memory };
    let mut cases = preparation.found(names);
    let missing: Vec<String> = names.iter().filter(|name| !cases.contains_key(*name)).cloned().collect();
    if !missing.is_empty() {
        announce_needs(&preparation.needs(&missing), &folder, recorder)?;
        let made = make(&preparation, &missing, arm, recorder)?;
        cases.extend(made.into_iter().map(|case| (case.name().to_owned(), case)));
    }
    recorder.notes(dataset.notes.iter().chain(cases.values().flat_map(PreparedCase::notes)));
    Ok(names.iter().filter_map(|name| cases.remove(name)).map(Arc::new).collect())
}

/// The folder of prepared cases.
pub(super) fn prepared_folder() -> PathBuf {
    crate::folders::cache().join("volumes")
}

/// Says what cases that are to be prepared take on the disk, and refuses what has no room there.
fn announce_needs(needs: &Needs, folder: &Path, recorder: &Recorder) -> Result<(), JobError> {
    let free = needs.require_room(folder)?.map_or_else(String::new, |free| format!(", where {} are free", bytes(free)));
    let (cases, disk) = (count(needs.cases, "case"), bytes(needs.disk_bytes));
    recorder.notice(Severity::Info, format!("{cases} to be prepared, up to {disk} on disk in {}{free}", folder.display()));
    Ok(())
}

/// Prepares cases while a front end may hold or stop the job.
fn make(preparation: &Preparation<'_>, names: &[String], arm: &str, recorder: &Recorder) -> Result<Vec<PreparedCase>, JobError> {
    let under_way = recorder.begin(Stage { kind: StageKind::Prepare, arm: arm.to_owned() }, names.len(), 0);
    let (sender, questions) = std::sync::mpsc::channel();
    let cases = std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            let ask = Mutex::new(sender);
            preparation.prepare_while(names, &|done, _| {
                let (sender, answer) = std::sync::mpsc::channel();
                // The receiver only goes away with this scope.
                let _ = ask.lock().expect("no thread panics while it asks").send((done, sender));
                answer.recv().unwrap_or(false)
            })
        });
        let mut reported = 0;
        for (done, answer) in questions {
            if done > reported {
                under_way.progress(done);
                reported = done;
            }
            // No case is begun while the job is paused: its thread waits for the answer.
            let _ = answer.send(recorder.goes_on());
        }
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?
    .ok_or(JobError::Stopped)?;
    under_way.finish();
    Ok(cases)
}
