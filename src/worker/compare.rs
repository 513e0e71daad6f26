//! The main job: every pre-training arm, then every fine-tuning arm with its test.

use super::data::{Plan, Prepared, frame};
use super::measure::{TestPlace, test, validator};
use super::stage::Place;
use super::{Ended, JobError};
use crate::config::{Arm, RunConfig};
use crate::protocol::{Stage, StageKind};
use crate::train::{Finetune, Pretrain, finetune, pretrain};

pub(super) fn compare(place: &Place<'_>) -> Result<Ended, JobError> {
    let &Place { training, recorder, .. } = place;
    let config = &training.config;
    config.check_arms(config)?;
    let arms = |arms: &[Arm]| arms.iter().map(|arm| Ok((arm.clone(), config.with_arm(arm)?))).collect::<Result<Vec<_>, JobError>>();
    let (pretrainings, finetunings) = (arms(&config.arms.pretrain)?, arms(&config.arms.finetune)?);
    let (plan, prepared) = place.begin()?;
    let info = plan.info();
    let probe = prepared.probe(config, info.labels.len(), recorder)?;
    let bank = |config: &RunConfig| (frame(config), config.probe.clone());
    for (arm, own) in &pretrainings {
        let stage = Stage { kind: StageKind::Pretrain, arm: arm.name.clone() };
        // An arm that cuts crops into other tokens is measured on a bank of its own.
        let other = (bank(own) != bank(config)).then(|| prepared.probe(own, info.labels.len(), recorder)).transpose()?;
        let probe = other.as_ref().unwrap_or(&probe).as_ref();
        let (config, cases) = (own, prepared.pretrain.clone());
        let work = Pretrain { config, dataset: &info, cases, probe };
        let ended =
            place.train(&stage, (&training.folder.arm(&stage), config.pretrain.steps), |session| Ok(pretrain(session, &work)?.1))?;
        recorder.write_results(training)?;
        if ended == Ended::Stopped {
            return Ok(ended);
        }
    }
    for (arm, config) in &finetunings {
        let ended = finetune_arm(arm, config, (&plan, &prepared), place)?;
        recorder.write_results(training)?;
        if ended == Ended::Stopped {
            return Ok(ended);
        }
    }
    Ok(Ended::Completed)
}

fn finetune_arm(arm: &Arm, config: &RunConfig, (plan, prepared): (&Plan, &Prepared), place: &Place<'_>) -> Result<Ended, JobError> {
    let &Place { training, opened, recorder } = place;
    let stage = Stage { kind: StageKind::Finetune, arm: arm.name.clone() };
    let folder = training.folder.arm(&stage);
    let source = arm.from.as_ref().map(|from| Stage { kind: StageKind::Pretrain, arm: from.clone() });
    let from = source.map(|stage| training.folder.arm(&stage).checkpoints().join("last"));
    let info = plan.info();
    let validate = validator(plan, &prepared.validation, config, &opened.device);
    let work = Finetune { config, dataset: &info, cases: prepared.finetune.clone(), from: from.as_deref(), validate: validate.as_deref() };
    let ended = place.train(&stage, (&folder, config.finetune.steps), |session| Ok(finetune(session, &work)?.1))?;
    let tested = Stage { kind: StageKind::Test, arm: arm.name.clone() };
    if ended == Ended::Stopped || place.is_finished(&tested, prepared.test.len()) {
        return Ok(ended);
    }
    let place = TestPlace { config, folder: &training.folder, device: &opened.device, recorder };
    test(&tested, &folder.checkpoints(), plan, &prepared.test, &place)
}
