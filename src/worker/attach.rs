//! Following a run that another program makes: its record is read as it grows, and nothing is touched.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::{COMMAND_QUEUE, EVENT_QUEUE, RunHandle};
use crate::protocol::{Command, Event, Outcome, Record, RecordReader, RunFolder, RunFolderError, RunState};

/// How often the record is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a run has come to so far, and a handle that tells what comes after. Its one command is `Stop`, which leaves a request
/// in the folder; dropping it leaves the run alone.
///
/// # Errors
/// There is no run whose record can be read.
///
/// # Panics
/// If the system has no thread to give.
pub fn attach(folder: &RunFolder) -> Result<(RunHandle, RunState), RunFolderError> {
    // Asked first: a run that ends while its record is read has told so in it.
    let busy = folder.busy().is_some();
    let (mut state, reader) = folder.replay_so_far()?;
    if busy {
        // How an earlier session ended, where this one has told nothing yet.
        state.outcome = None;
    }
    let (sender, events) = sync_channel(EVENT_QUEUE);
    let (commands, receiver) = sync_channel(COMMAND_QUEUE);
    let follower = Follower { folder: folder.clone(), reader, sender, commands: receiver, outcome: state.outcome.clone() };
    let join =
        std::thread::Builder::new().name("follower".to_owned()).spawn(move || follower.follow()).expect("the system has a thread to give");
    Ok((RunHandle { events, previews: sync_channel(1).1, commands, join }, state))
}

struct Follower {
    folder: RunFolder,
    reader: RecordReader,
    sender: SyncSender<Record>,
    commands: Receiver<Command>,
    outcome: Option<Outcome>,
}

impl Follower {
    fn follow(mut self) -> Outcome {
        while self.outcome.is_none() {
            let busy = self.folder.busy();
            let (sender, outcome) = (&self.sender, &mut self.outcome);
            let mut gone = false;
            // A record that cannot be read now may be at the next look.
            let _ = self.reader.read(&mut |record| {
                if let Event::Finished { outcome: told } = &record.event {
                    *outcome = Some(told.clone());
                }
                gone |= sender.send(record).is_err();
            });
            if gone || busy.is_none() {
                break;
            }
            match self.commands.recv_timeout(LOOK_EVERY) {
                Ok(Command::Stop) => {
                    if let Some(Err(error)) = busy.map(|busy| busy.ask_to_stop()) {
                        tracing::error!("the request to stop cannot be left in {}: {error}", self.folder.root().display());
                    }
                }
                Ok(Command::Pause | Command::Resume | Command::Save) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.outcome.unwrap_or_else(|| Outcome::Failed {
            message: "the program that made the run ended without a last word; what was saved is intact, and --resume goes on".to_owned(),
            bad_input: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder_lock::FolderLock;

    fn line(event: Event) -> String {
        serde_json::to_string(&Record { secs: 1.0, event }).unwrap() + "\n"
    }

    fn notice(text: &str) -> String {
        line(Event::Notice { severity: crate::protocol::Severity::Info, text: text.to_owned() })
    }

    #[test]
    fn a_run_at_work_is_followed_to_its_end_and_may_be_asked_to_stop() {
        use std::io::Write as _;
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(place.path());
        let lock = FolderLock::take(place.path()).unwrap();
        let mut file = std::fs::File::create(folder.events_path()).unwrap();
        write!(file, "{}{}", notice("first"), line(Event::Finished { outcome: Outcome::Stopped })).unwrap();
        let (handle, state) = attach(&folder).unwrap();
        assert_eq!((state.notices.len(), &state.outcome), (1, &None), "an earlier session's end is not this one's");
        let second = notice("second");
        write!(file, "{}", &second[..10]).unwrap();
        handle.commands.send(Command::Stop).unwrap();
        while !lock.stop_requested() {
            std::thread::sleep(LOOK_EVERY);
        }
        write!(file, "{}{}", &second[10..], line(Event::Finished { outcome: Outcome::Stopped })).unwrap();
        let told: Vec<Record> = handle.events.iter().collect();
        assert!(matches!(&told[0].event, Event::Notice { text, .. } if text == "second"));
        assert_eq!((told.len(), handle.join.join().unwrap()), (2, Outcome::Stopped));
    }

    #[test]
    fn a_run_whose_program_was_killed_is_told_to_be_so() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(place.path());
        assert!(attach(&folder).is_err(), "there is no run");
        let lock = FolderLock::take(place.path()).unwrap();
        std::fs::write(folder.events_path(), notice("first")).unwrap();
        let (handle, _) = attach(&folder).unwrap();
        drop(lock);
        let outcome = handle.join.join().unwrap();
        assert!(matches!(&outcome, Outcome::Failed { message, .. } if message.contains("--resume")), "{outcome:?}");
    }
}
