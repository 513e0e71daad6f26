//! Front ends that lag, hold, or go away: the training loses nothing by them.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Precision, SplitConfig};
use crate::protocol::{Command, Record};
use crate::protocol::{Event, RunFolder, StageKind};

/// How long to wait for what takes seconds.
const POLL_INTERVAL: Duration = Duration::from_secs(240);

/// A fine-tuning of a thousand weights that saves after each step.
fn training(place: &std::path::Path, steps: usize) -> TrainingJob {
    let mut config = crate::train::testing::tiny(4, 12);
    config.data.split = SplitConfig::HoldOut { test: 0.25, validation: 0.0 };
    (config.finetune.steps, config.finetune.checkpoint_every) = (steps, 1);
    config.evaluate.bootstrap = 100;
    assert_eq!(config.problems(), []);
    TrainingJob::new(StageKind::Finetune, config, RunFolder::new(place.join("run")))
}

fn start(training: &TrainingJob) -> RunHandle {
    spawn(Job::Train(Box::new(training.clone())), DeviceChoice::Cpu)
}

fn wait(until: impl Fn() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < POLL_INTERVAL, "nothing happened in {POLL_INTERVAL:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the run's record tells its end, and the folder is free for others.
fn is_over(training: &TrainingJob) -> bool {
    training.folder.replay().is_ok_and(|state| state.outcome.is_some()) && training.folder.busy().is_none()
}

#[test]
fn a_training_ends_although_nobody_reads_and_all_that_matters_is_read_later() {
    let place = tempfile::tempdir().unwrap();
    // A step and a checkpoint each: more than the queue of events holds.
    let training = training(place.path(), EVENT_QUEUE * 2 / 3);
    let handle = start(&training);
    wait(|| is_over(&training));
    let told: Vec<Record> = handle.events.iter().collect();
    assert_eq!(handle.join.join().unwrap(), Outcome::Completed);
    let mut recorded = Vec::new();
    crate::protocol::RecordReader::new(training.folder.events_path()).read(&mut |record| recorded.push(record)).unwrap();
    assert!(recorded.len() > EVENT_QUEUE && told.len() < recorded.len(), "{} of {}", told.len(), recorded.len());
    let matters = |records: Vec<Record>| -> Vec<Event> {
        records.into_iter().map(|record| record.event).filter(|event| !event.may_be_dropped()).collect()
    };
    assert_eq!(matters(told), matters(recorded));
}

#[test]
fn half_precision_is_refused_on_the_cpu_before_a_training_begins() {
    let place = tempfile::tempdir().unwrap();
    let mut training = training(place.path(), 1);
    training.config.infer.precision = Precision::Half;
    let handle = start(&training);
    let outcome = handle.join.join().unwrap();
    let Outcome::Failed { message, bad_input } = &outcome else { panic!("{outcome:?}") };
    assert!(*bad_input && message.contains("infer.precision=full"), "{message}");
    assert!(!training.folder.root().exists(), "it has begun");
}

#[test]
fn a_front_end_that_goes_away_has_the_training_saved_and_stopped() {
    let place = tempfile::tempdir().unwrap();
    let training = training(place.path(), 1_000_000);
    let handle = start(&training);
    wait(|| handle.events.try_iter().any(|record| matches!(record.event, Event::Step { .. })));
    drop(handle);
    wait(|| is_over(&training));
    assert_eq!(training.folder.replay().unwrap().outcome, Some(Outcome::Stopped));
    let last = crate::train::Checkpoint::last(&training.folder.checkpoints()).unwrap().unwrap();
    let done = training.folder.replay().unwrap().stages.last().unwrap().done;
    assert_eq!(last.info.step, done, "no step is lost");
}

#[test]
fn a_training_that_holds_saves_when_it_is_told_to_and_goes_on_holding() {
    let place = tempfile::tempdir().unwrap();
    let training = training(place.path(), 1_000_000);
    let handle = start(&training);
    let next = |handle: &RunHandle| match handle.events.recv_timeout(Duration::from_secs(2)) {
        Ok(record) => Some(record.event),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => panic!("the job ended"),
    };
    wait(|| handle.events.try_iter().any(|record| matches!(record.event, Event::Step { .. })));
    handle.commands.send(Command::Pause).unwrap();
    while next(&handle).is_some() {}
    handle.commands.send(Command::Save).unwrap();
    assert!(matches!(next(&handle), Some(Event::Checkpoint { best: false, .. })));
    assert_eq!(next(&handle), None, "it holds");
    handle.commands.send(Command::Resume).unwrap();
    assert!(next(&handle).is_some());
    handle.commands.send(Command::Pause).unwrap();
    handle.commands.send(Command::Stop).unwrap();
    assert!(handle.events.iter().any(|record| record.event == Event::Finished { outcome: Outcome::Stopped }));
    assert_eq!(handle.join.join().unwrap(), Outcome::Stopped);
}
