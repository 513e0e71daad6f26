//! A table of the results in the window.

use eframe::egui::Ui;

use crate::gui::Palette;
use crate::gui::widgets::{Cell, Column, Sort, Table, Width};
use crate::results::table as results;

/// Least and greatest width of a column of a table, in points.
const COLUMN: (f32, f32) = (52.0, 240.0);
/// Room for a square in the colour of a series, in points.
const SWATCH: f32 = 24.0;

/// A table of the results, as terminal and report have it; sortable where `sort` says how it is sorted.
pub(super) fn show(ui: &mut Ui, (title, meaning): (&str, &str), table: &results::Table, sort: Option<&mut Sort>) {
    let palette = Palette::of(ui);
    let columns = table.columns.iter().enumerate().map(|(place, column)| {
        let texts = table.rows.iter().flat_map(|row| [row[place].text.as_str(), row[place].note.as_str()]).chain([column.name.as_str()]);
        let swatch = if table.rows.iter().any(|row| row[place].series.is_some()) { SWATCH } else { 0.0 };
        let width = Width::fit(texts, COLUMN.0 + swatch, COLUMN.1);
        let meaning = if column.meaning.is_empty() { &column.name } else { &column.meaning };
        if column.is_number { Column::numbers(&column.name, meaning, width) } else { Column::new(&column.name, meaning, width) }
    });
    let shown = Table::new(title, columns.collect()).heading(meaning);
    let noted = table.rows.iter().flatten().any(|cell| !cell.note.is_empty());
    let shown = if noted { shown.row_height(38.0) } else { shown };
    let shown = if let Some(sort) = sort { shown.sortable(sort) } else { shown };
    shown.show(ui, table.rows.len(), |row, column| {
        let cell = &table.rows[row][column];
        Cell {
            note: cell.note.as_str().into(),
            strong: cell.is_strong || table.best == Some(row),
            swatch: cell.series.map(|series| palette.series(series)),
            ..cell.text.as_str().into()
        }
    });
}
