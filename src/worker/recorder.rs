//! Every event to `events.jsonl` and to the front end; commands back.

use std::cell::{Ref, RefCell};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use super::error::JobError;
use super::outbox::Outbox;
use super::training_job::Start;
use crate::config::RunConfig;
use crate::device::{DeviceDescription, DeviceKind};
use crate::folder_lock::FolderLock;
use crate::protocol::{
    Command, Environment, Event, FolderError, Outcome, Preview, Record, RunFolder, RunState, SCHEMA, Severity, Stage, TRAINING_VERSION,
    TokenPreview,
};
use crate::stop_signal;
use crate::train::Control;
use crate::volume::{Note, note};

/// Lines about files that a run says, at most.
const NOTES_SHOWN: usize = 20;

/// How often a paused job looks for a signal or for a request that was left in its folder.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Emits events and takes commands in for a job.
pub(super) struct Recorder {
    inner: RefCell<Inner>,
    commands: Receiver<Command>,
}

/// A stage under way: emits how far it is.
pub(super) struct StageProgress<'a> {
    recorder: &'a Recorder,
    pub(super) stage: Stage,
    total: usize,
    began_secs: f64,
}

struct Inner {
    file: Option<File>,
    events_path: Option<PathBuf>,
    /// Keeps other programs out of the folder that the job writes into.
    lock: Option<FolderLock>,
    front_end: Outbox<Record>,
    previews: Outbox<Preview>,
    began: Instant,
    /// Seconds that earlier sessions of a resumed run took.
    before_secs: f64,
    /// Seconds that this session was held: they count as no work.
    held_secs: f64,
    state: RunState,
    paused: bool,
    stop_seen: bool,
    /// Why the record cannot be written: the job ends, since what it did would be known to nobody.
    failure: Option<FolderError>,
}

impl Recorder {
    pub(super) fn new(front_end: SyncSender<Record>, previews: SyncSender<Preview>, commands: Receiver<Command>) -> Self {
        let inner = Inner {
            file: None,
            events_path: None,
            lock: None,
            front_end: Outbox::new(front_end),
            previews: Outbox::new(previews),
            began: Instant::now(),
            before_secs: 0.0,
            held_secs: 0.0,
            state: RunState::default(),
            paused: false,
            stop_seen: false,
            failure: None,
        };
        Self { inner: RefCell::new(inner), commands }
    }

    /// Opens the run's folder and its record: a new one, or at the end of what an earlier session left.
    pub(super) fn open_run(&self, folder: &RunFolder, start: Start, config: &RunConfig) -> Result<(), JobError> {
        let io = |cause| FolderError::Io { path: folder.events_path(), cause };
        self.inner.borrow_mut().events_path = Some(folder.events_path());
        match start {
            Start::Resume => {
                self.hold(folder.resume()?);
                let (state, records) = folder.replay_so_far()?;
                let file = OpenOptions::new().append(true).open(folder.events_path()).map_err(io)?;
                // A line that a crash cut off would corrupt the record in its middle once more is appended.
                file.set_len(records.offset()).map_err(io)?;
                let mut inner = self.inner.borrow_mut();
                (inner.before_secs, inner.state, inner.file) = (state.secs, state, Some(file));
            }
            Start::Fresh | Start::Overwrite => {
                self.hold(folder.create(start == Start::Overwrite)?);
                folder.write("config.ron", config.resolved().to_ron().as_bytes())?;
                self.inner.borrow_mut().file = Some(File::create(folder.events_path()).map_err(io)?);
            }
        }
        Ok(())
    }

    /// Whether the folder is another program's by now: nothing is written there any more, the record included.
    pub(super) fn is_lost(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        let is_lost = inner.lock.as_ref().is_some_and(FolderLock::is_lost);
        if is_lost && inner.file.take().is_some() {
            let place = inner.events_path.as_ref().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_owned();
            inner.failure = Some(FolderError::Lost(place));
        }
        inner.stop_seen |= is_lost;
        is_lost
    }

