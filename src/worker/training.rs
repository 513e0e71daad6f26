//! One training: a pre-training, or a fine-tuning with its test, in a folder of its own; begun, or gone on with exactly.

use burn::tensor::Device;

use super::cases::{Prepared, TrainingData};
use super::continued::{require_same_data, require_same_settings};
use super::error::JobError;
use super::measure::{TestContext, require_precision, test, validator, write_metrics};
use super::recorder::Recorder;
use super::training_job::{Start, TrainingJob};
use crate::device::{Opened, open_beside, require_even};
use crate::protocol::{Event, FolderError, SPLIT, Severity, Stage, StageKind};
use crate::train::{Checkpoint, Ending, Finetune, Pretrain, Session, TrainError, finetune, pretrain};

/// A training under way: what to make, on what, and where its events go.
struct JobContext<'a> {
    job: &'a TrainingJob,
    opened: &'a Opened,
    /// Devices that share each batch with it.
    beside: &'a [Device],
    recorder: &'a Recorder,
}

/// Makes what is missing of a training.
pub(super) fn train(job: &TrainingJob, opened: Opened, recorder: &Recorder) -> Result<(), JobError> {
    let (opened, beside) = &with_others(job, opened)?;
    let context = JobContext { job, opened, beside, recorder };
    match job.kind {
        StageKind::Pretrain => job.config.check_pretraining()?,
        // Its cases are segmented when it has trained.
        _ => require_precision(&job.config, &opened.device)?,
    }
    let data = context.begin()?;
    let prepared = data.prepare(job, recorder)?;
    if job.kind == StageKind::Pretrain {
        return context.pretrain(&data, &prepared);
    }
    let outcome = context.finetune(&data, &prepared);
    write_metrics(job, recorder)?;
    outcome
}

/// The device with what it shares each batch with, and these others.
fn with_others(job: &TrainingJob, first: Opened) -> Result<(Opened, Vec<Device>), JobError> {
    if job.beside.is_empty() {
        return Ok((first, Vec::new()));
    }
    let devices = 1 + job.beside.len();
    require_even(job.kind.batch(&job.config), devices)?;
    let mut opened = first;
    let (mut others, mut names) = (Vec::new(), vec![opened.description.name.clone()]);
    for Opened { device, description } in open_beside(&opened, &job.beside)? {
        others.push(device);
        names.push(description.name);
    }
    opened.description.notes.push(format!(
        "each batch is shared out among {devices} devices ({}), and their gradients are averaged; results differ from those of one \
         device in the last digits",
        names.join(", ")
    ));
    opened.description.beside = names.split_off(1);
    Ok((opened, others))
}

