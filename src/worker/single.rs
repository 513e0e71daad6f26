//! One training by itself: pre-training, or fine-tuning with its test.

use std::path::Path;

use super::data::Plan;
use super::measure::{TestPlace, test, validator};
use super::{Ended, JobError, Recorder, Start, Training};
use crate::device::Opened;
use crate::protocol::{Event, Severity, Stage, StageKind};
use crate::train::{Control, Ending, Finetune, Pretrain, Session, finetune, pretrain};

/// Tells that the run began and writes down what it runs on.
pub(super) fn begin_run(training: &Training, plan: &Plan, opened: &Opened, recorder: &Recorder) -> Result<(), JobError> {
    let environment = recorder.start(&training.config.name, &opened.description, plan.classes());
    let text = serde_json::to_vec_pretty(&environment).expect("plain data becomes JSON");
    training.folder.write("environment.json", &text)?;
    plan.record(training, recorder)
}

pub(super) fn pretrain_alone(training: &Training, opened: &Opened, recorder: &Recorder) -> Result<Ended, JobError> {
    let config = &training.config;
    let plan = Plan::new(config)?;
    recorder.open_run(training)?;
    begin_run(training, &plan, opened, recorder)?;
    let prepared = plan.prepare(config, recorder)?;
    let info = plan.info();
    let probe = prepared.probe(config, info.labels.len(), recorder)?;
    let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
    let work = Pretrain { config, dataset: &info, cases: prepared.pretrain.clone(), probe: probe.as_ref() };
    let ended = train_alone(&stage, training, opened, recorder, |session| Ok(pretrain(session, &work)?.1))?;
    recorder.write_results(training)?;
    Ok(ended)
}

pub(super) fn finetune_alone(training: &Training, from: Option<&Path>, opened: &Opened, recorder: &Recorder) -> Result<Ended, JobError> {
    let config = &training.config;
    let plan = Plan::new(config)?;
    recorder.open_run(training)?;
    begin_run(training, &plan, opened, recorder)?;
    let prepared = plan.prepare(config, recorder)?;
    let info = plan.info();
    let stage = Stage { kind: StageKind::Finetune, arm: String::new() };
    let validate = validator(&plan, &prepared.validation, config, &opened.device);
    let work = Finetune { config, dataset: &info, cases: prepared.finetune.clone(), from, validate: validate.as_deref() };
    let mut ended = train_alone(&stage, training, opened, recorder, |session| Ok(finetune(session, &work)?.1))?;
    let complete = training.max_steps.is_none();
    if ended == Ended::Completed && complete {
        let tested = Stage { kind: StageKind::Test, arm: String::new() };
        let place = TestPlace { config, folder: &training.folder, device: &opened.device, recorder };
        ended = test(&tested, &training.folder.checkpoints(), &plan, &prepared.test, &place)?;
    }
    recorder.write_results(training)?;
    Ok(ended)
}

fn train_alone(
    stage: &Stage,
    training: &Training,
    opened: &Opened,
    recorder: &Recorder,
    train: impl FnOnce(&Session<'_>) -> Result<Ending, JobError>,
) -> Result<Ended, JobError> {
    let session = Session {
        stage: stage.clone(),
        device: opened.device.clone(),
        checkpoints: training.folder.checkpoints(),
        resume: training.start == Start::Resume,
        max_steps: training.max_steps,
        emit: &|event| recorder.emit(event),
        control: &|| recorder.control(),
    };
    let began = std::time::Instant::now();
    let ending = train(&session)?;
    if ending == Ending::Stopped && recorder.control() == Control::Stop {
        return Ok(Ended::Stopped);
    }
    recorder.emit(Event::StageFinished { stage: stage.clone(), secs: began.elapsed().as_secs_f64() });
    if ending == Ending::Stopped {
        recorder.notice(Severity::Info, "ended after --max-steps; --resume goes on");
    }
    Ok(Ended::Completed)
}
