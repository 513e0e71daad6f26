//! The terminal front end: follows what is at work on stderr, and prints at the end what came out.
//!
//! It folds the worker's events and reads nothing else, as the window and the report do.

mod follow;
mod job;
mod next_case;
mod progress;
mod screen;
mod status;
mod summary;
mod trial;
mod watch;

use std::io::{IsTerminal as _, Write as _};

use crate::protocol::{Event, Outcome, Record, RunState};
use crate::worker::RunHandle;
use job::JobScreen;
use screen::{Screen as _, drain};

pub use follow::follow_experiment;
pub use next_case::ranking;
pub use status::{experiment_estimate, experiment_plan, experiment_status};
pub use summary::{experiment_summary, probe_summary};
pub use trial::follow_trial;
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
/// Ctrl-C ends the job, which saves; a second one ends the process at once with 130.
/// Warnings are printed as they come, a failure with its cause and next step.
pub fn follow(handle: RunHandle, quiet: bool) -> (Outcome, RunState) {
    let mut out = std::io::stderr();
    let bar = out.is_terminal() && !quiet;
    follow_on(handle, JobScreen::new(&mut out, bar, quiet, RunState::default()))
}

fn follow_on(handle: RunHandle, mut screen: JobScreen<'_>) -> (Outcome, RunState) {
    let failed = |panic: Box<dyn std::any::Any + Send>| Outcome::Failed { message: panic_message(panic.as_ref()), bad_input: false };
    let outcome = drain(handle, &mut screen).unwrap_or_else(failed);
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
    use std::sync::mpsc::{SyncSender, sync_channel};

    use super::*;
    use crate::experiment::synthetic;
    use crate::protocol::StageKind;

    /// A worker that runs `body` with its end of the events.
    fn worker(body: impl FnOnce(SyncSender<Record>) -> Outcome + Send + 'static) -> RunHandle {
        let (sender, events) = sync_channel(4);
        RunHandle { events, previews: sync_channel(1).1, commands: sync_channel(1).0, join: std::thread::spawn(move || body(sender)) }
    }

    /// What is printed of a worker, and how it ended.
    fn followed(handle: RunHandle, quiet: bool) -> (String, Outcome, RunState) {
        let mut out = Vec::new();
        let (outcome, state) = follow_on(handle, JobScreen::new(&mut out, false, quiet, RunState::default()));
        (String::from_utf8(out).unwrap(), outcome, state)
    }

    /// A worker that emits a made-up fine-tuning of 600 steps, so many times as slow.
    fn fine_tuning(slower: f64, end: Outcome) -> RunHandle {
        let experiment = synthetic::one_point();
        let training = experiment.trainings.iter().position(|plan| plan.kind == StageKind::Finetune && plan.after.is_none()).unwrap();
        let mut records = synthetic::records(&experiment, training, 1.0);
        records.last_mut().unwrap().event = Event::Finished { outcome: end.clone() };
        worker(move |events| {
            records.into_iter().for_each(|record| events.send(Record { secs: slower * record.secs, ..record }).unwrap());
            end
        })
    }

    #[test]
    fn a_stop_is_answered_in_the_words_of_the_work_under_way() {
        let mut out = Vec::new();
        let mut screen = JobScreen::new(&mut out, false, true, RunState::default());
        let mut after = |event| {
            screen.show(&Record { secs: 0.0, event });
            (screen.under_way(), screen.stopping())
        };
        let begin = |kind: StageKind| Event::StageStarted { stage: kind.into(), total: 3, done: 0 };
        for (kind, words) in [
            (StageKind::Infer, "segmentations that are written stay"),
            (StageKind::Prepare, "the cases under way"),
            (StageKind::Probe, "nothing of the measurement is kept"),
            (StageKind::Test, "the test begins anew"),
            (StageKind::NextCase, "cases that were measured are kept"),
            (StageKind::Pretrain, "the step under way is finished and saved"),
        ] {
            let (under_way, told) = after(begin(kind));
            assert_eq!(under_way, Some(kind));
            assert!(told.contains(words) && told.contains("step") == (kind == StageKind::Pretrain), "{kind}: {told}");
            let (between, told) = after(Event::StageFinished { stage: kind.into(), secs: 1.0 });
            assert!(between.is_none() && !told.contains("step"), "{told}");
        }
    }

    #[test]
    fn a_job_is_followed_in_few_plain_lines() {
        for slower in [1.0, 6.0] {
            let (text, outcome, state) = followed(fine_tuning(slower, Outcome::Completed), false);
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
        let (text, ..) = followed(fine_tuning(1.0, failed), true);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            matches!(&lines[..], [warning, failure] if warning.contains("warning: ") && failure.contains("error: the device")),
            "{text}"
        );
    }

    #[test]
    fn a_panic_of_the_worker_is_a_failure_with_its_message() {
        let handle = worker(|_| panic!("lost the thread"));
        let (text, outcome, state) = followed(handle, true);
        assert!(matches!(&outcome, Outcome::Failed { message, bad_input: false } if message.contains("lost the thread")));
        assert_eq!(state.outcome, Some(outcome));
        assert!(text.contains("lost the thread"));
    }
}
