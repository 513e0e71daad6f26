//! The open experiment: what it is, how it stands, and the worker's side of it while this window works on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, TrySendError};
use std::time::Duration;

use eframe::egui;

use super::super::Background;
use super::super::outlive::{AtWork, Held, hold};
use super::board::Board;
use super::look::{Look, Reader};
use super::standing::Standing;
use crate::config::ExperimentConfig;
use crate::device::DeviceChoice;
use crate::experiment::ExperimentEvent;
use crate::experiment::{Experiment, ExperimentFolder, ExperimentFolderError, Progress};
use crate::protocol::{Command, Event, Stage, StageKind};
use crate::wording::share;
use crate::worker::{ExperimentHandle, ExperimentJob};

/// How often a window with an experiment at work looks for news.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Events taken in one frame: what is more waits for the next.
const EVENTS_PER_FRAME: usize = 2048;

/// Sets an experiment to work; tests put theirs in the worker's place.
pub(super) type Starter = Arc<dyn Fn(ExperimentJob, DeviceChoice) -> Result<ExperimentHandle, ExperimentFolderError> + Send + Sync>;

/// An experiment as it was read.
pub(super) struct Opened {
    pub(super) experiment: Experiment,
    pub(super) folder: ExperimentFolder,
}

impl Opened {
    /// Reads an experiment's folder, or its file; a file's experiment lies in `experiments/NAME`.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        if path.is_dir() {
            let folder = ExperimentFolder::new(path);
            let experiment = folder.read().map_err(|error| error.to_string())?;
            return Ok(Self { experiment, folder });
        }
        let config = ExperimentConfig::load(path).map_err(|error| error.to_string())?;
        let folder = ExperimentFolder::named(None, &config.name);
        Ok(Self { experiment: Experiment::new(config, folder.contents()).map_err(|error| error.to_string())?, folder })
    }
}

/// The part of a stage that is under way, as its worker tells.
#[derive(Clone, Debug, PartialEq)]
struct Live {
    part: StageKind,
    done: usize,
    total: usize,
}

/// The experiment at work in this window.
struct Work {
    job: ExperimentJob,
    handle: Held<ExperimentHandle>,
    live: BTreeMap<usize, Live>,
    /// Stages that ended and whose records were not read since: until then the worker's word stands.
    ended: Vec<usize>,
    paused: bool,
    stopping: bool,
    /// Commands that the full queue did not take yet.
    waiting: Vec<Command>,
}

/// An experiment on the panel.
pub(super) struct OpenExperiment {
    pub(super) experiment: Arc<Experiment>,
    pub(super) folder: ExperimentFolder,
    pub(super) board: Board,
    /// What was seen last; none before the first look.
    pub(super) look: Option<Look>,
    pub(super) reader: Reader,
    work: Option<Work>,
    /// The work ended, and nobody has taken note yet.
    ended: bool,
    wished: Option<(ExperimentJob, DeviceChoice)>,
    starting: Option<(ExperimentJob, Background<Result<ExperimentHandle, ExperimentFolderError>>)>,
}

impl OpenExperiment {
    /// Puts an experiment on the panel.
    pub(super) fn new(Opened { experiment, folder }: Opened) -> Self {
        let board = Board::new(&experiment);
        Self {
            experiment: Arc::new(experiment),
            folder,
            board,
            look: None,
            reader: Reader::new(),
            work: None,
            ended: false,
            wished: None,
            starting: None,
        }
    }

    /// Puts an experiment on the panel that is to be worked on at once.
    pub(super) fn at_work(job: ExperimentJob, device: DeviceChoice) -> Self {
        let opened = Opened { experiment: job.experiment.clone(), folder: job.folder.clone() };
        Self { wished: Some((job, device)), ..Self::new(opened) }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.experiment.config.name
    }

