//! Published results: a folder with settings and tables, but no trainings, as in `docs/studies`. Its tables are shown as they are.

use std::path::{Path, PathBuf};

use eframe::egui::{RichText, Ui};

use super::table;
use crate::gui::widgets::{Sort, card};
use crate::results::table::{Cell, Column, Table};
use crate::text_file;
use crate::wording::{file_name, sentence};

/// A table of a CSV file.
#[derive(Clone, Debug, PartialEq)]
struct ShownTable {
    name: String,
    table: Table,
    sort: Sort,
    /// By which column the rows are sorted; none: as in the file.
    sorted: Option<Sort>,
}

/// The results of an experiment whose trainings are not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub(super) folder: PathBuf,
    /// Headings and paragraphs of its Markdown, or the question of its config.
    texts: Vec<String>,
    tables: Vec<ShownTable>,
}

/// Whether such results lie in a folder.
pub(super) fn is_at(folder: &Path) -> bool {
    folder.join("config.ron").is_file() && !folder.join("trainings").exists() && !files(folder, "csv").is_empty()
}

/// Files with an ending, by name.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|extension| extension == ending)).collect();
    files.sort();
    files
}

impl Finished {
    /// Reads all tables and texts of a folder.
    ///
    /// # Errors
    /// A file that cannot be read, with its path.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let fault =
            |path: &Path, cause: &dyn std::fmt::Display| format!("{}: {cause}; copy the folder again from its source", path.display());
        let mut texts = Vec::new();
        for path in files(folder, "md") {
            let text = text_file::read(&path).map_err(|error| fault(&path, &error))?;
            // Tables stand in the CSV files, in full.
            let paragraphs = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty() && !text.starts_with('|'));
            texts.extend(paragraphs.map(str::to_owned));
        }
        let mut tables = Vec::new();
        for path in files(folder, "csv") {
            let mut reader = csv::Reader::from_path(&path).map_err(|error| fault(&path, &error))?;
            let titles = reader.headers().map_err(|error| fault(&path, &error))?.clone();
            let rows = reader.records().map(|row| row.map(|row| row.iter().map(|text| Cell::text(shortened(text))).collect()));
            let rows = rows.collect::<Result<Vec<Vec<Cell>>, _>>().map_err(|error| fault(&path, &error))?;
            let columns = titles.iter().enumerate().map(|(place, title)| {
                let title = title.replace('_', " ");
                let is_number = rows.iter().all(|row| row[place].text.is_empty() || row[place].text.parse::<f64>().is_ok());
                let column = if is_number { Column::numbers(&title) } else { Column::words(&title) };
                column.meaning(format!("The column {title} of the file. Sort by it"))
            });
            let table = Table { columns: columns.collect(), rows, best: None };
            let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('_', " ");
            tables.push(ShownTable { name: sentence(&name), table, sort: Sort { column: usize::MAX, descending: false }, sorted: None });
        }
        Ok(Self { folder: folder.to_owned(), texts, tables })
    }

    /// Its name: the folder's.
    pub(super) fn name(&self) -> String {
        file_name(&self.folder)
    }

    /// Draws texts and tables below one another.
    pub(super) fn show(&mut self, ui: &mut Ui) {
        card::column(ui, "published results", |ui| {
            card::card(ui, |ui| {
                ui.label(RichText::new(self.name()).heading().strong());
                let place = card::quiet(ui, format!("Published results in {}; the trainings are not there", self.folder.display())).small();
                card::one_line(ui, place);
                for text in &self.texts {
                    match text.strip_prefix('#') {
                        Some(heading) => card::title(ui, heading.trim_start_matches(['#', ' '])),
                        None => drop(ui.label(text.replace('\n', " "))),
                    }
                }
            });
            for table in &mut self.tables {
                ui.add_space(6.0);
                card::card(ui, |ui| table.show(ui));
            }
        });
    }
}

impl ShownTable {
    fn show(&mut self, ui: &mut Ui) {
        let Sort { column, descending } = self.sort;
        if self.sorted != Some(self.sort) && column < self.table.columns.len() {
            self.table.rows.sort_by(|a, b| crate::volume::natural(&a[column].text, &b[column].text));
            if descending {
                self.table.rows.reverse();
            }
            self.sorted = Some(self.sort);
        }
        table::show(ui, (&self.name, "A table of the folder, as its CSV file holds it"), &self.table, Some(&mut self.sort));
    }
}

/// A number with four decimals at most.
fn shortened(text: &str) -> String {
    match text.split_once('.') {
        Some((_, decimals)) if decimals.len() > 4 && decimals.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| format!("{number:.4}"))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_results_can_be_read() {
        let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/studies");
        let mut known = 0;
        for entry in std::fs::read_dir(studies).unwrap().flatten().filter(|entry| is_at(&entry.path())) {
            let finished = Finished::read(&entry.path()).unwrap();
            assert!(finished.tables.iter().all(|shown| !shown.table.rows.is_empty()), "{}", finished.name());
            known += 1;
        }
        assert!(known > 0);
        assert_eq!([shortened("0.883117"), shortened("1748"), shortened("hippocampus_023")], ["0.8831", "1748", "hippocampus_023"]);
    }
}