    /// Keeps other programs out of a folder until the job has ended.
    pub(super) fn hold(&self, lock: FolderLock) {
        self.inner.borrow_mut().lock = Some(lock);
    }

    /// Emits `Started` with the environment.
    pub(super) fn start(&self, name: &str, device: &DeviceDescription, classes: Vec<String>) -> Environment {
        let environment = environment(device);
        self.emit(Event::Started { schema: SCHEMA, name: name.to_owned(), environment: environment.clone(), classes });
        for note in &device.notes {
            self.notice(Severity::Info, note.clone());
        }
        let unlocked = self.inner.borrow().lock.as_ref().and_then(|lock| lock.warning.clone());
        if let Some(warning) = unlocked {
            self.notice(Severity::Warning, warning);
        }
        environment
    }

    pub(super) fn notice(&self, severity: Severity, text: impl Into<String>) {
        self.emit(Event::Notice { severity, text: text.into() });
    }

    /// Seconds at work so far, earlier sessions included and pauses left out.
    pub(super) fn secs(&self) -> f64 {
        let inner = self.inner.borrow();
        inner.before_secs + inner.began.elapsed().as_secs_f64() - inner.held_secs
    }

    /// Says what is worth knowing about files, up to a number of lines that a person reads.
    pub(super) fn notes<'a>(&self, notes: impl IntoIterator<Item = &'a Note>) {
        let lines = note::lines(notes);
        for line in lines.iter().take(NOTES_SHOWN) {
            self.notice(Severity::Warning, line.clone());
        }
        if lines.len() > NOTES_SHOWN {
            self.notice(Severity::Warning, format!("{} more notes on the data; `simtrot check` shows them", lines.len() - NOTES_SHOWN));
        }
    }

    pub(super) fn emit(&self, event: Event) {
        let record = Record { secs: self.secs(), event };
        let mut line = serde_json::to_vec(&record).expect("plain data becomes JSON");
        // Reading a number back may cost it its last bit: what is told is what a replay of the file will tell.
        let record: Record = serde_json::from_slice(&line).unwrap_or(record);
        line.push(b'\n');
        self.is_lost();
        let droppable = record.event.may_be_dropped();
        let mut inner = self.inner.borrow_mut();
        inner.state.apply(&record);
        if let Some(file) = &mut inner.file
            && let Err(cause) = file.write_all(&line)
        {
            (inner.file, inner.stop_seen) = (None, true);
            inner.failure = inner.events_path.clone().map(|path| FolderError::Io { path, cause });
        }
        inner.front_end.send(record, droppable);
    }

    /// Why the record could not be written, if it could not.
    pub(super) fn failure(&self) -> Option<FolderError> {
        self.inner.borrow_mut().failure.take()
    }

    /// Tells how the job ended, and lets its folder go. Hands back what the front end has not taken yet.
    pub(super) fn finish(self, outcome: Outcome) -> Outbox<Record> {
        // A front end stops looking at previews once it knows that the job has ended.
        while !self.inner.borrow_mut().previews.hand_over() && !self.stop_wanted() {
            std::thread::sleep(LOOK_EVERY);
        }
        self.emit(Event::Finished { outcome });
        self.inner.into_inner().front_end
    }

    /// Shows something to whoever looks; it is dropped where nobody takes it.
    pub(super) fn preview(&self, preview: Preview) {
        self.inner.borrow_mut().previews.send(preview, true);
    }

    /// Shows the tokens of a probe, and keeps them where there is a run's folder.
    pub(super) fn show_tokens(&self, tokens: TokenPreview, folder: Option<&RunFolder>) {
        if let Some(Err(error)) = folder.filter(|_| !self.is_lost()).map(|folder| folder.write_tokens(&tokens)) {
            // The numbers stand in the record; only the maps of this probe will be missing later.
            tracing::warn!("{error}");
        }
        self.preview(Preview::Tokens(Arc::new(tokens)));
    }

    /// Shows the last of its kind, which must arrive.
    pub(super) fn last_preview(&self, preview: Preview) {
        self.inner.borrow_mut().previews.send(preview, false);
    }

    /// What is wanted by the front end, by a signal, or by whoever left a request in the folder; holds while paused. After
    /// [`Control::Save`] it is to be asked again: the job may still be paused.
    pub(super) fn control(&self) -> Control {
        loop {
            if self.is_lost() {
                return Control::Lost;
            }
            if self.stop_wanted() {
                return Control::Stop;
            }
            let command = if self.inner.borrow().paused {
                let held = Instant::now();
                let command = self.commands.recv_timeout(LOOK_EVERY);
                self.inner.borrow_mut().held_secs += held.elapsed().as_secs_f64();
                match command {
                    Ok(command) => command,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => Command::Stop,
                }
            } else {
                match self.commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty) => return Control::Continue,
                    // Nobody follows the job any more, nor can anybody stop it later.
                    Err(TryRecvError::Disconnected) => Command::Stop,
                }
            };
            let mut inner = self.inner.borrow_mut();
            match command {
                Command::Pause => inner.paused = true,
                Command::Resume => inner.paused = false,
                Command::Save => return Control::Save,
                Command::Stop => inner.stop_seen = true,
            }
        }
    }

    fn stop_wanted(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.stop_seen |= stop_signal::asked() || inner.lock.as_ref().is_some_and(FolderLock::stop_requested);
        inner.stop_seen
    }

    /// Emits `StageStarted`.
    pub(super) fn begin(&self, stage: Stage, total: usize, done: usize) -> StageProgress<'_> {
        self.emit(Event::StageStarted { stage: stage.clone(), total, done });
        StageProgress { recorder: self, stage, total, began_secs: self.secs() }
    }

    /// Ends the job where somebody asks for it and there is nothing to save; holds while paused.
    pub(super) fn obey(&self) -> Result<(), JobError> {
        if self.goes_on() { Ok(()) } else { Err(JobError::Stopped) }
    }

    /// Whether to go on, where there is nothing to save; holds while paused.
    pub(super) fn goes_on(&self) -> bool {
        loop {
            match self.control() {
                Control::Continue => return true,
                Control::Save => {}
                Control::Stop | Control::Lost => return false,
            }
        }
    }

    /// What is known of the run; nothing may be told while it is held.
    pub(super) fn state(&self) -> Ref<'_, RunState> {
        Ref::map(self.inner.borrow(), |inner| &inner.state)
    }
}

