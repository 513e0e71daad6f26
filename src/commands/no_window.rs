//! A build without the window: what needs it is refused.

use std::path::PathBuf;

use super::{CliError, Options};
use crate::config::RunConfig;
use crate::protocol::RunFolder;
use crate::worker::{ExperimentJob, Job};

fn refuse() -> Result<u8, CliError> {
    Err(CliError::Input("this program was built without its window; add --no-gui".to_owned()))
}

pub(super) fn empty(_: &Options) -> Result<u8, CliError> {
    refuse()
}

pub(super) fn follow_experiment(_: ExperimentJob, _: &Options) -> Result<u8, CliError> {
    refuse()
}

pub(super) fn view(_: PathBuf, _: Vec<PathBuf>, _: &Options) -> Result<u8, CliError> {
    refuse()
}

pub(super) fn follow(_: Job, _: RunFolder, _: RunConfig, _: &Options) -> Result<u8, CliError> {
    refuse()
}
