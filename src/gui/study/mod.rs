//! Panel 5: a study - a question answered by a grid of runs - from its start to its conclusions.
//!
//! `opened` holds the study and the worker's side of it, `look` reads its folder beside the window. `board` lays the grid out
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

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui::{self, Frame, Margin, Panel, Ui};
use rfd::FileDialog;

use super::run::file_url;
use super::{Background, Desk, Left};
use crate::device::DeviceChoice;
use crate::report;
use crate::report::wording::count;
use crate::study::StudyState;
use crate::worker::{OfferedDevice, StudyJob, offered_devices, spawn_study};
use details::Chosen;
use opened::{OpenStudy, Opened, Starter};
use welcome::Shipped;

/// Width of the details beside the grid.
const DETAILS_WIDTH: f32 = 316.0;

/// What a dialog asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// A study's file.
    File,
    /// A study's folder.
    Folder,
    /// Where the open study is to be kept.
    Place,
}

/// What of a study is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum View {
    /// How far it is.
    #[default]
    Grid,
    /// What it shows so far.
    Findings,
}

/// A grid of runs and what it shows.
pub struct StudyPanel {
    open: Option<OpenStudy>,
    opening: Option<Background<Result<Opened, String>>>,
    asking: Option<(Ask, Background<Option<PathBuf>>)>,
    shipped: Shipped,
    devices: Option<Background<(Vec<OfferedDevice>, Option<String>)>>,
    starter: Starter,
    at_once: usize,
    chosen: Option<Chosen>,
    view: View,
    /// The report as it is written, and whether it is to be opened then.
    writing: Option<(bool, Background<Result<PathBuf, String>>)>,
}

impl Default for StudyPanel {
    fn default() -> Self {
        Self {
            open: None,
            opening: None,
            asking: None,
            shipped: Shipped::default(),
            devices: None,
            starter: Arc::new(spawn_study),
            at_once: 1,
            chosen: None,
            view: View::default(),
            writing: None,
        }
    }
}

impl StudyPanel {
    /// Puts a study on the panel that is to be worked on at once.
    pub fn begin(&mut self, job: StudyJob, device: DeviceChoice) {
        self.open = Some(OpenStudy::at_work(job, device));
    }

    /// Takes in what has happened; also while another panel is shown. Hands out what a dialog chose: it may be no study.
    pub fn tend(&mut self, ctx: &egui::Context, desk: &mut Desk) -> Option<PathBuf> {
        if let Some(path) = desk.take_wanted_study() {
            self.begin_opening(ctx, path, desk);
        }
        if self.opening.as_mut().is_some_and(Background::poll) {
            match self.opening.take().and_then(Background::take) {
                Some(Ok(opened)) => (self.open, self.chosen) = (Some(OpenStudy::new(opened)), None),
                Some(Err(trouble)) => desk.trouble(trouble),
                None => desk.trouble("the study could not be read: an internal error; open it again"),
            }
        }
        if let Some(open) = &mut self.open {
            let shown = desk.settings.panel == super::Panel::Study;
            if (shown || open.is_at_work())
                && let Err(trouble) = open.poll(ctx, &self.starter)
            {
                desk.trouble(trouble);
            }
            desk.study_at_work = open.is_at_work().then(|| open.name().to_owned());
            if open.take_ended() {
                self.write_report(ctx, false);
            }
        }
        self.tend_report(ctx, desk);
        let (ask, mut asking) = self.asking.take()?;
        if !asking.poll() {
            self.asking = Some((ask, asking));
            return None;
        }
        let chosen = asking.take().flatten()?;
        if ask == Ask::Place {
            let place = chosen.join(self.open.as_ref()?.name());
            self.open.as_mut()?.keep_in(place);
            return None;
        }
        Some(chosen)
    }

    /// Writes the report of the open study beside the window; `then_open` shows it in the browser.
    fn write_report(&mut self, ctx: &egui::Context, then_open: bool) {
        let Some(open) = self.open.as_ref().filter(|_| self.writing.is_none()) else { return };
        let (study, folder) = (open.study.clone(), open.folder.clone());
        let write = move || {
            let state = StudyState::read(&study, &folder);
            report::study::write(&folder, &study, &state).map_err(|error| error.to_string())
        };
        self.writing = Some((then_open, Background::start(ctx, write)));
    }

    fn tend_report(&mut self, ctx: &egui::Context, desk: &mut Desk) {
        if !self.writing.as_mut().is_some_and(|(_, writing)| writing.poll()) {
            return;
        }
        let Some((then_open, writing)) = self.writing.take() else { return };
        match writing.take() {
            Some(Ok(path)) if then_open => ctx.open_url(egui::OpenUrl::new_tab(file_url(&path))),
            Some(Ok(_)) => {}
            Some(Err(trouble)) => desk.trouble(trouble),
            None => desk.trouble("the report could not be written: an internal error; run `simtrot study report` on the study's folder"),
        }
    }

