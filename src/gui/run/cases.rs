//! The check of a dataset as a table: a row for each case, sorted by any column, and everything wrong with it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use eframe::egui::{Align, Button, Label, Layout, RichText, ScrollArea, Sense, Ui};
use egui_extras::{Column, TableBuilder, TableRow};

use super::card;
use crate::gui::Palette;
use crate::volume::check::{CaseRow, CheckReport, image_cells, label_cell};
use crate::volume::natural;
use crate::wording::count;

const ROW_HEIGHT: f32 = 22.0;
/// Two small lines of text, and three where columns are narrow.
const TROUBLE_HEIGHTS: [f32; 2] = [34.0, 48.0];
const NARROW: f32 = 800.0;
/// Share of the room that problems may take from the table, and points at most.
const PROBLEMS_SHARE: f32 = 0.4;

/// What a column holds, and is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Case,
    Shape,
    Spacing,
    Axes,
    Channels,
    Intensity,
    Labels,
    State,
}

/// The cells of a case, written once.
struct Line {
    /// In the order of the columns up to the labels.
    cells: [String; 7],
    voxels: usize,
    spacing: f64,
    intensity: f32,
    labelled: u64,
    /// Everything wrong with the case, then what is worth knowing.
    remarks: Vec<String>,
    problems: usize,
}

/// Something wrong, as a row of its own.
struct Trouble {
    case: String,
    file: String,
    path: String,
    cause: String,
    remedy: String,
}

/// The cases of a dataset as they are shown.
pub(super) struct CaseTable {
    lines: Vec<Line>,
    /// Rows in the order in which they are shown.
    order: Vec<usize>,
    sorted: (Key, bool),
    titles: [String; 8],
    troubles: Vec<Trouble>,
}

impl CaseTable {
    /// Writes the cells of every case.
    pub(super) fn new(report: &CheckReport) -> Self {
        let foreground = report.foreground();
        let mut problems: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for problem in &report.problems {
            problems.entry(problem.case.as_deref().unwrap_or_default()).or_default().push(problem.error.to_string());
        }
        let lines: Vec<Line> =
            report.rows.iter().map(|row| line(row, &foreground, problems.get(row.name.as_str()).map_or(&[], Vec::as_slice))).collect();
        let troubles = report.problems.iter().map(|problem| {
            let file = &problem.error.file;
            Trouble {
                case: problem.case.clone().unwrap_or_default(),
                file: file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
                path: file.display().to_string(),
                cause: problem.error.fault.to_string(),
                remedy: problem.error.fault.remedy().to_owned(),
            }
        });
        let titles = ["Case", "Check", "D x H x W", "mm", "Axes", "Ch.", "0.5 / 50 / 99.5 %", ""].map(str::to_owned);
        let mut troubles: Vec<Trouble> = troubles.collect();
        troubles.sort_by(|a, b| natural(&a.case, &b.case));
        let order = (0..lines.len()).collect();
        let mut table = Self { order, lines, sorted: (Key::State, true), titles, troubles };
        table.sort(Key::Case);
        table.titles[7] = crate::wording::sentence(&report.label_title());
        table
    }

    /// The table, and above it what is wrong.
    pub(super) fn show(&mut self, ui: &mut Ui) {
        if !self.troubles.is_empty() {
            let most = (ui.available_height() * PROBLEMS_SHARE).max(4.0 * ROW_HEIGHT);
            card::card(ui, |ui| self.problems(ui, most));
            ui.add_space(6.0);
        }
        card::card(ui, |ui| self.table(ui));
    }