    /// Takes in what has happened. An error is for the foot of the window.
    pub(super) fn poll(&mut self, ctx: &egui::Context, starter: &Starter) -> Result<(), String> {
        self.listen(ctx);
        let own = self.work.is_some() || self.starting.is_some();
        if let Some(look) = self.reader.poll(ctx, (&self.experiment, &self.folder), self.look.as_ref(), own) {
            self.look = Some(look);
            if let Some(work) = self.work.as_mut().filter(|_| !self.reader.is_stale()) {
                for stage in work.ended.drain(..) {
                    work.live.remove(&stage);
                }
            }
        }
        // Whether somebody works on the experiment is found out by its lock: not while the worker takes it.
        if self.reader.is_idle()
            && let Some((job, device)) = self.wished.take()
        {
            let (starter, wanted) = (starter.clone(), job.clone());
            self.starting = Some((job, Background::start(ctx, move || starter(wanted, device))));
        }
        if self.starting.as_mut().is_some_and(|(_, starting)| starting.poll())
            && let Some((job, starting)) = self.starting.take()
        {
            self.reader.wake();
            let handle = starting.take().ok_or("the experiment could not be started: an internal error; try again")?;
            let handle = Held::new(handle.map_err(|error| error.to_string())?);
            hold(AtWork::Experiment { handle: handle.clone(), job: Box::new(job.clone()) });
            self.work =
                Some(Work { job, handle, live: BTreeMap::new(), ended: Vec::new(), paused: false, stopping: false, waiting: Vec::new() });
        }
        Ok(())
    }

    fn listen(&mut self, ctx: &egui::Context) {
        let Some(work) = &mut self.work else { return };
        ctx.request_repaint_after(LOOK_EVERY);
        let held = work.handle.clone();
        let guard = held.get();
        let Some(handle) = guard.as_ref() else { return };
        let mut ended = false;
        for _ in 0..EVENTS_PER_FRAME {
            match handle.events.try_recv() {
                Ok(event) => {
                    if matches!(event, ExperimentEvent::Began { .. } | ExperimentEvent::Reused { .. } | ExperimentEvent::Ended { .. }) {
                        self.reader.wake();
                    }
                    ended |= work.take(event);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    ended = true;
                    break;
                }
            }
        }
        drop(guard);
        work.send_waiting();
        if ended && self.work.take().is_some() {
            // What it tallied is read from the folder; a thread that ended by a fault leaves the folder as well.
            let _ = held.take().map(|handle| handle.join.join());
            self.reader.wake();
            self.ended = true;
        }
    }

    /// Whether the work ended since this was asked last.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// Asks to work on all that is missing.
    pub(super) fn start(&mut self, at_once: usize, device: DeviceChoice) {
        let job = ExperimentJob { at_once, ..ExperimentJob::new((*self.experiment).clone(), self.folder.clone()) };
        self.wished = Some((job, device));
    }

    /// Keeps the experiment elsewhere.
    pub(super) fn keep_in(&mut self, folder: PathBuf) {
        self.folder = ExperimentFolder::new(folder);
        (self.reader, self.look) = (Reader::new(), None);
    }

    /// Whether this window works on it, or is about to.
    pub(super) fn is_at_work(&self) -> bool {
        self.work.is_some() || self.is_starting()
    }

    /// Whether the worker is being called.
    pub(super) fn is_starting(&self) -> bool {
        self.starting.is_some() || self.wished.is_some()
    }

