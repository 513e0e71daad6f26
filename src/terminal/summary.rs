//! What the user sees when a run is over: the numbers that matter, what they mean, and where the rest lies.

use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::config::RunConfig;
use crate::metrics::collapse::Collapse;
use crate::protocol::{CollapsePair, RunState};
use crate::report::old::findings::Findings;
use crate::report::old::{Place, hd95, labels, measured, shared_unit, tested};
use crate::wording::{or_nothing, printable, share};

/// Nothing is wider than this.
const COLUMNS: usize = 100;

/// A number of the collapse table.
type Measure = (&'static str, fn(&Collapse) -> Option<f64>);

/// What the terminal shows of the collapse numbers; the report shows all.
const MEASURES: [Measure; 5] = [
    ("eta2", |c| c.eta2),
    ("eta2 turned", |c| c.eta2_turned),
    ("index lock", |c| c.index_lock),
    ("anatomy lock", |c| c.anatomy_lock),
    ("gap", |c| c.gap),
];

/// The end of a run in at most 100 columns: collapse table, Dice table, what they mean, and where the report lies.
pub fn summary(config: &RunConfig, state: &RunState, report: Option<&Path>) -> String {
    let Findings { ending: _, dice, collapse, caveat } = Findings::new(config, state);
    let report = report.map(|path| format!("Report: {}", path.display()));
    let parts = [
        stacked([collapse_table(state), Some(paragraphs(&collapse))]),
        stacked([score_table(config, state), Some(paragraphs(&dice))]),
        stacked([caveat.as_deref().map(wrapped), report]),
    ];
    parts.iter().filter(|part| !part.is_empty()).map(|part| format!("\n{part}\n")).collect()
}

/// What there is, one below the other.
fn stacked(parts: [Option<String>; 2]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn collapse_table(state: &RunState) -> Option<String> {
    let encoders = measured(state);
    let place = Place::shared(state);
    let probed = encoders.iter().flat_map(|(_, pair)| pair.encoder.label_probe_r2.keys().copied()).max();
    // Of what is handed to fine-tuning, wherever the other numbers are read.
    let probe = |pair: &CollapsePair| or_nothing(probed.and_then(|volumes| pair.encoder.label_probe_r2.get(&volumes).copied()), share);
    let mut rows = encoders.iter().filter_map(|(name, pair)| {
        let collapse = place.of(pair)?;
        let numbers = MEASURES.iter().map(|(_, value)| or_nothing(value(collapse), share));
        let numbers = numbers.chain(probed.map(|_| probe(pair)));
        Some(std::iter::once(name.clone()).chain(numbers).collect::<Vec<_>>())
    });
    let header = [format!("{place} of")].into_iter().chain(MEASURES.iter().map(|(name, _)| (*name).to_owned()));
    let header = header.chain(probed.map(|volumes| format!("label probe, n = {volumes}")));
    (!encoders.is_empty()).then(|| table(&std::iter::once(header.collect()).chain(&mut rows).collect::<Vec<_>>()))
}

fn score_table(config: &RunConfig, state: &RunState) -> Option<String> {
    let arms = tested(config, state);
    let (labels, unit) = (labels(&arms), shared_unit(&arms));
    let header = ["arm".to_owned(), "mean Dice".to_owned()].into_iter().chain(labels.iter().map(|label| (*label).to_owned())).chain([
        unit.map_or_else(|| "HD95".to_owned(), |unit| format!("HD95 {}", unit.word())),
        "cases".to_owned(),
        "one-sided".to_owned(),
    ]);
    let mut rows = arms.iter().map(|arm| {
        let by_label = labels.iter().map(|label| or_nothing(arm.means.dice.get(*label).copied(), share));
        [arm.name.to_owned(), or_nothing(arm.means.dice_mean, share)]
            .into_iter()
            .chain(by_label)
            .chain([hd95(arm, unit), arm.means.cases.to_string(), arm.means.missing_in_one.to_string()])
            .collect()
    });
    (!arms.is_empty()).then(|| table(&std::iter::once(header.collect()).chain(&mut rows).collect::<Vec<_>>()))
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
    let mut table = Table::new();
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
