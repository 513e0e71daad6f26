//! The experiment panel: set one up, follow it, read what it shows, compare several.
//!
//! `setup` is the left side: dataset, settings, memory, start. The right side shows an open experiment (`page`): `header` above, then
//! for one point `progress`, `findings` and `curves`; for a grid its cells (`grid`, `details`), findings and curves behind tabs.
//! `overview` lists the runs of a folder, `finished` shows published results, `welcome` is the first screen.

mod bar;
mod choose;
mod compare;
mod curves;
mod details;
mod findings;
mod finished;
mod grid;
mod grid_table;
mod header;
mod overview;
mod page;
mod progress;
mod request;
mod series;
mod setup;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod welcome;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eframe::egui::{self, Frame, Margin, Panel, ScrollArea, Ui};

use super::widgets::card;
use super::{OpenRun, Workspace};
use crate::config::DataSource;
use crate::worker::ExperimentJob;
use choose::{Choices, Chosen as Found};
use curves::Curves;
use details::Chosen;
use finished::Finished;
use grid_table::GridTable;
use overview::RunList;
use request::Request;
use setup::{Decision, Devices, Form, Setup, Template};
use welcome::Shipped;

pub(in crate::gui) use choose::source_of;
pub(in crate::gui) use page::status;

/// Width of the set-up in points.
const SETUP: f32 = 384.0;

/// What the right side shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum View {
    /// The check of the dataset.
    Cases,
    /// The experiment that the workspace shows.
    #[default]
    Open,
    /// The runs of the folder in which they are made.
    List,
    /// Published results.
    Finished,
}

/// What of a grid is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tab {
    /// How far it is.
    #[default]
    Grid,
    /// What it shows so far.
    Findings,
    /// Its trainings over the steps.
    Curves,
}

/// Set-up, progress, grid, curves, scores, findings, comparison.
#[derive(Default)]
pub struct ExperimentPanel {
    setup: Option<Setup>,
    setup_hidden: bool,
    view: View,
    tab: Tab,
    choices: Choices,
    finished: Option<Finished>,
    list: RunList,
    shipped: Shipped,
    devices: Option<Devices>,
    curves: Curves,
    /// The table of the grid that is shown, and whose it is.
    table: Option<(PathBuf, GridTable)>,
    /// What the details are about.
    chosen: Option<Chosen>,
    /// Folders of experiments that are drawn over the one that is shown.
    compared: BTreeSet<PathBuf>,
    /// Trainings at the same time.
    at_once: usize,
    /// Experiments that were open when last looked, to notice new ones.
    known_open: usize,
}

