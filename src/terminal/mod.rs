//! The terminal front end: follows what is at work on stderr, and prints at the end what came out.
//!
//! It folds the worker's events and reads nothing else, as the window and the report do.

mod bars;
mod follow;
mod lines;
mod progress;
mod screen;
mod status;
mod summary;

use std::io::{IsTerminal as _, Write};
use std::sync::mpsc::{RecvTimeoutError, TrySendError};

use crate::protocol::{Command, Event, Outcome, Record, RunState};
use crate::stop_signal;
use crate::worker::RunHandle;
use bars::Bars;
use lines::Lines;
use screen::{POLL_INTERVAL, STOPPING, Screen};

pub use follow::{follow_experiment, watch_experiment};
pub use status::{experiment_estimate, experiment_plan, experiment_status};
pub use summary::{experiment_summary, probe_summary};

/// Prints a result on stdout. A reader that has seen enough (`simtrot ... | head`) is no reason to fail.
pub fn print(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a remark on stderr. A terminal that is gone is no reason to fail either.
pub fn remark(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Follows a job to its end: progress bars where stderr is a terminal, plain lines otherwise; with `quiet`, warnings and failures only.
///
/// Ctrl-C sends [`Command::Stop`]; a second one ends the process at once with 130.
/// Warnings are printed as they come, a failure with its cause and next step.
pub fn follow(handle: RunHandle, quiet: bool) -> (Outcome, RunState) {
    if let Err(reason) = stop_signal::listen() {
        remark(format_args!("warning: Ctrl-C will end the job without saving: {reason}"));
    }
    on_screen(quiet, |screen| drive(handle, RunState::default(), screen, &stop_signal::asked))
}

/// The same as plain lines without control characters, written to `out`.
pub fn follow_plainly(handle: RunHandle, quiet: bool, out: &mut dyn Write) -> (Outcome, RunState) {
    drive(handle, RunState::default(), &mut Lines::new(out, quiet), &stop_signal::asked)
}

/// The same for a job of another program, known up to `state`: an interrupt ends the looking, and leaves the job alone.
pub fn watch(handle: RunHandle, state: RunState, quiet: bool) -> Outcome {
    on_screen(quiet, |screen| drive(handle, state, screen, &|| false)).0
}

fn on_screen<T>(quiet: bool, show: impl FnOnce(&mut dyn Screen) -> T) -> T {
    match quiet || !std::io::stderr().is_terminal() {
        true => show(&mut Lines::new(&mut std::io::stderr(), quiet)),
        false => show(&mut Bars::default()),
    }
}

/// Drains events until the job has ended; passes a request to stop on, once.
fn drive(handle: RunHandle, mut state: RunState, screen: &mut dyn Screen, stop_wanted: &dyn Fn() -> bool) -> (Outcome, RunState) {
    // Nobody looks at previews here: without their receiver the worker does not wait for it.
    let RunHandle { events, previews, commands, join } = handle;
    drop(previews);
    if let Some(stage) = state.stages.iter().rev().find(|stage| stage.secs.is_none() && state.outcome.is_none()) {
        // Taken over midway: the stage under way is one that begins here.
        let event = Event::StageStarted { stage: stage.stage.clone(), total: stage.total, done: stage.done };
        screen.show(&Record { secs: state.secs, event }, &state);
    }
    let (mut announced, mut sent) = (false, false);
    while state.outcome.is_none() {
        if !sent && stop_wanted() {
            if !announced {
                screen.print(STOPPING);
                announced = true;
            }
            // A full queue is tried again at the next turn; a closed one means that the job is ending anyway.
            sent = !matches!(commands.try_send(Command::Stop), Err(TrySendError::Full(_)));
        }
        match events.recv_timeout(POLL_INTERVAL) {
            Ok(record) => take(&record, &mut state, screen),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop((events, commands));
    let outcome = join.join().unwrap_or_else(|panic| Outcome::Failed { message: panic_message(panic.as_ref()), bad_input: false });
    if state.outcome.is_none() {
        take(&Record { secs: state.secs, event: Event::Finished { outcome: outcome.clone() } }, &mut state, screen);
    }
    (outcome, state)
}

fn take(record: &Record, state: &mut RunState, screen: &mut dyn Screen) {
    state.apply(record);
    screen.show(record, state);
}

/// What a thread said when it panicked.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    format!("the worker ended by a fault of the program: {}; please report it", crate::panic_text::panic_text(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// A worker that runs `body` with its ends of both channels.
    fn worker(
        body: impl FnOnce(std::sync::mpsc::SyncSender<Record>, std::sync::mpsc::Receiver<Command>) -> Outcome + Send + 'static,
    ) -> RunHandle {
        let (event_sender, events) = sync_channel(4);
        let (commands, command_receiver) = sync_channel(1);
        RunHandle { events, previews: sync_channel(1).1, commands, join: std::thread::spawn(move || body(event_sender, command_receiver)) }
    }

    #[test]
    fn a_request_to_stop_reaches_the_worker_once() {
        let handle = worker(|events, commands| {
            let first = commands.recv().unwrap();
            assert_eq!(first, Command::Stop);
            let _ = events.send(Record { secs: 1.0, event: Event::Finished { outcome: Outcome::Stopped } });
            assert!(commands.recv().is_err(), "a second command came");
            Outcome::Stopped
        });
        let mut out = Vec::new();
        let (outcome, state) = drive(handle, RunState::default(), &mut Lines::new(&mut out, false), &|| true);
        assert_eq!((outcome, state.outcome), (Outcome::Stopped, Some(Outcome::Stopped)));
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("stopping").count(), 1, "{text}");
    }

    #[test]
    fn a_panic_of_the_worker_is_a_failure_with_its_message() {
        let handle = worker(|_, _| panic!("lost the thread"));
        let mut out = Vec::new();
        let (outcome, state) = drive(handle, RunState::default(), &mut Lines::new(&mut out, true), &|| false);
        assert!(matches!(&outcome, Outcome::Failed { message, bad_input: false } if message.contains("lost the thread")));
        assert_eq!(state.outcome, Some(outcome));
        assert!(String::from_utf8(out).unwrap().contains("lost the thread"));
    }
}
