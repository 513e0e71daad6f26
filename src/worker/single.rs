//! One training by itself: pre-training, or fine-tuning with its test.

use std::path::Path;

use super::measure::{TestPlace, test, validator};
use super::stage::Place;
use super::{Ended, JobError};
use crate::protocol::{Stage, StageKind};
use crate::train::{Finetune, Pretrain, finetune, pretrain};

pub(super) fn pretrain_alone(place: &Place<'_>) -> Result<Ended, JobError> {
    let &Place { training, recorder, .. } = place;
    let config = &training.config;
    config.check_pretraining()?;
    let (plan, prepared) = place.begin()?;
    let info = plan.info();
    let probe = prepared.probe(config, info.labels.len(), recorder)?;
    let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
    let work = Pretrain { config, dataset: &info, cases: prepared.pretrain.clone(), probe: probe.as_ref() };
    let ended = place.train(&stage, (&training.folder, config.pretrain.steps), |session| Ok(pretrain(session, &work)?.1))?;
    recorder.write_results(training)?;
    Ok(ended)
}

pub(super) fn finetune_alone(place: &Place<'_>, from: Option<&Path>) -> Result<Ended, JobError> {
    let &Place { training, opened, recorder } = place;
    let config = &training.config;
    let (plan, prepared) = place.begin()?;
    let info = plan.info();
    let stage = Stage { kind: StageKind::Finetune, arm: String::new() };
    let validate = validator(&plan, &prepared.validation, config, &opened.device);
    let work = Finetune { config, dataset: &info, cases: prepared.finetune.clone(), from, validate: validate.as_deref() };
    let mut ended = place.train(&stage, (&training.folder, config.finetune.steps), |session| Ok(finetune(session, &work)?.1))?;
    // A training cut short by --max-steps is not worth a test; the resumed one is.
    if ended == Ended::Completed && place.is_finished(&stage, config.finetune.steps) {
        let tested = Stage { kind: StageKind::Test, arm: String::new() };
        let place = TestPlace { config, folder: &training.folder, device: &opened.device, recorder };
        ended = test(&tested, &training.folder.checkpoints(), &plan, &prepared.test, &place)?;
    }
    recorder.write_results(training)?;
    Ok(ended)
}
