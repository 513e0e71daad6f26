//! The bar above the panel: set-up, the check of the cases, the runs that are open, and the list of all.

use std::path::{Path, PathBuf};

use eframe::egui::{self, Panel, Ui};

use super::choose::Ask;
use super::{ExperimentPanel, View, compare, header};
use crate::gui::widgets::card;
use crate::gui::widgets::welcome::recent_menu;
use crate::gui::{OpenRun, Palette, Workspace};

impl ExperimentPanel {
    /// Which experiments are open, and what the right side shows.
    pub(super) fn bar(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let frame = egui::Frame::new().inner_margin(egui::Margin { bottom: 6, ..egui::Margin::ZERO });
        Panel::top("runs").show_separator_line(false).frame(frame).show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                let set_up = self.setup.is_some() && !self.setup_hidden;
                let word = if set_up { "Hide set-up" } else { "New run" };
                if ui.button(word).on_hover_text("The data and settings of the next run").clicked() {
                    self.toggle_setup(ui.ctx(), workspace);
                }
                if ui
                    .selectable_label(self.view == View::List, "All runs")
                    .on_hover_text("What lies in the folder in which runs are made")
                    .clicked()
                {
                    self.view = View::List;
                }
                let hint = "The check of the dataset";
                if self.setup.is_some() && ui.selectable_label(self.view == View::Cases, "Cases").on_hover_text(hint).clicked() {
                    self.view = View::Cases;
                }
                ui.separator();
                self.tabs(ui, workspace);
                self.open_menu(ui, workspace);
                if workspace.is_opening() {
                    card::note(ui, "reading ...");
                }
            });
        });
    }

    fn open_menu(&mut self, ui: &mut Ui, workspace: &Workspace) {
        let menu = ui.menu_button("Open a run", |ui| {
            if ui.button("Choose its folder ...").clicked() {
                self.choices.ask(ui.ctx(), Ask::Experiment);
            }
            if ui.button("Choose a config ...").clicked() {
                self.choices.ask(ui.ctx(), Ask::Config);
            }
            ui.separator();
            if let Some(path) = recent_menu(ui, &workspace.settings.recent_runs) {
                self.choices.sort(ui.ctx(), &[path]);
            }
        });
        menu.response.on_hover_text("Shows a run from its folder, or published results");
    }

    fn tabs(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let mut closed = None;
        for index in 0..workspace.runs.len() {
            let open = &workspace.runs[index];
            let (name, path) = (open.name().to_owned(), open.folder.root().display().to_string());
            let word = header::word(open, Palette::of(ui));
            if tab(ui, (&name, &path), word, self.view == View::Open && workspace.shown == index) {
                (workspace.shown, self.view) = (index, View::Open);
            }
            if !workspace.runs[index].is_at_work() && close(ui, &name) {
                closed = Some(index);
            }
        }
        if let Some(index) = closed {
            workspace.close(index);
            let is_open = |folder: &Path| workspace.runs.iter().any(|open| open.folder.root() == folder);
            self.compared.retain(|folder| is_open(folder));
            self.curves.keep(is_open);
            self.known_open = workspace.runs.len();
        }
        let Some(finished) = &self.finished else { return };
        let (name, path) = (finished.name(), finished.folder.display().to_string());
        let word = ("published", Palette::of(ui).reference());
        if tab(ui, (&name, &path), word, self.view == View::Finished) {
            self.view = View::Finished;
        }
        if close(ui, &name) {
            (self.finished, self.view) = (None, View::Open);
        }
    }

    /// The experiment that is shown, and the others that are drawn over it, which ticks choose; their numbers side by side.
    pub(super) fn compared<'a>(&mut self, ui: &mut Ui, workspace: &'a Workspace) -> Vec<&'a OpenRun> {
        let mut all: Vec<&OpenRun> = workspace.shown().into_iter().collect();
        let others = workspace.runs.iter().enumerate().filter(|(index, _)| *index != workspace.shown);
        let others: Vec<&OpenRun> = others.map(|(_, open)| open).collect();
        if others.is_empty() {
            return all;
        }
        ui.horizontal_wrapped(|ui| {
            ui.label("Compare with");
            for other in &others {
                let folder: PathBuf = other.folder.root().to_owned();
                let mut ticked = self.compared.contains(&folder);
                if ui.checkbox(&mut ticked, other.name()).on_hover_text(folder.display().to_string()).changed()
                    && !self.compared.remove(&folder)
                {
                    self.compared.insert(folder);
                }
            }
        });
        all.extend(others.into_iter().filter(|other| self.compared.contains(other.folder.root())));
        if all.len() > 1 {
            card::card(ui, |ui| compare::show(ui, &all));
            ui.add_space(6.0);
        }
        all
    }
}

/// A tab with a word on its state; whether it was clicked.
fn tab(ui: &mut Ui, (name, path): (&str, &str), (word, colour): (&str, egui::Color32), chosen: bool) -> bool {
    let mut text = egui::text::LayoutJob::default();
    let fonts = [egui::TextStyle::Button, egui::TextStyle::Small].map(|style| style.resolve(ui.style()));
    let [font, small] = fonts;
    text.append(name, 0.0, egui::TextFormat::simple(font, egui::Color32::PLACEHOLDER));
    text.append(word, 6.0, egui::TextFormat::simple(small, colour));
    ui.selectable_label(chosen, text).on_hover_text(path).clicked()
}

fn close(ui: &mut Ui, name: &str) -> bool {
    card::close_button(ui, &format!("Close {name}"), &format!("Close {name}; its folder stays"))
}
