//! The question what to save of the views, and how large; [`super::shot`] draws it.

use std::path::PathBuf;

use eframe::egui::{ComboBox, Id, Modal, Role, Ui, WidgetInfo};

use super::case::OpenCase;
use super::dialog::save;
use super::shot::{Options, Shot, size};
use super::views::Views;
use crate::gui::{Background, Palette, Settings};

/// The question what to save, and the saving.
#[derive(Default)]
pub(super) struct PictureDialog {
    open: bool,
    options: Options,
    saving: Option<Background<Result<Option<PathBuf>, String>>>,
    told: Option<Result<String, String>>,
}

impl PictureDialog {
    /// Asks what to save.
    pub(super) fn open(&mut self) {
        (self.open, self.told) = (true, None);
    }

    /// Draws the question, if it is open.
    pub(super) fn show(&mut self, ui: &Ui, case: &OpenCase, views: &Views, settings: &Settings) {
        if self.saving.as_mut().is_some_and(Background::poll) {
            self.told = match self.saving.take().and_then(Background::take) {
                Some(Ok(Some(file))) => Some(Ok(format!("Saved as {}", file.display()))),
                Some(Err(cause)) => Some(Err(format!("The picture was not saved: {cause}"))),
                Some(Ok(None)) => None,
                None => Some(Err("Saving ended by a fault of the program; try again".to_owned())),
            };
        }
        if !self.open {
            return;
        }
        let modal = Modal::new(Id::unique("picture")).show(ui.ctx(), |ui| self.ask(ui, case, views, settings));
        if modal.should_close() || modal.inner {
            self.open = false;
        }
    }

    /// True when the question is to close.
    fn ask(&mut self, ui: &mut Ui, case: &OpenCase, views: &Views, settings: &Settings) -> bool {
        ui.set_width(360.0);
        ui.heading("Save a view as PNG");
        self.options.pane = self.options.pane.filter(|&pane| pane < views.panes.len());
        let name = |pane: Option<usize>| match pane.and_then(|pane| views.panes.get(pane)) {
            None => "All views".to_owned(),
            Some(pane) => match &pane.layer {
                Some(layer) if views.arrangement.compared().is_some() => format!("{}, {layer}", pane.plane.title()),
                _ => pane.plane.title().to_owned(),
            },
        };
        ui.horizontal(|ui| {
            ui.label("View");
            let combo = ComboBox::from_id_salt("pictured view").width(240.0).selected_text(name(self.options.pane));
            let response = combo.show_ui(ui, |ui| {
                for pane in std::iter::once(None).chain((0..views.panes.len()).map(Some)) {
                    ui.selectable_value(&mut self.options.pane, pane, name(pane));
                }
            });
            response.response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "View to save"));
        });
        ui.horizontal(|ui| {
            ui.label("Size");
            for scale in [1, 2, 4] {
                ui.selectable_value(&mut self.options.scale, scale, format!("{scale}x"));
            }
            let [width, height] = size(views, self.options);
            ui.weak(format!("{width} x {height} pixels"));
        });
        ui.checkbox(&mut self.options.letters, "Sides of the patient, planes and names");
        ui.checkbox(&mut self.options.crosshair, "Crosshair");
        match &self.told {
            Some(Ok(text)) => drop(ui.colored_label(Palette::of(ui).good(), text)),
            Some(Err(text)) => drop(ui.colored_label(Palette::of(ui).bad(), text)),
            None => {}
        }
        ui.add_space(6.0);
        let mut close = false;
        ui.horizontal(|ui| {
            if ui.add_enabled(self.saving.is_none(), eframe::egui::Button::new("Save...")).clicked() {
                self.save(ui.ctx(), case, views, settings);
            }
            close = ui.button("Close").clicked();
        });
        close
    }

    fn save(&mut self, ctx: &eframe::egui::Context, case: &OpenCase, views: &Views, settings: &Settings) {
        let Some(shot) = Shot::new(case, views, settings, self.options) else { return };
        let (folder, name) = (case.folder(), format!("{}.png", case.title));
        self.saving = Some(Background::start(ctx, move || {
            let dialog = rfd::FileDialog::new().set_title("Save the picture").add_filter("PNG", &["png"]);
            save(dialog, (&folder, &name), |file| shot.save(file))
        }));
    }
}
