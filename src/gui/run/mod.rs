//! Panel 1: data and settings to the left, progress, curves and results to the right.
//!
//! A run is set up as a `draft`; its dataset is checked (`dataset`, `cases`) and its memory planned (`estimate`) beside
//! the window. `start` hands it to the worker. Runs at work and runs replayed from disk are shown alike: `followed`,
//! `stages`, `curves`, `results` read the folded state only.

mod advanced;
mod bar;

mod cases;
mod curves;
mod dataset;
mod draft;
mod estimate;
mod fetch;
mod followed;
mod results;
mod series;
mod settings;
mod setup;
mod stages;
mod start;
mod template;
#[cfg(test)]
mod tests;
mod welcome;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eframe::egui::{self, Panel, ScrollArea, Ui};

use super::widgets::card;
use super::{OpenRun, Workspace};
use crate::config::{DataSource, RunConfig};
use crate::protocol::RunFolder;
use curves::Curves;
use fetch::{Chosen, Fetch};
use results::ResultsCache;
use setup::Setup;
use template::Template;
use welcome::First;

pub(in crate::gui) use fetch::{known, source_of};
pub(in crate::gui) use followed::file_url;
pub(in crate::gui) use settings::device_list;
pub(in crate::gui) use welcome::{Sign, choice, recent};

/// Width of the left side.
const SETUP_WIDTH: f32 = 384.0;
/// From this width on, progress and results stand side by side.
const TWO_COLUMNS: f32 = 880.0;

/// What the right side shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum View {
    /// The check of the dataset.
    Cases,
    /// The run that the workspace shows.
    #[default]
    Run,
}

/// Dataset, settings, progress, curves.
#[derive(Default)]
pub struct RunPanel {
    setup: Option<Setup>,
    setup_hidden: bool,
    view: View,
    fetch: Fetch,
    curves: Curves,
    results: ResultsCache,
    /// Folders of runs that are drawn over the one that is shown.
    compared: BTreeSet<PathBuf>,
    /// Runs that were open when last looked, to notice new ones.
    known_runs: usize,
}

