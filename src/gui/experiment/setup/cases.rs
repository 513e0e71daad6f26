//! The check of a dataset as a table: a row for each case, sorted by any column, and everything wrong with it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use eframe::egui::{RichText, ScrollArea, Ui};

use crate::gui::Palette;
use crate::gui::widgets::{Cell, Column, Sort, Table, Width, card};
use crate::volume::check::{CaseRow, CheckReport, image_cells, label_cell};
use crate::volume::natural;
use crate::wording::{count, file_name, sentence};

/// Two small lines of text, and three where columns are narrow, in points.
const TROUBLE_HEIGHTS: [f32; 2] = [34.0, 48.0];
const NARROW: f32 = 800.0;
/// Share of the room that problems may take from the table, and points at least.
const PROBLEMS: (f32, f32) = (0.4, 88.0);

/// Titles of the columns, and what they hold; the last column's title is the dataset's own.
const COLUMNS: [(&str, &str, Width); 8] = [
    ("Case", "Sort by name", Width::Drag(126.0)),
    ("Check", "Problems make a case unusable; notes are worth knowing. Sort by their number", Width::Exact(74.0)),
    ("D x H x W", "Voxels along D, H, W. Sort by their number", Width::Drag(122.0)),
    ("mm", "Voxel size along D, H, W in mm; one number where all are equal. Sort by the largest", Width::Drag(146.0)),
    ("Axes", "Where the file's axes i, j, k point: R right, A front, S head. Training reorients all to RAS", Width::Exact(46.0)),
    ("Ch.", "Number of channels. Sort by it", Width::Exact(34.0)),
    ("0.5 / 50 / 99.5 %", "Intensity of the first channel at these percentiles. Sort by the highest", Width::Drag(150.0)),
    ("", "Sort by the number of labelled voxels", Width::Rest(150.0)),
];

/// A case, written once.
struct Line {
    /// In the order of the columns, without the check.
    cells: [String; 7],
    /// What each column is sorted by where it is not its text.
    numbers: [f64; 8],
    /// Everything wrong with the case, then what is worth knowing.
    remarks: Vec<String>,
    problems: usize,
}

/// The cases of a dataset as they are shown.
pub(super) struct CaseTable {
    lines: Vec<Line>,
    /// Rows in the order in which they are shown, and by which column they were sorted.
    order: Vec<usize>,
    sorted: Option<Sort>,
    sort: Sort,
    labels: String,
    /// Case, file, cause, remedy, whole path.
    troubles: Vec<[String; 5]>,
}

impl CaseTable {
    /// Writes the cells of every case.
    pub(super) fn new(report: &CheckReport) -> Self {
        let foreground = report.foreground();
        let mut problems: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for problem in &report.problems {
            problems.entry(problem.case.as_deref().unwrap_or_default()).or_default().push(problem.error.to_string());
        }
        let none = Vec::new();
        let lines: Vec<Line> =
            report.rows.iter().map(|row| line(row, &foreground, problems.get(row.name.as_str()).unwrap_or(&none))).collect();
        let trouble = |problem: &crate::volume::Problem| {
            let (file, fault) = (&problem.error.file, &problem.error.fault);
            let name = file_name(file);
            [problem.case.clone().unwrap_or_default(), name, fault.to_string(), fault.remedy().to_owned(), file.display().to_string()]
        };
        let mut troubles: Vec<[String; 5]> = report.problems.iter().map(trouble).collect();
        troubles.sort_by(|a, b| natural(&a[0], &b[0]));
        let sort = Sort { column: 0, descending: false };
        Self { order: (0..lines.len()).collect(), lines, sorted: None, sort, labels: sentence(&report.label_title()), troubles }
    }

    /// The table, and above it what is wrong.
    pub(super) fn show(&mut self, ui: &mut Ui) {
        if !self.troubles.is_empty() {
            let most = (ui.available_height() * PROBLEMS.0).max(PROBLEMS.1);
            card::card(ui, |ui| self.problems(ui, most));
            ui.add_space(6.0);
        }
        if self.sorted != Some(self.sort) {
            self.order = sorted(&self.lines, self.sort);
            self.sorted = Some(self.sort);
        }
        let (lines, order, palette) = (&self.lines, &self.order, Palette::of(ui));
        let columns = COLUMNS.into_iter().enumerate().map(|(index, (title, meaning, width))| match index {
            0 => Column::names(title, meaning, width),
            _ if title.is_empty() => Column::new(self.labels.clone(), meaning, width),
            _ => Column::new(title, meaning, width),
        });
        let table = Table::new("Cases", columns.collect()).sortable(&mut self.sort).scrolling();
        card::card(ui, |ui| {
            table.show(ui, order.len(), |row, column| {
                let line = &lines[order[row]];
                match column {
                    0 => line.cells[0].as_str().into(),
                    1 => check(line, palette),
                    _ => line.cells[column - 1].as_str().into(),
                }
            })
        });
    }