    fn problems(&self, ui: &mut Ui, most: f32) {
        let title = count(self.troubles.len(), "problem");
        ui.label(RichText::new(title).strong().size(15.0).color(Palette::of(ui).bad()));
        let width = ui.available_width();
        let height = TROUBLE_HEIGHTS[usize::from(width < NARROW)];
        let table = TableBuilder::new(ui)
            .id_salt("problems")
            .striped(true)
            .max_scroll_height(most)
            .min_scrolled_height(0.0)
            .auto_shrink([false, true])
            .cell_layout(Layout::left_to_right(Align::Center))
            .column(Column::exact(100.0).clip(true))
            .column(Column::exact((width * 0.14).max(90.0)).clip(true))
            .column(Column::exact((width * 0.4).max(120.0)).clip(true))
            .column(Column::remainder().clip(true));
        let header = table.header(ROW_HEIGHT, |mut row| {
            for title in ["Case", "File", "What is wrong", "What to do"] {
                row.col(|ui| {
                    ui.label(card::quiet(ui, title).small());
                });
            }
        });
        header.body(|body| {
            body.rows(height, self.troubles.len(), |mut row| {
                let trouble = &self.troubles[row.index()];
                for (text, whole) in [
                    (&trouble.case, &trouble.case),
                    (&trouble.file, &trouble.path),
                    (&trouble.cause, &trouble.cause),
                    (&trouble.remedy, &trouble.remedy),
                ] {
                    row.col(|ui| {
                        ui.add(Label::new(RichText::new(text.as_str()).small()).wrap()).on_hover_text(whole.as_str());
                    });
                }
            });
        });
    }

    fn table(&mut self, ui: &mut Ui) {
        let mut clicked = None;
        ScrollArea::horizontal().id_salt("case columns").auto_shrink([false, false]).show(ui, |ui| {
            let table = TableBuilder::new(ui)
                .id_salt("cases")
                .striped(true)
                .auto_shrink([false, false])
                .cell_layout(Layout::left_to_right(Align::Center))
                .column(Column::initial(126.0).at_least(80.0).clip(true).resizable(true))
                .column(Column::initial(74.0).clip(true))
                .column(Column::initial(122.0).at_least(70.0).clip(true).resizable(true))
                .column(Column::initial(146.0).at_least(50.0).clip(true).resizable(true))
                .column(Column::initial(46.0).clip(true))
                .column(Column::initial(34.0).clip(true))
                .column(Column::initial(150.0).at_least(80.0).clip(true).resizable(true))
                .column(Column::remainder().at_least(150.0).clip(true));
            let header = table.header(ROW_HEIGHT, |mut row| {
                for (title, key) in self.titles.iter().zip(KEYS) {
                    row.col(|ui| {
                        let mark = match self.sorted {
                            (sorted, up) if sorted == key => {
                                if up {
                                    " ^"
                                } else {
                                    " v"
                                }
                            }
                            _ => "",
                        };
                        let text = RichText::new(format!("{title}{mark}")).small().strong();
                        if ui.add(Button::new(text).frame(false)).on_hover_text(hint(key)).clicked() {
                            clicked = Some(key);
                        }
                    });
                }
            });
            header.body(|body| body.rows(ROW_HEIGHT, self.order.len(), |row| self.row(row)));
        });
        if let Some(key) = clicked {
            self.sort(key);
        }
    }

    fn row(&self, mut row: TableRow<'_, '_>) {
        let line = &self.lines[self.order[row.index()]];
        let [name, rest @ ..] = &line.cells;
        row.col(|ui| {
            card::one_line(ui, name.as_str());
        });
        row.col(|ui| state(ui, line));
        for cell in rest {
            row.col(|ui| {
                card::one_line(ui, RichText::new(cell.as_str()).monospace());
            });
        }
    }

    /// Sorts by a column; once more turns the order round.
    fn sort(&mut self, key: Key) {
        let up = if self.sorted.0 == key { !self.sorted.1 } else { true };
        self.sorted = (key, up);
        let lines = &self.lines;
        self.order.sort_by(|&a, &b| {
            let order = compare(&lines[a], &lines[b], key).then(a.cmp(&b));
            if up { order } else { order.reverse() }
        });
    }
}

const KEYS: [Key; 8] = [Key::Case, Key::State, Key::Shape, Key::Spacing, Key::Axes, Key::Channels, Key::Intensity, Key::Labels];

