//! What the panels share: runs that are open, the one that is at work, settings, the window's GPU.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui;
use eframe::egui_wgpu::RenderState;

use super::outlive::{AtWork, hold};
use super::{Background, FollowedJob, Settings};
use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::protocol::{Preview, RunFolder, RunStages, RunState, Severity, Stage, TokenPreview};
use crate::worker::{self, Job};

/// A run on the workspace: at work, or replayed from its folder.
pub struct OpenRun {
    /// Its settings, resolved.
    pub config: RunConfig,
    /// The stages that its settings ask for.
    pub stages: RunStages,
    /// Where it is kept.
    pub folder: RunFolder,
    /// The worker, and the fold over everything that happened.
    pub job: FollowedJob,
    /// The newest tokens of each stage that measures them.
    pub tokens: BTreeMap<Stage, Arc<TokenPreview>>,
    /// Writes the report of a run that has ended.
    concluding: Option<Background<Result<(RunState, PathBuf), String>>>,
    /// The report, once it is written.
    pub report: Option<PathBuf>,
    /// What could not be read or written of it, newest last.
    pub troubles: Vec<String>,
}

/// What the panels share.
pub struct Workspace {
    /// What the user set, kept between sessions.
    pub settings: Settings,
    /// The window's own GPU; none in tests without one.
    pub gpu: Option<RenderState>,
    /// Where jobs compute.
    pub device: DeviceChoice,
    /// Open runs, in the order in which they were opened.
    pub runs: Vec<OpenRun>,
    /// Which of them the panels show.
    pub shown: usize,
    /// What could not be done, newest last: shown at the foot of the window until it is dismissed.
    pub troubles: Vec<(Severity, String)>,
    /// Name of the experiment at work, if one is: one piece of work at a time.
    pub experiment_at_work: Option<String>,
    experiment_wanted: Option<PathBuf>,
    opening: Vec<Background<Result<OpenRun, String>>>,
}

impl OpenRun {
    /// A run that was read from its folder.
    pub fn replayed(folder: RunFolder, config: RunConfig, state: RunState) -> Self {
        let report = Some(folder.report_path()).filter(|path| path.is_file());
        Self {
            stages: RunStages::new(&config),
            config,
            folder,
            job: FollowedJob::ended(state),
            tokens: BTreeMap::new(),
            concluding: None,
            report,
            troubles: Vec::new(),
        }
    }

    /// Reads the tokens that the stages kept; those that could not be read can be done without.
    fn read_tokens(&mut self) {
        for stage in &self.job.state.stages {
            match self.folder.read_tokens(&stage.stage) {
                Ok(Some(tokens)) => drop(self.tokens.insert(stage.stage.clone(), Arc::new(tokens))),
                Ok(None) => {}
                Err(error) => self.troubles.push(error.to_string()),
            }
        }
    }

    /// A run that a worker makes.
    pub fn at_work(folder: RunFolder, config: RunConfig, job: FollowedJob) -> Self {
        Self {
            stages: RunStages::new(&config),
            config,
            folder,
            job,
            tokens: BTreeMap::new(),
            concluding: None,
            report: None,
            troubles: Vec::new(),
        }
    }

    /// Its name, also before the worker has said a word.
    pub fn name(&self) -> &str {
        let told = &self.job.state.name;
        if told.is_empty() { &self.config.name } else { told }
    }

    /// What is known of it.
    pub fn state(&self) -> &RunState {
        &self.job.state
    }

    /// Whether its report is being written.
    pub fn is_concluding(&self) -> bool {
        self.concluding.is_some()
    }

    fn poll(&mut self, ctx: &egui::Context) -> Result<(), String> {
        let watched = self.job.is_watched();
        let tokens = &mut self.tokens;
        let ended = self.job.poll(ctx, |preview| {
            if let Preview::Tokens(seen) = preview {
                tokens.insert(seen.stage.clone(), seen);
            }
        });
        // A refused start has no folder of its own: what lies there is somebody else's. Who makes a run writes its report.
        if ended && !watched && !self.job.state.stages.is_empty() {
            let (folder, config, state) = (self.folder.clone(), self.config.clone(), self.job.state.clone());
            self.concluding = Some(Background::start(ctx, move || {
                // What a lagging window missed stands in the record.
                let state = folder.replay().unwrap_or(state);
                let report = crate::report::old::write(&folder, &config, &state).map_err(|error| error.to_string())?;
                Ok((state, report))
            }));
        }
        if self.concluding.as_mut().is_some_and(Background::poll) {
            let (state, report) =
                self.concluding.take().and_then(Background::take).unwrap_or_else(|| Err("the report was lost".to_owned()))?;
            (self.job.state, self.report) = (state, Some(report));
        }
        Ok(())
    }
}

impl Workspace {
    /// An empty workspace.
    pub fn new(settings: Settings, gpu: Option<RenderState>, device: DeviceChoice) -> Self {
        Self {
            settings,
            gpu,
            device,
            runs: Vec::new(),
            shown: 0,
            troubles: Vec::new(),
            experiment_at_work: None,
            experiment_wanted: None,
            opening: Vec::new(),
        }
    }

