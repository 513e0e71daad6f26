//! The trainings of a job one after the other, each fine-tuning with its test.

use super::data::{Data, ProbeSets};
use super::measure::{TestContext, test, validator};
use super::stage::Place;
use super::work::Work;
use super::{Ended, JobError};
use crate::protocol::StageKind;
use crate::train::{Finetune, Pretrain, Probe, finetune, pretrain};

/// Makes what is missing of `works`, in order. A training that is not complete ends the job: whatever comes later could rest on it, and
/// is made when the job goes on.
pub(super) fn make(works: &[Work], place: &Place<'_>) -> Result<Ended, JobError> {
    let &Place { training, recorder, .. } = place;
    let data = place.begin(works)?;
    let mut probe_sets = ProbeSets::default();
    let mut probes = Vec::new();
    for (work, data) in works.iter().zip(&data) {
        let asked = work.stage.kind == StageKind::Pretrain && !place.is_finished(&work.stage, work.steps());
        let probe_set = asked.then(|| probe_sets.of(&work.config, data, training.config.seed, recorder)).transpose()?;
        probes.push(probe_set.flatten());
    }
    for ((work, data), probe) in works.iter().zip(&data).zip(&probes) {
        super::data::write_record(&work.folder, &data.record)?;
        let ended = match work.stage.kind {
            StageKind::Pretrain => pretrain_one((work, works), data, probe.as_deref(), place)?,
            _ => finetune_one((work, works), data, place)?,
        };
        recorder.write_results(training)?;
        if ended != Ended::Completed {
            return Ok(ended);
        }
    }
    Ok(Ended::Completed)
}

fn pretrain_one(
    (work, works): (&Work, &[Work]),
    Data { plan, prepared, .. }: &Data,
    probe: Option<&Probe>,
    place: &Place<'_>,
) -> Result<Ended, JobError> {
    let task = Pretrain { config: &work.config, dataset: &plan.info(), cases: prepared.pretrain.clone(), probe };
    place.train((work, works), |session| Ok(pretrain(session, &task)?.1))
}

fn finetune_one((work, works): (&Work, &[Work]), Data { plan, prepared, record }: &Data, place: &Place<'_>) -> Result<Ended, JobError> {
    let &Place { training, opened, recorder } = place;
    let config = &work.config;
    place.require_source(work)?;
    let validate = validator(&plan.dataset, &prepared.validation, config, &opened.device);
    let (dataset, cases, from) = (&plan.info(), prepared.finetune.clone(), work.from.as_deref());
    super::data::warn_of_seen(work, record, recorder);
    let task = Finetune { config, dataset, cases, from, validate: validate.as_deref() };
    let ended = place.train((work, works), |session| Ok(finetune(session, &task)?.1))?;
    if ended != Ended::Completed || place.is_finished(&work.test(), prepared.test.len()) {
        return Ok(ended);
    }
    let (checkpoints, predictions) = (&work.folder.checkpoints(), &training.folder.predictions(&work.stage.arm));
    let context = TestContext { config, checkpoints, predictions, device: &opened.device, recorder };
    test(&work.test(), &plan.dataset, &prepared.test, &context)
}
