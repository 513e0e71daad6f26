//! An experiment at work: its trainings one after the other, or several at once, each a job on a worker of its own.
//!
//! A training that fails is reported and the others go on; those that start from it are left waiting. Whatever ends the program,
//! finished trainings stay, and a training cut off goes on from its last checkpoint. A shard waits for trainings of its part that another
//! one makes, and takes over those that a dead one has left.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use super::case_needs::CaseNeeds;
use super::cases::{half_of_free, prepared_folder};
use super::continued::{is_of_another_source, rename_fewer_steps};
use super::handle::{COMMAND_QUEUE, ExperimentHandle, PREVIEW_QUEUE, RunHandle};
use super::job::{Job, panicked, spawn_within};
use super::outbox::Outbox;
use super::queue::{Active, Queue};
use super::training_job::{Start, TrainingJob};
use crate::device::{DeviceChoice, require_even};
use crate::experiment::{
    Contents, Experiment, ExperimentEvent, ExperimentFolder, ExperimentLock, ExperimentState, Finish, Progress, Shard,
};
use crate::folder_lock::{FolderLock, LockError};
use crate::folders;
use crate::protocol::{Command, FolderError, Outcome, Preview};
use crate::stop_signal::{self, JobGuard};

/// Events that may wait for a front end before droppable ones are dropped; of the others any number may.
const EVENT_QUEUE: usize = 4096;

/// How long to wait when no training has an event.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// An experiment to work on.
#[derive(Clone, Debug)]
pub struct ExperimentJob {
    /// What.
    pub experiment: Experiment,
    /// Where.
    pub folder: ExperimentFolder,
    /// Indices of the trainings that are wanted, in order.
    pub trainings: Vec<usize>,
    /// The shard whose `trainings` they are: others work in the folder as well. None: nobody else may.
    pub shard: Option<Shard>,
    /// Trainings at work at the same time.
    pub at_once: usize,
    /// Devices that share each batch of a training with the first.
    pub beside: Vec<DeviceChoice>,
    /// End each training after so many steps.
    pub max_steps: Option<usize>,
    /// Bytes of memory that all trainings at work may take for cases read ahead; none: half of what is free. Results do not depend on it.
    pub memory: Option<u64>,
    /// Make everything anew, in place of what lies in the folder.
    pub overwrite: bool,
    /// Steps are only measured: that they are few is not worth a warning.
    pub is_trial: bool,
}

impl ExperimentJob {
    /// All that is missing of an experiment, one training at a time.
    pub fn new(experiment: Experiment, folder: ExperimentFolder) -> Self {
        let trainings = (0..experiment.trainings.len()).collect();
        let (shard, at_once, beside) = (None, 1, Vec::new());
        Self { experiment, folder, trainings, shard, at_once, beside, max_steps: None, memory: None, overwrite: false, is_trial: false }
    }
}

/// Starts working on an experiment: what is done stays, what is missing is made.
///
/// # Errors
/// The folder is another's, in use, or cannot be written; the data of an experiment of one point cannot be used; no case can be prepared.
///
/// # Panics
/// If the system has no thread to give.
pub fn spawn_experiment(job: ExperimentJob, device: DeviceChoice) -> Result<ExperimentHandle, FolderError> {
    if let Some(trouble) = trouble(&job).or_else(|| uneven(&job)).or_else(|| cache_trouble(&job)) {
        return Err(job.folder.busy().map_or(FolderError::Trouble(trouble), FolderError::Busy));
    }
    let lock = match job.shard {
        None => ExperimentLock::Whole(job.folder.begin(&job.experiment, job.overwrite)?),
        Some(shard) => job.folder.join(&job.experiment, shard)?,
    };
    let (sender, events) = sync_channel(EVENT_QUEUE);
    let (commands, receiver) = sync_channel(COMMAND_QUEUE);
    let (preview_sender, previews) = sync_channel(PREVIEW_QUEUE);
    let guard = JobGuard::begin();
    let work = move || {
        let (front_end, previews) = (RefCell::new(Outbox::new(sender)), RefCell::new(Outbox::new(preview_sender)));
        let runner = ExperimentRunner { job, device, front_end, previews };
        let finish = runner.work(&receiver, &lock);
        drop((lock, guard));
        runner.front_end.into_inner().flush();
        finish
    };
    let join = std::thread::Builder::new().name("experiment".to_owned()).spawn(work).expect("the system has a thread to give");
    Ok(ExperimentHandle { events, previews, commands, join })
}

