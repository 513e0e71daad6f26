//! A worker's job as a panel follows it: events folded, previews kept.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use eframe::egui;

use crate::protocol::{Command, Event, Outcome, Preview, Record, RunState};
use crate::worker::RunHandle;

/// How often a window with a running job looks for news.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Events folded in one frame: what is more waits for the next, so that a burst does not hold up the window.
const EVENTS_PER_FRAME: usize = 256;

/// Hands on what has arrived, `most` at most; true where nothing will come any more.
pub(super) fn drain<T>(events: &Receiver<T>, most: usize, mut take: impl FnMut(T)) -> bool {
    for _ in 0..most {
        match events.try_recv() {
            Ok(event) => take(event),
            Err(error) => return error == TryRecvError::Disconnected,
        }
    }
    false
}

/// A job and what is known of it.
pub struct FollowedJob {
    /// The fold over its events.
    pub state: RunState,
    handle: Option<RunHandle>,
    stopping: bool,
}

impl FollowedJob {
    /// Follows a job from its begin.
    pub fn new(handle: RunHandle) -> Self {
        Self { state: RunState::default(), handle: Some(handle), stopping: false }
    }

    /// Takes in what has happened, hands previews on, and asks for another look while the job runs.
    pub fn poll(&mut self, ctx: &egui::Context, look: impl FnMut(Preview)) {
        let Some(handle) = &self.handle else { return };
        ctx.request_repaint_after(LOOK_EVERY);
        let gone = drain(&handle.events, EVENTS_PER_FRAME, |record| self.state.apply(&record));
        handle.previews.try_iter().for_each(look);
        if gone || self.state.outcome.is_some() {
            self.finish_job();
        }
    }

    /// Joins the worker, whose last words may have been a panic.
    fn finish_job(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        self.stopping = false;
        let outcome = handle.join.join().unwrap_or_else(|_| Outcome::Failed {
            message: "the worker ended by a fault of the program; what was saved is intact: resume the run".to_owned(),
            bad_input: false,
        });
        if self.state.outcome.is_none() {
            self.state.apply(&Record { secs: self.state.secs, event: Event::Finished { outcome } });
        }
    }

    /// Finishes the step, saves, ends.
    pub fn stop(&mut self) {
        self.stopping = true;
        if let Some(handle) = &self.handle {
            // Nothing else is ever sent: the queue has room, or the worker has ended.
            let _ = handle.commands.try_send(Command::Stop);
        }
    }

    /// Whether the worker is at work.
    pub fn is_running(&self) -> bool {
        self.handle.is_some()
    }

    /// Whether it was asked to end and has not yet.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }
}
