//! An experiment at work: its stages one after the other, or several at once, each a job on a worker of its own.
//!
//! A stage that fails is told and the others go on; those that start from it are left waiting. Whatever ends the program,
//! finished stages stay, and a stage cut off goes on from its last checkpoint.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::outbox::Outbox;
use super::work::Work;
use super::{Job, RunHandle, Start, Training, spawn_beside};
use crate::device::DeviceChoice;
use crate::experiment::{Contents, Experiment, ExperimentFolder, ExperimentFolderError, ExperimentState, Progress, Tally};
use crate::folder_lock::FolderLock;
use crate::protocol::{Command, Content, Outcome, Record, StageKind};
use crate::stop_signal::{self, JobGuard};

/// Events that may wait for a front end before droppable ones are dropped; of the others any number may.
const EVENT_QUEUE: usize = 4096;

/// How long to wait when no stage has anything to tell.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// An experiment to work on.
#[derive(Clone, Debug)]
pub struct ExperimentJob {
    /// What.
    pub experiment: Experiment,
    /// Where.
    pub folder: ExperimentFolder,
    /// Stages that are wanted, in order.
    pub stages: Vec<usize>,
    /// Stages at work at the same time.
    pub at_once: usize,
    /// End each training after so many steps.
    pub max_steps: Option<usize>,
}

/// What happens in an experiment.
#[derive(Clone, Debug)]
pub enum ExperimentEvent {
    /// The experiment was looked over.
    Opened {
        /// Wanted stages that earlier sessions finished.
        done: usize,
    },
    /// A stage was taken over from an experiment beside this one, which has made the very same.
    Reused {
        /// Index of the stage.
        stage: usize,
        /// Folder of that training.
        from: PathBuf,
    },
    /// A stage began, or goes on.
    Began {
        /// Index of the stage.
        stage: usize,
    },
    /// An event of a stage.
    Told {
        /// Index of the stage.
        stage: usize,
        /// What it told.
        record: Box<Record>,
    },
    /// A stage ended.
    Ended {
        /// Index of the stage.
        stage: usize,
        /// How.
        outcome: Outcome,
    },
    /// A stage was left out: the one that it starts from is not done.
    LeftOut {
        /// Index of the stage.
        stage: usize,
    },
    /// The experiment ended: how far its wanted stages are.
    Finished {
        /// Their number by progress.
        tally: Tally,
        /// Whether somebody asked it to stop.
        stopped: bool,
    },
}

/// An experiment at work as a front end holds it.
pub struct ExperimentHandle {
    /// What happens; told until `Finished`.
    pub events: Receiver<ExperimentEvent>,
    /// `Stop` saves the stages under way and starts no more; the others go to each stage under way.
    pub commands: SyncSender<Command>,
    /// Joins after `Finished`.
    pub join: JoinHandle<Tally>,
}

/// Starts working on an experiment: what is done stays, what is missing is made.
///
/// # Errors
/// The folder is another's, in use, or cannot be written.
///
/// # Panics
/// If the system has no thread to give.
pub fn spawn_experiment(job: ExperimentJob, device: DeviceChoice) -> Result<ExperimentHandle, ExperimentFolderError> {
    let lock = job.folder.begin(&job.experiment)?;
    let (sender, events) = sync_channel(EVENT_QUEUE);
    let (commands, receiver) = sync_channel(super::COMMAND_QUEUE);
    let guard = JobGuard::begin();
    let work = move || {
        let runner = ExperimentRunner { job, device, front_end: RefCell::new(Outbox::new(sender)) };
        let tally = work(&runner, &receiver, &lock);
        drop((lock, guard));
        runner.front_end.into_inner().flush();
        tally
    };
    let join = std::thread::Builder::new().name("experiment".to_owned()).spawn(work).expect("the system has a thread to give");
    Ok(ExperimentHandle { events, commands, join })
}

/// What starting and hearing of stages needs.
struct ExperimentRunner {
    job: ExperimentJob,
    device: DeviceChoice,
    front_end: RefCell<Outbox<ExperimentEvent>>,
}

impl ExperimentRunner {
    /// A front end that is gone is no reason to stop.
    fn tell(&self, event: ExperimentEvent) {
        let may_be_dropped = matches!(&event, ExperimentEvent::Told { record, .. } if record.event.may_be_dropped());
        self.front_end.borrow_mut().send(event, may_be_dropped);
    }

