//! A table as people read it: one set of words for the page and for Markdown.

use maud::{Markup, html};

/// A table with a line of names on top.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    /// Names of the columns.
    pub(super) columns: Vec<Column>,
    /// A cell for each column.
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A column's name, and whether it holds numbers.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: String,
    numbers: bool,
    /// What stands in place of the name on the page: the scale of a column of drawings.
    drawn: Option<Markup>,
}

/// What stands in a row and column.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    /// Words.
    Text(String),
    /// What is read first.
    Strong(String),
    /// For the page alone; Markdown leaves the column out.
    Drawn(Markup),
}

impl Column {
    /// A column of names.
    pub(super) fn words(name: impl Into<String>) -> Self {
        Self { name: name.into(), numbers: false, drawn: None }
    }

    /// A column of numbers.
    pub(super) fn numbers(name: impl Into<String>) -> Self {
        Self { name: name.into(), numbers: true, drawn: None }
    }

    /// A column of drawings, with their scale above them.
    pub(super) fn drawings(scale: Markup) -> Self {
        Self { name: String::new(), numbers: false, drawn: Some(scale) }
    }
}

impl Sheet {
    /// As a table of a page; the class chooses its looks.
    pub(super) fn html(&self, class: &str) -> Markup {
        html! {
            div.scroll { table class=(class) {
                thead { tr { @for column in &self.columns {
                    th.left[!column.numbers] { @match &column.drawn { Some(scale) => (scale), None => (column.name) } }
                } } }
                tbody { @for row in &self.rows { tr {
                    @for (cell, column) in row.iter().zip(&self.columns) {
                        td.left[!column.numbers] { @match cell {
                            Cell::Text(text) => (text),
                            Cell::Strong(text) => strong { (text) },
                            Cell::Drawn(drawing) => (drawing),
                        } }
                    }
                } } }
            } }
        }
    }

    /// As a table of Markdown.
    pub(super) fn markdown(&self) -> String {
        let kept: Vec<usize> = (0..self.columns.len()).filter(|&column| self.columns[column].drawn.is_none()).collect();
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let names = kept.iter().map(|&column| escaped(&self.columns[column].name)).collect();
        let rules = kept.iter().map(|&column| if self.columns[column].numbers { "--:" } else { "---" }.to_owned()).collect();
        let rows = self.rows.iter().map(|row| {
            line(
                kept.iter()
                    .map(|&column| match &row[column] {
                        Cell::Text(text) => escaped(text),
                        Cell::Strong(text) => format!("**{}**", escaped(text)),
                        Cell::Drawn(_) => String::new(),
                    })
                    .collect(),
            )
        });
        [line(names), line(rules)].into_iter().chain(rows).collect()
    }
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

    #[test]
    fn a_sheet_reads_the_same_on_the_page_and_in_markdown() {
        let sheet = Sheet {
            columns: vec![Column::words("arm"), Column::numbers("Dice"), Column::drawings(html! { "scale" })],
            rows: vec![vec![Cell::Text("a|<b>".into()), Cell::Strong("0.8".into()), Cell::Drawn(html! { "drawing" })]],
        };
        assert_eq!(sheet.markdown(), "| arm | Dice |\n| --- | --: |\n| a\\|\\<b\\> | **0.8** |\n");
        let page = sheet.html("x").into_string();
        assert!(
            page.contains("a|&lt;b&gt;") && page.contains("<strong>0.8</strong>") && page.contains("drawing") && page.contains("scale")
        );
    }
}
