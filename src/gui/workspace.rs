//! What the panels share: experiments that are open, the one that is at work, settings, the window's GPU.

use std::path::Path;
use std::sync::Arc;

use eframe::egui::{self, ComboBox};
use eframe::egui_wgpu::RenderState;

use super::open_experiment::Starter;
use super::settings::remember;
use super::{Background, OpenRun, Settings};
use crate::device::DeviceChoice;
use crate::protocol::Severity;
use crate::worker::{ExperimentJob, spawn_experiment};

/// What the panels share.
pub struct Workspace {
    /// What the user set, kept between sessions.
    pub settings: Settings,
    /// The window's own GPU; none in tests without one.
    pub gpu: Option<RenderState>,
    /// Where jobs compute.
    pub device: DeviceChoice,
    /// Open experiments, in the order in which they were opened.
    pub runs: Vec<OpenRun>,
    /// Which of them the panels show.
    pub shown: usize,
    /// What could not be done, newest last: shown at the foot of the window until it is dismissed.
    pub troubles: Vec<(Severity, String)>,
    pub(super) starter: Starter,
    /// Folders that are read, each with whether the experiment is to be worked on.
    opening: Vec<(bool, Background<Result<OpenRun, String>>)>,
}

impl Workspace {
    /// An empty workspace.
    pub fn new(settings: Settings, gpu: Option<RenderState>, device: DeviceChoice) -> Self {
        let (runs, troubles, opening) = (Vec::new(), Vec::new(), Vec::new());
        Self { settings, gpu, device, runs, shown: 0, troubles, starter: Arc::new(spawn_experiment), opening }
    }

    /// Takes in what has happened since the last frame.
    pub fn poll(&mut self, ctx: &egui::Context) {
        for open in &mut self.runs {
            open.poll(ctx, &self.starter);
        }
        let done: Vec<_> = self.opening.extract_if(.., |(_, opening)| opening.poll()).collect();
        for (at_once, opening) in done {
            match opening.take() {
                Some(Ok(open)) if at_once && !self.is_at_work() => {
                    let job = open.job(1);
                    self.start(open, job);
                }
                Some(Ok(open)) => {
                    remember(&mut self.settings.recent_runs, open.folder.root());
                    self.put(open);
                }
                Some(Err(trouble)) => self.trouble(trouble),
                None => self.trouble("a run could not be read: an internal error"),
            }
        }
    }

    /// Shows an experiment, in place of an older look at the same folder.
    pub fn put(&mut self, open: OpenRun) {
        match self.runs.iter().position(|known| known.folder == open.folder) {
            // The worker's own word is newer than any record of it.
            Some(index) if self.runs[index].is_at_work() => self.shown = index,
            Some(index) => {
                self.runs[index] = open;
                self.shown = index;
            }
            None => {
                self.runs.push(open);
                self.shown = self.runs.len() - 1;
            }
        }
    }

    /// Works on an experiment, and shows it.
    pub fn start(&mut self, mut open: OpenRun, job: ExperimentJob) {
        remember(&mut self.settings.recent_runs, open.folder.root());
        open.start(job, self.device.clone());
        self.put(open);
    }

    /// Reads an experiment's folder, and shows it when it is read; `at_once`: goes on with what is missing of it as well.
    pub fn open_run(&mut self, ctx: &egui::Context, folder: &Path, at_once: bool) {
        let same = |open: &OpenRun| std::path::absolute(open.folder.root()).ok() == std::path::absolute(folder).ok();
        if let Some(index) = self.runs.iter().position(|open| open.is_at_work() && same(open)) {
            self.shown = index;
            return;
        }
        let folder = folder.to_owned();
        self.opening.push((at_once, Background::start(ctx, move || OpenRun::read(&folder))));
    }

    /// Whether an experiment is at work.
    pub fn is_at_work(&self) -> bool {
        self.at_work().is_some()
    }

    /// Closes an experiment, unless it is at work. Its folder stays as it is.
    pub fn close(&mut self, index: usize) {
        if self.runs.get(index).is_none_or(OpenRun::is_at_work) {
            return;
        }
        self.runs.remove(index);
        if self.shown > index || self.shown == self.runs.len() {
            self.shown = self.shown.saturating_sub(1);
        }
    }

    /// Whether a folder is being read.
    pub fn is_opening(&self) -> bool {
        !self.opening.is_empty()
    }

    /// The experiment that the panels show.
    pub fn shown(&self) -> Option<&OpenRun> {
        self.runs.get(self.shown)
    }

    /// The same, to change.
    pub fn shown_mut(&mut self) -> Option<&mut OpenRun> {
        self.runs.get_mut(self.shown)
    }

    /// The experiment at work, if there is one.
    pub fn at_work(&self) -> Option<&OpenRun> {
        self.runs.iter().find(|open| open.is_at_work())
    }

    /// The same, to change.
    pub fn at_work_mut(&mut self) -> Option<&mut OpenRun> {
        self.runs.iter_mut().find(|open| open.is_at_work())
    }

    /// A list of the open experiments, where there are several, to choose the one that the panels show.
    pub(super) fn run_chooser(&mut self, ui: &mut egui::Ui, id: &str) {
        if self.runs.len() < 2 {
            return;
        }
        let names: Vec<String> = self.runs.iter().map(|open| open.name().to_owned()).collect();
        ui.label("Run");
        let list = ComboBox::from_id_salt(id).selected_text(&names[self.shown]);
        let response = list.show_index(ui, &mut self.shown, names.len(), |index| names[index].clone());
        response.on_hover_text("The run that the panels show");
    }

    /// Says at the foot of the window that something could not be done.
    pub fn trouble(&mut self, text: impl Into<String>) {
        self.troubles.push((Severity::Warning, text.into()));
    }
}