    fn problems(&self, ui: &mut Ui, most: f32) {
        let title = count(self.troubles.len(), "problem");
        ui.label(RichText::new(title).strong().size(15.0).color(Palette::of(ui).bad()));
        let width = ui.available_width();
        let columns = vec![
            Column::new("Case", "The case as the dataset names it", Width::Exact(100.0)),
            Column::new("File", "The file that the problem is in", Width::Exact((width * 0.14).max(90.0))),
            Column::new("What is wrong", "What was found, and what was expected", Width::Exact((width * 0.4).max(120.0))),
            Column::new("What to do", "How to mend it", Width::Rest(100.0)),
        ];
        ScrollArea::vertical().id_salt("problems").max_height(most).auto_shrink([false, true]).show(ui, |ui| {
            let table = Table::new("Problems", columns).row_height(TROUBLE_HEIGHTS[usize::from(width < NARROW)]);
            table.show(ui, self.troubles.len(), |row, column| {
                let trouble = &self.troubles[row];
                let hover = &trouble[if column == 1 { 4 } else { column }];
                let text = trouble[column].as_str();
                let draw = move |ui: &mut Ui| {
                    ui.add(eframe::egui::Label::new(RichText::new(text).small()).wrap()).on_hover_text(hover.as_str());
                };
                Cell { draw: Some(Box::new(draw)), ..text.into() }
            })
        });
    }
}

/// Whether a case can be used, in a word; why, under the pointer.
fn check(line: &Line, palette: Palette) -> Cell<'_> {
    let (word, colour) = match (line.problems, line.remarks.len()) {
        (0, 0) => ("good".to_owned(), palette.good()),
        (0, notes) => (count(notes, "note"), palette.caution()),
        (problems, _) => (count(problems, "problem"), palette.bad()),
    };
    Cell { colour: Some(colour), hover: line.remarks.join("\n").into(), ..word.into() }
}

/// Rows in the order of a column; equal ones stay in theirs.
fn sorted(lines: &[Line], Sort { column, descending }: Sort) -> Vec<usize> {
    let compare = |a: &Line, b: &Line| match column {
        0 => natural(&a.cells[0], &b.cells[0]),
        4 | 5 => natural(&a.cells[column - 1], &b.cells[column - 1]),
        _ => a.numbers[column].total_cmp(&b.numbers[column]),
    };
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|&a, &b| {
        let order: Ordering = compare(&lines[a], &lines[b]).then(a.cmp(&b));
        if descending { order.reverse() } else { order }
    });
    order
}

fn line(row: &CaseRow, foreground: &[u32], problems: &[String]) -> Line {
    let image = row.image.as_ref();
    let [shape, spacing, axes, intensity] = image.map_or(["-", "-", "-", "-"].map(str::to_owned), image_cells);
    let labelled: u64 = row.labels.iter().flatten().filter(|(value, _)| **value != 0).map(|(_, voxels)| voxels).sum();
    let voxels: usize = image.map_or(0, |image| image.shape.iter().product());
    let largest_mm = image.map_or(0.0, |image| image.spacing_mm.into_iter().fold(0.0, f64::max));
    let high = image.and_then(|image| image.intensity.first()).map_or(0.0, |[_, _, high]| f64::from(*high));
    // Many problems first.
    let trouble = -(1e6 * problems.len() as f64 + row.notes.len() as f64);
    Line {
        cells: [row.name.clone(), shape, spacing, axes, row.channels().to_string(), intensity, label_cell(row, foreground)],
        numbers: [0.0, trouble, voxels as f64, largest_mm, 0.0, 0.0, high, labelled as f64],
        remarks: problems.iter().chain(&row.notes).cloned().collect(),
        problems: problems.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::check::ImageSummary;

    #[test]
    fn columns_sort_by_their_numbers_and_back() {
        let image = |shape| ImageSummary { shape, spacing_mm: [1.0; 3], axes: "RAS".to_owned(), intensity: vec![[0.0, 1.0, 2.0]] };
        let row = |(name, depth): (&str, usize)| CaseRow {
            name: name.to_owned(),
            image: Some(image([depth, 2, 2])),
            labels: None,
            notes: Vec::new(),
        };
        let lines: Vec<Line> = [("a", 100), ("b", 9), ("c", 20)].map(row).iter().map(|row| line(row, &[], &[])).collect();
        let order = |column, descending| sorted(&lines, Sort { column, descending });
        assert_eq!(order(2, false), [1, 2, 0], "by number, not by letters");
        assert_eq!(order(2, true), [0, 2, 1]);
        assert_eq!(order(4, false), [0, 1, 2], "equal ones stay in their order");
    }
}
