//! An experiment as one self-contained HTML page (no network, no second file; reads on paper, in the dark and on a phone), as Markdown, and
//! as tables for other programs.
//!
//! Everything that is said and counted comes from [`crate::results`]; volumes, segmentations and tokens are read here to be drawn. `page`
//! and `markdown` put together what the other files make: `scores`, `collapse`, `curves`, `cases` and `settings` are its sections, `table`
//! and `plot` what these are made of. What an experiment lacks is said in its place.

mod cases;
mod collapse;
mod colours;
mod curves;
mod figures;
mod markdown;
mod page;
mod picture;
mod plot;
mod scores;
mod settings;
mod strip;
mod table;
#[cfg(test)]
mod tests;
mod token_maps;
mod view;

use std::path::PathBuf;

use crate::atomic_file;
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState};
use crate::results::Summary;
use view::View;

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

/// Writes `report.html`, `report.md`, `summary.json`, `results.csv` (a row for each training and label), `groups.csv`, `comparisons.csv`,
/// `tokens.csv` and, where at least five pre-trainings were fine-tuned alike, `foretelling.csv` into the experiment's folder, each
/// atomically, and returns the path of the page.
///
/// # Errors
/// A file could not be written.
///
/// # Panics
/// Never: a summary has no type that JSON cannot hold.
pub fn write(folder: &ExperimentFolder, experiment: &Experiment, state: &ExperimentState) -> Result<PathBuf, ReportError> {
    let view = View::new(folder, experiment, state);
    let summary = serde_json::to_vec_pretty(&Summary::new(&view.results)).expect("plain data becomes JSON");
    let foretelling = Some(view.results.foretelling_table()).filter(|table| !table.rows.is_empty());
    let files = [
        ("summary.json", summary),
        ("report.md", markdown::text(&view).into_bytes()),
        ("results.csv", view.results.trainings_table(experiment).csv()),
        ("groups.csv", view.results.groups_table().csv()),
        ("comparisons.csv", view.results.comparisons_table().csv()),
        ("tokens.csv", view.results.encoders_table(view.results.tokens).csv()),
        ("report.html", page::page(&view).into_string().into_bytes()),
    ];
    for (name, bytes) in files.into_iter().chain(foretelling.map(|table| ("foretelling.csv", table.csv()))) {
        let path = folder.root().join(name);
        // A program that begins to work on the experiment at this moment takes a half-written file for one of a killed program's: written again.
        let written = atomic_file::write(&path, &bytes).or_else(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => atomic_file::write(&path, &bytes),
            _ => Err(cause),
        });
        written.map_err(|cause| ReportError::Write { path, cause })?;
    }
    Ok(folder.report_path())
}
