//! Steps of each kind of training, measured in a folder of which nothing is kept.

use tempfile::TempDir;

use super::options::{CliError, Options};
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState, Finish};
use crate::terminal;
use crate::worker::{ExperimentJob, spawn_experiment};

/// Steps of a trial: the first is slower than the others, the median of three is not.
pub(super) const STEPS: usize = 3;

/// What a trial left.
pub(super) struct Trial {
    /// What was measured of each training.
    pub(super) state: ExperimentState,
    /// Where; removed with the trial.
    pub(super) folder: ExperimentFolder,
    pub(super) finish: Finish,
    _place: TempDir,
}

/// Makes a few `steps` of `trainings` of an experiment; `memory` bounds what is read ahead.
///
/// # Errors
/// No folder for it, or a stop by the user.
pub(super) fn measure(
    experiment: &Experiment,
    (trainings, steps): (&[usize], usize),
    memory: Option<u64>,
    options: &Options,
) -> Result<Trial, CliError> {
    let place = tempfile::tempdir().map_err(|error| CliError::Failure(error.to_string()))?;
    let folder = ExperimentFolder::new(place.path().join("trial"));
    // A step costs the same from whatever weights: in the trial, every training starts from scratch.
    let mut scratch = experiment.clone();
    for plan in &mut scratch.trainings {
        (plan.after, plan.checkpoint) = (None, None);
    }
    let trial = ExperimentJob::new(scratch, folder.clone());
    let (trainings, beside) = (trainings.to_vec(), options.beside.clone());
    let job = ExperimentJob { trainings, beside, max_steps: Some(steps), memory, is_trial: true, ..trial };
    let handle = spawn_experiment(job, options.device.clone())?;
    let finish = terminal::follow_trial(handle, experiment, options.quiet);
    if finish.stopped {
        return Err(CliError::Stopped);
    }
    Ok(Trial { state: ExperimentState::read(experiment, &folder), folder, finish, _place: place })
}
