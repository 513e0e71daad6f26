//! A build without the window: what needs it is refused.

use std::path::PathBuf;

use super::{Manner, Refusal};
use crate::config::RunConfig;
use crate::protocol::RunFolder;
use crate::worker::{Job, StudyJob};

fn refuse() -> Result<u8, Refusal> {
    Err(Refusal::Input("this program was built without its window; add --no-gui".to_owned()))
}

pub(super) fn empty(_: &Manner) -> Result<u8, Refusal> {
    refuse()
}

pub(super) fn follow_study(_: StudyJob, _: &Manner) -> Result<u8, Refusal> {
    refuse()
}

pub(super) fn view(_: PathBuf, _: Vec<PathBuf>, _: &Manner) -> Result<u8, Refusal> {
    refuse()
}

pub(super) fn follow(_: Job, _: RunFolder, _: RunConfig, _: &Manner) -> Result<u8, Refusal> {
    refuse()
}
