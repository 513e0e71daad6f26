//! A run as one self-contained HTML page: no network, no second file; reads on paper, in the dark and on a phone.
//!
//! Reads the folded [`RunState`], the config, and volumes; computes nothing that the run did not measure, except
//! means and their intervals. Whatever a run lacks, the page says so in its place.

mod arms;
mod cases;
mod collapse;
mod curves;
pub mod experiment;
pub(crate) mod findings;
mod page;
mod palette;
mod picture;
mod plot;
mod scores;
mod settings;
mod slices;
mod token_maps;

use std::path::PathBuf;

use crate::atomic_file;
use crate::config::RunConfig;
use crate::protocol::{RunFolder, RunState};

#[cfg(feature = "gui")]
pub(crate) use arms::best;
pub(crate) use arms::{hd95, labels, tested, unit as shared_unit};
pub(crate) use collapse::{Place, measured};
#[cfg(feature = "gui")]
pub(crate) use plot::{envelope, smoothed};
pub(crate) use scores::unit;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file could not be written.
    #[error("cannot write the report {path}: {cause}; make room or choose another folder, then run `simtrot report` again", path = path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// The operating system's reason.
        cause: std::io::Error,
    },
}

/// Writes `report.html` into the run's folder, atomically, and returns its path.
///
/// `config` is the run's resolved one. A part that is missing (predictions, the dataset, `split.json`) becomes a
/// sentence in its place.
///
/// # Errors
/// The file could not be written.
pub fn write(folder: &RunFolder, config: &RunConfig, state: &RunState) -> Result<PathBuf, ReportError> {
    let path = folder.report_path();
    let text = page::page(folder, config, state).into_string();
    atomic_file::write(&path, text.as_bytes()).map_err(|cause| ReportError::Write { path: path.clone(), cause })?;
    Ok(path)
}