/// Why no case can be prepared, where any has to be: all trainings would fail of it one by one.
fn cache_trouble(job: &ExperimentJob) -> Option<String> {
    let ExperimentJob { experiment, folder, trainings, at_once, memory, .. } = job;
    folders::require_writable(&prepared_folder()).err()?;
    let missing = trainings.iter().copied().filter(|&training| !folder.is_done(&experiment.trainings[training]));
    CaseNeeds::new(experiment, &missing.collect::<Vec<_>>(), (*at_once, true), *memory).err()
}

/// Why an experiment of one point cannot be made as a whole: the data of a training that is not begun cannot be used. Of a grid the other
/// points are made.
fn trouble(job: &ExperimentJob) -> Option<String> {
    let ExperimentJob { experiment, folder, trainings, .. } = job;
    let plans = || trainings.iter().map(|&training| &experiment.trainings[training]);
    let is_new = |plan: &&crate::experiment::TrainingPlan| !folder.training(plan).root().exists();
    if experiment.is_one_point() { plans().filter(is_new).find_map(|plan| plan.trouble.clone()) } else { None }
}

/// A training still to be made whose batches the devices cannot share: all are refused, before the first has taken hours.
fn uneven(job: &ExperimentJob) -> Option<String> {
    let ExperimentJob { experiment, folder, trainings, beside, .. } = job;
    trainings.iter().map(|&training| &experiment.trainings[training]).find_map(|plan| {
        let error = require_even(plan.kind.batch(&plan.config), 1 + beside.len()).err()?;
        (!folder.is_done(plan)).then(|| error.to_string())
    })
}

/// What starting and following trainings needs.
struct ExperimentRunner {
    job: ExperimentJob,
    device: DeviceChoice,
    front_end: RefCell<Outbox<ExperimentEvent>>,
    previews: RefCell<Outbox<(usize, Preview)>>,
}