impl RunPanel {
    /// Takes in what was worked out beside the window; also while another panel is shown.
    pub fn tend(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        for chosen in self.fetch.poll() {
            self.take(ctx, chosen, workspace);
        }
        if let Some(setup) = &mut self.setup {
            setup.poll(ctx, workspace);
            if setup.has_started() && workspace.at_work().is_some() {
                self.view = View::Run;
            }
        }
        if workspace.runs.len() > self.known_runs {
            self.view = View::Run;
        }
        self.known_runs = workspace.runs.len();
    }

    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        drop_hint(ui);
        if let Some(chosen) = self.fetch.show(&ctx) {
            self.take(&ctx, chosen, workspace);
        }
        if self.setup.is_none() && workspace.runs.is_empty() {
            match welcome::show(ui, &workspace.settings) {
                Some(First::Demo) => self.open_dataset(&ctx, DataSource::Demo, Template::Demo, workspace),
                Some(First::Ask(ask)) => self.fetch.ask(&ctx, ask),
                Some(First::Dataset(place)) => self.fetch.dataset(&ctx, &place),
                Some(First::Run(place)) => workspace.open_run(&ctx, &place),
                None => {}
            }
            return;
        }
        self.bar(ui, workspace);
        if let Some(setup) = self.setup.as_mut().filter(|_| !self.setup_hidden) {
            let frame = egui::Frame::new().inner_margin(egui::Margin { right: 8, ..egui::Margin::ZERO });
            let panel = Panel::left("setup").exact_size(SETUP_WIDTH).resizable(false).show_separator_line(false).frame(frame);
            let request = panel.show(ui, |ui| setup.show(ui, workspace)).inner;
            if let Some(request) = request {
                self.grant(&ctx, request, workspace);
            }
        }
        egui::CentralPanel::no_frame().show(ui, |ui| self.right(ui, workspace));
    }

    /// Takes files that were dropped on the window.
    pub fn take_dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf], _desk: &mut Workspace) {
        self.fetch.dropped(ctx, paths);
    }

    fn grant(&mut self, ctx: &egui::Context, request: setup::Request, workspace: &mut Workspace) {
        match request {
            setup::Request::Ask(ask) => self.fetch.ask(ctx, ask),
            setup::Request::Recent(place) => self.fetch.dataset(ctx, &place),
            setup::Request::Demo => self.open_dataset(ctx, DataSource::Demo, Template::Demo, workspace),
            setup::Request::Cases => self.view = View::Cases,
        }
    }

    fn take(&mut self, ctx: &egui::Context, chosen: Chosen, workspace: &mut Workspace) {
        match chosen {
            Chosen::Experiment(path) => return workspace.open_experiment(path),
            Chosen::Wrong(message) => return workspace.trouble(message),
            _ => {}
        }
        // What was dropped on the panel of experiments and is none is shown where it belongs.
        if workspace.settings.panel == super::Panel::Experiment {
            workspace.settings.panel = super::Panel::Run;
        }
        match chosen {
            Chosen::Experiment(_) | Chosen::Wrong(_) | Chosen::Images(_) => {}
            Chosen::Dataset(at) => {
                workspace.settings.remember_dataset(&at.place);
                self.open_dataset(ctx, at.source(), Template::Defaults, workspace);
            }
            Chosen::Run(folder) => {
                self.view = View::Run;
                workspace.open_run(ctx, &folder);
            }
            Chosen::Config(path, missing) => match &mut self.setup {
                Some(setup) => {
                    if let Some(missing) = &missing {
                        let name = setup.data.name();
                        workspace.trouble(format!("{}: its settings are taken, and {name} stays open: {missing}", path.display()));
                    }
                    setup.restart(ctx, Template::File(path), missing.is_some(), workspace);
                }
                None => self.set_up(ctx, Template::File(path), None, workspace),
            },
            Chosen::Parent(folder) => {
                if let Some(setup) = &mut self.setup {
                    setup.draft.parent.clone_from(&folder);
                }
                workspace.settings.runs_folder = Some(folder);
            }
            Chosen::Checkpoint(folder) => {
                if let Some(setup) = &mut self.setup {
                    setup.draft.from = Some(folder);
                }
            }
        }
    }

    /// Opens a dataset, on the settings that are there or else on `template`.
    fn open_dataset(&mut self, ctx: &egui::Context, source: DataSource, template: Template, workspace: &mut Workspace) {
        match &mut self.setup {
            // Settings made for the demo are for the demo alone.
            Some(setup) if template != Template::Demo && !setup.draft.template().is_demo() => setup.open(ctx, source),
            _ => self.set_up(ctx, template, Some(source), workspace),
        }
        self.setup_hidden = false;
        self.view = View::Cases;
    }

    fn set_up(&mut self, ctx: &egui::Context, template: Template, source: Option<DataSource>, workspace: &mut Workspace) {
        match draft::Draft::new(template, source) {
            Ok(mut draft) => {
                if let Some(folder) = &workspace.settings.runs_folder {
                    draft.parent.clone_from(folder);
                }
                self.setup = Some(Setup::new(ctx, draft));
                (self.setup_hidden, self.view) = (false, View::Cases);
            }
            Err(error) => workspace.trouble(error.to_string()),
        }
    }

    /// Shows or hides what the next run is set up with; at first the settings of the run that is shown, or else the demo's.
    fn toggle_setup(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        if self.setup.is_some() {
            self.setup_hidden = !self.setup_hidden;
        } else if let Some(run) = workspace.shown() {
            self.set_up_like(ctx, &run.config, &run.folder);
        } else {
            self.open_dataset(ctx, DataSource::Demo, Template::Demo, workspace);
        }
    }

    /// Sets up another run with the settings of one.
    fn set_up_like(&mut self, ctx: &egui::Context, config: &RunConfig, folder: &RunFolder) {
        let parent = folder.root().parent().unwrap_or(Path::new("runs"));
        self.setup = Some(Setup::new(ctx, draft::Draft::like(config, parent)));
        self.setup_hidden = false;
    }

    fn right(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        match (self.view, &mut self.setup) {
            (View::Cases, Some(setup)) => setup.show_cases(ui),
            _ if workspace.shown().is_some() => {
                ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
                    // The bar floats: beside the cards, not over their edges.
                    ui.set_max_width(ui.available_width() - ui.spacing().scroll.bar_width);
                    self.run(ui, workspace);
                });
            }
            (_, Some(setup)) => setup.show_cases(ui),
            (_, None) => {}
        }
    }

    fn run(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        let busy = workspace.is_at_work();
        let Some(run) = workspace.shown_mut() else { return };
        let request = card::card(ui, |ui| followed::header(ui, run, busy));
        ui.add_space(6.0);
        let Some(run) = workspace.shown() else { return };
        followed::failure(ui, run.state());
        let mut panel = workspace.settings.panel;
        let results = self.results.of(&ctx, run).cloned();
        let others = self.others(ui, run, workspace);
        let runs: Vec<&OpenRun> = std::iter::once(run).chain(others).collect();
        let compares = runs.len() > 1;
        let first = |ui: &mut Ui, cache: &mut ResultsCache| {
            card::card(ui, |ui| match compares {
                true => results::side_by_side(ui, &ctx, &runs, cache),
                false => stages::show(ui, run),
            });
        };
        // Scores fill the right side: notices stand below what is shorter then.
        let scored = results.as_ref().is_some_and(|results| !results.scores.is_empty());
        let second = |ui: &mut Ui, panel: &mut super::Panel| {
            if let Some(results) = &results {
                results.show(ui, panel);
            }
            if !scored {
                followed::notices(ui, run);
            }
        };
        let is_told = results.is_some() || followed::has_notices(run);
        if is_told && ui.available_width() >= TWO_COLUMNS {
            ui.columns_const(|[left, right]| {
                first(left, &mut self.results);
                if scored {
                    left.add_space(6.0);
                    followed::notices(left, run);
                }
                second(right, &mut panel);
            });
        } else {
            first(ui, &mut self.results);
            ui.add_space(6.0);
            second(ui, &mut panel);
            if scored {
                followed::notices(ui, run);
            }
        }
        ui.add_space(6.0);
        card::card(ui, |ui| self.curves.show(ui, &runs));
        ui.add_space(6.0);
        if compares {
            card::card(ui, |ui| stages::show(ui, run));
            ui.add_space(6.0);
        }
        let (folder, config) = (run.folder.clone(), run.config.clone());
        workspace.settings.panel = panel;
        match request {
            None => {}
            Some(followed::Request::Another) => self.set_up_like(&ctx, &config, &folder),
            Some(followed::Request::Resume) => {
                let state = workspace.shown().map(|run| run.state().clone()).unwrap_or_default();
                start::resume(&folder, &config, state, workspace);
            }
        }
    }

    /// The other runs that are drawn over this one; ticks choose them.
    fn others<'a>(&mut self, ui: &mut Ui, run: &OpenRun, workspace: &'a Workspace) -> Vec<&'a OpenRun> {
        let others: Vec<&OpenRun> = workspace.runs.iter().filter(|other| other.folder != run.folder).collect();
        if others.is_empty() {
            return others;
        }
        ui.horizontal_wrapped(|ui| {
            ui.label("Compare with");
            for other in &others {
                let folder = other.folder.root();
                let mut ticked = self.compared.contains(folder);
                if ui.checkbox(&mut ticked, other.name()).on_hover_text(folder.display().to_string()).changed() {
                    if ticked {
                        self.compared.insert(folder.to_owned());
                    } else {
                        self.compared.remove(folder);
                    }
                }
            }
        });
        others.into_iter().filter(|other| self.compared.contains(other.folder.root())).collect()
    }
}

/// Says that a drop is welcome while files hover over the window.
fn drop_hint(ui: &Ui) {
    if ui.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop hint")));
    let screen = ui.ctx().content_rect();
    painter.rect_filled(screen, 0.0, ui.visuals().panel_fill.gamma_multiply(0.85));
    let font = egui::FontId::proportional(22.0);
    let text = "Drop a dataset, a run's folder or a settings file";
    painter.text(screen.center(), egui::Align2::CENTER_CENTER, text, font, ui.visuals().strong_text_color());
}
