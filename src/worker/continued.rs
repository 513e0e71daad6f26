//! Which trainings can go on: under the settings and over the data that they began with, by a program that trains as the one did that began
//! them. One that was begun under another key can go on under a new one: with more steps, or other settings of its test.

use std::path::Path;

use super::cases::TrainingData;
use super::error::JobError;
use crate::config::RunConfig;
use crate::experiment::{Experiment, ExperimentFolder, TrainingPlan};
use crate::protocol::{FolderError, RunFolder, SPLIT, TRAINING_VERSION};
use crate::train::Checkpoint;
use crate::volume::SplitRecord;

/// Gives the training of the folder that can go on as `plan` its name, if there is one.
pub(super) fn rename_fewer_steps(folder: &ExperimentFolder, experiment: &Experiment, plan: &TrainingPlan, from: Option<&Path>) {
    let mut others = folder.others(experiment).into_iter().filter(|other| other.kind() == plan.kind);
    let found = others.find(|other| require_same(other, plan, from).is_ok());
    if let Some(found) = found
        && let Err(error) = std::fs::rename(found.root(), folder.training(plan).root())
    {
        tracing::warn!("{}: {error}", found.root().display());
    }
}

/// Refuses to go on with an experiment of one training where the folder holds none that can: with the reason why the one there cannot.
///
/// # Errors
/// There is no such training, or it differs in settings, data, or the weights that it started from.
pub fn require_begun(folder: &ExperimentFolder, experiment: &Experiment) -> Result<(), String> {
    let plan = &experiment.trainings[0];
    if folder.training(plan).root().exists() {
        return Ok(());
    }
    let mut first = None;
    for made in folder.made().into_iter().filter(|made| made.kind() == plan.kind) {
        match require_same(&made, plan, plan.checkpoint.as_deref()) {
            Ok(()) => return Ok(()),
            Err(reason) => first = first.or(Some(reason)),
        }
    }
    Err(first.unwrap_or_else(|| FolderError::Nothing(folder.root().to_owned()).into()).to_string())
}

/// Refuses a training that cannot go on as `plan`. One that has saved nothing has nothing to go on with.
fn require_same(training: &RunFolder, plan: &TrainingPlan, from: Option<&Path>) -> Result<(), JobError> {
    if recorded_split(training)?.is_none() {
        return Err(FolderError::Nothing(training.root().to_owned()).into());
    }
    require_same_settings(training, &plan.config)?;
    require_same_data(training, &TrainingData::open(&plan.config)?)?;
    if is_of_another_source(training, from)? {
        let root = training.root().display();
        return Err(JobError::Input(format!("{root}: this fine-tuning was started from other weights than its source holds now")));
    }
    Ok(())
}

/// Refuses to go on with what is saved of a training under other settings, as far as they decide what is trained, or by a program that
/// trains otherwise.
pub(super) fn require_same_settings(training: &RunFolder, config: &RunConfig) -> Result<(), JobError> {
    let Some(saved) = Checkpoint::last_info(&training.checkpoints())? else { return Ok(()) };
    saved.require_same_training(config, &training.checkpoints().join("last"))?;
    let program = training.environment()?;
    if program.training == TRAINING_VERSION {
        return Ok(());
    }
    Err(JobError::Input(format!(
        "{} was begun by simtrot {} (commit {}), which trains otherwise than this program: one training of both would be neither. \
         Start a new one, or go on with that program",
        training.root().display(),
        program.version,
        program.commit
    )))
}

/// Refuses to go on with a training over other data than those that it began with.
pub(super) fn require_same_data(training: &RunFolder, data: &TrainingData) -> Result<(), JobError> {
    match recorded_split(training)?.and_then(|then| data.record.change_since(&then)) {
        None => Ok(()),
        Some(change) => Err(JobError::Input(format!(
            "{}: the data are not those that this training began with: {change}. Put them back to go on with it, or start a new one",
            training.root().join(SPLIT).display()
        ))),
    }
}

/// The split that a training was recorded with; none before it began.
fn recorded_split(folder: &RunFolder) -> Result<Option<SplitRecord>, JobError> {
    let path = folder.root().join(SPLIT);
    match std::fs::read(&path) {
        Ok(text) => {
            let record = serde_json::from_slice(&text);
            Ok(Some(record.map_err(|error| FolderError::Content { path, cause: error.to_string() })?))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            if Checkpoint::last_info(&folder.checkpoints())?.is_none() {
                return Ok(None);
            }
            let cause = "it is missing, so that nobody can tell whether the data are those that the training began with".to_owned();
            Err(FolderError::Content { path, cause }.into())
        }
        Err(cause) => Err(FolderError::Io { path, cause }.into()),
    }
}

/// Whether what is saved of a training started from other weights than its source holds now.
pub(super) fn is_of_another_source(folder: &RunFolder, from: Option<&Path>) -> Result<bool, JobError> {
    let Some(saved) = Checkpoint::last_info(&folder.checkpoints())? else { return Ok(false) };
    // A source that is gone decides nothing: its encoder was loaded before the first step.
    let Some(place) = from.and_then(|from| Checkpoint::locate(from).ok()) else { return Ok(false) };
    Ok(saved.parent_sha256 != Some(Checkpoint::weights_sha256(&place)?))
}