impl JobContext<'_> {
    /// Opens the dataset and the folder, and emits `Started`. A training that goes on must have the settings and data that it began with.
    fn begin(&self) -> Result<TrainingData, JobError> {
        let &Self { job, opened, recorder, .. } = self;
        // A dataset that cannot be used leaves no folder behind.
        let data = TrainingData::open(&job.config)?;
        if job.start == Start::Resume {
            require_same_settings(&job.folder, &job.config)?;
            require_same_data(&job.folder, &data)?;
        }
        recorder.open_run(&job.folder, job.start, &job.config)?;
        let environment = recorder.start(&job.config.name, &opened.description, data.classes());
        job.folder.write_environment(&environment)?;
        if job.start == Start::Resume {
            self.go_on()?;
        }
        job.folder.write(SPLIT, &serde_json::to_vec_pretty(&data.record).expect("plain data becomes JSON"))?;
        data.announce(job, recorder);
        Ok(data)
    }

    /// Adopts what may change when a training goes on: the scores of test cases rest on how they are segmented and scored.
    fn go_on(&self) -> Result<(), JobError> {
        let &Self { job: TrainingJob { config, folder, kind, .. }, recorder, .. } = self;
        let then = folder.config()?;
        crate::atomic_file::remove_leftovers(folder.root()).map_err(FolderError::io(folder.root()))?;
        Checkpoint::remove_leftovers(&folder.checkpoints()).map_err(FolderError::io(&folder.checkpoints()))?;
        if *kind == StageKind::Finetune && (&then.infer, &then.evaluate) != (&config.infer, &config.evaluate) {
            self.void_test("test cases are segmented or scored by other settings now")?;
        }
        if then.data.source != config.data.source {
            let (then, now) = (&then.data.source, &config.data.source);
            let text = format!("the data have moved from {then:?} to {now:?}; every case holds what it held when the training began");
            recorder.notice(Severity::Info, text);
        }
        Ok(folder.write("config.ron", config.resolved().to_ron().as_bytes())?)
    }

    fn pretrain(&self, data: &TrainingData, prepared: &Prepared) -> Result<(), JobError> {
        let config = &self.job.config;
        if self.is_finished(&self.job.stage(StageKind::Pretrain), config.pretrain.steps) {
            return Ok(());
        }
        let probe = data.probe(config, prepared, self.recorder)?;
        let task = Pretrain { config, dataset: &data.info(), cases: prepared.pretrain.clone(), probe: probe.as_ref() };
        self.run(|session| pretrain(session, &task)).map(drop)
    }

    fn finetune(&self, data: &TrainingData, prepared: &Prepared) -> Result<(), JobError> {
        let &Self { job, opened, recorder, .. } = self;
        let TrainingJob { config, folder, from, .. } = job;
        if !self.is_finished(&job.stage(StageKind::Finetune), config.finetune.steps) {
            self.void_test("the fine-tuning goes on")?;
            let validate = validator(&data.dataset, &prepared.validation, config, &opened.device);
            let (dataset, cases) = (&data.info(), prepared.finetune.clone());
            let task = Finetune { config, dataset, cases, from: from.as_deref(), validate: validate.as_deref() };
            if self.run(|session| finetune(session, &task))? != Ending::Completed {
                return Ok(());
            }
        }
        let stage = job.stage(StageKind::Test);
        if self.is_finished(&stage, prepared.test.len()) {
            return Ok(());
        }
        test(stage, &data.dataset, prepared, &TestContext { config, folder, device: &opened.device, recorder })
    }

    /// Runs the training stage, to its last step or to that of `max_steps`.
    fn run(&self, train: impl FnOnce(&Session<'_>) -> Result<Ending, TrainError>) -> Result<Ending, JobError> {
        let &Self { job, opened, beside, recorder } = self;
        let stage = job.stage(job.kind);
        let session = Session {
            stage: stage.clone(),
            device: opened.device.clone(),
            beside: beside.to_vec(),
            checkpoints: job.folder.checkpoints(),
            resume: job.start == Start::Resume,
            max_steps: job.max_steps,
            memory: job.memory,
            emit: &|event| recorder.emit(event),
            show: &|tokens| recorder.show_tokens(tokens, Some(&job.folder)),
            control: &|| recorder.control(),
        };
        let began_secs = recorder.secs();
        let ending = train(&session)?;
        if ending == Ending::Stopped {
            return Err(JobError::Stopped);
        }
        recorder.emit(Event::StageFinished { stage: stage.clone(), secs: recorder.secs() - began_secs });
        if ending == Ending::Completed || job.is_trial {
            return Ok(ending);
        }
        let done = recorder.state().stage(stage.kind, &stage.arm).map_or(0, |stage| stage.done);
        let text = format!(
            "{stage}: ended by --max-steps after {done} of {} steps; nothing that rests on it is made before it goes on",
            job.steps()
        );
        recorder.notice(Severity::Warning, text);
        Ok(ending)
    }

    /// Forgets the test of an earlier session, on disk and in the record, and says why.
    fn void_test(&self, why: &str) -> Result<(), JobError> {
        let &Self { job, recorder, .. } = self;
        let stage = job.stage(StageKind::Test);
        let known = recorder.state().stage(stage.kind, &stage.arm).is_some();
        if !known && !job.folder.predictions().exists() {
            return Ok(());
        }
        recorder.emit(Event::Voided { stage: stage.clone() });
        job.folder.remove_predictions()?;
        recorder.notice(Severity::Info, format!("made anew: {stage}; {why}"));
        write_metrics(job, recorder)
    }

    /// Whether all `total` units of a stage are done: a training that goes on may ask for more than it did before.
    fn is_finished(&self, stage: &Stage, total: usize) -> bool {
        let state = self.recorder.state();
        state.stage(stage.kind, &stage.arm).is_some_and(|stage| stage.secs.is_some() && stage.done == total)
    }
}
