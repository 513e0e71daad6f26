//! The report of a run with several arms in one record: it goes when such runs are experiments.

mod arms;
#[allow(dead_code, reason = "what a grid needs has moved")]
mod cases;
mod collapse;
mod curves;
pub(crate) mod findings;
mod page;
mod palette;
mod picture;
#[allow(dead_code, reason = "what a grid needs has moved")]
mod plot;
mod scores;
mod settings;
mod slices;

use std::path::PathBuf;

use super::ReportError;
use crate::atomic_file;
use crate::config::RunConfig;
use crate::protocol::{RunFolder, RunState};

pub(crate) use arms::{hd95, labels, tested, unit as shared_unit};
pub(crate) use collapse::Place;

/// Writes `report.html` into the run's folder, atomically, and returns its path.
///
/// # Errors
/// The file could not be written.
pub fn write(folder: &RunFolder, config: &RunConfig, state: &RunState) -> Result<PathBuf, ReportError> {
    let path = folder.report_path();
    let text = page::page(folder, config, state).into_string();
    atomic_file::write(&path, text.as_bytes()).map_err(|cause| ReportError::Write { path: path.clone(), cause })?;
    Ok(path)
}
