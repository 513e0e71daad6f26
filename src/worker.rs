//! The one thread that owns the device: takes a job, tells events, obeys commands.

use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;

use crate::protocol::{Command, Outcome, Record};

/// A running job as a front end holds it.
pub struct RunHandle {
    /// What happens, in order. `Step`, `Probe` and `Progress` are dropped while a front end lags; all others arrive.
    pub events: Receiver<Record>,
    /// What to do; read once for each optimiser step or inference window.
    pub commands: SyncSender<Command>,
    /// The worker's thread; joins after `Finished`.
    pub join: JoinHandle<Outcome>,
}