    /// Takes a stage over from an experiment beside this one, unless it is begun here already.
    fn take_over(&self, stage: usize) -> bool {
        let ExperimentJob { experiment, folder, max_steps, .. } = &self.job;
        let plan = &experiment.stages[stage];
        if max_steps.is_some() || folder.stage(plan).root().exists() {
            return false;
        }
        match folder.reuse(plan) {
            Ok(Some(from)) => {
                self.tell(ExperimentEvent::Reused { stage, from });
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

    /// Why a stage cannot be what it is named by: its data hold something else than when the experiment was laid out.
    fn data_changed(&self, stage: usize) -> Option<String> {
        let plan = &self.job.experiment.stages[stage];
        let now = Contents::default().digest(&plan.config);
        let changed = now.is_some() && now != plan.data;
        changed.then(|| "its data have changed since the experiment was laid out; start the experiment again".to_owned())
    }

    fn start(&self, stage: usize) -> RunHandle {
        let ExperimentJob { experiment, folder, max_steps, at_once, .. } = &self.job;
        let plan = &experiment.stages[stage];
        let place = folder.stage(plan);
        let start = match place.content() {
            Ok(Content::Run { saved: true }) => Start::Resume,
            // A run that ended before its first checkpoint holds nothing to lose, and makes way.
            _ => Start::Fresh,
        };
        let mut training = Training { config: plan.config.clone(), folder: place, start, max_steps: *max_steps };
        let from = plan.after.map(|from| folder.stage(&experiment.stages[from]).checkpoints().join("last"));
        // Begun from an encoder that is another by now, it would be no training of this experiment; what cannot be read fails in the job.
        if Work::alone(plan.kind, &training, from.as_deref()).is_of_another_source().unwrap_or(false) {
            training.start = Start::Overwrite;
        }
        let job = match plan.kind {
            StageKind::Pretrain => Job::Pretrain(training),
            _ => Job::Finetune { training, from },
        };
        self.tell(ExperimentEvent::Began { stage });
        spawn_beside(job, self.device.clone(), *at_once)
    }
}

fn work(runner: &ExperimentRunner, commands: &Receiver<Command>, lock: &FolderLock) -> Tally {
    let ExperimentJob { experiment, folder, stages, at_once, .. } = &runner.job;
    let known = ExperimentState::read(experiment, folder);
    let mut done: BTreeSet<usize> =
        (0..experiment.stages.len()).filter(|&stage| known.progress(experiment, stage) == Progress::Done).collect();
    let mut waiting: Vec<usize> = stages.iter().copied().filter(|stage| !done.contains(stage)).collect();
    runner.tell(ExperimentEvent::Opened { done: stages.len() - waiting.len() });
    let mut active: Vec<(usize, RunHandle)> = Vec::new();
    let (mut stopped, mut paused, mut failures) = (false, false, folder.failures());
    loop {
        stopped |= obey(commands, &active, &mut paused) || stop_signal::asked() || lock.stop_requested();
        if stopped {
            waiting.clear();
            // More than once does no harm, and a full queue takes it later.
            for (_, handle) in &active {
                let _ = handle.commands.try_send(Command::Stop);
            }
        }
        // A pause holds the stages that would begin as well.
        while active.len() < (*at_once).max(1) && !paused {
            let ready = |stage: &usize| experiment.stages[*stage].after.is_none_or(|after| done.contains(&after));
            let Some(next) = waiting.iter().position(ready) else { break };
            let stage = waiting.remove(next);
            if let Some(message) = runner.data_changed(stage) {
                failures.insert(experiment.stages[stage].name.clone(), message.clone());
                keep(folder, &failures);
                runner.tell(ExperimentEvent::Ended { stage, outcome: Outcome::Failed { message, bad_input: true } });
                continue;
            }
            if runner.take_over(stage) {
                done.insert(stage);
                continue;
            }
            if failures.remove(&experiment.stages[stage].name).is_some() {
                keep(folder, &failures);
            }
            active.push((stage, runner.start(stage)));
        }
        if active.is_empty() && (waiting.is_empty() || !paused) {
            break;
        }
        let mut heard = false;
        for (stage, handle) in &active {
            for record in handle.events.try_iter() {
                heard = true;
                runner.tell(ExperimentEvent::Told { stage: *stage, record: Box::new(record) });
            }
        }
        for index in (0..active.len()).rev().filter(|&index| active[index].1.join.is_finished()).collect::<Vec<_>>() {
            let (stage, outcome) = end(runner, active.remove(index));
            match &outcome {
                Outcome::Completed if folder.is_done(&experiment.stages[stage]) => {
                    done.insert(stage);
                }
                Outcome::Failed { message, .. } => {
                    failures.insert(experiment.stages[stage].name.clone(), message.clone());
                    keep(folder, &failures);
                }
                // Cut short by `max_steps`, it is no source for another.
                Outcome::Completed | Outcome::Stopped => {}
            }
            runner.tell(ExperimentEvent::Ended { stage, outcome });
            heard = true;
        }
        if !heard {
            std::thread::sleep(POLL_INTERVAL);
        }
    }
    for stage in waiting {
        runner.tell(ExperimentEvent::LeftOut { stage });
    }
    let tally = ExperimentState::read(experiment, folder).tally(experiment, stages);
    runner.tell(ExperimentEvent::Finished { tally, stopped });
    tally
}

/// A cause that cannot be kept was told all the same.
fn keep(folder: &ExperimentFolder, failures: &BTreeMap<String, String>) {
    if let Err(error) = folder.write_failures(failures) {
        tracing::error!("{error}");
    }
}

/// Passes commands on, and notes whether to hold; true when one was to stop, or when nobody is left to give any.
fn obey(commands: &Receiver<Command>, active: &[(usize, RunHandle)], paused: &mut bool) -> bool {
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
                for (_, handle) in active {
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

/// Tells what a stage still had to tell, and how it ended.
fn end(runner: &ExperimentRunner, (stage, handle): (usize, RunHandle)) -> (usize, Outcome) {
    let RunHandle { events, join, .. } = handle;
    for record in events.try_iter() {
        runner.tell(ExperimentEvent::Told { stage, record: Box::new(record) });
    }
    let outcome = join.join().unwrap_or_else(|panic| Outcome::Failed { message: super::panic_message(panic.as_ref()), bad_input: false });
    (stage, outcome)
}
