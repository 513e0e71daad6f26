//! A job or an experiment at work as a front end holds it.

use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;

use crate::experiment::{ExperimentEvent, Finish};
use crate::protocol::{Command, Outcome, Preview, Record};

/// Events that may wait for a lagging front end before droppable ones are dropped; of the others any number may.
pub(super) const EVENT_QUEUE: usize = 1024;

/// Previews that may wait for a front end: it wants the newest, and they are large.
pub(super) const PREVIEW_QUEUE: usize = 4;

/// Commands that may wait for the worker.
pub(super) const COMMAND_QUEUE: usize = 16;

/// Work under way as a front end holds it.
pub struct Handle<Event, Seen, End> {
    /// What happens, in order, to the end. Events that [`crate::protocol::Event::may_be_dropped`] are dropped while a front end lags; all
    /// others arrive.
    pub events: Receiver<Event>,
    /// Something to look at; dropped while a front end lags or has none of it.
    pub previews: Receiver<Seen>,
    /// What to do; read once for each optimiser step, window and case. A front end that drops it has the work saved and stopped. Of an
    /// experiment, `Stop` saves the trainings under way and starts no more; the others go to each training under way.
    pub commands: SyncSender<Command>,
    /// The thread of the work; joins after `Finished`.
    pub join: JoinHandle<End>,
}

/// A job at work.
pub type RunHandle = Handle<Record, Preview, Outcome>;

/// An experiment at work; previews come with the index of their training.
pub type ExperimentHandle = Handle<ExperimentEvent, (usize, Preview), Finish>;
