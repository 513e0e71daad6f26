//! The metrics of the newest measurement, beside those of the references.

use eframe::egui::Ui;

use super::encoders::Encoder;
use crate::gui::widgets::{Cell, Column, Table, Width};
use crate::results::{Purpose, TokenMetric, Tokens, token_metrics};

/// Columns: title, and what stands there.
const COLUMNS: [(&str, &str); 4] = [
    ("Now", "The measurement of the newest step"),
    ("Untrained", "The same network before its first step, on the same crops"),
    ("Constant", "The untrained network on crops without any structure: what its position codes alone make of nothing"),
    ("Noise", "The untrained network on white noise"),
];
/// Width of the names at least, and of a column of numbers, in points.
const NAMES: f32 = 110.0;
const NUMBER: f32 = 51.0;
/// Height of a row: a name, and what the field calls it.
const ROW: f32 = 30.0;

/// Draws the table.
pub(super) fn show(ui: &mut Ui, encoder: &Encoder<'_>, tokens: Tokens) {
    let pairs = [encoder.now(), encoder.untrained(), encoder.baseline("constant"), encoder.baseline("noise")];
    let numbers = pairs.map(|pair| pair.and_then(|pair| tokens.numbers(pair)));
    let volumes: Vec<usize> = encoder.now().map(|pair| pair.encoder.label_probe_r2.keys().copied().collect()).unwrap_or_default();
    let metrics = token_metrics(&volumes);
    let rows: Vec<Result<&TokenMetric, Purpose>> = Purpose::ALL
        .into_iter()
        .flat_map(|purpose| {
            let own = metrics.iter().filter(move |metric| metric.purpose == purpose).map(Ok);
            std::iter::once(Err(purpose)).chain(own)
        })
        .collect();
    let names = Column::new("Metric", "In plain words, and below as the field calls it", Width::Rest(NAMES));
    let columns = COLUMNS.map(|(title, meaning)| Column::numbers(title, meaning, Width::Exact(NUMBER)));
    let columns = std::iter::once(names).chain(columns).collect();
    ui.add_space(6.0);
    Table::new("Numbers", columns).heading("Measured on volumes that the network does not train on").row_height(ROW).show(
        ui,
        rows.len(),
        |row, column| match (rows[row], column) {
            (Err(purpose), 0) => Cell { text: purpose.title().into(), spans: true, ..Cell::default() },
            (Err(_), _) => Cell::default(),
            (Ok(metric), 0) => Cell {
                text: metric.plain.clone().into(),
                note: format!("{}: {}", metric.name, metric.healthy).into(),
                hover: format!("{} ({})\n{}", metric.plain, metric.name, metric.meaning).into(),
                ..Cell::default()
            },
            (Ok(metric), column) => Cell {
                text: metric.text(numbers[column - 1].and_then(|numbers| metric.value(numbers))).into(),
                hover: metric.name.clone().into(),
                strong: column == 1,
                weak: column > 1,
                ..Cell::default()
            },
        },
    );
}