    fn begin_opening(&mut self, ctx: &egui::Context, path: PathBuf, desk: &mut Desk) {
        if let Some(open) = self.open.as_ref().filter(|open| open.is_at_work()) {
            desk.trouble(format!("{} is at work: stop it, or wait until it is done, before another study is opened", open.name()));
            return;
        }
        desk.settings.remember_study(&path);
        self.opening = Some(Background::start(ctx, move || Opened::read(&path)));
    }

    /// Draws the panel.
    pub fn show(&mut self, ui: &mut Ui, desk: &mut Desk) {
        let ctx = ui.ctx().clone();
        if self.open.is_none() {
            let opening = self.opening.is_some();
            match welcome::show(ui, &desk.settings, &mut self.shipped, opening) {
                Some(welcome::First::Ask(ask)) => self.ask(&ctx, ask),
                Some(welcome::First::Study(path)) => desk.open_study(path),
                None => {}
            }
            return;
        }
        let devices = self.devices.get_or_insert_with(|| Background::start(&ctx, offered_devices));
        devices.poll();
        let frame = Frame::new().inner_margin(Margin { bottom: 6, ..Margin::ZERO });
        Panel::top("study header").show_separator_line(false).frame(frame).show(ui, |ui| self.header(ui, desk));
        let frame = Frame::new().inner_margin(Margin { left: 8, ..Margin::ZERO });
        let Some(open) = &self.open else { return };
        if self.view == View::Findings {
            egui::CentralPanel::no_frame().show(ui, |ui| findings::show(ui, open));
            return;
        }
        if let Some(chosen) = self.chosen {
            let panel = Panel::right("study details").exact_size(DETAILS_WIDTH).resizable(false).show_separator_line(false).frame(frame);
            match panel.show(ui, |ui| details::show(ui, open, chosen)).inner {
                Some(details::Wish::Look { stage, panel }) => {
                    desk.open_run(&ctx, open.folder.stage(&open.study.stages[stage]).root());
                    desk.settings.panel = panel;
                }
                Some(details::Wish::Close) => self.chosen = None,
                None => {}
            }
        }
        egui::CentralPanel::no_frame().show(ui, |ui| grid::show(ui, open, &mut self.chosen));
    }

    fn header(&mut self, ui: &mut Ui, desk: &mut Desk) {
        let devices = self.devices.as_ref().and_then(Background::get).map_or(&[][..], |(devices, _)| devices.as_slice());
        let Some(open) = &mut self.open else { return };
        let writing = self.writing.is_some();
        match header::show(ui, open, (devices, &mut self.at_once, &mut self.view), desk) {
            None => {}
            Some(header::Wish::Report) if writing => {}
            Some(header::Wish::Report) => self.write_report(&ui.ctx().clone(), true),
            Some(header::Wish::AskToStop) => {
                let busy = self.open.as_ref().and_then(|open| open.folder.busy());
                if let Some(Err(error)) = busy.map(|busy| busy.ask_to_stop()) {
                    desk.trouble(format!("the request to stop cannot be left in the study's folder: {error}"));
                }
            }
            Some(header::Wish::Ask(ask)) => self.ask(ui.ctx(), ask),
            Some(header::Wish::Open(path)) => desk.open_study(path),
            Some(header::Wish::Device(device)) => desk.device = device,
            Some(header::Wish::Close) => (self.open, self.chosen) = (None, None),
        }
    }

    fn ask(&mut self, ctx: &egui::Context, ask: Ask) {
        if self.asking.is_some() {
            return;
        }
        let choose = move || match ask {
            Ask::File => FileDialog::new().set_title("File of a study").add_filter("Study", &["ron"]).pick_file(),
            Ask::Folder => FileDialog::new().set_title("Folder of a study").pick_folder(),
            Ask::Place => FileDialog::new().set_title("Folder in which the study's own folder is made").pick_folder(),
        };
        self.asking = Some((ask, Background::start(ctx, choose)));
    }

    /// The study at work in a few words, and its state in one.
    pub fn status(&self) -> Option<(String, &'static str)> {
        let open = self.open.as_ref().filter(|open| open.is_at_work())?;
        let (_, [done, ..]) = open.overall();
        let text = format!("{}: {done} of {}", open.name(), count(open.study.stages.len(), "training"));
        Some((text, header::word(open).0)).filter(|_| !open.is_starting())
    }

    /// Finishes the steps under way, saves, ends.
    pub fn stop(&mut self) {
        if let Some(open) = &mut self.open {
            open.stop();
        }
    }

    /// Hands a study at work over to whoever follows it without a window.
    pub fn release(&mut self) -> Option<Left> {
        let (handle, job) = self.open.as_mut()?.release()?;
        Some(Left::Study { handle, job: Box::new(job) })
    }
}
