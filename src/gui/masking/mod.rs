//! What masking does to a volume, and to the contrast.
//!
//! `source` reads a case and draws the views of a pre-training step, `volumes` puts them on the GPU, `panes` shows them side by side;
//! `sweep` has the worker try every mask ratio on a checkpoint, and `curve` draws what comes of it.

mod curve;
mod panes;
mod source;
mod sweep;
#[cfg(test)]
mod tests;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui::{self, RichText, ScrollArea, Ui};

use super::experiment::source_of;
use super::{Background, Palette, Workspace};
use crate::config::{DataSource, hidden_cells};
use crate::gui::widgets::slice::Plane;
use crate::protocol::{Stage, StageKind};
use panes::Panes;
use source::{Setting, Source, Wanted, arms};
use sweep::Sweep;

/// Highest mask ratio of the slider.
const MOST: f64 = 0.95;
/// Heights of everything but panes and plots.
const FURNITURE: f32 = 176.0;

/// The panel.
#[derive(Default)]
pub struct MaskRatioPanel {
    /// The mask ratio; none until it was set to that of the settings.
    ratio: Option<f64>,
    wanted: Wanted,
    /// The arm whose settings are shown; none: the first.
    arm: Option<Stage>,
    /// A dataset in place of the run's own.
    data: Option<DataSource>,
    /// A dropped dataset that is being read.
    opening: Option<Background<Result<DataSource, String>>>,
    source: Source,
    panes: Panes,
    sweep: Sweep,
    /// Settings, kept while nothing that decides them has changed.
    setting: Option<(SettingKey, Arc<Setting>)>,
}

/// What decides the settings: the run, its number of stages, the arm, the dataset.
type SettingKey = (Option<PathBuf>, usize, Option<Stage>, Option<DataSource>);