impl StageProgress<'_> {
    /// Emits `Progress`.
    pub(super) fn progress(&self, done: usize) {
        self.recorder.emit(Event::Progress { stage: self.stage.clone(), done, total: self.total });
    }

    /// Emits `StageFinished`.
    pub(super) fn finish(self) {
        let secs = self.recorder.secs() - self.began_secs;
        self.recorder.emit(Event::StageFinished { stage: self.stage, secs });
    }
}

fn environment(device: &DeviceDescription) -> Environment {
    let kind = match device.kind {
        DeviceKind::Cpu => "cpu",
        DeviceKind::Gpu => "gpu",
    };
    Environment {
        version: crate::VERSION.to_owned(),
        commit: crate::COMMIT.to_owned(),
        training: TRAINING_VERSION,
        device: kind.to_owned(),
        device_name: device.name.clone(),
        beside: device.beside.clone(),
        driver: device.driver.clone(),
        backend: device.backend.clone(),
        threads: device.threads,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_pause_is_no_time_at_work() {
        let (events, _events) = sync_channel(4);
        let (previews, _previews) = sync_channel(4);
        let (commands, receiver) = sync_channel(4);
        let recorder = Recorder::new(events, previews, receiver);
        commands.send(Command::Pause).unwrap();
        let pause = Duration::from_millis(600);
        let resume = std::thread::spawn(move || {
            std::thread::sleep(pause);
            commands.send(Command::Resume).unwrap();
            commands
        });
        let began = Instant::now();
        assert_eq!(recorder.control(), Control::Continue);
        assert!(began.elapsed() >= pause, "it held");
        assert!(recorder.secs() < pause.as_secs_f64() / 2.0, "{} s at work", recorder.secs());
        drop(resume.join().unwrap());
    }
}
