//! The main job: every pre-training arm, then every fine-tuning arm with its test.

use super::data::Plan;
use super::measure::test;
use super::{Ended, JobError, Recorder, Start, Training};
use crate::config::{Arm, RunConfig};
use crate::device::Opened;
use crate::protocol::{Event, Stage, StageKind};
use crate::train::{Control, Ending, Finetune, Pretrain, Session, finetune, pretrain};

pub(super) fn compare(training: &Training, opened: &Opened, recorder: &Recorder) -> Result<Ended, JobError> {
    let config = &training.config;
    let arms = |arms: &[Arm]| arms.iter().map(|arm| Ok((arm.clone(), config.with_arm(arm)?))).collect::<Result<Vec<_>, JobError>>();
    let (pretrainings, finetunings) = (arms(&config.arms.pretrain)?, arms(&config.arms.finetune)?);
    let plan = Plan::new(config)?;
    recorder.open_run(training)?;
    super::single::begin_run(training, &plan, opened, recorder)?;
    let prepared = plan.prepare(config, recorder)?;
    let info = plan.info();

    let probe = prepared.probe(config, info.labels.len(), recorder)?;
    for (arm, config) in &pretrainings {
        let stage = Stage { kind: StageKind::Pretrain, arm: arm.name.clone() };
        let work = Pretrain { config, dataset: &info, cases: prepared.pretrain.clone(), probe: probe.as_ref() };
        let ended = run_stage(&stage, training, opened, recorder, |session| Ok(pretrain(session, &work)?.1))?;
        if ended == Ended::Stopped {
            return stopped(training, recorder);
        }
    }
    for (arm, config) in &finetunings {
        let ended = finetune_arm(arm, config, &plan, &prepared, &Place { training, opened, recorder })?;
        recorder.write_results(training)?;
        if ended == Ended::Stopped {
            return stopped(training, recorder);
        }
    }
    recorder.write_results(training)?;
    Ok(Ended::Completed)
}

/// Where a job runs.
struct Place<'a> {
    training: &'a Training,
    opened: &'a Opened,
    recorder: &'a Recorder,
}

fn finetune_arm(
    arm: &Arm,
    config: &RunConfig,
    plan: &Plan,
    prepared: &super::data::Prepared,
    place: &Place<'_>,
) -> Result<Ended, JobError> {
    let &Place { training, opened, recorder } = place;
    let stage = Stage { kind: StageKind::Finetune, arm: arm.name.clone() };
    let info = plan.info();
    let source = arm.from.as_ref().map(|from| Stage { kind: StageKind::Pretrain, arm: from.clone() });
    let from = source.map(|stage| training.folder.arm(&stage).checkpoints().join("last"));
    let validate = super::measure::validator(plan, &prepared.validation, config, &opened.device);
    let work = Finetune { config, dataset: &info, cases: prepared.finetune.clone(), from: from.as_deref(), validate: validate.as_deref() };
    let ended = run_stage(&stage, training, opened, recorder, |session| Ok(finetune(session, &work)?.1))?;
    if ended == Ended::Stopped {
        return Ok(ended);
    }
    let checkpoint = training.folder.arm(&stage).checkpoints();
    let tested = Stage { kind: StageKind::Test, arm: arm.name.clone() };
    if is_finished(&tested, recorder) {
        return Ok(Ended::Completed);
    }
    test(
        &tested,
        &checkpoint,
        plan,
        &prepared.test,
        &super::measure::TestPlace { config, folder: &training.folder, device: &opened.device, recorder },
    )
}

/// Runs a training stage in its own folder, unless an earlier session of the run finished it.
fn run_stage(
    stage: &Stage,
    training: &Training,
    opened: &Opened,
    recorder: &Recorder,
    train: impl FnOnce(&Session<'_>) -> Result<Ending, JobError>,
) -> Result<Ended, JobError> {
    if is_finished(stage, recorder) {
        return Ok(Ended::Completed);
    }
    let session = Session {
        stage: stage.clone(),
        device: opened.device.clone(),
        checkpoints: training.folder.arm(stage).checkpoints(),
        resume: training.start == Start::Resume,
        max_steps: training.max_steps,
        emit: &|event| recorder.emit(event),
        control: &|| recorder.control(),
    };
    let began = std::time::Instant::now();
    let ending = train(&session)?;
    let by_hand = ending == Ending::Stopped && recorder.control() == Control::Stop;
    if by_hand {
        return Ok(Ended::Stopped);
    }
    recorder.emit(Event::StageFinished { stage: stage.clone(), secs: began.elapsed().as_secs_f64() });
    Ok(Ended::Completed)
}

fn is_finished(stage: &Stage, recorder: &Recorder) -> bool {
    recorder.state().stage(stage.kind, &stage.arm).is_some_and(|stage| stage.secs.is_some() && stage.done == stage.total)
}

fn stopped(training: &Training, recorder: &Recorder) -> Result<Ended, JobError> {
    recorder.write_results(training)?;
    Ok(Ended::Stopped)
}
