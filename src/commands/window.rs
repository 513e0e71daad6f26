//! The window's part: it follows runs in place of the terminal, and leaves them to it.

use std::path::PathBuf;

use super::{CliError, Options, STOPPED, exit_code, finish_job, told};
use crate::config::RunConfig;
use crate::gui::{self, Left, NoWindow, Opening};
use crate::protocol::RunFolder;
use crate::stop_signal;
use crate::terminal;
use crate::worker::{ExperimentJob, Job};

impl From<NoWindow> for CliError {
    fn from(error: NoWindow) -> Self {
        match error {
            NoWindow::NoDisplay(_) => Self::Input(error.to_string()),
            NoWindow::Lost => Self::Failure(error.to_string()),
        }
    }
}

/// Opens the window on an empty workspace.
pub(super) fn empty(manner: &Options) -> Result<u8, CliError> {
    show(Opening::Workspace, manner)
}

/// Opens the window on a job that makes a run.
pub(super) fn follow(job: Job, folder: RunFolder, config: RunConfig, manner: &Options) -> Result<u8, CliError> {
    show(Opening::Run { job: Box::new(job), folder, config: Box::new(config) }, manner)
}

/// Opens the window on an experiment that is to be worked on.
pub(super) fn follow_experiment(job: ExperimentJob, manner: &Options) -> Result<u8, CliError> {
    show(Opening::Experiment(Box::new(job)), manner)
}

/// Opens the window on a volume and its label maps.
pub(super) fn view(image: PathBuf, labels: Vec<PathBuf>, manner: &Options) -> Result<u8, CliError> {
    show(Opening::Volume { image, labels }, manner)
}

/// Shows the window; follows in the terminal what is still at work when it closes, or is lost.
fn show(opening: Opening, manner: &Options) -> Result<u8, CliError> {
    let terminal = manner.clone();
    let lost = Box::new(move |left| told(go_on(left, &terminal)));
    let (left, state) = gui::open(opening, manner.device.clone(), lost)?;
    match left {
        Some(left) => go_on(left, manner),
        None if stop_signal::asked() => {
            terminal::remark("the window was told to end: what was at work is stopped and saved; --resume goes on");
            Ok(STOPPED)
        }
        None => Ok(state.outcome.map_or(0, |outcome| exit_code(&outcome))),
    }
}

/// Follows in the terminal what a window left.
fn go_on(left: Left, manner: &Options) -> Result<u8, CliError> {
    let (handle, known, folder, config) = match left {
        Left::Run { handle, state, folder, config } => (handle, *state, folder, config),
        Left::Experiment { handle, job } => return super::experiment::follow(handle, &job, manner),
    };
    let (outcome, state) = terminal::follow_on(handle, known, terminal::Options { quiet: manner.quiet, config: Some(&config) });
    if !state.stages.is_empty() {
        finish_job(&folder, &config, state, &outcome, manner)?;
    }
    Ok(exit_code(&outcome))
}
