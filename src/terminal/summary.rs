//! What the user sees at the end: the numbers that matter, what they mean, and where the rest lies.

use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table as Drawn, presets};

use crate::experiment::{Experiment, ExperimentState};
use crate::protocol::RunState;
use crate::results::table::{Column, Table};
use crate::results::{ExperimentResults, Tokens, token_metrics};
use crate::wording::printable;

/// Nothing is wider than this.
const COLUMNS: usize = 100;

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

/// The collapse numbers of a checkpoint, beside those of the references.
pub fn probe_summary(state: &RunState) -> String {
    let measured = state.stages.iter().filter_map(|stage| Some((stage.stage.to_string(), stage.last_probe()?)));
    let encoders: Vec<_> = state.baselines.iter().map(|(name, pair)| (name.clone(), pair)).chain(measured).collect();
    let tokens = Tokens::shared(encoders.iter().map(|(_, pair)| *pair));
    let probed: Vec<usize> = encoders.last().map(|(_, pair)| pair.encoder.label_probe_r2.keys().copied().collect()).unwrap_or_default();
    let metrics = token_metrics(&probed);
    let head = std::iter::once(format!("{} of", tokens.title())).chain(metrics.iter().map(|metric| metric.name.clone())).collect();
    let rows = encoders.iter().map(|(name, pair)| {
        let numbers = metrics.iter().map(|metric| metric.text(tokens.numbers(pair).and_then(|numbers| metric.value(numbers))));
        std::iter::once(name.clone()).chain(numbers).collect()
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<Vec<String>>>())
}

/// Names to the left, numbers to the right. A table too wide is laid on its side: a row for each column.
pub(super) fn table(cells: &[Vec<String>]) -> String {
    let text = drawn(cells);
    if text.lines().all(|line| line.chars().count() <= COLUMNS) {
        return text;
    }
    let turned = (0..cells[0].len()).map(|column| cells.iter().map(|row| row[column].clone()).collect());
    drawn(&turned.collect::<Vec<_>>())
}

/// Aligned cells, the first row on top.
pub(super) fn drawn(cells: &[Vec<String>]) -> String {
    let mut table = Drawn::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for row in cells {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

pub(super) fn paragraphs(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| wrapped(sentence)).collect::<Vec<_>>().join("\n")
}

/// Breaks a sentence between words.
fn wrapped(sentence: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= COLUMNS) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_lies_on_its_side() {
        let names: Vec<String> = (0..12).map(|number| format!("right organ {number}")).collect();
        let row: Vec<String> = (0..12).map(|number| format!("0.{number:03}")).collect();
        let text = table(&[names, row]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!((lines[0], lines[11]), ("right organ 0   0.000", "right organ 11  0.011"));
        assert_eq!(table(&[vec!["a".into(), "b".into()], vec!["1".into(), "22".into()]]), "a   b\n1  22");
    }

    #[test]
    fn sentences_break_between_words() {
        let text = wrapped(&"word ".repeat(50));
        assert!(text.lines().all(|line| line.len() <= COLUMNS && line.ends_with("word")) && text.lines().count() == 3, "{text}");
    }
}
