//! Following what another program makes: records are read as they grow, and nothing is touched. An interrupt ends the looking alone.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use super::follow::ExperimentScreen;
use super::job::JobScreen;
use super::screen::Screen as _;
use crate::experiment::{Experiment, ExperimentEvent, ExperimentFolder, ExperimentState, Finish};
use crate::protocol::{Event, FolderError, Outcome, Record, RecordReader, RunFolder, RunState};

/// How often records are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Follows a training to its end, and says how it ended.
///
/// # Errors
/// There is no training whose record can be read.
pub fn watch_training(folder: &RunFolder, quiet: bool) -> Result<Outcome, FolderError> {
    // Asked first: a training that ends while its record is read has written so in it.
    let busy = folder.busy().is_some();
    let (mut state, mut reader) = folder.replay_so_far()?;
    // How an earlier session ended, where this one has written nothing yet.
    let ended = state.outcome.take().filter(|_| !busy);
    let (mut out, bar) = (std::io::stderr(), std::io::stderr().is_terminal() && !quiet);
    let mut screen = JobScreen::new(&mut out, bar, quiet, state);
    let mut busy = ended.is_none();
    while busy && screen.job.state.outcome.is_none() {
        busy = folder.busy().is_some();
        // A record that cannot be read now may be at the next look.
        let _ = reader.read(&mut |record| screen.show(&record));
        if busy {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    let recorded = screen.job.state.outcome.clone();
    let outcome = recorded.clone().or(ended).unwrap_or_else(|| Outcome::Failed {
        message: "the program that made the training ended without a last word; what was saved is intact, and the same command goes on \
                  (pretrain, finetune, demo: with --resume)"
            .to_owned(),
        bad_input: false,
    });
    if recorded.is_none() {
        screen.show(&Record { secs: screen.job.state.secs, event: Event::Finished { outcome: outcome.clone() } });
    }
    Ok(outcome)
}

/// Follows an experiment, and each of its trainings at work, until no program works on it any more.
pub fn watch_experiment(folder: &ExperimentFolder, experiment: &Experiment, quiet: bool) -> Finish {
    let mut screen = ExperimentScreen::new(experiment, experiment.trainings.len(), quiet);
    let mut watched: Vec<Watched> = experiment.trainings.iter().map(|plan| Watched::new(&folder.training(plan))).collect();
    let done = experiment.trainings.iter().zip(&watched).filter(|(plan, watched)| watched.state.is_done(plan.kind)).count();
    screen.show(&ExperimentEvent::Opened { done });
    let mut busy = true;
    while busy {
        // Asked first: what ends while its record is read is seen at the last look.
        busy = folder.busy().is_some();
        for (training, watched) in watched.iter_mut().enumerate() {
            watched.look(training, &mut |event| screen.show(&event));
        }
        if busy {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    let all: Vec<usize> = (0..watched.len()).collect();
    let stopped = watched.iter().any(|watched| watched.state.outcome == Some(Outcome::Stopped));
    let finish = Finish { tally: ExperimentState::read(experiment, folder).tally(experiment, &all), stopped, bad_input: false };
    screen.finish(finish);
    finish
}

/// A training of an experiment that another program makes.
struct Watched {
    reader: RecordReader,
    state: RunState,
    at_work: bool,
    shown: bool,
}

impl Watched {
    fn new(folder: &RunFolder) -> Self {
        let at_work = folder.busy().is_some();
        let (state, reader) = folder.replay_so_far().unwrap_or_else(|_| (RunState::default(), RecordReader::new(folder.events_path())));
        Self { reader, state, at_work, shown: false }
    }

    /// Emits what came since the last look; before its first event, that the training is at work.
    fn look(&mut self, training: usize, emit: &mut dyn FnMut(ExperimentEvent)) {
        let Self { reader, state, at_work, shown } = self;
        let mut begin = |state: &mut RunState, emit: &mut dyn FnMut(ExperimentEvent)| {
            if !std::mem::replace(shown, true) {
                // How an earlier session ended is not how this one does.
                state.outcome = None;
                emit(ExperimentEvent::Began { training, state: Some(Arc::new(state.clone())) });
            }
        };
        if std::mem::take(at_work) {
            begin(state, emit);
        }
        // A record that is not there yet, or cannot be read now, may be at the next look.
        let mut ended = false;
        let _ = reader.read(&mut |record| {
            begin(state, emit);
            state.apply(&record);
            let outcome = if let Event::Finished { outcome } = &record.event { Some(outcome.clone()) } else { None };
            emit(ExperimentEvent::Record { training, record: Box::new(record) });
            if let Some(outcome) = outcome {
                emit(ExperimentEvent::Ended { training, outcome });
                ended = true;
            }
        });
        self.shown &= !ended;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::experiment::synthetic;
    use crate::folder_lock::FolderLock;
    use crate::protocol::Severity;

    fn line(event: Event) -> String {
        serde_json::to_string(&Record { secs: 1.0, event }).unwrap() + "\n"
    }

    fn notice(text: &str) -> String {
        line(Event::Notice { severity: Severity::Info, text: text.to_owned() })
    }

    #[test]
    fn a_training_at_work_is_followed_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(place.path());
        assert!(watch_training(&folder, true).is_err(), "there is no training");
        let lock = FolderLock::take(place.path()).unwrap();
        let mut file = std::fs::File::create(folder.events_path()).unwrap();
        write!(file, "{}{}", notice("first"), line(Event::Finished { outcome: Outcome::Stopped })).unwrap();
        let follower = std::thread::spawn({
            let folder = folder.clone();
            move || watch_training(&folder, true).unwrap()
        });
        std::thread::sleep(3 * LOOK_EVERY);
        assert!(!follower.is_finished(), "an earlier session's end is not this one's");
        write!(file, "{}", line(Event::Finished { outcome: Outcome::Completed })).unwrap();
        assert_eq!(follower.join().unwrap(), Outcome::Completed);
        drop(lock);
        assert_eq!(watch_training(&folder, true).unwrap(), Outcome::Completed, "one that has ended is reported to have");
        std::fs::write(folder.events_path(), notice("first")).unwrap();
        let killed = watch_training(&folder, true).unwrap();
        assert!(matches!(&killed, Outcome::Failed { message, .. } if message.contains("--resume")), "{killed:?}");
    }

    #[test]
    fn of_an_experiment_the_training_at_work_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let (experiment, folder) = (synthetic::experiment(), ExperimentFolder::new(place.path()));
        let run = folder.training(&experiment.trainings[0]);
        std::fs::create_dir_all(run.root()).unwrap();
        let _lock = FolderLock::take(run.root()).unwrap();
        let mut file = std::fs::File::create(run.events_path()).unwrap();
        write!(file, "{}{}", notice("first"), line(Event::Finished { outcome: Outcome::Stopped })).unwrap();
        let mut watched = Watched::new(&run);
        let mut look = || {
            let mut seen = Vec::new();
            watched.look(0, &mut |event| seen.push(event));
            seen
        };
        assert!(matches!(&look()[..], [ExperimentEvent::Began { state: Some(state), .. }] if state.notices.len() == 1));
        assert!(look().is_empty());
        let second = notice("second");
        write!(file, "{}{}", second, &second[..10]).unwrap();
        assert!(matches!(&look()[..], [ExperimentEvent::Record { .. }]), "a line under way is left until it is whole");
        write!(file, "{}{}", &second[10..], line(Event::Finished { outcome: Outcome::Stopped })).unwrap();
        let end = look();
        assert!(matches!(&end[2..], [ExperimentEvent::Ended { outcome: Outcome::Stopped, .. }]) && end.len() == 3, "{end:?}");
        write!(file, "{second}").unwrap();
        assert!(matches!(&look()[..], [ExperimentEvent::Began { .. }, ExperimentEvent::Record { .. }]), "it goes on");
    }
}