impl MaskRatioPanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        if self.opening.as_mut().is_some_and(Background::poll) {
            match self.opening.take().and_then(Background::take) {
                Some(Ok(data)) => self.data = Some(data),
                Some(Err(trouble)) => workspace.trouble(trouble),
                None => workspace.trouble("reading the dataset ended by an internal error; try again"),
            }
        }
        let setting = self.setting(workspace);
        let own = workspace.shown().map(|_| setting.config.pretrain.mask_ratio);
        let ratio = *self.ratio.get_or_insert(setting.config.pretrain.mask_ratio);
        self.source.refresh(ui.ctx(), &setting, self.wanted);
        self.sweep.refresh(ui.ctx(), workspace, &setting);
        self.bar(ui, workspace);
        self.slider(ui, own);
        ui.separator();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let room = (ui.available_height() - FURNITURE).max(330.0);
            self.views(ui, workspace, ratio, (room * 0.6).clamp(200.0, 460.0));
            ui.add_space(8.0);
            ui.separator();
            self.sweep.show(ui, workspace, (self.arm.as_ref(), &setting), (room * 0.4).clamp(130.0, 320.0));
        });
    }

    /// The settings that are shown.
    fn setting(&mut self, workspace: &Workspace) -> Arc<Setting> {
        let run = workspace.shown();
        let stages = run.map_or(0, |run| run.stages().count());
        let key = (run.map(|run| run.folder.root().to_owned()), stages, self.arm.clone(), self.data.clone());
        if let Some((known, setting)) = &self.setting
            && *known == key
        {
            return setting.clone();
        }
        if self.setting.as_ref().is_some_and(|(known, _)| known.0 != key.0) {
            // Another run: its own ratio and its own arms.
            (self.arm, self.ratio) = (None, None);
        }
        let setting = Arc::new(Setting::new(workspace, self.arm.as_ref(), self.data.as_ref()));
        self.setting = Some(((key.0, key.1, self.arm.clone(), key.3), setting.clone()));
        setting
    }

    /// Which case of what, which draw, how it is shown.
    fn bar(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        ui.horizontal_wrapped(|ui| {
            self.run_and_arm(ui, workspace);
            ui.label("Case");
            let names = self.source.names().to_vec();
            let combo = egui::ComboBox::from_id_salt("mask case").width(150.0);
            combo
                .show_index(ui, &mut self.source.case, names.len(), |index| names.get(index).cloned().unwrap_or_else(|| "-".to_owned()))
                .on_hover_text("The case whose views are shown");
            if ui.button("Another draw").on_hover_text("Another crop, rotation, texture and mask of the same case").clicked() {
                self.wanted.draw += 1;
            }
            ui.label(RichText::new(format!("draw {}", self.wanted.draw + 1)).small());
            ui.checkbox(&mut self.wanted.texture, "Texture")
                .on_hover_text("Also change intensities as pre-training does: noise, ringing, scale, shift");
            ui.separator();
            let plane = self.panes.plane.get_or_insert(Plane::Axial);
            for choice in Plane::ALL {
                ui.selectable_value(plane, choice, choice.title());
            }
            let mut same_anatomy = !self.panes.same_slice;
            ui.checkbox(&mut same_anatomy, "Follow the rotation").on_hover_text(
                "On: the crosshair of the rotated view stands on the same anatomy. Off: it shows the slice of the same number.",
            );
            self.panes.same_slice = !same_anatomy;
            if let Some(drawn) = self.source.drawn().filter(|drawn| drawn.channels > 1) {
                let combo = egui::ComboBox::from_id_salt("mask channel").selected_text(format!("channel {}", self.panes.channel + 1));
                combo.show_index(ui, &mut self.panes.channel, drawn.channels, |index| format!("channel {}", index + 1));
            }
        });
    }

    /// The run and the arm whose settings are shown.
    fn run_and_arm(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        workspace.run_chooser(ui, "mask run");
        let Some(run) = workspace.shown() else {
            ui.label(RichText::new("The demo (no run is open)").weak());
            return;
        };
        let arms = arms(run);
        if arms.len() > 1 {
            ui.label("Pre-training");
            for (index, arm) in arms.iter().enumerate() {
                let chosen = self.arm.as_ref().map_or(index == 0, |stage| stage.arm == arm.name);
                if ui.selectable_label(chosen, &arm.name).on_hover_text("Settings and checkpoint of this arm").clicked() {
                    self.arm = Some(Stage { kind: StageKind::Pretrain, arm: arm.name.clone() });
                }
            }
            ui.separator();
        }
    }

    fn slider(&mut self, ui: &mut Ui, own: Option<f64>) {
        ui.horizontal_wrapped(|ui| {
            ui.strong("Mask ratio");
            ui.spacing_mut().slider_width = 360.0_f32.min(ui.available_width() * 0.4);
            let mut ratio = self.ratio.unwrap_or_default();
            let slider = egui::Slider::new(&mut ratio, 0.0..=MOST).step_by(0.01).fixed_decimals(2);
            let response = ui.add(slider).on_hover_text("Share of cells that are masked in the masked view");
            response.widget_info(|| egui::WidgetInfo::slider(true, ratio, "Mask ratio"));
            self.ratio = Some(ratio);
            if let Some(drawn) = self.source.drawn() {
                let cells: usize = drawn.cells().iter().product();
                let masked = hidden_cells(ratio, cells);
                let [d, h, w] = drawn.cell;
                ui.label(format!("{masked} of {cells} cells of {d} x {h} x {w} voxels masked"));
            }
            if let Some(own) = own
                && (ratio - own).abs() > 1e-9
                && ui.button(format!("Back to {own:.2}")).on_hover_text("The mask ratio that this run pre-trains with").clicked()
            {
                self.ratio = Some(own);
            }
            let back = if own.is_some() { "Back to the run's data" } else { "Back to the demo" };
            if self.data.is_some() && ui.button(back).clicked() {
                self.data = None;
            }
        });
    }

    fn views(&mut self, ui: &mut Ui, workspace: &Workspace, ratio: f64, height: f32) {
        if let Some(trouble) = self.source.trouble() {
            ui.add_space(8.0);
            ui.label(RichText::new("The case cannot be shown.").strong().color(Palette::of(ui).bad()));
            ui.label(trouble);
            ui.label("Choose another case, or open a dataset or a run by dropping its folder here.");
            return;
        }
        let Some(gpu) = &workspace.gpu else {
            ui.label("The window has no GPU to draw slices with.");
            return;
        };
        let Some(drawn) = self.source.drawn().cloned() else {
            ui.label(RichText::new("The case is being prepared.").weak());
            ui.allocate_space(egui::vec2(1.0, height));
            return;
        };
        self.panes.refresh(ui, gpu, &drawn, ratio);
        self.panes.show(ui, &workspace.settings, height);
    }

    /// Takes files that were dropped on the window: a run's folder is opened, a checkpoint's is tried, a dataset is shown.
    pub fn take_dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf], workspace: &mut Workspace) {
        for path in paths {
            if path.join("config.ron").is_file() {
                workspace.open_run(ctx, path, false);
            } else if path.join("checkpoint.json").is_file() {
                self.sweep.folder = Some(path.clone());
            } else {
                let path = path.clone();
                self.opening = Some(Background::start(ctx, move || source_of(&path)));
            }
        }
    }
}
