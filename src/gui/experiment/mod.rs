//! Panel 5: an experiment - a question answered by a grid of runs - from its start to its conclusions.
//!
//! `opened` holds the experiment and the worker's side of it, `look` reads its folder beside the window. `board` lays the grid out
//! once; `header`, `grid`, `details` draw how far it is, `findings` and `along` what it shows so far.

mod along;
mod board;
mod details;
mod findings;
mod grid;
mod header;
mod look;
mod opened;
mod standing;
#[cfg(test)]
mod tests;
mod welcome;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{self, Frame, Margin, Panel, Ui};

use super::run::{file_url, known};
use super::widgets::{Answer, PathDialog as Choosing, PathKind as Wanted};
use super::{Background, Left, Workspace};
use crate::device::DeviceChoice;
use crate::experiment::ExperimentState;
use crate::report;
use crate::wording::count;
use crate::worker::{AvailableDevice, ExperimentJob, available_devices, spawn_experiment};
use details::Chosen;
use opened::{OpenExperiment, Opened, Starter};
use welcome::Shipped;

/// Width of the details beside the grid.
const DETAILS_WIDTH: f32 = 316.0;

/// What a dialog asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// An experiment's file.
    File,
    /// An experiment's folder.
    Folder,
    /// Where the open experiment is to be kept.
    Place,
}

/// What of an experiment is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum View {
    /// How far it is.
    #[default]
    Grid,
    /// What it shows so far.
    Findings,
}

/// A grid of runs and what it shows.
pub struct ExperimentPanel {
    open: Option<OpenExperiment>,
    opening: Option<Background<Result<Opened, String>>>,
    asking: Option<(Ask, Choosing<PathBuf>)>,
    /// What was chosen and is no experiment.
    other: Option<PathBuf>,
    /// An experiment that is being opened, to be remembered once it is.
    wanted: Option<PathBuf>,
    shipped: Shipped,
    devices: Option<Background<(Vec<AvailableDevice>, Option<String>)>>,
    starter: Starter,
    at_once: usize,
    chosen: Option<Chosen>,
    view: View,
    /// The report as it is written, and whether it is to be opened then.
    writing: Option<(bool, Background<Result<PathBuf, String>>)>,
}

impl Default for ExperimentPanel {
    fn default() -> Self {
        Self {
            open: None,
            opening: None,
            asking: None,
            other: None,
            wanted: None,
            shipped: Shipped::default(),
            devices: None,
            starter: Arc::new(spawn_experiment),
            at_once: 1,
            chosen: None,
            view: View::default(),
            writing: None,
        }
    }
}

impl ExperimentPanel {
    /// Puts an experiment on the panel that is to be worked on at once.
    pub fn begin(&mut self, job: ExperimentJob, device: DeviceChoice) {
        self.open = Some(OpenExperiment::at_work(job, device));
    }

    /// Takes in what has happened; also while another panel is shown. Hands out what a dialog chose: it may be no experiment.
    pub fn tend(&mut self, ctx: &egui::Context, workspace: &mut Workspace) -> Option<PathBuf> {
        if let Some(path) = workspace.take_wanted_experiment() {
            self.begin_opening(ctx, path, workspace);
        }
        if self.opening.as_mut().is_some_and(Background::poll) {
            match self.opening.take().and_then(Background::take) {
                Some(Ok(opened)) => {
                    (self.open, self.chosen) = (Some(OpenExperiment::new(opened)), None);
                    if let Some(path) = self.wanted.take() {
                        workspace.settings.remember_experiment(&path);
                    }
                }
                Some(Err(trouble)) => workspace.trouble(trouble),
                None => workspace.trouble("the experiment could not be read: an internal error; open it again"),
            }
        }
        if let Some(open) = &mut self.open {
            let shown = workspace.settings.panel == super::Panel::Experiment;
            if (shown || open.is_at_work())
                && let Err(trouble) = open.poll(ctx, &self.starter)
            {
                workspace.trouble(trouble);
            }
            workspace.experiment_at_work = open.is_at_work().then(|| open.name().to_owned());
            if open.take_ended() {
                self.write_report(ctx, false);
            }
        }
        self.tend_report(ctx, workspace);
        self.other.take()
    }

    /// Draws what is asked, and takes the answer in.
    fn ask_on(&mut self, ctx: &egui::Context) {
        let Some((ask, asking)) = &mut self.asking else { return };
        let (ask, Some(answer)) = (*ask, asking.show(ctx)) else { return };
        self.asking = None;
        match (answer, ask, &mut self.open) {
            (Answer::Chosen(folder), Ask::Place, Some(open)) => open.keep_in(folder.join(open.name())),
            (Answer::Chosen(path), Ask::File | Ask::Folder, _) => self.other = Some(path),
            _ => {}
        }
    }

    /// Writes the report of the open experiment beside the window; `then_open` shows it in the browser.
    fn write_report(&mut self, ctx: &egui::Context, then_open: bool) {
        let Some(open) = self.open.as_ref().filter(|_| self.writing.is_none()) else { return };
        let (experiment, folder) = (open.experiment.clone(), open.folder.clone());
        let write = move || {
            let state = ExperimentState::read(&experiment, &folder);
            report::write(&folder, &experiment, &state).map_err(|error| error.to_string())
        };
        self.writing = Some((then_open, Background::start(ctx, write)));
    }