/// Whether a case can be used, in a word; why, under the pointer.
fn state(ui: &mut Ui, line: &Line) {
    let palette = Palette::of(ui);
    let (word, colour) = match (line.problems, line.remarks.len()) {
        (0, 0) => ("good".to_owned(), palette.good()),
        (0, notes) => (count(notes, "note"), palette.caution()),
        (problems, _) => (count(problems, "problem"), palette.bad()),
    };
    let label = ui.add(Label::new(RichText::new(word).color(colour)).sense(Sense::hover()));
    if !line.remarks.is_empty() {
        label.on_hover_text(line.remarks.join("\n"));
    }
}

fn hint(key: Key) -> &'static str {
    match key {
        Key::Case => "Sort by name",
        Key::Shape => "Voxels along D, H, W. Sort by their number",
        Key::Spacing => "Voxel size along D, H, W in mm; one number where all are equal. Sort by the largest",
        Key::Axes => "Where the file's axes i, j, k point: R right, A front, S head. Training turns all to RAS",
        Key::Channels => "Number of channels. Sort by it",
        Key::Intensity => "Intensity of the first channel at these percentiles. Sort by the highest",
        Key::Labels => "Sort by the number of labelled voxels",
        Key::State => "Problems make a case unusable; notes are worth knowing. Sort by their number",
    }
}

fn compare(a: &Line, b: &Line, key: Key) -> Ordering {
    match key {
        Key::Case => natural(&a.cells[0], &b.cells[0]),
        Key::Shape => a.voxels.cmp(&b.voxels),
        Key::Spacing => a.spacing.total_cmp(&b.spacing),
        Key::Axes => a.cells[3].cmp(&b.cells[3]),
        Key::Channels => natural(&a.cells[4], &b.cells[4]),
        Key::Intensity => a.intensity.total_cmp(&b.intensity),
        Key::Labels => a.labelled.cmp(&b.labelled),
        Key::State => (b.problems, b.remarks.len()).cmp(&(a.problems, a.remarks.len())),
    }
}

fn line(row: &CaseRow, foreground: &[u32], problems: &[String]) -> Line {
    let image = row.image.as_ref();
    let [shape, spacing, axes, intensity] = image.map_or(["-", "-", "-", "-"].map(str::to_owned), image_cells);
    let labelled = row.labels.iter().flatten().filter(|(value, _)| **value != 0).map(|(_, voxels)| voxels).sum();
    Line {
        cells: [row.name.clone(), shape, spacing, axes, row.channels().to_string(), intensity, label_cell(row, foreground)],
        voxels: image.map_or(0, |image| image.shape.iter().product()),
        spacing: image.map_or(0.0, |image| image.spacing_mm.into_iter().fold(0.0, f64::max)),
        intensity: image.and_then(|image| image.intensity.first()).map_or(0.0, |[_, _, high]| *high),
        labelled,
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
        let row = |name: &str, shape: [usize; 3]| CaseRow {
            name: name.to_owned(),
            image: Some(ImageSummary { shape, spacing_mm: [1.0; 3], axes: "RAS".to_owned(), intensity: vec![[0.0, 1.0, 2.0]] }),
            labels: None,
            notes: Vec::new(),
        };
        let rows = vec![row("a", [100, 2, 2]), row("b", [9, 2, 2]), row("c", [20, 2, 2])];
        let report = CheckReport {
            name: String::new(),
            channels: Vec::new(),
            labels: BTreeMap::new(),
            rows,
            problems: Vec::new(),
            notes: Vec::new(),
            equal_images: Vec::new(),
        };
        let mut table = CaseTable::new(&report);
        table.sort(Key::Shape);
        assert_eq!(table.order, [1, 2, 0], "by number, not by letters");
        table.sort(Key::Shape);
        assert_eq!(table.order, [0, 2, 1]);
        table.sort(Key::Axes);
        assert_eq!(table.order, [0, 1, 2], "equal ones stay in their order");
    }
}
