//! The worker's side of an experiment that this window works on.

use std::collections::BTreeSet;
use std::sync::mpsc::TrySendError;
use std::time::Instant;

use super::outlive::Held;
use super::reader::Reader;
use crate::experiment::{ExperimentEvent, ExperimentState};
use crate::protocol::{Command, Event};
use crate::worker::ExperimentJob;

/// An experiment at work in this window.
pub(super) struct Work {
    pub(super) job: ExperimentJob,
    pub(super) handle: Held,
    /// Trainings under way.
    pub(super) live: BTreeSet<usize>,
    /// Those that ended and whose records were not read since: until then the worker's word stands.
    pub(super) ended: Vec<usize>,
    pub(super) heard: Instant,
    pub(super) paused: bool,
    pub(super) stopping: bool,
    /// Commands that the full queue did not take yet.
    pub(super) waiting: Vec<Command>,
}

impl Work {
    /// Just begun.
    pub(super) fn new(job: ExperimentJob, handle: Held) -> Self {
        let (live, ended, waiting) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { job, handle, live, ended, heard: Instant::now(), paused: false, stopping: false, waiting }
    }

    /// Folds one event; true at the last.
    pub(super) fn take(&mut self, event: &ExperimentEvent, state: &mut ExperimentState, reader: &mut Reader) -> bool {
        self.heard = Instant::now();
        state.apply(event);
        match event {
            ExperimentEvent::Began { training, .. } => {
                self.live.insert(*training);
                // A training that begins while the others hold holds as well.
                if self.paused {
                    self.waiting.push(Command::Pause);
                }
                reader.wake();
            }
            ExperimentEvent::Ended { training, .. } => {
                self.ended.push(*training);
                reader.wake();
            }
            ExperimentEvent::Record { record, .. } => {
                if matches!(record.event, Event::Probe { .. } | Event::StageFinished { .. }) {
                    reader.wake();
                }
            }
            ExperimentEvent::Reused { .. } => reader.wake(),
            ExperimentEvent::Opened { .. } | ExperimentEvent::Elsewhere { .. } | ExperimentEvent::LeftOut { .. } => {}
            ExperimentEvent::Finished(_) => return true,
        }
        false
    }

    pub(super) fn send(&mut self, command: Command) {
        self.waiting.push(command);
        self.send_waiting();
    }

    pub(super) fn send_waiting(&mut self) {
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
