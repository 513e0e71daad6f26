//! What an experiment shows, in the terminal: its tables, what follows from them, and where the rest lies.

use std::path::Path;

use super::summary::{paragraphs, table};
use crate::experiment::{Experiment, ExperimentState};
use crate::results::ExperimentResults;
use crate::results::table::{Column, Table};

/// Columns that are left to the report: explanations, and what the terminal has no room for.
const LEFT_OUT: [&str; 7] = ["pre-training", "position probe R²", "content probe", "RankMe", "residual RankMe", "retrieval", "verdict"];

/// The numbers so far, what they mean, what is missing, and where the report lies.
pub fn experiment_summary(experiment: &Experiment, state: &ExperimentState, report: &Path) -> String {
    let results = ExperimentResults::new(experiment, state);
    let last: Vec<String> = results.missing().into_iter().chain([results.caveat()]).collect();
    let report = format!("Report: {} (report.md and CSV files beside it)", report.display());
    let encoders = results.is_one_point().then(|| cells(results.encoders_table(results.tokens)));
    let parts = [
        encoders.filter(|_| !results.encoders().is_empty()).map(|cells| table(&cells)).unwrap_or_default(),
        paragraphs(&results.collapse_sentences()),
        table(&cells(results.groups_table())),
        paragraphs(&results.headline()),
        format!("{}\n{report}", paragraphs(&last)),
    ];
    parts.iter().filter(|part| !part.is_empty()).map(|part| format!("\n{part}\n")).collect()
}

/// Names and rows of a table, without rows that explain it.
fn cells(table: Table) -> Vec<Vec<String>> {
    let kept = |column: &Column| {
        !LEFT_OUT.contains(&column.name.as_str()) && !column.name.starts_with("position alone") && !column.name.starts_with("Dice, ")
    };
    let table = table.keeping(kept);
    let head = table.columns.iter().map(|column| column.name.clone()).collect();
    let rows = table.rows.iter().filter(|row| row.iter().any(|cell| !cell.fields.is_empty()));
    std::iter::once(head).chain(rows.map(|row| row.iter().map(|cell| cell.text.clone()).collect())).collect()
}
