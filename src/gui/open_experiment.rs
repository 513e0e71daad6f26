//! An experiment on the workspace: what it is, how far it has come, and the worker's side of it while this window works on it.
//!
//! Events of this window's own worker are folded as they come. Everything else is read beside the window from the folder, whose
//! records hold the same events: results, time left, tokens, and what another program does to it meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eframe::egui;

use super::Background;
use super::file_url::file_url;
use super::job::drain;
use super::outlive::{Held, Left, hold};
use super::reader::{Look, Reader};
use super::work::Work;
use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState, Progress, Tally, TrainingPlan};
use crate::protocol::{Command, FolderError, RunFolder, RunState, Stage, StageKind, StageState, TokenPreview};
use crate::worker::{ExperimentHandle, ExperimentJob};

/// How often a window with an experiment at work looks for news.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Events folded in one frame: what is more waits for the next, so that a burst does not hold up the window.
const EVENTS_PER_FRAME: usize = 512;

/// Sets an experiment to work; tests put theirs in the worker's place.
pub(super) type Starter = Arc<dyn Fn(ExperimentJob, DeviceChoice) -> Result<ExperimentHandle, FolderError> + Send + Sync>;

/// An experiment that is to be worked on, where, and the call of its worker once that has begun.
type Start = (ExperimentJob, DeviceChoice, Option<Background<Result<ExperimentHandle, FolderError>>>);

/// An experiment on the workspace.
pub struct OpenRun {
    /// What it is.
    pub experiment: Arc<Experiment>,
    /// Where it is kept.
    pub folder: ExperimentFolder,
    /// What was worked out of its records last; none before the first look.
    pub look: Option<Look>,
    /// The settings at that point, arms included.
    pub config: RunConfig,
    /// The newest tokens of each training at that point.
    pub tokens: BTreeMap<Stage, Arc<TokenPreview>>,
    /// The report, once it is written.
    pub report: Option<PathBuf>,
    /// What could not be read or written of it, newest last.
    pub troubles: Vec<String>,
    /// What is known of its trainings.
    pub known: ExperimentState,
    /// The trainings at the point of its grid that the other panels show.
    point: Vec<usize>,
    all_tokens: BTreeMap<usize, Arc<TokenPreview>>,
    pub(super) reader: Reader,
    work: Option<Work>,
    start: Option<Start>,
    /// The report as it is written, and whether it is to be opened then.
    writing: Option<(bool, Background<Result<PathBuf, String>>)>,
}

/// A training of an open experiment that has a record.
#[derive(Clone, Copy)]
pub struct OpenTraining<'a> {
    /// Index among the experiment's trainings.
    pub index: usize,
    /// What it is.
    pub plan: &'a TrainingPlan,
    /// What is known of it.
    pub run: &'a RunState,
}

impl OpenRun {
    /// An experiment whose records are still to be read.
    pub fn new(experiment: Experiment, folder: ExperimentFolder) -> Self {
        let report = Some(folder.report_path()).filter(|path| path.is_file());
        let mut open = Self {
            known: ExperimentState::new(&experiment),
            point: Vec::new(),
            config: experiment.config.base().clone(),
            experiment: Arc::new(experiment),
            folder,
            look: None,
            tokens: BTreeMap::new(),
            all_tokens: BTreeMap::new(),
            report,
            troubles: Vec::new(),
            reader: Reader::default(),
            work: None,
            start: None,
            writing: None,
        };
        open.choose_point(&open.experiment.cells.first().map(|cell| cell.point.clone()).unwrap_or_default());
        open
    }

    /// Shows another point of the grid in the other panels: all trainings, where an experiment has no cells.
    pub fn choose_point(&mut self, levels: &[usize]) {
        let experiment = &self.experiment;
        let here = |training: &usize| {
            let mut cells = experiment.cells_of(*training).peekable();
            cells.peek().is_none() || cells.any(|cell| cell.point == levels)
        };
        self.point = (0..experiment.trainings.len()).filter(here).collect();
        let settings = levels.iter().enumerate().flat_map(|(axis, &level)| experiment.levels[axis][level].set.clone());
        let base = experiment.config.base();
        self.config = base.with_overrides(&settings.collect::<Vec<_>>()).unwrap_or_else(|_| base.clone());
        self.gather_tokens();
    }

    fn gather_tokens(&mut self) {
        let tokens = self.point.iter().filter_map(|training| self.all_tokens.get(training));
        self.tokens = tokens.map(|seen| (seen.stage.clone(), seen.clone())).collect();
    }

    /// What is known of the trainings at the point that the other panels show.
    pub fn records(&self) -> impl Iterator<Item = &RunState> {
        self.point.iter().filter_map(|&training| self.run(training))
    }

    /// Their stages one after the other; each bears its arm's name.
    pub fn stages(&self) -> impl Iterator<Item = &StageState> {
        self.records().flat_map(|run| &run.stages)
    }

    /// Those of one kind.
    pub fn stages_of(&self, kind: StageKind) -> impl Iterator<Item = &StageState> {
        self.stages().filter(move |stage| stage.stage.kind == kind)
    }

