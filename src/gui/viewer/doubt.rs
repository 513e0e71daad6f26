//! Dropped files: which of them are images and which label maps, and the question where their voxels do not say.

use std::path::PathBuf;

use eframe::egui::{Grid, Id, Modal, Ui};

use super::SegmentationPanel;
use super::content::{Content, content};
use crate::gui::Workspace;
use crate::volume::nifti;

/// Dropped volumes, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// In the order of their names: one, or one for each channel.
    pub(super) images: Vec<PathBuf>,
    /// Label maps.
    pub(super) labels: Vec<PathBuf>,
    /// What may be either, and whether the user takes it for a label map.
    pub(super) unclear: Vec<(PathBuf, bool)>,
}

/// Tells images and label maps apart by their voxels.
///
/// # Errors
/// Files that cannot be read: then none is opened.
pub(super) fn sort(mut files: Vec<PathBuf>) -> Result<Sorted, String> {
    files.sort();
    let mut sorted = Sorted::default();
    let mut faults = Vec::new();
    for file in files {
        match nifti::read(&file).map(|scan| content(&scan)) {
            Ok(Content::Image) => sorted.images.push(file),
            Ok(Content::Labels) => sorted.labels.push(file),
            Ok(Content::Unclear) => sorted.unclear.push((file, true)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if faults.is_empty() { Ok(sorted) } else { Err(format!("Nothing was opened: {}", faults.join("\n"))) }
}

impl SegmentationPanel {
    /// Asks what dropped files are, where their voxels do not say.
    pub(super) fn ask_what_they_are(&mut self, ui: &Ui, workspace: &Workspace) {
        let Some(sorted) = &mut self.doubt else { return };
        let mut go_on = false;
        let modal = Modal::new(Id::unique("image or label map")).show(ui.ctx(), |ui| {
            ui.set_max_width(460.0);
            ui.heading("Image or label map?");
            ui.label("These voxels are whole numbers and may be either. A label map lies over its image; an image is opened instead of what is open.");
            ui.add_space(4.0);
            Grid::new("unclear files").num_columns(3).show(ui, |ui| {
                for (file, labels) in &mut sorted.unclear {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    ui.label(name.as_ref()).on_hover_text(file.display().to_string());
                    ui.radio_value(labels, true, "Label map");
                    ui.radio_value(labels, false, "Image");
                    ui.end_row();
                }
            });
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                go_on = ui.button("Open").clicked();
                ui.button("Cancel").clicked()
            })
            .inner
        });
        if go_on {
            let Sorted { mut images, mut labels, unclear } = self.doubt.take().unwrap_or_default();
            for (file, is_labels) in unclear {
                if is_labels { &mut labels } else { &mut images }.push(file);
            }
            images.sort();
            self.take_sorted(ui.ctx(), Sorted { images, labels, unclear: Vec::new() }, workspace);
        } else if modal.inner || modal.should_close() {
            self.doubt = None;
        }
    }
}
