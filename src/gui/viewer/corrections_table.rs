//! How corrections shrink from case to case: Dice of the corrected against the predicted labels, as a curve and as a table.

use eframe::egui::{Grid, RichText, ScrollArea, Ui};
use egui_plot::PlotPoint;

use crate::corrections::{Correction, Corrections};
use crate::gui::Palette;
use crate::gui::widgets::{Axis, Chart, Series};

/// Height of the curve and of the table, at most, in points.
const CURVE: f32 = 110.0;
const TABLE: f32 = 150.0;

/// Draws the curve, where two cases or more were compared, and the table, newest first.
pub(super) fn show(ui: &mut Ui, all: &Corrections) {
    let compared = all.corrections.iter().filter_map(Correction::dice);
    let points: Vec<PlotPoint> = compared.enumerate().map(|(index, dice)| PlotPoint::new(index as f64 + 1.0, dice)).collect();
    if points.len() > 1 {
        let meaning = "Mean Dice over the labels of the corrected against the predicted map: 1 where nothing had to be corrected";
        let axes = [Axis::new("corrected case"), Axis::new("Dice").include([1.0])];
        let line = Series::line("corrected against predicted", Palette::of(ui).series(0), &points);
        Chart::new("Corrections", meaning, CURVE, axes).series([line]).show(ui);
    }
    ScrollArea::vertical().id_salt("corrections").max_height(TABLE).show(ui, |ui| {
        Grid::new("corrections table").num_columns(4).striped(true).show(ui, |ui| {
            for title in ["Case", "When (UTC)", "Dice", "Changed voxels"] {
                ui.label(RichText::new(title).strong());
            }
            ui.end_row();
            for correction in all.corrections.iter().rev() {
                row(ui, correction);
                ui.end_row();
            }
        });
    });
}

fn row(ui: &mut Ui, correction: &Correction) {
    let of_label =
        |label: &crate::corrections::LabelCorrection| format!("{}: Dice {:.3}, {} voxels", label.name, label.dice, label.changed_voxels);
    let labels: Vec<String> = correction.labels.iter().map(of_label).collect();
    let network = correction.network.as_deref().unwrap_or("not known");
    ui.label(&correction.case).on_hover_text(format!("Network: {network}"));
    ui.label(correction.date.strftime("%Y-%m-%d %H:%M").to_string());
    let dice = correction.dice().map_or_else(|| "-".to_owned(), |dice| format!("{dice:.3}"));
    ui.label(dice).on_hover_text(if labels.is_empty() { "Not compared".to_owned() } else { labels.join("\n") });
    ui.label(correction.changed_voxels.map_or_else(|| "-".to_owned(), |voxels| voxels.to_string()));
}
