//! A job at work as a front end holds it.

use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;

use crate::protocol::{Command, Outcome, Preview, Record};

/// Events that may wait for a lagging front end before droppable ones are dropped; of the others any number may.
pub(super) const EVENT_QUEUE: usize = 1024;

/// Previews that may wait for a front end: it wants the newest, and they are large.
pub(super) const PREVIEW_QUEUE: usize = 4;

/// Commands that may wait for the worker.
pub(super) const COMMAND_QUEUE: usize = 16;

/// A running job as a front end holds it.
pub struct RunHandle {
    /// What happens, in order. `Step`, `Probe` and `Progress` are dropped while a front end lags; all others arrive.
    pub events: Receiver<Record>,
    /// Something to look at while the job runs; dropped while a front end lags or has none of it.
    pub previews: Receiver<Preview>,
    /// What to do; read once for each optimiser step, window and case. A front end that drops it has the job saved and stopped.
    pub commands: SyncSender<Command>,
    /// The worker's thread; joins after `Finished`.
    pub join: JoinHandle<Outcome>,
}
