//! To be built.

use std::path::PathBuf;

use eframe::egui::{self, Ui};

use super::Desk;

/// To be built.
#[derive(Default)]
pub struct RunPanel {}

impl RunPanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, _desk: &mut Desk) {
        ui.label("This panel is not there yet.");
    }

    /// Takes files that were dropped on the window.
    pub fn take_dropped(&mut self, _ctx: &egui::Context, _paths: &[PathBuf], _desk: &mut Desk) {}
}