    /// Whether its stages hold.
    pub(super) fn is_paused(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.paused)
    }

    /// Whether it was asked to end and has not yet.
    pub(super) fn is_stopping(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.stopping)
    }

    /// Another program works on it.
    pub(super) fn is_busy(&self) -> bool {
        !self.is_at_work() && self.look.as_ref().is_some_and(|look| look.busy)
    }

    /// Finishes the steps under way, saves, ends.
    pub(super) fn stop(&mut self) {
        self.wished = None;
        if let Some(work) = &mut self.work {
            (work.stopping, work.paused) = (true, false);
            work.waiting.push(Command::Stop);
            work.send_waiting();
        }
    }

    /// Holds before the next step, or goes on.
    pub(super) fn pause(&mut self, hold: bool) {
        if let Some(work) = &mut self.work {
            work.paused = hold;
            work.waiting.push(if hold { Command::Pause } else { Command::Resume });
        }
    }

    /// Hands the experiment at work to somebody else.
    pub(super) fn release(&mut self) -> Option<(ExperimentHandle, ExperimentJob)> {
        let mut work = self.work.take()?;
        if work.paused {
            work.waiting.push(Command::Resume);
        }
        let handle = work.handle.take()?;
        for command in work.waiting.drain(..) {
            let _ = handle.commands.send(command);
        }
        Some((handle, work.job))
    }

    /// How far a stage is: the worker's word before the record's.
    pub(super) fn progress(&self, stage: usize) -> (Progress, Option<StageKind>) {
        let known = self.look.as_ref().and_then(|look| look.stages.get(stage));
        let live = self.work.as_ref().and_then(|work| work.live.get(&stage));
        match (live, known) {
            (Some(Live { part, done, total }), _) => (Progress::Begun { done: *done, total: *total }, Some(*part)),
            (None, Some(known)) => (known.progress.clone(), known.part),
            (None, None) => (Progress::Waiting, None),
        }
    }

    /// How a stage stands. A pre-training's number is its eta2 (turned), a fine-tuning's its mean Dice.
    pub(super) fn stage_standing(&self, stage: usize) -> Standing {
        let (progress, part) = self.progress(stage);
        let known = self.look.as_ref().and_then(|look| look.stages.get(stage));
        let is_live = self.work.as_ref().is_some_and(|work| work.live.contains_key(&stage)) || self.is_busy();
        match progress {
            Progress::Waiting => Standing::Waiting,
            Progress::Failed { message } => Standing::Failed(message),
            Progress::Begun { done, total } => {
                let share = done as f32 / total.max(1) as f32;
                let word = if part == Some(StageKind::Test) { "test" } else { "train" };
                if is_live { Standing::Running(word, share) } else { Standing::Held(share) }
            }
            Progress::Done => {
                let dice = known.and_then(|known| known.scores.as_ref()?.dice_mean).map(share);
                let eta2 = || known.and_then(|known| known.eta2_turned).map(|(eta2, _)| share(eta2));
                Standing::Done(dice.or_else(eta2).unwrap_or_else(|| "done".to_owned()))
            }
        }
    }

    /// How a cell stands.
    pub(super) fn cell_standing(&self, cell: usize) -> Standing {
        let cell = &self.experiment.cells[cell];
        match (self.stage_standing(cell.finetuned), cell.pretrained.map(|stage| self.stage_standing(stage))) {
            (Standing::Waiting, Some(Standing::Running(_, share))) => Standing::Before(share),
            (Standing::Waiting, Some(Standing::Failed(cause))) => Standing::Blocked(cause),
            (own, _) => own,
        }
    }

    /// Share of all stages that is done, and the numbers of those done, under way or held, failed, waiting.
    pub(super) fn overall(&self) -> (f32, [usize; 4]) {
        let (mut done, mut tally) = (0.0, [0; 4]);
        for stage in 0..self.experiment.trainings.len() {
            match self.progress(stage).0 {
                Progress::Done => (done, tally[0]) = (done + 1.0, tally[0] + 1),
                Progress::Begun { done: steps, total } => {
                    done += steps as f32 / total.max(1) as f32;
                    tally[1] += 1;
                }
                Progress::Failed { .. } => tally[2] += 1,
                Progress::Waiting => tally[3] += 1,
            }
        }
        (done / self.experiment.trainings.len().max(1) as f32, tally)
    }
}

impl Work {
    /// Takes one event in; true at the last.
    fn take(&mut self, event: ExperimentEvent) -> bool {
        match event {
            ExperimentEvent::Began { training: stage, .. } => {
                self.live.insert(stage, Live { part: self.job.experiment.trainings[stage].kind, done: 0, total: 1 });
                // A stage that begins while the others hold holds as well.
                if self.paused {
                    self.waiting.push(Command::Pause);
                }
            }
            ExperimentEvent::Record { training: stage, record } => {
                if let Some(live) = self.live.get_mut(&stage) {
                    live.take(&record.event);
                }
            }
            ExperimentEvent::Ended { training: stage, .. } => self.ended.push(stage),
            ExperimentEvent::Opened { .. } | ExperimentEvent::Reused { .. } | ExperimentEvent::LeftOut { .. } => {}
            ExperimentEvent::Finished(_) => return true,
        }
        false
    }

    fn send_waiting(&mut self) {
        let guard = self.handle.get();
        let Some(handle) = guard.as_ref() else { return };
        while let Some(&command) = self.waiting.first() {
            match handle.commands.try_send(command) {
                Err(TrySendError::Full(_)) => break,
                Ok(()) | Err(TrySendError::Disconnected(_)) => drop(self.waiting.remove(0)),
            }
        }
    }
}

impl Live {
    fn take(&mut self, event: &Event) {
        let counts = |stage: &Stage| stage.kind != StageKind::Prepare;
        match event {
            Event::StageStarted { stage, total, done } if counts(stage) => (self.part, self.done, self.total) = (stage.kind, *done, *total),
            Event::Progress { stage, done, total } if counts(stage) => (self.part, self.done, self.total) = (stage.kind, *done, *total),
            Event::Step { stage, numbers } if stage.kind == self.part => self.done = numbers.step,
            _ => {}
        }
    }
}
