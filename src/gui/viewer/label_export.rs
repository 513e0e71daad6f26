//! Volumes and intensities of all labels as a table, for a spreadsheet or a file. Taken at one moment; counted on a thread of its own.

use std::path::Path;
use std::sync::Arc;

use eframe::egui::Context;

use super::ViewerPanel;
use super::case::OpenCase;
use super::classes::Classes;
use super::layer::{Kind, Labels, Layer};
use super::requests::Request;
use crate::atomic_file;
use crate::gui::Background;
use crate::gui::widgets::{PathDialog, csv};
use crate::metrics::measurement::under_labels;
use crate::volume::Scan;

/// Titles of the columns.
const TITLES: [&str; 10] = ["case", "labels", "value", "name", "voxels", "volume_ml", "channel", "mean", "sd", "note"];

/// The labels of a layer with all that the table says of them.
pub(super) struct LabelExport {
    case: String,
    layer: String,
    labels: Labels,
    classes: Classes,
    scan: Arc<Scan>,
    channel: (usize, String),
}

impl LabelExport {
    /// Of a layer; none where its labels are not there.
    pub(super) fn new(case: &OpenCase, layer: &Layer) -> Option<Self> {
        Some(Self {
            case: case.request.title.clone(),
            layer: layer.title.clone(),
            labels: layer.labels()?.clone(),
            classes: case.classes.clone(),
            scan: case.background.scan.clone(),
            channel: (case.channel, case.channels[case.channel].clone()),
        })
    }

    /// A row for each label in the order of its number. Takes as long as a look at every voxel.
    fn rows(&self) -> Vec<Vec<String>> {
        let grid = &self.scan.volume.grid;
        let image = &self.scan.volume.voxels[self.channel.0 * grid.len()..][..grid.len()];
        let found = under_labels(image, &self.labels.classes.slices().collect::<Vec<_>>(), self.classes.len());
        let voxel_ml = grid.voxel_mm3() / 1000.0;
        let row = |class: u8| {
            let intensities = found[usize::from(class)];
            let value = self.classes.value(class);
            let voxels = intensities.voxels + intensities.not_finite;
            let shown = (voxels, voxels as f64 * voxel_ml);
            let (voxels, volume_ml) = self.labels.own.as_ref().map_or(shown, |own| own.volume(value));
            let mut notes = Vec::new();
            if self.labels.own.is_some() {
                notes.push("voxels and volume on the label map's own grid; mean and sd over the image's voxels nearest to it".to_owned());
            }
            if intensities.not_finite > 0 {
                notes.push(format!("{} voxels without a number are left out of mean and sd", intensities.not_finite));
            }
            // As many digits as the image's own numbers have.
            let number = |value: Option<f64>| value.map_or_else(String::new, |value| (value as f32).to_string());
            let volume_ml = ((volume_ml * 1e6).round() / 1e6).to_string();
            let [mean, deviation] = [intensities.mean(), intensities.deviation()].map(number);
            let [case, layer, channel] = [&self.case, &self.layer, &self.channel.1].map(String::clone);
            let (value, name) = (value.to_string(), self.classes.name(class).to_owned());
            vec![case, layer, value, name, voxels.to_string(), volume_ml, channel, mean, deviation, notes.join("; ")]
        };
        self.classes.in_order().into_iter().map(row).collect()
    }

    /// With tabs between cells and a line for each label, as spreadsheets take it from the clipboard.
    pub(super) fn tab_separated(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace(['\t', '\n', '\r'], " ")).collect();
            cells.join("\t") + "\n"
        };
        std::iter::once(TITLES.map(str::to_owned).to_vec()).chain(self.rows()).map(|cells| line(&cells)).collect()
    }

    /// As the text of a CSV file.
    pub(super) fn csv(&self) -> String {
        csv(&TITLES.map(str::to_owned), self.rows().into_iter())
    }
}

impl ViewerPanel {
    /// Puts the volumes of the shown labels on the clipboard, or asks for the file to save them in.
    pub(super) fn export_labels(&mut self, ctx: &Context, to_file: bool) {
        let Some(case) = &self.open else { return };
        let Some(layer) = self.views.shown_layer(case) else { return };
        if layer.kind == Kind::Segmented && self.segmenting.is_running() {
            self.notice = Some("The segmentation is not finished: its volumes can be copied and saved when it is.".to_owned());
            return;
        }
        let Some(export) = LabelExport::new(case, layer) else { return };
        if !to_file {
            self.copying = Some(Background::start(ctx, move || export.tab_separated()));
            return;
        }
        let suggested = case.folder().join(format!("{}_labels.csv", case.request.title));
        let write = move |file: &Path| {
            let written = atomic_file::write(file, export.csv().as_bytes());
            written.map_err(|error| format!("{}: {error}; check the free space and the folder's permissions", file.display()))?;
            Ok(Request::Notice(format!("Saved as {}", file.display())))
        };
        self.dialog = Some(PathDialog::save(ctx, ("Save the volumes of the labels", "CSV", &["csv"]), suggested, write));
    }

    /// Hands a table that has been counted to the clipboard.
    pub(super) fn poll_copying(&mut self, ctx: &Context) {
        if !self.copying.as_mut().is_some_and(Background::poll) {
            return;
        }
        self.notice = Some(match self.copying.take().and_then(Background::take) {
            Some(text) => {
                let labels = text.lines().count() - 1;
                ctx.copy_text(text);
                format!("The volumes of {labels} labels are on the clipboard; paste them into a spreadsheet.")
            }
            None => "Counting the labels ended by a fault of the program; try again.".to_owned(),
        });
    }
}
