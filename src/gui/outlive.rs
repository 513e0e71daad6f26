//! The job at work, held where it outlives the window: display, compositor or the window's GPU may go away at any time.
//!
//! A panic of the windowing library unwinds to `open`, which takes the job over. The X library does worse: it ends the process
//! by C's `exit` once its server is gone. The data of the window's thread is dropped then, and takes the job over as well.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::protocol::Command;
use crate::worker::{ExperimentHandle, ExperimentJob};

/// Said on stderr when a job loses its window.
const GONE: &str = "the window is gone, with its display or with what draws on it; the work goes on here, and Ctrl-C stops and saves it";

/// The experiment that goes on although its window was closed.
pub struct Left {
    /// The worker.
    pub handle: ExperimentHandle,
    /// What it works on.
    pub job: Box<ExperimentJob>,
}

/// A worker's handle, in the hands of the panel that follows it until somebody takes it.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<Option<ExperimentHandle>>>);

impl Held {
    pub(super) fn new(handle: ExperimentHandle) -> Self {
        Self(Arc::new(Mutex::new(Some(handle))))
    }

    /// Looks at the handle; none where it was taken. One thread has to do with it, so that nobody waits.
    pub(super) fn get(&self) -> MutexGuard<'_, Option<ExperimentHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the handle; nobody has it afterwards.
    pub(super) fn take(&self) -> Option<ExperimentHandle> {
        self.get().take()
    }
}

/// What can be left behind: one piece of work at a time.
struct AtWork {
    handle: Held,
    job: Box<ExperimentJob>,
}

impl AtWork {
    /// The work for whoever goes on with it; a pause ends, since nobody could end it later.
    fn leave(self) -> Option<Left> {
        let handle = self.handle.take()?;
        let _ = handle.commands.try_send(Command::Resume);
        Some(Left { handle, job: self.job })
    }
}

/// Goes on with what a window left, and returns the exit code of the program.
pub(super) type GoOn = Box<dyn FnOnce(Left) -> u8>;

/// What the window's thread holds.
struct Watch {
    at_work: RefCell<Option<AtWork>>,
    go_on: RefCell<Option<GoOn>>,
}

thread_local! {
    static WATCH: Watch = const { Watch { at_work: RefCell::new(None), go_on: RefCell::new(None) } };
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(go_on) = self.go_on.take() else { return };
        if let Some(left) = self.at_work.take().and_then(AtWork::leave) {
            say_gone();
            std::process::exit(i32::from(go_on(left)));
        }
    }
}

/// Notes what is at work, in place of what was before.
pub(super) fn hold(handle: &Held, job: &ExperimentJob) {
    let work = AtWork { handle: handle.clone(), job: Box::new(job.clone()) };
    WATCH.with(|watch| watch.at_work.replace(Some(work)));
}

/// From here on, the end of the process is not the end of the job at work: `go_on` goes on with it.
pub(super) fn guard(go_on: GoOn) {
    WATCH.with(|watch| watch.go_on.replace(Some(go_on)));
}

/// Ends the guard, and hands out what is still at work.
pub(super) fn rescue() -> Option<Left> {
    let left = WATCH.with(|watch| {
        watch.go_on.take();
        watch.at_work.take()
    });
    left.and_then(AtWork::leave).inspect(|_| say_gone())
}

/// The terminal may be gone as well.
fn say_gone() {
    let _ = writeln!(std::io::stderr(), "{GONE}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::testing::fake_experiment;

    #[test]
    fn an_experiment_whose_panel_is_gone_goes_on_and_is_handed_out_once() {
        let (handle, job, worker) = fake_experiment();
        let held = Held::new(handle);
        hold(&held, &job);
        drop(held);
        let left = rescue().expect("the experiment is left");
        assert_eq!(worker.commands(), [Command::Resume], "nobody could end a pause later");
        drop(left);
        assert!(rescue().is_none());
        let (handle, job, _worker) = fake_experiment();
        let held = Held::new(handle);
        hold(&held, &job);
        assert!(held.take().is_some() && rescue().is_none(), "what its panel handed over is not left a second time");
    }
}
