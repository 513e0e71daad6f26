//! A worker's job as a panel follows it: events folded, previews kept, commands sent.

use std::sync::mpsc::{TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use eframe::egui;

use super::outlive::Held;
use crate::protocol::{Command, Event, Outcome, Preview, Record, RunState};
use crate::worker::RunHandle;

/// How often a window with a running job looks for news.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Events folded in one frame: what is more waits for the next, so that a burst does not hold up the window.
const EVENTS_PER_FRAME: usize = 256;

/// A job and what is known of it.
#[derive(Default)]
pub struct FollowedJob {
    /// The fold over its events.
    pub state: RunState,
    handle: Option<Held<RunHandle>>,
    /// When the worker was last heard, or when it was first listened to.
    heard: Option<Instant>,
    /// Whether another program does the work.
    watched: bool,
    paused: bool,
    stopping: bool,
    /// Commands that the worker's full queue did not take yet.
    waiting: Vec<Command>,
}

impl FollowedJob {
    /// Follows a job from its begin.
    pub fn new(handle: RunHandle) -> Self {
        Self::going_on(handle, RunState::default())
    }

    /// Follows a resumed job, of which `state` is known already.
    pub fn going_on(handle: RunHandle, state: RunState) -> Self {
        Self { state, handle: Some(Held::new(handle)), heard: Some(Instant::now()), ..Self::default() }
    }

    /// Watches a run that another program makes, of which `state` is known already.
    pub fn watching(handle: RunHandle, state: RunState) -> Self {
        Self { watched: true, ..Self::going_on(handle, state) }
    }

    /// A job that ended before the window opened.
    pub fn ended(state: RunState) -> Self {
        Self { state, ..Self::default() }
    }

    /// Takes in what has happened, hands previews on, and asks for another look while the job runs.
    /// True in the one call that sees the job end.
    pub fn poll(&mut self, ctx: &egui::Context, mut look: impl FnMut(Preview)) -> bool {
        let Some(held) = self.held() else { return false };
        let guard = held.get();
        let Some(handle) = guard.as_ref() else { return false };
        ctx.request_repaint_after(LOOK_EVERY);
        while let Some(&command) = self.waiting.first() {
            match handle.commands.try_send(command) {
                Err(TrySendError::Full(_)) => break,
                Ok(()) | Err(TrySendError::Disconnected(_)) => drop(self.waiting.remove(0)),
            }
        }
        let mut ended = false;
        for _ in 0..EVENTS_PER_FRAME {
            match handle.events.try_recv() {
                Ok(record) => {
                    self.heard = Some(Instant::now());
                    ended |= matches!(record.event, Event::Finished { .. });
                    self.state.apply(&record);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    ended = true;
                    break;
                }
            }
        }
        handle.previews.try_iter().for_each(&mut look);
        drop(guard);
        if ended {
            self.finish_job();
        }
        ended
    }

    /// The worker's handle, to hold where it outlives the window.
    pub(super) fn held(&self) -> Option<Held<RunHandle>> {
        self.handle.clone()
    }

    /// Joins the worker, whose last words may have been a panic.
    fn finish_job(&mut self) {
        let Some(RunHandle { join, .. }) = self.handle.take().and_then(|held| held.take()) else { return };
        (self.paused, self.stopping) = (false, false);
        let outcome = join.join().unwrap_or_else(|_| Outcome::Failed {
            message: "the worker ended by a fault of the program; what was saved is intact: resume the run".to_owned(),
            bad_input: false,
        });
        if self.state.outcome.is_none() {
            self.state.apply(&Record { secs: self.state.secs, event: Event::Finished { outcome } });
        }
    }

    fn send(&mut self, command: Command) {
        self.waiting.push(command);
    }

    /// Holds before the next step.
    pub fn pause(&mut self) {
        self.paused = true;
        self.send(Command::Pause);
    }

    /// Goes on.
    pub fn resume(&mut self) {
        self.paused = false;
        self.send(Command::Resume);
    }

    /// Saves a checkpoint after this step.
    pub fn save(&mut self) {
        self.send(Command::Save);
    }

    /// Finishes the step, saves, ends.
    pub fn stop(&mut self) {
        (self.stopping, self.paused) = (true, false);
        self.send(Command::Stop);
    }

    /// Whether this program's worker is at work, paused included.
    pub fn is_running(&self) -> bool {
        self.handle.is_some() && !self.watched
    }

    /// Whether another program's worker is at work.
    pub fn is_watched(&self) -> bool {
        self.handle.is_some() && self.watched
    }

    /// How long the worker has told nothing; none where none is at work.
    pub fn silence(&self) -> Option<Duration> {
        self.heard.filter(|_| self.is_running()).map(|heard| heard.elapsed())
    }

    /// Whether it was asked to hold.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether it was asked to end and has not yet.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Hands the running job to somebody else.
    pub fn release(&mut self) -> Option<RunHandle> {
        let handle = self.handle.take()?.take()?;
        for command in self.waiting.drain(..) {
            let _ = handle.commands.send(command);
        }
        if self.paused {
            let _ = handle.commands.send(Command::Resume);
        }
        Some(handle)
    }
}
