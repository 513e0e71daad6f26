//! The numbers beside those of the references.

use eframe::egui::{self, Align, Layout, RichText, Ui};

use super::measures::{Measure, Use, measures};
use super::place::Place;
use crate::metrics::collapse::Collapse;
use crate::protocol::{CollapsePair, RunState, StageState};

/// The encoder of the moment, and the references beside it.
pub(super) struct Beside<'a> {
    pub(super) now: Option<&'a CollapsePair>,
    pub(super) untrained: Option<&'a CollapsePair>,
    constant: Option<&'a CollapsePair>,
    noise: Option<&'a CollapsePair>,
}

/// Columns: title, and what stands there.
const COLUMNS: [(&str, &str); 4] = [
    ("Now", "The measurement of the newest step"),
    ("Untrained", "The same network before its first step, on the same crops"),
    ("Constant", "The untrained network on crops without any structure: what its position codes alone make of nothing"),
    ("Noise", "The untrained network on white noise"),
];

/// Width of a column of numbers.
const NUMBER: f32 = 53.0;
/// Height of a row: a name, and what the field calls it.
const ROW: f32 = 31.0;

impl<'a> Beside<'a> {
    pub(super) fn of(state: &'a RunState, stage: Option<&'a StageState>) -> Self {
        let baseline = |name: &str| state.baselines.get(name);
        Self {
            now: stage.and_then(StageState::last_probe),
            // An arm may have a network of its own: its own first measurement is the better reference.
            untrained: stage.and_then(StageState::untrained_probe).or_else(|| baseline("untrained")),
            constant: baseline("constant"),
            noise: baseline("noise"),
        }
    }

    fn columns(&self, place: Place) -> [Option<&'a Collapse>; 4] {
        [self.now, self.untrained, self.constant, self.noise].map(|pair| pair.and_then(|pair| place.numbers(pair)))
    }

    /// Draws the table.
    pub(super) fn show(&self, ui: &mut Ui, place: Place) {
        let columns = self.columns(place);
        let measures = measures(self.now);
        ui.spacing_mut().item_spacing.y = 3.0;
        for purpose in Use::ALL {
            ui.add_space(6.0);
            ui.label(RichText::new(purpose.title()).strong());
            let names = ui.available_width() - 4.0 * (NUMBER + 8.0) - 8.0;
            egui::Grid::new(purpose.title()).num_columns(5).striped(true).min_row_height(16.0).spacing([8.0, 2.0]).show(ui, |ui| {
                if purpose == Use::Judging {
                    header(ui, names);
                }
                for measure in measures.iter().filter(|measure| measure.purpose == purpose) {
                    row(ui, measure, &columns, names);
                    ui.end_row();
                }
            });
        }
    }
}

fn header(ui: &mut Ui, names: f32) {
    ui.allocate_exact_size([names, 0.0].into(), egui::Sense::hover());
    for (title, meaning) in COLUMNS {
        cell(ui, RichText::new(title).small(), meaning, 16.0);
    }
    ui.end_row();
}

fn row(ui: &mut Ui, measure: &Measure, columns: &[Option<&Collapse>; 4], names: f32) {
    let tooltip = |ui: &mut Ui| {
        ui.set_max_width(340.0);
        ui.strong(format!("{} ({})", measure.name, measure.term));
        ui.label(measure.meaning);
    };
    ui.allocate_ui_with_layout([names, ROW].into(), Layout::top_down(Align::Min), |ui| {
        ui.set_min_width(names);
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.add(egui::Label::new(&measure.name).truncate()).on_hover_ui(tooltip);
        let hint = format!("{}: {}", measure.term, measure.healthy);
        ui.add(egui::Label::new(RichText::new(hint).small().weak()).truncate()).on_hover_ui(tooltip);
    });
    for (index, collapse) in columns.iter().enumerate() {
        let text = RichText::new(measure.word(*collapse)).monospace();
        cell(ui, if index == 0 { text.strong() } else { text.weak() }, measure.term.as_str(), ROW);
    }
}

/// A cell of a number, right-aligned so that points stand under one another.
fn cell(ui: &mut Ui, text: RichText, meaning: &str, height: f32) {
    ui.allocate_ui_with_layout([NUMBER, height].into(), Layout::right_to_left(Align::Center), |ui| {
        ui.set_min_width(NUMBER);
        ui.label(text).on_hover_text(meaning);
    });
}
