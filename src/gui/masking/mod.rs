//! What masking does to a volume, and to the contrast.
//!
//! `source` reads a case and draws the views of a pre-training step, `panes` shows them side by side and follows the slider;
//! `what_if` has the worker try every mask ratio on a checkpoint, and `curve` draws what comes of it.

mod curve;
mod panes;
mod source;
#[cfg(test)]
mod tests;
mod what_if;

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui::{self, RichText, ScrollArea, Ui};

use super::run::source_of;
use super::slice::Plane;
use super::{Background, Palette, Workspace};
use crate::config::{DataSource, hidden_cells};
use crate::protocol::{Stage, StageKind};
use panes::Panes;
use source::{Setting, Source, Wanted, arms};
use what_if::WhatIf;

/// Highest mask ratio of the slider.
const MOST: f64 = 0.95;
/// Heights of everything but panes and plots.
const FURNITURE: f32 = 176.0;

/// The panel.
pub struct MaskRatioPanel {
    /// The mask ratio; none until it was set to that of the settings.
    ratio: Option<f64>,
    wanted: Wanted,
    /// The arm whose settings are shown; none: the first.
    arm: Option<Stage>,
    /// A dataset in place of the run's own.
    data: Option<DataSource>,
    /// A dataset that was dropped and is looked at.
    opening: Option<Background<Result<DataSource, String>>>,
    source: Source,
    panes: Panes,
    what_if: WhatIf,
    /// Settings, kept while nothing that decides them has changed.
    setting: Option<(SettingKey, Arc<Setting>)>,
}

/// What decides the settings: the run, its number of stages, the arm, the dataset.
type SettingKey = (Option<PathBuf>, usize, Option<Stage>, Option<DataSource>);

impl Default for MaskRatioPanel {
    fn default() -> Self {
        Self {
            ratio: None,
            wanted: Wanted { draw: 0, texture: true },
            arm: None,
            data: None,
            opening: None,
            source: Source::default(),
            panes: Panes::default(),
            what_if: WhatIf::default(),
            setting: None,
        }
    }
}

impl MaskRatioPanel {
    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        if self.opening.as_mut().is_some_and(Background::poll) {
            match self.opening.take().and_then(Background::take) {
                Some(Ok(data)) => self.data = Some(data),
                Some(Err(trouble)) => workspace.trouble(trouble),
                None => workspace.trouble("the dataset could not be looked at: an internal error; try again"),
            }
        }
        let setting = self.setting(workspace);
        let own = workspace.shown().map(|_| setting.config.pretrain.mask_ratio);
        let ratio = *self.ratio.get_or_insert(setting.config.pretrain.mask_ratio);
        self.source.follow(ui.ctx(), &setting, self.wanted);
        self.what_if.follow(ui.ctx(), workspace, &setting);
        self.bar(ui, workspace);
        self.slider(ui, own);
        ui.separator();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let room = (ui.available_height() - FURNITURE).max(330.0);
            self.views(ui, workspace, ratio, (room * 0.6).clamp(200.0, 460.0));
            ui.add_space(8.0);
            ui.separator();
            self.what_if.controls(ui, workspace, self.arm.as_ref(), &setting);
            self.what_if.curve(ui, (room * 0.4).clamp(130.0, 320.0), own);
        });
    }

    /// The settings that are shown.
    fn setting(&mut self, workspace: &Workspace) -> Arc<Setting> {
        let run = workspace.shown();
        let stages = run.map_or(0, |run| run.state().stages.len());
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
        let setting = Arc::new(Setting::of(workspace, self.arm.as_ref(), self.data.as_ref()));
        self.setting = Some(((key.0, key.1, self.arm.clone(), key.3), setting.clone()));
        setting
    }

    /// Which case of what, which draw, how it is looked at.
    fn bar(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        ui.horizontal_wrapped(|ui| {
            self.run_and_arm(ui, workspace);
            ui.label("Case");
            let names = self.source.names().to_vec();
            let combo = egui::ComboBox::from_id_salt("mask case").width(150.0);
            combo
                .show_index(ui, &mut self.source.case, names.len(), |index| names.get(index).cloned().unwrap_or_else(|| "-".to_owned()))
                .on_hover_text("The case whose views are shown");
            if ui.button("Another draw").on_hover_text("Another crop, turn, texture and mask of the same case").clicked() {
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
            let mut same_place = !self.panes.same_slice;
            ui.checkbox(&mut same_place, "Follow the turn").on_hover_text(
                "On: the crosshair of the rotated view stands on the same anatomy. Off: it shows the slice of the same number.",
            );
            self.panes.same_slice = !same_place;
            if let Some(drawn) = self.source.drawn().filter(|drawn| drawn.channels > 1) {
                let combo = egui::ComboBox::from_id_salt("mask channel").selected_text(format!("channel {}", self.panes.channel + 1));
                combo.show_index(ui, &mut self.panes.channel, drawn.channels, |index| format!("channel {}", index + 1));
            }
        });
    }

    /// The run and the arm whose settings are shown.
    fn run_and_arm(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        if workspace.runs.len() > 1 {
            let names: Vec<String> = workspace.runs.iter().map(|run| run.state().name.clone()).collect();
            ui.label("Run");
            let combo = egui::ComboBox::from_id_salt("mask run").selected_text(&names[workspace.shown]);
            combo
                .show_index(ui, &mut workspace.shown, names.len(), |index| names[index].clone())
                .on_hover_text("The run whose settings and data are shown");
        }
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
            ui.spacing_mut().slider_width = 360.0;
            let mut ratio = self.ratio.unwrap_or_default();
            let slider = egui::Slider::new(&mut ratio, 0.0..=MOST).step_by(0.01).fixed_decimals(2);
            let response = ui.add(slider).on_hover_text("Share of cells that are hidden from the network in the masked view");
            response.widget_info(|| egui::WidgetInfo::slider(true, ratio, "Mask ratio"));
            self.ratio = Some(ratio);
            if let Some(drawn) = self.source.drawn() {
                let cells: usize = drawn.cells().iter().product();
                let hidden = hidden_cells(ratio, cells);
                let [d, h, w] = drawn.cell;
                ui.label(format!("{hidden} of {cells} cells of {d} x {h} x {w} voxels hidden"));
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
        let Some(drawn) = self.source.drawn() else {
            ui.label(RichText::new("The case is being prepared.").weak());
            ui.allocate_space(egui::vec2(1.0, height));
            return;
        };
        let drawn = drawn.clone();
        self.panes.follow(ui, gpu, &drawn, ratio);
        self.panes.show(ui, &workspace.settings, height);
    }

    /// Takes files that were dropped on the window: a run's folder is opened, a checkpoint's is tried, a dataset is shown.
    pub fn take_dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf], workspace: &mut Workspace) {
        for path in paths {
            if path.join("config.ron").is_file() {
                workspace.open_run(ctx, path);
            } else if path.join("checkpoint.json").is_file() {
                self.what_if.folder = Some(path.clone());
            } else {
                let path = path.clone();
                self.opening = Some(Background::start(ctx, move || source_of(&path)));
            }
        }
    }

    /// Hidden cells of the masked view, and whether the views are those that are wanted.
    #[cfg(test)]
    fn state(&self) -> (usize, bool) {
        (self.panes.hidden(), self.source.is_settled(self.wanted))
    }
}