    /// Takes in what has happened since the last frame.
    pub fn poll(&mut self, ctx: &egui::Context) {
        for run in &mut self.runs {
            if let Err(trouble) = run.poll(ctx) {
                run.troubles.push(trouble);
            }
        }
        let mut index = 0;
        while index < self.opening.len() {
            if !self.opening[index].poll() {
                index += 1;
                continue;
            }
            match self.opening.swap_remove(index).take() {
                Some(Ok(run)) => {
                    self.settings.remember_run(run.folder.root());
                    self.put(run);
                }
                Some(Err(trouble)) => self.troubles.push((Severity::Warning, trouble)),
                None => self.troubles.push((Severity::Warning, "a run could not be read: an internal error".to_owned())),
            }
        }
    }

    /// Shows a run, in place of an older look at the same folder.
    pub fn put(&mut self, run: OpenRun) {
        match self.runs.iter().position(|open| open.folder == run.folder) {
            // The worker's own word is newer than any record of it.
            Some(index) if self.runs[index].job.is_running() && !run.job.is_running() => self.shown = index,
            Some(index) => {
                self.runs[index] = run;
                self.shown = index;
            }
            None => {
                self.runs.push(run);
                self.shown = self.runs.len() - 1;
            }
        }
    }

    /// Starts a job that makes a run, and shows it. `known` is what a resumed run's record holds already.
    pub fn start(&mut self, job: Job, folder: RunFolder, config: RunConfig, known: RunState) {
        self.settings.remember_run(folder.root());
        let job = FollowedJob::going_on(worker::spawn(job, self.device.clone()), known);
        if let Some(handle) = job.held() {
            hold(AtWork::Run { handle, folder: folder.clone(), config: Box::new(config.clone()) });
        }
        self.put(OpenRun::at_work(folder, config, job));
    }

    /// Reads a run's folder and shows it when it is read.
    pub fn open_run(&mut self, ctx: &egui::Context, folder: &Path) {
        let same = |run: &OpenRun| std::path::absolute(run.folder.root()).ok() == std::path::absolute(folder).ok();
        if let Some(index) = self.runs.iter().position(|run| run.job.is_running() && same(run)) {
            self.shown = index;
            return;
        }
        let folder = RunFolder::new(folder);
        self.opening.push(Background::start(ctx, move || {
            let config = folder.config().map_err(|error| error.to_string())?;
            let mut run = if folder.busy().is_some() {
                let (handle, state) = worker::attach(&folder).map_err(|error| error.to_string())?;
                OpenRun::at_work(folder, config, FollowedJob::watching(handle, state))
            } else {
                let state = folder.replay().map_err(|error| error.to_string())?;
                OpenRun::replayed(folder, config, state)
            };
            run.read_tokens();
            Ok(run)
        }));
    }

    /// Asks the panel of experiments to open one, by its file or folder, and shows that panel.
    pub fn open_experiment(&mut self, path: PathBuf) {
        self.experiment_wanted = Some(path);
        self.settings.panel = super::Panel::Experiment;
    }

    /// The experiment that was asked for, once.
    pub fn take_wanted_experiment(&mut self) -> Option<PathBuf> {
        self.experiment_wanted.take()
    }

    /// Whether a run or an experiment is at work.
    pub fn is_at_work(&self) -> bool {
        self.experiment_at_work.is_some() || self.at_work().is_some()
    }

    /// Takes a run off the workspace, unless it is at work. Its folder stays as it is.
    pub fn close(&mut self, index: usize) {
        if self.runs.get(index).is_none_or(|run| run.job.is_running()) {
            return;
        }
        self.runs.remove(index);
        if self.shown > index || self.shown == self.runs.len() {
            self.shown = self.shown.saturating_sub(1);
        }
    }

    /// Whether a run's folder is being read.
    pub fn is_opening(&self) -> bool {
        !self.opening.is_empty()
    }

    /// Lets the user choose the run that all panels show, where several are open.
    pub(super) fn run_chooser(&mut self, ui: &mut egui::Ui, id: &str) {
        if self.runs.len() > 1 {
            let names: Vec<String> = self.runs.iter().map(|run| run.name().to_owned()).collect();
            ui.label("Run");
            let combo = egui::ComboBox::from_id_salt(id).selected_text(&names[self.shown]);
            let response = combo.show_index(ui, &mut self.shown, names.len(), |index| names[index].clone());
            response.on_hover_text("The run that the panels show");
        }
    }

    /// The run that the panels show.
    pub fn shown(&self) -> Option<&OpenRun> {
        self.runs.get(self.shown)
    }

    /// The same, to change.
    pub fn shown_mut(&mut self) -> Option<&mut OpenRun> {
        self.runs.get_mut(self.shown)
    }

    /// The run at work, if there is one.
    pub fn at_work(&self) -> Option<&OpenRun> {
        self.runs.iter().find(|run| run.job.is_running())
    }

    /// The same, to change.
    pub fn at_work_mut(&mut self) -> Option<&mut OpenRun> {
        self.runs.iter_mut().find(|run| run.job.is_running())
    }

    /// Says at the foot of the window that something could not be done.
    pub fn trouble(&mut self, text: impl Into<String>) {
        self.troubles.push((Severity::Warning, text.into()));
    }
}
