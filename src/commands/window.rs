//! The window's part: it follows runs in place of the terminal, and leaves them to it.

use std::path::PathBuf;

use super::{CliError, Options, STOPPED, told};
use crate::config::{ExperimentConfig, RunConfig, Training};
use crate::experiment::{Experiment, ExperimentFolder};
use crate::gui::{self, Left, NoWindow, Opening};
use crate::protocol::RunFolder;
use crate::stop_signal;
use crate::terminal;
use crate::worker::{ExperimentJob, Job, Start};

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

/// Opens the window on a run, which it makes as an experiment.
pub(super) fn follow(job: Job, folder: RunFolder, config: RunConfig, manner: &Options) -> Result<u8, CliError> {
    let (config, training) = match job {
        Job::Pretrain(training) => (ExperimentConfig::of_one_training(Training::Pretrain, config), training),
        Job::Finetune { training, from } => (ExperimentConfig::of_one_training(Training::Finetune { from }, config), training),
        Job::Compare(training) => (ExperimentConfig::of_run(config), training),
        _ => unreachable!("the window opens on trainings"),
    };
    let folder = ExperimentFolder::new(folder.root());
    let experiment = Experiment::new(config, folder.contents())?;
    let overwrite = training.start == Start::Overwrite;
    follow_experiment(ExperimentJob { max_steps: training.max_steps, overwrite, ..ExperimentJob::new(experiment, folder) }, manner)
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
    let (left, tally) = gui::open(opening, manner.device.clone(), lost)?;
    match left {
        Some(left) => go_on(left, manner),
        None if stop_signal::asked() => {
            terminal::remark("the window was told to end: what was at work is stopped and saved; --resume goes on");
            Ok(STOPPED)
        }
        None => Ok(tally.map_or(0, |tally| u8::from(tally.failed > 0))),
    }
}

/// Follows in the terminal what a window left.
fn go_on(left: Left, manner: &Options) -> Result<u8, CliError> {
    super::experiment::follow(left.handle, &left.job, manner)
}
