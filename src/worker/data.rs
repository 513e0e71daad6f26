//! A run's cases: opened, split, prepared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{JobError, Recorder, Start, Training};
use crate::config::RunConfig;
use crate::preprocess;
use crate::protocol::{Event, Severity, Stage, StageKind};
use crate::sampling::spatial::TokenFrame;
use crate::train::{CaseSet, DatasetInfo, Probe, ProbeData, TrainingCase};
use crate::volume::{Dataset, Split, Together};

/// A dataset with its split, before any voxel is read.
pub(super) struct Plan {
    pub(super) dataset: Dataset,
    pub(super) split: Split,
    /// What was left out, to be said in the run.
    pub(super) left_out: Vec<String>,
}

/// Prepared cases by the part of the split.
pub(super) struct Prepared {
    pub(super) pretrain: CaseSet,
    pub(super) finetune: CaseSet,
    pub(super) validation: CaseSet,
    pub(super) test: CaseSet,
}

impl Plan {
    /// Opens the dataset and draws the split; with `skip_bad`, without the cases that a check finds unusable.
    pub(super) fn new(config: &RunConfig) -> Result<Self, JobError> {
        let mut dataset = Dataset::open(&config.data.source)?;
        let mut left_out = Vec::new();
        if config.data.skip_bad {
            let report = crate::volume::check::inspect_with(&dataset, config.data.preprocess.non_finite, &|_, _| {});
            let unusable = report.unusable();
            left_out = report.problems.iter().map(|problem| problem.error.to_string()).collect();
            dataset = dataset.without(&unusable);
        }
        let split = Split::draw(&dataset, &config.data, config.seed)?;
        crate::evaluate::dataset_regions(&dataset, &config.data.regions)?;
        dataset.notes.extend(Together::of(&dataset, &config.data)?.notes(&dataset));
        Ok(Self { dataset, split, left_out })
    }

    /// Channels and labels.
    pub(super) fn info(&self) -> DatasetInfo {
        DatasetInfo { name: self.dataset.name.clone(), channels: self.dataset.channels.clone(), labels: self.dataset.labels.clone() }
    }

    /// Label names in the order of the classes.
    pub(super) fn classes(&self) -> Vec<String> {
        self.dataset.labels.values().cloned().collect()
    }

    /// Writes the split into a new run; a resumed run must still have the same.
    pub(super) fn record(&self, training: &Training, recorder: &Recorder) -> Result<(), JobError> {
        let text = serde_json::to_vec_pretty(&self.split).expect("plain data becomes JSON");
        let path = training.folder.root().join("split.json");
        if training.start == Start::Resume && std::fs::read(&path).is_ok_and(|then| then != text) {
            let path = path.display();
            return Err(JobError::Input(format!(
                "{path}: the dataset now splits otherwise than when the run began: cases came or went. Start a new run"
            )));
        }
        training.folder.write("split.json", &text)?;
        if training.config.data.hold_back_test {
            let scored = self.split.test.len();
            recorder.notice(
                Severity::Info,
                format!(
                    "the test cases are left out of this run (data.hold_back_test); the {scored} validation cases are scored in their place, \
                     at the end only, and choose no checkpoint"
                ),
            );
        }
        for problem in &self.left_out {
            recorder.notice(Severity::Warning, format!("left out (--skip-bad): {problem}"));
        }
        Ok(())
    }

    /// Prepares the cases of the split's parts, each once.
    pub(super) fn prepare(&self, config: &RunConfig, recorder: &Recorder) -> Result<Prepared, JobError> {
        let Split { pretrain, finetune, validation, test } = &self.split;
        let names: Vec<String> =
            [pretrain, finetune, validation, test].into_iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let cases = prepare(&self.dataset, &names, config, recorder)?;
        let by_name: BTreeMap<String, Arc<TrainingCase>> = cases.into_iter().map(|case| (case.case.name.clone(), case)).collect();
        let set = |names: &[String]| names.iter().map(|name| by_name[name].clone()).collect::<Vec<_>>().into();
        Ok(Prepared { pretrain: set(pretrain), finetune: set(finetune), validation: set(validation), test: set(test) })
    }
}

impl Prepared {
    /// The probe bank on the held-out cases; None, with a notice, where fewer than two are held out.
    pub(super) fn probe(&self, config: &RunConfig, classes: usize, recorder: &Recorder) -> Result<Option<Probe>, JobError> {
        let held_out = if self.test.len() >= 2 { &self.test } else { &self.validation };
        if held_out.len() < 2 {
            recorder.notice(
                Severity::Warning,
                "collapse is not measured: fewer than two cases are held out. Set data.split so that some are tested",
            );
            return Ok(None);
        }
        let data = ProbeData { held_out: held_out.clone(), labelled: self.finetune.clone(), classes };
        Ok(Some(Probe::new(&config.probe, frame(config), &data, config.seed)?))
    }
}

/// How the network of a config cuts a pre-training crop into tokens.
pub(super) fn frame(config: &RunConfig) -> TokenFrame {
    let network = config.model.backbone();
    TokenFrame { crop: config.pretrain.crop_size, patch: network.patch_size(), stride: network.total_stride() }
}

/// Prepares every case of a dataset.
pub(super) fn prepare_all(dataset: &Dataset, config: &RunConfig, recorder: &Recorder) -> Result<Vec<Arc<TrainingCase>>, JobError> {
    let names: Vec<String> = dataset.cases.iter().map(|case| case.name.clone()).collect();
    prepare(dataset, &names, config, recorder)
}

/// Prepares the named cases of a dataset.
pub(super) fn prepare(
    dataset: &Dataset,
    names: &[String],
    config: &RunConfig,
    recorder: &Recorder,
) -> Result<Vec<Arc<TrainingCase>>, JobError> {
    let stage = Stage { kind: StageKind::Prepare, arm: String::new() };
    recorder.emit(Event::StageStarted { stage: stage.clone(), total: names.len(), done: 0 });
    let began = std::time::Instant::now();
    let (sender, questions) = std::sync::mpsc::channel();
    let cases = std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            let ask = std::sync::Mutex::new(sender);
            let cache = crate::folders::cache().join("volumes");
            preprocess::prepare_while(dataset, names, &config.data.preprocess, Some(&cache), &|done, total| {
                let (sender, answer) = std::sync::mpsc::channel();
                // The receiver only goes away with this scope.
                let _ = ask.lock().expect("no thread panics while it asks").send((done, total, sender));
                answer.recv().unwrap_or(false)
            })
        });
        let mut told = 0;
        for (done, total, answer) in questions {
            if done > told {
                recorder.emit(Event::Progress { stage: stage.clone(), done, total });
                told = done;
            }
            // No case is begun while the job is paused: its thread waits for the answer.
            let _ = answer.send(recorder.goes_on());
        }
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?
    .ok_or(JobError::Stopped)?;
    recorder.notes(dataset.notes.iter().chain(cases.iter().flat_map(|case| &case.notes)));
    recorder.emit(Event::StageFinished { stage, secs: began.elapsed().as_secs_f64() });
    Ok(cases.into_iter().map(|case| Arc::new(TrainingCase::new(case))).collect())
}