impl ExperimentRunner {
    fn work(&self, commands: &Receiver<Command>, lock: &ExperimentLock) -> Finish {
        let ExperimentJob { experiment, folder, trainings, .. } = &self.job;
        let known = ExperimentState::read(experiment, folder);
        let all = 0..experiment.trainings.len();
        let done: BTreeSet<usize> = all.filter(|&training| known.progress(experiment, training) == Progress::Done).collect();
        let waiting: Vec<usize> = trainings.iter().copied().filter(|training| !done.contains(training)).collect();
        self.emit(ExperimentEvent::Opened { done: trainings.len() - waiting.len() });
        let mut queue = Queue::new(done, waiting);
        let mut active: Vec<Active> = Vec::new();
        let (mut stopped, mut paused) = (false, false);
        loop {
            stopped |= obey(commands, &active, &mut paused) || stop_signal::asked() || lock.stop_requested();
            if stopped {
                queue.waiting.clear();
            }
            for Active { handle, .. } in active.iter().filter(|active| stopped || active.is_lost()) {
                // More than once does no harm, and a full queue takes it later.
                let _ = handle.commands.try_send(Command::Stop);
            }
            // A pause holds the trainings that would begin as well.
            if !paused {
                self.fill(lock, &mut queue, &mut active);
            }
            if active.is_empty() && queue.is_over(paused) {
                break;
            }
            let mut idle = true;
            for Active { training, handle, .. } in &active {
                idle &= !self.pass_on(*training, handle);
            }
            for index in (0..active.len()).rev().filter(|&index| active[index].handle.join.is_finished()).collect::<Vec<_>>() {
                idle = false;
                self.conclude(active.remove(index), lock, &mut queue);
            }
            if idle {
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        for training in queue.waiting {
            self.emit(ExperimentEvent::LeftOut { training });
        }
        let tally = ExperimentState::read(experiment, folder).tally(experiment, trainings);
        let finish = Finish { tally, stopped, lost: lock.is_lost(), bad_input: queue.bad_input };
        self.emit(ExperimentEvent::Finished(finish));
        finish
    }

    /// Begins trainings until so many are at work as may be. One that another shard makes is asked for again later.
    fn fill(&self, lock: &ExperimentLock, queue: &mut Queue, active: &mut Vec<Active>) {
        let ExperimentJob { experiment, at_once, .. } = &self.job;
        while active.len() < (*at_once).max(1) {
            let Some(next) = queue.next(experiment) else { break };
            let training = queue.waiting[next];
            let claim = lock.claim(&experiment.trainings[training]).and_then(|claim| self.free(training, claim));
            if let Err(LockError::Busy(by)) = claim {
                if queue.leave(training) {
                    self.emit(ExperimentEvent::Elsewhere { training, by });
                }
                // The others after a look at what is wanted of this program: to ask for many takes longer than they are left alone.
                break;
            }
            queue.remove(next);
            match claim {
                Err(error) => self.end(training, Outcome::Failed { message: error.to_string(), bad_input: false }, queue),
                Ok(claim) if claim.is_some() && self.is_made(training) || self.reuse(training) => {
                    queue.done.insert(training);
                    drop(claim);
                }
                Ok(claim) => match self.unusable(training) {
                    Some(message) => self.end(training, Outcome::Failed { message, bad_input: true }, queue),
                    None => active.push(Active { training, handle: self.start(training), claim }),
                },
            }
        }
    }

    /// Takes in how a training ended. One that another program has taken over is waited for again, and what becomes of it is the other's to
    /// note.
    fn conclude(&self, ended: Active, lock: &ExperimentLock, queue: &mut Queue) {
        let is_lost = ended.is_lost() || lock.is_lost();
        let Active { training, handle, claim } = ended;
        self.pass_on(training, &handle);
        let outcome = handle.join.join().unwrap_or_else(|panic| panicked(panic.as_ref()));
        if is_lost {
            queue.waiting.push(training);
            self.emit(ExperimentEvent::Ended { training, outcome });
            return;
        }
        // Cut short by `max_steps`, it is no source for another.
        if outcome == Outcome::Completed && self.job.folder.is_done(&self.job.experiment.trainings[training]) {
            queue.done.insert(training);
        }
        self.end(training, outcome, queue);
        drop(claim);
    }

    /// A front end that is gone is no reason to stop.
    fn emit(&self, event: ExperimentEvent) {
        let may_be_dropped = matches!(&event, ExperimentEvent::Record { record, .. } if record.event.may_be_dropped());
        self.front_end.borrow_mut().send(event, may_be_dropped);
    }

    /// Passes on what a training has brought since; false where that is nothing.
    fn pass_on(&self, training: usize, handle: &RunHandle) -> bool {
        for preview in handle.previews.try_iter() {
            self.previews.borrow_mut().send((training, preview), true);
        }
        let mut any = false;
        for record in handle.events.try_iter() {
            any = true;
            self.emit(ExperimentEvent::Record { training, record: Box::new(record) });
        }
        any
    }

    /// A claim whose training nobody writes. One that was at work elsewhere gave its last sign of life in the training's own folder at
    /// another time than beside the claim: it is waited for there too.
    fn free(&self, training: usize, claim: Option<FolderLock>) -> Result<Option<FolderLock>, LockError> {
        if claim.is_some() {
            let run = self.job.folder.training(&self.job.experiment.trainings[training]);
            match FolderLock::take(run.root()) {
                Err(LockError::Busy(by)) => return Err(LockError::Busy(by)),
                // What cannot be written fails in the job, which says why.
                Ok(_) | Err(LockError::Io { .. }) => {}
            }
        }
        Ok(claim)
    }

    /// Whether another shard has made a training meanwhile.
    fn is_made(&self, training: usize) -> bool {
        let run = self.job.folder.training(&self.job.experiment.trainings[training]);
        let state = run.replay().ok().filter(|state| state.is_done(run.kind()));
        let is_made = state.is_some();
        if let Some(state) = state {
            self.emit(ExperimentEvent::Reused { training, from: run.root().to_owned(), state: Arc::new(state) });
        }
        is_made
    }

    /// Copies a training from a neighbouring experiment, unless it is begun here already.
    fn reuse(&self, training: usize) -> bool {
        let ExperimentJob { experiment, folder, max_steps, overwrite, .. } = &self.job;
        let plan = &experiment.trainings[training];
        if max_steps.is_some() || *overwrite || folder.training(plan).root().exists() {
            return false;
        }
        match folder.reuse(plan) {
            Ok(Some(from)) => {
                let state = Arc::new(folder.training(plan).replay().unwrap_or_default());
                self.emit(ExperimentEvent::Reused { training, from, state });
                true
            }
            Ok(None) => false,
            // It is made here then: that takes longer, and loses nothing.
            Err(error) => {
                tracing::warn!("{error}");
                false
            }
        }
    }

    /// Why a training cannot be begun: its data cannot be used, or hold something else than when the experiment was laid out.
    fn unusable(&self, training: usize) -> Option<String> {
        let ExperimentJob { experiment, folder, .. } = &self.job;
        let plan = &experiment.trainings[training];
        let now = Contents::default().data(&plan.config);
        if now.digest.is_some() && now.digest != plan.data {
            return Some("its data have changed since the experiment was laid out; start the experiment again".to_owned());
        }
        plan.trouble.clone().filter(|_| !folder.training(plan).root().exists())
    }

    fn start(&self, training: usize) -> RunHandle {
        let ExperimentJob { experiment, folder, max_steps, at_once, memory, is_trial, beside, .. } = &self.job;
        let plan = &experiment.trainings[training];
        let place = folder.training(plan);
        let source = plan.after.map(|from| folder.training(&experiment.trainings[from]).checkpoints().join("last"));
        let from: Option<PathBuf> = source.or_else(|| plan.checkpoint.clone());
        if experiment.is_one_point() && !place.root().exists() {
            rename_fewer_steps(folder, experiment, plan, from.as_deref());
        }
        let start = match place.has_saved() {
            // Begun from an encoder that is another by now, it would be no training of this experiment; what cannot be read fails in the job.
            true if is_of_another_source(&place, from.as_deref()).unwrap_or(false) => Start::Overwrite,
            true => Start::Resume,
            // One that ended before its first checkpoint holds nothing to lose, and makes way.
            false => Start::Fresh,
        };
        self.keep_failure(&plan.name, None);
        let state = (start == Start::Resume).then(|| place.replay().ok().map(Arc::new)).flatten();
        self.emit(ExperimentEvent::Began { training, state });
        let job = TrainingJob::new(plan.kind, plan.config.clone(), place);
        let memory = memory.or_else(half_of_free).map(|bytes| bytes / (*at_once).max(1) as u64);
        let (arm, beside) = (plan.arm.clone(), beside.clone());
        let job = TrainingJob { arm, beside, from, start, max_steps: *max_steps, memory, is_trial: *is_trial, ..job };
        spawn_within(Job::Train(Box::new(job)), self.device.clone(), *at_once)
    }

    /// Notes and reports how a training ended.
    fn end(&self, training: usize, outcome: Outcome, queue: &mut Queue) {
        queue.bad_input &= !matches!(outcome, Outcome::Failed { bad_input: false, .. });
        if let Outcome::Failed { message, .. } = &outcome {
            self.keep_failure(&self.job.experiment.trainings[training].name, Some(message));
        }
        self.emit(ExperimentEvent::Ended { training, outcome });
    }

    /// A cause that cannot be kept is reported all the same.
    fn keep_failure(&self, name: &str, cause: Option<&str>) {
        if let Err(error) = self.job.folder.keep_failure(name, cause) {
            tracing::error!("{error}");
        }
    }
}

/// Passes commands on, and notes whether to hold; true when one was to stop, or when nobody is left to give any.
fn obey(commands: &Receiver<Command>, active: &[Active], paused: &mut bool) -> bool {
    let mut stop = false;
    loop {
        match commands.try_recv() {
            Ok(command) => {
                stop |= command == Command::Stop;
                *paused = match command {
                    Command::Pause => true,
                    Command::Resume | Command::Stop => false,
                    Command::Save => *paused,
                };
                for Active { handle, .. } in active {
                    // A worker whose queue is full or gone is at its end.
                    let _ = handle.commands.try_send(command);
                }
            }
            Err(TryRecvError::Empty) => return stop,
            // Nobody follows the experiment any more, nor can anybody stop it later.
            Err(TryRecvError::Disconnected) => return true,
        }
    }
}
