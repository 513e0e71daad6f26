//! Trainings that were begun under another key and can go on under a new one: with more steps, or other settings of their test.

use std::path::Path;

use super::cases::TrainingData;
use super::error::JobError;
use super::training::{is_of_another_source, obstacle, recorded_split};
use crate::experiment::{Experiment, ExperimentFolder, TrainingPlan};
use crate::protocol::{FolderError, RunFolder, StageKind};

/// Gives the training of the folder that can go on as `plan` its name, if there is one.
pub(super) fn rename_fewer_steps(folder: &ExperimentFolder, experiment: &Experiment, plan: &TrainingPlan, from: Option<&Path>) {
    let mut others = folder.others(experiment).into_iter().filter(|other| is_of_kind(other, plan.kind));
    let found = others.find(|other| matches!(why_not(other, plan, from), Ok(None)));
    if let Some(found) = found
        && let Err(error) = std::fs::rename(found.root(), folder.training(plan).root())
    {
        tracing::warn!("{}: {error}", found.root().display());
    }
}

fn is_of_kind(training: &RunFolder, kind: StageKind) -> bool {
    let prefix = if kind == StageKind::Pretrain { "pretrain-" } else { "finetune-" };
    training.root().file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// Why a training cannot go on as `plan`; none where it can. One that has saved nothing has nothing to go on with.
fn why_not(training: &RunFolder, plan: &TrainingPlan, from: Option<&Path>) -> Result<Option<JobError>, JobError> {
    let Some(split) = recorded_split(training)? else {
        return Err(FolderError::Nothing(training.root().to_owned()).into());
    };
    if let Some(obstacle) = obstacle(training, &plan.config)? {
        return Ok(Some(obstacle));
    }
    let root = training.root().display();
    if let Some(change) = TrainingData::open(&plan.config)?.record.change_since(&split) {
        return Ok(Some(JobError::Input(format!(
            "{root}: the data are not those that this training began with: {change}. Put them back to go on with it, or start a new one"
        ))));
    }
    let other = is_of_another_source(training, from)?;
    Ok(other.then(|| JobError::Input(format!("{root}: this fine-tuning was started from other weights than its source holds now"))))
}

/// Refuses to go on with an experiment of one training where the folder holds none that can: with the reason why the one there cannot.
///
/// # Errors
/// There is no such training, or it differs in settings, data, or the weights that it started from.
pub fn require_begun(folder: &ExperimentFolder, experiment: &Experiment) -> Result<(), String> {
    let plan = &experiment.trainings[0];
    let made: Vec<RunFolder> = folder.made().into_iter().filter(|made| is_of_kind(made, plan.kind)).collect();
    if made.contains(&folder.training(plan)) {
        return Ok(());
    }
    let mut reasons = made.iter().map(|made| why_not(made, plan, plan.checkpoint.as_deref()).unwrap_or_else(Some));
    let nothing = || FolderError::Nothing(folder.root().to_owned()).to_string();
    let Some(first) = reasons.next() else { return Err(nothing()) };
    match first {
        Some(_) if reasons.any(|reason| reason.is_none()) => Ok(()),
        Some(reason) => Err(reason.to_string()),
        None => Ok(()),
    }
}
