//! What every command does with an experiment in the end: follows it, writes its report, and says what came out.

use super::options::{CliError, Options, finish_code};
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState};
use crate::protocol::FolderError;
use crate::wording::holds_others;
use crate::worker::{ExperimentHandle, ExperimentJob};
use crate::{report, terminal};

/// Follows an experiment at work to its end, and prints what came out.
pub(super) fn follow(handle: ExperimentHandle, job: &ExperimentJob, options: &Options) -> Result<u8, CliError> {
    let ExperimentJob { experiment, folder, trainings, shard, .. } = job;
    let finish = terminal::follow_experiment(handle, experiment, trainings, options.quiet);
    if finish.lost {
        return Err(FolderError::Lost(folder.root().to_owned()).into());
    }
    // The last of the shards sees what all have made.
    if let Some(busy) = shard.and_then(|_| folder.busy()) {
        terminal::remark(format_args!(
            "other shards are still at work ({busy}): the last one writes the report, `simtrot report {}` does at any time",
            folder.root().display()
        ));
        return Ok(finish_code(finish));
    }
    let state = ExperimentState::read(experiment, folder);
    if state.runs.iter().any(Option::is_some) {
        write_report(folder, experiment, &state, options)?;
    }
    if !options.quiet {
        mention_others(folder, experiment);
    }
    Ok(finish_code(finish))
}

/// Writes report, summary and tables into the experiment's folder, and prints the summary.
pub(super) fn write_report(
    folder: &ExperimentFolder,
    experiment: &Experiment,
    state: &ExperimentState,
    options: &Options,
) -> Result<(), CliError> {
    let report = report::write(folder, experiment, state)?;
    if !options.quiet {
        terminal::print(terminal::experiment_summary(experiment, state, &report));
    }
    Ok(())
}

/// Says that finished trainings lie in the folder which are not those of the experiment as it is now.
pub(super) fn mention_others(folder: &ExperimentFolder, experiment: &Experiment) {
    let others = folder.others(experiment).len();
    if others > 0 {
        terminal::print(holds_others(others));
    }
}
