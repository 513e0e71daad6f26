//! The terminal front end: follows what is at work on stderr, and prints at the end what came out.
//!
//! It folds the worker's events and reads nothing else, as the window and the report do.

mod follow;
mod job;
mod progress;
mod status;
mod summary;
mod watch;

use std::io::{IsTerminal as _, Write};
use std::sync::mpsc::{RecvTimeoutError, TrySendError};

use crate::protocol::{Command, Event, Outcome, Record, RunState};
use crate::stop_signal;
use crate::worker::RunHandle;
use job::JobScreen;

pub use follow::follow_experiment;
pub use status::{experiment_estimate, experiment_plan, experiment_status};
pub use summary::{experiment_summary, probe_summary};
pub use watch::{watch_experiment, watch_training};

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
    let mut out = std::io::stderr();
    let bar = out.is_terminal() && !quiet;
    drive(handle, JobScreen::new(&mut out, bar, quiet, RunState::default()), &stop_signal::asked)
}

/// Drains events until the job has ended; passes a request to stop on, once.
fn drive(handle: RunHandle, mut screen: JobScreen<'_>, stop_wanted: &dyn Fn() -> bool) -> (Outcome, RunState) {
    // Nobody looks at previews here: without their receiver the worker does not wait for it.
    let RunHandle { events, previews, commands, join } = handle;
    drop(previews);
    let (mut announced, mut sent) = (false, false);
    while screen.job.state.outcome.is_none() {
        if !sent && stop_wanted() {
            if !announced {
                screen.print(follow::STOPPING);
                announced = true;
            }
            // A full queue is tried again at the next turn; a closed one means that the job is ending anyway.
            sent = !matches!(commands.try_send(Command::Stop), Err(TrySendError::Full(_)));
        }
        match events.recv_timeout(follow::POLL_INTERVAL) {
            Ok(record) => screen.show(&record),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop((events, commands));
    let outcome = join.join().unwrap_or_else(|panic| Outcome::Failed { message: panic_message(panic.as_ref()), bad_input: false });
    if screen.job.state.outcome.is_none() {
        screen.show(&Record { secs: screen.job.state.secs, event: Event::Finished { outcome: outcome.clone() } });
    }
    (outcome, screen.job.state)
}

/// What a thread said when it panicked.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    format!("the worker ended by a fault of the program: {}; please report it", crate::panic_text::panic_text(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::experiment::synthetic;
    use crate::protocol::StageKind;

    /// A worker that runs `body` with its ends of both channels.
    fn worker(
        body: impl FnOnce(std::sync::mpsc::SyncSender<Record>, std::sync::mpsc::Receiver<Command>) -> Outcome + Send + 'static,
    ) -> RunHandle {
        let (event_sender, events) = sync_channel(4);
        let (commands, command_receiver) = sync_channel(1);
        RunHandle { events, previews: sync_channel(1).1, commands, join: std::thread::spawn(move || body(event_sender, command_receiver)) }
    }

    /// What is printed of a worker, and how it ended.
    fn followed(handle: RunHandle, quiet: bool, stop: bool) -> (String, Outcome, RunState) {
        let mut out = Vec::new();
        let (outcome, state) = drive(handle, JobScreen::new(&mut out, false, quiet, RunState::default()), &|| stop);
        (String::from_utf8(out).unwrap(), outcome, state)
    }

    /// A worker that tells a made-up fine-tuning of 600 steps, so many times as slow.
    fn fine_tuning(slower: f64, end: Outcome) -> RunHandle {
        let experiment = synthetic::one_point();
        let training = experiment.trainings.iter().position(|plan| plan.kind == StageKind::Finetune && plan.after.is_none()).unwrap();
        let mut records = synthetic::records(&experiment, training, 1.0);
        records.last_mut().unwrap().event = Event::Finished { outcome: end.clone() };
        worker(move |events, _| {
            records.into_iter().for_each(|record| events.send(Record { secs: slower * record.secs, ..record }).unwrap());
            end
        })
    }

    #[test]
    fn a_job_is_followed_in_few_plain_lines() {
        for slower in [1.0, 6.0] {
            let (text, outcome, state) = followed(fine_tuning(slower, Outcome::Completed), false, false);
            assert_eq!((outcome, &state.outcome), (Outcome::Completed, &Some(Outcome::Completed)));
            assert!(text.lines().count() <= 20 && !text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
            for words in ["warning: a synthetic warning", "finetune scratch: 600 steps", "test scratch: ", "done in"] {
                assert!(text.contains(words), "no {words:?} in {text}");
            }
            assert!(text.lines().any(|line| line.contains(" %)  loss ") && line.ends_with(" left")), "no progress in {text}");
        }
    }

    #[test]
    fn a_quiet_terminal_tells_warnings_and_failures_only() {
        let failed = Outcome::Failed { message: "the device was lost".into(), bad_input: false };
        let (text, ..) = followed(fine_tuning(1.0, failed), true, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            matches!(&lines[..], [warning, failure] if warning.contains("warning: ") && failure.contains("error: the device")),
            "{text}"
        );
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
        let (text, outcome, state) = followed(handle, false, true);
        assert_eq!((outcome, state.outcome), (Outcome::Stopped, Some(Outcome::Stopped)));
        assert_eq!(text.matches("stopping").count(), 1, "{text}");
    }

    #[test]
    fn a_panic_of_the_worker_is_a_failure_with_its_message() {
        let handle = worker(|_, _| panic!("lost the thread"));
        let (text, outcome, state) = followed(handle, true, false);
        assert!(matches!(&outcome, Outcome::Failed { message, bad_input: false } if message.contains("lost the thread")));
        assert_eq!(state.outcome, Some(outcome));
        assert!(text.contains("lost the thread"));
    }
}
