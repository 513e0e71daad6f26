//! Following what other programs make, here or on other computers: records are read as they grow, and nothing is touched. A folder that is
//! away for a while, as on a share that is, is said and waited for. An interrupt ends the looking alone.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::follow::ExperimentScreen;
use super::job::JobScreen;
use super::screen::Screen as _;
use crate::experiment::{Experiment, ExperimentEvent, ExperimentFolder, ExperimentState, Finish};
use crate::protocol::{Event, FolderError, Outcome, Record, RecordReader, RunFolder, RunState};

/// How often records are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A look that takes long, as over a network, is followed by a pause so many times as long: who works there is not slowed.
const PAUSE: u32 = 20;
/// How long a folder may not answer before that is said.
const ANSWER: Duration = Duration::from_secs(10);

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
    let (mut busy, mut away) = (ended.is_none(), None);
    while busy && screen.job.state.outcome.is_none() {
        let now = std::fs::metadata(folder.events_path()).err().map(FolderError::io(folder.root())).map(|error| error.to_string());
        say_absence(&mut away, now, &mut |text| screen.print(text));
        busy = away.is_some() || folder.busy().is_some();
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

/// Says that a folder is away, or back, where that is new.
fn say_absence(known: &mut Option<String>, now: Option<String>, print: &mut dyn FnMut(&str)) {
    match &now {
        Some(cause) if known.is_none() => print(&format!("{cause}; waiting for the folder to come back (Ctrl-C ends the looking alone)")),
        None if known.is_some() => print("the folder is back"),
        _ => {}
    }
    *known = now;
}

/// What looking at an experiment brings.
enum Seen {
    Event(ExperimentEvent),
    /// The end of a look: why the folder could not be read, if it could not.
    Looked(Option<String>),
    /// Nobody works on it any more.
    Over(Finish),
}

/// Follows an experiment, and each of its trainings at work, until no program works on it any more.
pub fn watch_experiment(folder: &ExperimentFolder, experiment: &Experiment, quiet: bool) -> Finish {
    let mut screen = ExperimentScreen::new(experiment, experiment.trainings.len(), quiet);
    let (sender, seen) = channel();
    let finish = std::thread::scope(|scope| {
        // A share that is gone may hold its readers up for long: the screen is none of them.
        scope.spawn(move || look_on(folder, experiment, &sender));
        let mut away = None;
        loop {
            match seen.recv_timeout(ANSWER) {
                Ok(Seen::Event(event)) => screen.show(&event),
                Ok(Seen::Looked(now)) => say_absence(&mut away, now, &mut |text| screen.print(text)),
                Ok(Seen::Over(finish)) => break finish,
                Err(RecvTimeoutError::Timeout) => {
                    let silent = format!("{} has not answered for {} s", folder.root().display(), ANSWER.as_secs());
                    say_absence(&mut away, Some(silent), &mut |text| screen.print(text));
                }
                // A fault of the program, which the thread's end passes on.
                Err(RecvTimeoutError::Disconnected) => break Finish::default(),
            }
        }
    });
    screen.finish(finish);
    finish
}

/// Looks at an experiment again and again, and tells what it sees, until nobody works on it any more.
fn look_on(folder: &ExperimentFolder, experiment: &Experiment, tell: &Sender<Seen>) {
    // Nobody listens any more when the program ends.
    let tell = |seen| drop(tell.send(seen));
    let mut watched: Vec<Watched> = experiment.trainings.iter().map(|plan| Watched::new(&folder.training(plan))).collect();
    let done = experiment.trainings.iter().zip(&watched).filter(|(plan, watched)| watched.state.is_done(plan.kind)).count();
    tell(Seen::Event(ExperimentEvent::Opened { done }));
    let mut busy = true;
    while busy {
        let began = Instant::now();
        let away = folder.unreadable();
        // Asked first: what ends while its record is read is seen at the last look.
        busy = folder.busy().is_some();
        for (training, watched) in watched.iter_mut().enumerate() {
            watched.look(training, &mut |event| tell(Seen::Event(event)));
        }
        // Of a folder that is away nobody knows who works there.
        let away = away.or_else(|| folder.unreadable());
        busy |= away.is_some();
        tell(Seen::Looked(away.map(|error| error.to_string())));
        if busy {
            std::thread::sleep((PAUSE * began.elapsed()).clamp(LOOK_EVERY, ANSWER / 2));
        }
    }
    let all: Vec<usize> = (0..watched.len()).collect();
    let stopped = watched.iter().any(|watched| watched.state.outcome == Some(Outcome::Stopped));
    let tally = ExperimentState::read(experiment, folder).tally(experiment, &all);
    tell(Seen::Over(Finish { tally, stopped, ..Finish::default() }));
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
