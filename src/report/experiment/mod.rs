//! An experiment as one self-contained page, as Markdown, and as tables for other programs.
//!
//! `view` is what all of them read. `sheets` are the tables of page and Markdown, `figures` and `curves` the plots, `pictures` the token
//! maps and the cases, `tables` the CSV files. Of what is not done nothing is counted, and the page says what is missing.

mod curves;
mod figures;
mod markdown;
mod page;
mod pictures;
mod sheet;
mod sheets;
mod strip;
mod tables;
#[cfg(test)]
mod tests;
mod view;

use std::path::PathBuf;

use super::ReportError;
use crate::atomic_file;
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState};
use view::View;

/// Writes `report.html`, `report.md`, `results.csv`, `groups.csv` and `comparisons.csv` into the experiment's folder, each atomically, and
/// returns the path of the page.
///
/// # Errors
/// A file could not be written.
pub fn write(folder: &ExperimentFolder, experiment: &Experiment, state: &ExperimentState) -> Result<PathBuf, ReportError> {
    let view = View::new(folder, experiment, state);
    let files = [
        ("report.md", markdown::text(&view).into_bytes()),
        ("results.csv", tables::results(&view)),
        ("groups.csv", tables::groups(&view)),
        ("comparisons.csv", tables::comparisons(&view)),
        ("report.html", page::page(&view).into_string().into_bytes()),
    ];
    for (name, bytes) in files {
        let path = folder.root().join(name);
        atomic_file::write(&path, &bytes).map_err(|cause| ReportError::Write { path, cause })?;
    }
    Ok(folder.report_path())
}