    /// The folder of a stage's training.
    pub fn training_folder(&self, stage: &Stage) -> RunFolder {
        let kind = if stage.kind == StageKind::Pretrain { StageKind::Pretrain } else { StageKind::Finetune };
        let mut plans = self.point.iter().filter_map(|&training| self.experiment.trainings.get(training));
        let plan = plans.find(|plan| plan.kind == kind && plan.arm == stage.arm);
        plan.map_or_else(|| RunFolder::new(self.folder.root()), |plan| self.folder.training(plan))
    }

    /// Reads the experiment that lies in a folder.
    ///
    /// # Errors
    /// There is none, or it cannot be understood.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let folder = ExperimentFolder::new(folder);
        Ok(Self::new(folder.read().map_err(|error| error.to_string())?, folder))
    }

    /// An experiment whose records are known and not read again, for tests.
    #[cfg(test)]
    pub(super) fn replayed(experiment: Experiment, folder: ExperimentFolder, known: ExperimentState) -> Self {
        let look = Look::new(&experiment, &known, &folder, true);
        Self { look: Some(look), reader: Reader::known(), known, ..Self::new(experiment, folder) }
    }

    /// A run of these settings with this record, for tests of the panels that look at one run at a time.
    #[cfg(test)]
    pub(super) fn of_record(folder: impl Into<PathBuf>, config: RunConfig, state: RunState) -> Self {
        let experiment = Experiment::outline(crate::config::ExperimentConfig::of_run(config.clone())).expect("the config is sound");
        let known = ExperimentState::new(&experiment);
        let mut open = Self::replayed(experiment, ExperimentFolder::new(folder), known);
        open.config = config;
        // Settings without arms have no training.
        open.known.runs.resize(open.known.runs.len().max(1), None);
        if open.point.is_empty() {
            open.point = vec![0];
        }
        *open.state_mut() = state;
        open
    }

    /// The record of the point, for tests that go on with it.
    #[cfg(test)]
    pub(super) fn state_mut(&mut self) -> &mut RunState {
        Arc::make_mut(self.known.runs[0].get_or_insert_default())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.experiment.config.name
    }

    /// What is known of a training.
    pub fn run(&self, training: usize) -> Option<&RunState> {
        self.known.runs.get(training)?.as_deref()
    }

    /// Trainings that have a record, in order.
    pub fn trainings(&self) -> impl DoubleEndedIterator<Item = OpenTraining<'_>> {
        let open = |(index, plan)| Some(OpenTraining { index, plan, run: self.run(index)? });
        self.experiment.trainings.iter().enumerate().filter_map(open)
    }

    /// Levels and arm of a training, as far as they tell it from the others.
    pub fn title(&self, training: usize) -> String {
        crate::results::Names::training(&self.experiment, training, |_| true)
    }

    /// How far a training is.
    pub fn progress(&self, training: usize) -> Progress {
        self.known.progress(&self.experiment, training)
    }

    /// How many of its trainings are how far.
    pub fn tally(&self) -> Tally {
        self.known.tally(&self.experiment, &(0..self.experiment.trainings.len()).collect::<Vec<_>>())
    }

    /// Whether this window's worker trains it now.
    pub fn is_live(&self, training: usize) -> bool {
        self.work.as_ref().is_some_and(|work| work.live.contains(&training))
    }

    /// Takes in what has happened. `ctx` is woken while there is more to come.
    pub(super) fn poll(&mut self, ctx: &egui::Context, starter: &Starter) {
        self.listen(ctx);
        let own = self.is_at_work();
        if let Some(news) = self.reader.poll(ctx, (&self.experiment, &self.folder), self.look.as_ref(), own) {
            let live =
                |training: &usize| self.work.as_ref().is_some_and(|work| work.live.contains(training) && !work.ended.contains(training));
            for training in (0..news.state.runs.len()).filter(|training| !live(training)) {
                self.known.runs[training] = news.state.runs[training].clone();
                self.known.failures[training] = news.state.failures[training].clone();
            }
            self.all_tokens.extend(news.tokens);
            self.troubles.retain(|trouble| news.healed.as_ref() != Some(trouble));
            self.troubles.extend(news.troubles.into_iter().filter(|trouble| !self.troubles.contains(trouble)).collect::<Vec<_>>());
            self.look = Some(news.look);
            self.gather_tokens();
            if let Some(work) = self.work.as_mut().filter(|_| !self.reader.is_stale()) {
                for training in work.ended.drain(..) {
                    work.live.remove(&training);
                }
            }
        }
        self.begin(ctx, starter);
        if self.writing.as_mut().is_some_and(|(_, writing)| writing.poll())
            && let Some((then_open, writing)) = self.writing.take()
        {
            match writing.take().unwrap_or_else(|| Err("the report was lost to an internal error; write it again".to_owned())) {
                Ok(path) => {
                    if then_open {
                        ctx.open_url(egui::OpenUrl::new_tab(file_url(&path)));
                    }
                    self.report = Some(path);
                }
                Err(trouble) => self.troubles.push(trouble),
            }
        }
    }

    /// Calls the worker where that is wanted. The lock says whether somebody works on the experiment: it is not asked meanwhile.
    fn begin(&mut self, ctx: &egui::Context, starter: &Starter) {
        let Some((job, device, calling)) = &mut self.start else { return };
        if calling.is_none() && self.reader.is_idle() {
            let (starter, job, device) = (starter.clone(), job.clone(), device.clone());
            *calling = Some(Background::start(ctx, move || starter(job, device)));
        }
        if !calling.as_mut().is_some_and(Background::poll) {
            return;
        }
        self.reader.wake();
        let Some((job, _, Some(calling))) = self.start.take() else { return };
        let internal = || "the experiment could not be started: an internal error; try again".to_owned();
        match calling.take().ok_or_else(internal).and_then(|handle| handle.map_err(|error| error.to_string())) {
            Ok(handle) => {
                let handle = Held::new(handle);
                hold(&handle, &job);
                self.work = Some(Work::new(job, handle));
            }
            Err(trouble) => self.troubles.push(trouble),
        }
    }

    fn listen(&mut self, ctx: &egui::Context) {
        let Some(work) = &mut self.work else { return };
        ctx.request_repaint_after(POLL_INTERVAL);
        let held = work.handle.clone();
        let guard = held.get();
        let Some(handle) = guard.as_ref() else { return };
        let mut finished = false;
        let gone = drain(&handle.events, EVENTS_PER_FRAME, |event| finished |= work.take(&event, &mut self.known, &mut self.reader));
        drop(guard);
        work.send_waiting();
        if (gone || finished) && self.work.take().is_some() {
            // The folder says how far it is; after a fault of the program as well.
            if held.take().is_some_and(|handle| handle.join.join().is_err()) {
                self.troubles.push("the worker ended by a fault of the program; what was saved is intact: resume the run".to_owned());
            }
            self.reader.wake();
            self.write_report(ctx, false);
        }
    }

    /// Asks to work on it: on all that is missing, or on what a command line asked for.
    pub(super) fn start(&mut self, job: ExperimentJob, device: DeviceChoice) {
        self.start = Some((job, device, None));
    }

    /// All that is missing of it, so many trainings at once.
    pub(super) fn job(&self, at_once: usize) -> ExperimentJob {
        ExperimentJob { at_once, ..ExperimentJob::new((*self.experiment).clone(), self.folder.clone()) }
    }

    /// Writes the report beside the window; `then_open` shows it in the browser.
    pub(super) fn write_report(&mut self, ctx: &egui::Context, then_open: bool) {
        if self.writing.is_some() {
            return;
        }
        let (experiment, folder) = (self.experiment.clone(), self.folder.clone());
        let write = move || {
            let state = ExperimentState::read(&experiment, &folder);
            crate::report::write(&folder, &experiment, &state).map_err(|error| error.to_string())
        };
        self.writing = Some((then_open, Background::start(ctx, write)));
    }

    /// Whether its report is being written.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether this window works on it, or is about to.
    pub fn is_at_work(&self) -> bool {
        self.work.is_some() || self.start.is_some()
    }

    /// Whether the worker is being called.
    pub fn is_starting(&self) -> bool {
        self.start.is_some()
    }

    /// Whether another program works on it.
    pub fn is_watched(&self) -> bool {
        !self.is_at_work() && self.look.as_ref().is_some_and(|look| look.busy)
    }

    /// Whether its trainings hold.
    pub fn is_paused(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.paused)
    }

    /// Whether it was asked to end and has not yet.
    pub fn is_stopping(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.stopping)
    }

    /// How long the worker has told nothing; none where none is at work.
    pub fn silence(&self) -> Option<Duration> {
        self.work.as_ref().filter(|work| !work.live.is_empty()).map(|work| work.heard.elapsed())
    }

    /// Holds before the next step, or goes on.
    pub fn pause(&mut self, hold: bool) {
        if let Some(work) = &mut self.work {
            work.paused = hold;
            work.send(if hold { Command::Pause } else { Command::Resume });
        }
    }

    /// Saves a checkpoint after this step.
    pub fn save(&mut self) {
        if let Some(work) = &mut self.work {
            work.send(Command::Save);
        }
    }

    /// Finishes the steps under way, saves, ends. Asks another program that works on it to do so.
    ///
    /// # Errors
    /// The request cannot be left in the folder.
    pub fn stop(&mut self) -> Result<(), String> {
        self.start.take_if(|(.., calling)| calling.is_none());
        if let Some(work) = &mut self.work {
            (work.stopping, work.paused) = (true, false);
            work.send(Command::Stop);
        } else if self.is_watched() {
            return self
                .folder
                .ask_to_stop()
                .map_err(|error| format!("the request to stop cannot be left in {}: {error}", self.folder.root().display()));
        }
        Ok(())
    }

    /// Hands the experiment at work to somebody else.
    pub(super) fn release(&mut self) -> Option<Left> {
        let mut work = self.work.take()?;
        if work.paused {
            work.waiting.push(Command::Resume);
        }
        let handle = work.handle.take()?;
        for command in work.waiting.drain(..) {
            let _ = handle.commands.send(command);
        }
        Some(Left { handle, job: Box::new(work.job) })
    }
}
