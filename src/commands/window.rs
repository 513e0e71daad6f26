//! The window's part: it follows what is at work in place of the terminal, and leaves it to it.

use std::path::PathBuf;

use super::options::{CliError, Options, STOPPED, code_of};
use crate::gui::{self, Left, NoWindow, Opening};
use crate::worker::ExperimentJob;
use crate::{stop_signal, terminal};

impl From<NoWindow> for CliError {
    fn from(error: NoWindow) -> Self {
        match error {
            NoWindow::NoDisplay(_) => Self::Input(error.to_string()),
            NoWindow::Lost => Self::Failure(error.to_string()),
        }
    }
}

/// Opens the window on an empty workspace.
pub(super) fn empty(options: &Options) -> Result<u8, CliError> {
    show(Opening::Workspace, options)
}

/// Opens the window on an experiment that is to be worked on.
pub(super) fn follow_experiment(job: ExperimentJob, options: &Options) -> Result<u8, CliError> {
    show(Opening::Experiment(Box::new(job)), options)
}

/// Opens the window on a volume and its label maps.
pub(super) fn view(image: PathBuf, labels: Vec<PathBuf>, options: &Options) -> Result<u8, CliError> {
    show(Opening::Volume { image, labels }, options)
}

/// Shows the window; follows in the terminal what is still at work when it closes, or is lost.
fn show(opening: Opening, options: &Options) -> Result<u8, CliError> {
    let in_terminal = options.clone();
    let lost = Box::new(move |left| code_of(go_on(left, &in_terminal)));
    let (left, tally) = gui::open(opening, options.device.clone(), lost)?;
    match left {
        Some(left) => go_on(left, options),
        None if stop_signal::asked() => {
            terminal::remark("the window was asked to end: what was at work is stopped and saved, and the same command goes on");
            Ok(STOPPED)
        }
        None => Ok(tally.map_or(0, |tally| u8::from(tally.failed > 0))),
    }
}

/// Follows in the terminal what a window left.
fn go_on(left: Left, options: &Options) -> Result<u8, CliError> {
    super::conclude::follow(left.handle, &left.job, options)
}