    fn tend_report(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        if !self.writing.as_mut().is_some_and(|(_, writing)| writing.poll()) {
            return;
        }
        let Some((then_open, writing)) = self.writing.take() else { return };
        match writing.take() {
            Some(Ok(path)) if then_open => ctx.open_url(egui::OpenUrl::new_tab(file_url(&path))),
            Some(Ok(_)) => {}
            Some(Err(trouble)) => workspace.trouble(trouble),
            None => workspace
                .trouble("the report could not be written: an internal error; run `simtrot experiment report` on the experiment's folder"),
        }
    }

    fn begin_opening(&mut self, ctx: &egui::Context, path: PathBuf, workspace: &mut Workspace) {
        if let Some(open) = self.open.as_ref().filter(|open| open.is_at_work()) {
            workspace
                .trouble(format!("{} is at work: stop it, or wait until it is done, before another experiment is opened", open.name()));
            return;
        }
        self.wanted = Some(path.clone());
        self.opening = Some(Background::start(ctx, move || Opened::read(&path)));
    }

    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        self.ask_on(&ctx);
        if self.open.is_none() {
            let opening = self.opening.is_some();
            match welcome::show(ui, &workspace.settings, &mut self.shipped, opening) {
                Some(welcome::First::Ask(ask)) => self.ask(&ctx, ask),
                Some(welcome::First::Experiment(path)) => workspace.open_experiment(path),
                None => {}
            }
            return;
        }
        let devices = self.devices.get_or_insert_with(|| Background::start(&ctx, available_devices));
        devices.poll();
        let frame = Frame::new().inner_margin(Margin { bottom: 6, ..Margin::ZERO });
        Panel::top("experiment header").show_separator_line(false).frame(frame).show(ui, |ui| self.header(ui, workspace));
        let frame = Frame::new().inner_margin(Margin { left: 8, ..Margin::ZERO });
        let Some(open) = &self.open else { return };
        if self.view == View::Findings {
            egui::CentralPanel::no_frame().show(ui, |ui| findings::show(ui, open));
            return;
        }
        if let Some(chosen) = self.chosen {
            let panel =
                Panel::right("experiment details").exact_size(DETAILS_WIDTH).resizable(false).show_separator_line(false).frame(frame);
            match panel.show(ui, |ui| details::show(ui, open, chosen)).inner {
                Some(details::Request::Look { stage, panel }) => {
                    workspace.open_run(&ctx, open.folder.training(&open.experiment.trainings[stage]).root());
                    workspace.settings.panel = panel;
                }
                Some(details::Request::Close) => self.chosen = None,
                None => {}
            }
        }
        egui::CentralPanel::no_frame().show(ui, |ui| grid::show(ui, open, &mut self.chosen));
    }

    fn header(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let devices = self.devices.as_ref().and_then(Background::get).map_or(&[][..], |(devices, _)| devices.as_slice());
        let Some(open) = &mut self.open else { return };
        let writing = self.writing.is_some();
        match header::show(ui, open, (devices, &mut self.at_once, &mut self.view), workspace) {
            None => {}
            Some(header::Request::Report) if writing => {}
            Some(header::Request::Report) => self.write_report(&ui.ctx().clone(), true),
            Some(header::Request::AskToStop) => {
                let busy = self.open.as_ref().and_then(|open| open.folder.busy());
                if let Some(Err(error)) = busy.map(|busy| busy.ask_to_stop()) {
                    workspace.trouble(format!("the request to stop cannot be left in the experiment's folder: {error}"));
                }
            }
            Some(header::Request::Ask(ask)) => self.ask(ui.ctx(), ask),
            Some(header::Request::Open(path)) => workspace.open_experiment(path),
            Some(header::Request::Device(device)) => workspace.device = device,
            Some(header::Request::Close) => (self.open, self.chosen) = (None, None),
        }
    }

    fn ask(&mut self, ctx: &egui::Context, ask: Ask) {
        let question = match ask {
            Ask::File => ("File of an experiment", Wanted::File("Experiment", &["ron"])),
            Ask::Folder => ("Folder of an experiment", Wanted::Folder),
            Ask::Place => ("Folder in which the experiment's own folder is made", Wanted::Folder),
        };
        let look = move |path: &Path| if ask == Ask::Place { Ok(path.to_owned()) } else { known(path) };
        self.asking = Some((ask, Choosing::new(ctx, question, look)));
    }

    /// The experiment at work in a few words, and its state in one.
    pub fn status(&self) -> Option<(String, &'static str)> {
        let open = self.open.as_ref().filter(|open| open.is_at_work())?;
        let (_, [done, ..]) = open.overall();
        let text = format!("{}: {done} of {}", open.name(), count(open.experiment.trainings.len(), "training"));
        Some((text, header::word(open).0)).filter(|_| !open.is_starting())
    }

    /// Finishes the steps under way, saves, ends.
    pub fn stop(&mut self) {
        if let Some(open) = &mut self.open {
            open.stop();
        }
    }

    /// Hands an experiment at work over to whoever follows it without a window.
    pub fn release(&mut self) -> Option<Left> {
        let (handle, job) = self.open.as_mut()?.release()?;
        Some(Left::Experiment { handle, job: Box::new(job) })
    }
}
