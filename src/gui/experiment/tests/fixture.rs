//! Made-up experiments, open in folders that are the same on every machine.

use std::path::Path;

use crate::experiment::synthetic::{self, Until};
use crate::experiment::{Experiment, ExperimentFolder};
use crate::gui::OpenRun;

/// An experiment as far as it is.
pub(super) fn open(experiment: &Experiment, until: Until) -> OpenRun {
    let place = tempfile::tempdir().unwrap();
    let state = synthetic::state(experiment, until, &ExperimentFolder::new(place.path()));
    OpenRun::replayed(experiment.clone(), folder(&experiment.config.name), state)
}

/// An experiment of one point that is done, with its report.
pub(super) fn finished(name: &str, seed: u64) -> OpenRun {
    let mut open = open(&synthetic::one_point_of(name, seed), Until::End);
    open.report = Some(open.folder.report_path());
    open
}

pub(super) fn folder(name: &str) -> ExperimentFolder {
    ExperimentFolder::new(Path::new("/data/runs").join(name))
}
