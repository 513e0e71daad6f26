//! The bar above the panel: set-up, the check of the cases, the runs that are open.

use std::path::Path;

use eframe::egui::{self, Button, Panel, RichText, Ui};

use super::fetch::Ask;
use super::{RunPanel, View, card, followed};
use crate::gui::{Palette, Workspace};

impl RunPanel {
    /// Which runs are open, and what the right side shows.
    pub(super) fn bar(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        Panel::top("runs")
            .show_separator_line(false)
            .frame(egui::Frame::new().inner_margin(egui::Margin { bottom: 6, ..egui::Margin::ZERO }))
            .show(ui, |ui| {
                ui.horizontal_wrapped(|ui| {
                    let set_up = self.setup.is_some() && !self.setup_hidden;
                    let word = if set_up { "Hide set-up" } else { "New run" };
                    if ui.button(word).on_hover_text("The data and settings of the next run").clicked() {
                        self.toggle_setup(ui.ctx(), workspace);
                    }
                    ui.separator();
                    if self.setup.is_some()
                        && ui.selectable_label(self.view == View::Cases, "Cases").on_hover_text("The check of the dataset").clicked()
                    {
                        self.view = View::Cases;
                    }
                    self.tabs(ui, workspace);
                    let menu = ui.menu_button("Open a run", |ui| {
                        if ui.button("Choose its folder ...").clicked() {
                            self.fetch.ask(ui.ctx(), Ask::Run);
                        }
                        ui.separator();
                        let mut chosen = None;
                        for place in &workspace.settings.recent_runs {
                            let name = place.file_name().unwrap_or(place.as_os_str()).to_string_lossy();
                            if ui.button(name.as_ref()).on_hover_text(place.display().to_string()).clicked() {
                                chosen = Some(place.clone());
                            }
                        }
                        if let Some(place) = chosen {
                            self.view = View::Run;
                            workspace.open_run(ui.ctx(), &place);
                        }
                    });
                    menu.response.on_hover_text("Replays a run from its folder");
                    if workspace.is_opening() {
                        card::note(ui, "reading ...");
                    }
                });
            });
    }

    fn tabs(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let palette = Palette::of(ui);
        let mut closed = None;
        for index in 0..workspace.runs.len() {
            let run = &workspace.runs[index];
            let name = run.name().to_owned();
            let (word, colour) = followed::word(&run.job, palette);
            let chosen = self.view == View::Run && workspace.shown == index;
            let mut text = egui::text::LayoutJob::default();
            let font = egui::TextStyle::Button.resolve(ui.style());
            text.append(&name, 0.0, egui::TextFormat::simple(font, egui::Color32::PLACEHOLDER));
            let small = egui::TextStyle::Small.resolve(ui.style());
            text.append(word, 6.0, egui::TextFormat::simple(small, colour));
            let running = run.job.is_running();
            if ui.selectable_label(chosen, text).on_hover_text(run.folder.root().display().to_string()).clicked() {
                (workspace.shown, self.view) = (index, View::Run);
            }
            if !running {
                let close = ui.add(Button::new(RichText::new("x").small()).frame(false));
                close.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Close {name}")));
                if close.on_hover_text(format!("Close {name}; its folder stays")).clicked() {
                    closed = Some(index);
                }
            }
        }
        if let Some(index) = closed {
            workspace.close(index);
            let is_open = |folder: &Path| workspace.runs.iter().any(|run| run.folder.root() == folder);
            self.compared.retain(|folder| is_open(folder));
            self.curves.keep(is_open);
            self.results.keep(is_open);
            self.known_runs = workspace.runs.len();
        }
    }
}