impl ExperimentPanel {
    /// Takes in what was worked out beside the window; also while another panel is shown.
    pub fn refresh(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        for chosen in self.choices.poll() {
            self.take(ctx, chosen, workspace);
        }
        match self.setup.as_mut().and_then(|setup| setup.poll(ctx, workspace)) {
            None => {}
            Some(Decision::Start { experiment, folder }) => {
                let open = OpenRun::new(*experiment, folder);
                let job = ExperimentJob { overwrite: true, ..open.job(self.at_once.max(1)) };
                workspace.start(open, job);
                self.view = View::Open;
            }
            Some(Decision::Resume(folder)) => workspace.open_run(ctx, &folder, true),
            Some(Decision::Refused(trouble)) => workspace.trouble(trouble),
        }
        if workspace.runs.len() > self.known_open {
            (self.view, self.chosen) = (View::Open, None);
        }
        self.known_open = workspace.runs.len();
    }

    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        drop_hint(ui);
        if let Some(chosen) = self.choices.show(&ctx) {
            self.take(&ctx, chosen, workspace);
        }
        self.devices.get_or_insert_with(|| setup::find_devices(&ctx)).poll();
        if self.setup.is_none() && workspace.runs.is_empty() && self.finished.is_none() {
            let runs = runs_folder(workspace);
            let asked = welcome::show(ui, &workspace.settings, &mut self.shipped, (&mut self.list, &runs));
            return self.execute(&ctx, asked, workspace);
        }
        self.bar(ui, workspace);
        if let (Some(setup), Some(devices)) = (self.setup.as_mut().filter(|_| !self.setup_hidden), &self.devices) {
            let frame = Frame::new().inner_margin(Margin { right: 8, ..Margin::ZERO });
            let width = SETUP.min(ui.available_width() * 0.45);
            let panel = Panel::left("setup").exact_size(width).resizable(false).show_separator_line(false).frame(frame);
            let asked = panel.show(ui, |ui| setup.show(ui, devices, workspace)).inner;
            self.execute(&ctx, asked, workspace);
        }
        egui::CentralPanel::no_frame().show(ui, |ui| self.right(ui, workspace));
    }

    /// Opens files that were dropped on the window.
    pub fn take_dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf]) {
        self.choices.sort(ctx, paths);
    }

    fn execute(&mut self, ctx: &egui::Context, request: Option<Request>, workspace: &mut Workspace) {
        let Some(request) = request else { return };
        match request {
            Request::Ask(ask) => self.choices.ask(ctx, ask),
            Request::Path(path) => match workspace.settings.label_folders.get(&path) {
                Some(labels) => self.choices.pair(ctx, path, labels.clone()),
                None => self.choices.sort(ctx, &[path]),
            },
            Request::Demo => self.open_dataset(ctx, DataSource::Demo, Template::Demo, workspace),
            Request::Cases => self.view = View::Cases,
            Request::Restart(template) => {
                if let Some(setup) = &mut self.setup {
                    setup.restart(ctx, template, false, workspace);
                }
            }
            Request::Plan => {
                if let Some(setup) = &mut self.setup {
                    setup.plan(ctx, workspace);
                }
            }
            Request::Device(device) => workspace.device = device,
            Request::Another => self.set_up_like_shown(ctx, workspace),
            Request::Curves => {
                self.curves.follow_choice();
                self.tab = Tab::Curves;
            }
            Request::Collapse => workspace.settings.panel = super::Panel::Collapse,
            Request::CloseDetails => self.chosen = None,
            Request::Stop => {
                if let Some(Err(trouble)) = workspace.shown_mut().map(OpenRun::stop) {
                    workspace.trouble(trouble);
                }
            }
            Request::Start | Request::Report => {
                let device = workspace.device.clone();
                match workspace.shown_mut() {
                    Some(open) if request == Request::Start => open.start(open.job(self.at_once), device),
                    Some(open) => open.write_report(ctx, true),
                    None => {}
                }
            }
        }
    }

    fn take(&mut self, ctx: &egui::Context, chosen: Found, workspace: &mut Workspace) {
        match chosen {
            Found::Wrong(message) => workspace.trouble(message),
            Found::Images(_) => {}
            Found::Experiment(folder) => {
                self.view = View::Open;
                workspace.open_run(ctx, &folder, false);
            }
            Found::Finished(finished) => (self.finished, self.view) = (Some(*finished), View::Finished),
            Found::Dataset(path, source) => {
                workspace.settings.remember_dataset(&path, &source);
                self.open_dataset(ctx, source, Template::Defaults, workspace);
            }
            Found::Config(path, missing) => match &mut self.setup {
                Some(setup) => {
                    if let Some(missing) = &missing {
                        let name = setup.data.name();
                        workspace.trouble(format!("{}: its settings are used, and {name} stays open: {missing}", path.display()));
                    }
                    setup.restart(ctx, Template::File(path), missing.is_some(), workspace);
                    (self.setup_hidden, self.view) = (false, View::Cases);
                }
                None => self.set_up(ctx, Template::File(path), None, workspace),
            },
            Found::Parent(folder) => {
                if let Some(setup) = &mut self.setup {
                    setup.form.parent.clone_from(&folder);
                }
                workspace.settings.runs_folder = Some(folder);
            }
            Found::Checkpoint(folder) => {
                if let Some(setup) = &mut self.setup {
                    setup.form.from = Some(folder);
                }
            }
        }
    }

    /// Opens a dataset, on the settings that are there or else on `template`.
    fn open_dataset(&mut self, ctx: &egui::Context, source: DataSource, template: Template, workspace: &mut Workspace) {
        match &mut self.setup {
            // Settings made for the demo are for the demo alone.
            Some(setup) if template != Template::Demo && !setup.form.template().is_demo() => setup.open(ctx, source),
            _ => self.set_up(ctx, template, Some(source), workspace),
        }
        (self.setup_hidden, self.view) = (false, View::Cases);
    }

    fn set_up(&mut self, ctx: &egui::Context, template: Template, source: Option<DataSource>, workspace: &mut Workspace) {
        match Form::new(template, source) {
            Ok(mut form) => {
                if let Some(folder) = &workspace.settings.runs_folder {
                    form.parent.clone_from(folder);
                }
                self.setup = Some(Setup::new(ctx, form));
                (self.setup_hidden, self.view) = (false, View::Cases);
            }
            Err(error) => workspace.trouble(error.to_string()),
        }
    }

    /// Shows or hides the set-up of the next experiment; at first with the settings of the one that is shown, or else the demo's.
    fn toggle_setup(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        if self.setup.is_some() {
            self.setup_hidden = !self.setup_hidden;
        } else if workspace.shown().is_some() {
            self.set_up_like_shown(ctx, workspace);
        } else {
            self.open_dataset(ctx, DataSource::Demo, Template::Demo, workspace);
        }
    }

    fn set_up_like_shown(&mut self, ctx: &egui::Context, workspace: &Workspace) {
        let Some(open) = workspace.shown() else { return };
        let parent = open.folder.root().parent().unwrap_or(Path::new("runs"));
        self.setup = Some(Setup::new(ctx, Form::like(&open.experiment.config, parent)));
        self.setup_hidden = false;
    }

    fn right(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        match (self.view, &mut self.setup, &mut self.finished) {
            (View::Finished, _, Some(finished)) => finished.show(ui),
            (View::List, ..) => {
                let runs = runs_folder(workspace);
                let list = &mut self.list;
                let area = ScrollArea::vertical().id_salt("all runs").auto_shrink([false, false]);
                if let Some(folder) = area.show(ui, |ui| card::card(ui, |ui| list.show(ui, &runs))).inner {
                    self.choices.sort(ui.ctx(), &[folder]);
                }
            }
            (View::Cases, Some(setup), _) => setup.show_cases(ui),
            _ if workspace.shown().is_some() => self.experiment(ui, workspace),
            (_, Some(setup), _) => setup.show_cases(ui),
            _ => self.view = View::List,
        }
    }
}

/// The folder in which runs are made.
fn runs_folder(workspace: &Workspace) -> PathBuf {
    let chosen = workspace.settings.runs_folder.clone();
    chosen.unwrap_or_else(|| std::path::absolute("runs").unwrap_or_else(|_| PathBuf::from("runs")))
}

/// Says that a drop is welcome while files hover over the window.
fn drop_hint(ui: &Ui) {
    if ui.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop hint")));
    let screen = ui.ctx().content_rect();
    painter.rect_filled(screen, 0.0, ui.visuals().panel_fill.gamma_multiply(0.85));
    let text = "Drop a dataset, a run's folder or a config";
    painter.text(screen.center(), egui::Align2::CENTER_CENTER, text, egui::FontId::proportional(22.0), ui.visuals().strong_text_color());
}
