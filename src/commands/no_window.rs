//! A build without the window: what needs it is refused.

use std::path::PathBuf;

use super::options::{CliError, Options};
use crate::worker::ExperimentJob;

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
