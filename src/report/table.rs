//! Tables on the page and in Markdown.

use maud::{Markup, html};

use super::colours::swatch;
use crate::results::table::{Cell, Table};

/// Drawings that stand behind a column of a table, on the page alone.
pub(super) struct Drawings {
    /// Name of that column.
    pub(super) behind: String,
    /// The scale above them.
    pub(super) scale: Markup,
    /// One for each row.
    pub(super) rows: Vec<Markup>,
}

/// A table on the page; the class chooses its looks.
pub(super) fn html(table: &Table, class: &str, drawings: Option<&Drawings>) -> Markup {
    let drawn = |at: usize| drawings.filter(|drawings| drawings.behind == table.columns[at].name);
    html! {
        div.scroll { table class=(class) {
            thead { tr { @for (at, column) in table.columns.iter().enumerate() {
                th.left[!column.is_number] title=[Some(&column.meaning).filter(|meaning| !meaning.is_empty())] { (column.name) }
                @if let Some(drawings) = drawn(at) { th.left { (drawings.scale) } }
            } } }
            tbody { @for (index, row) in table.rows.iter().enumerate() { tr.best[table.best == Some(index)] {
                @for (at, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
                    @if at == 0 { th scope="row" { (cell_html(cell)) } } @else { td.left[!column.is_number] { (cell_html(cell)) } }
                    @if let Some(drawings) = drawn(at) { td.left { (drawings.rows[index]) } }
                }
            } } }
        } }
    }
}

fn cell_html(cell: &Cell) -> Markup {
    html! {
        @if let Some(series) = cell.series { (swatch(series)) }
        @if cell.is_strong { strong { (cell.text) } } @else { (cell.text) }
        @if !cell.note.is_empty() { small { (cell.note) } }
    }
}

/// A table in Markdown.
pub(super) fn markdown(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names = table.columns.iter().map(|column| escaped(&column.name)).collect();
    let rules = table.columns.iter().map(|column| if column.is_number { "--:" } else { "---" }.to_owned()).collect();
    let text = |cell: &Cell| {
        let text = if cell.is_strong { format!("**{}**", escaped(&cell.text)) } else { escaped(&cell.text) };
        if cell.note.is_empty() { text } else { format!("{text} {}", escaped(&cell.note)) }
    };
    let rows = table.rows.iter().map(|row| line(row.iter().map(text).collect()));
    [line(names), line(rules)].into_iter().chain(rows).collect()
}

/// A text that neither ends a cell nor becomes markup.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\|*_<>`[]".contains(letter) {
            safe.push('\\');
        }
        safe.push(if letter.is_control() { ' ' } else { letter });
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::table::Column;

    fn table() -> Table {
        let dice = Column::numbers("Dice").meaning("overlap").fields(["dice", "reach"]);
        let row = vec![Cell::word("a|<b>"), Cell::text("0.8").strong().note("[0.7, 0.9]").values([Some(0.8), None])];
        Table { columns: vec![Column::words("arm").fields(["arm"]), dice], rows: vec![row], best: None }
    }

    #[test]
    fn page_markdown_and_csv_show_the_same_cells() {
        assert_eq!(markdown(&table()), "| arm | Dice |\n| --- | --: |\n| a\\|\\<b\\> | **0.8** \\[0.7, 0.9\\] |\n");
        let drawings = Drawings { behind: "Dice".to_owned(), scale: html! { "scale" }, rows: vec![html! { "drawing" }] };
        let page = html(&table(), "x", Some(&drawings)).into_string();
        for part in ["a|&lt;b&gt;", "<strong>0.8</strong><small>[0.7, 0.9]</small>", "drawing", "scale", "title=\"overlap\""] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(String::from_utf8(table().csv()).unwrap(), "arm,dice,reach\na|<b>,0.8,\n");
        assert_eq!(markdown(&table().keeping(|column| column.is_number)), "| Dice |\n| --: |\n| **0.8** \\[0.7, 0.9\\] |\n");
        assert_eq!(markdown(&table().transposed()), "| arm | a\\|\\<b\\> |\n| --- | --: |\n| Dice overlap | **0.8** \\[0.7, 0.9\\] |\n");
    }
}
