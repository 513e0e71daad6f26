//! Every event to `events.jsonl` and to the front end; commands back.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::time::Instant;

use super::{JobError, Start, Training};
use crate::device::{DeviceDescription, DeviceKind};
use crate::protocol::{
    Command, Environment, Event, Preview, Record, RunFolder, RunFolderError, RunState, SCHEMA, Severity, Summary, TRAINING_VERSION, TokenPreview,
};
use crate::train::Control;

/// The worker's ear and mouth.
pub(super) struct Recorder {
    inner: RefCell<Inner>,
    commands: Receiver<Command>,
}

struct Inner {
    file: Option<File>,
    front_end: Option<SyncSender<Record>>,
    previews: SyncSender<Preview>,
    began: Instant,
    /// Seconds that earlier sessions of a resumed run took.
    before_secs: f64,
    state: RunState,
    stop_seen: bool,
}

impl Recorder {
    pub(super) fn new(front_end: SyncSender<Record>, previews: SyncSender<Preview>, commands: Receiver<Command>) -> Self {
        let inner = Inner {
            file: None,
            front_end: Some(front_end),
            previews,
            began: Instant::now(),
            before_secs: 0.0,
            state: RunState::default(),
            stop_seen: false,
        };
        Self { inner: RefCell::new(inner), commands }
    }

    /// Opens the run's folder and its record: a new one, or at the end of what an earlier session left.
    pub(super) fn open_run(&self, training: &Training) -> Result<(), JobError> {
        let folder = &training.folder;
        let io = |cause| RunFolderError::Io { path: folder.events_path(), cause };
        match training.start {
            Start::Resume => {
                folder.resume()?;
                let state = folder.replay()?;
                // A line that a crash cut off would corrupt the record in its middle once more is appended.
                let text = std::fs::read(folder.events_path()).map_err(io)?;
                let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                let file = OpenOptions::new().append(true).open(folder.events_path()).map_err(io)?;
                file.set_len(whole as u64).map_err(io)?;
                let mut inner = self.inner.borrow_mut();
                (inner.before_secs, inner.state, inner.file) = (state.secs, state, Some(file));
            }
            Start::Fresh | Start::Overwrite => {
                folder.create(training.start == Start::Overwrite)?;
                folder.write("config.ron", training.config.resolved().to_ron().as_bytes())?;
                self.inner.borrow_mut().file = Some(File::create(folder.events_path()).map_err(io)?);
            }
        }
        Ok(())
    }

    /// Tells that the job began, on what.
    pub(super) fn start(&self, name: &str, device: &DeviceDescription, classes: Vec<String>) -> Environment {
        let environment = environment(device);
        self.emit(Event::Started { schema: SCHEMA, name: name.to_owned(), environment: environment.clone(), classes });
        for note in &device.notes {
            self.notice(Severity::Info, note.clone());
        }
        environment
    }

    pub(super) fn notice(&self, severity: Severity, text: impl Into<String>) {
        self.emit(Event::Notice { severity, text: text.into() });
    }

    pub(super) fn emit(&self, event: Event) {
        let mut inner = self.inner.borrow_mut();
        let droppable = event.may_be_dropped();
        let record = Record { secs: inner.before_secs + inner.began.elapsed().as_secs_f64(), event };
        inner.state.apply(&record);
        if let Some(file) = &mut inner.file {
            let mut line = serde_json::to_vec(&record).expect("plain data becomes JSON");
            line.push(b'\n');
            if let Err(error) = file.write_all(&line) {
                tracing::error!("events.jsonl cannot be written: {error}");
                inner.file = None;
            }
        }
        let Some(front_end) = inner.front_end.clone() else { return };
        // The borrow must not outlive a blocking send.
        drop(inner);
        let gone = if droppable {
            matches!(front_end.try_send(record), Err(TrySendError::Disconnected(_)))
        } else {
            front_end.send(record).is_err()
        };
        if gone {
            self.inner.borrow_mut().front_end = None;
        }
    }

    /// Shows something to whoever looks; it is dropped where nobody takes it.
    pub(super) fn preview(&self, preview: Preview) {
        let _ = self.inner.borrow().previews.try_send(preview);
    }

    /// Shows the tokens of a probe, and keeps them where there is a run's folder.
    pub(super) fn show_tokens(&self, tokens: TokenPreview, folder: Option<&RunFolder>) {
        if let Some(Err(error)) = folder.map(|folder| folder.write_tokens(&tokens)) {
            // The numbers stand in the record; only the maps of this probe will be missing later.
            tracing::warn!("{error}");
        }
        self.preview(Preview::Tokens(Arc::new(tokens)));
    }

    /// Shows the last of its kind, which must arrive: waits for a lagging front end, not for one that is gone.
    pub(super) fn last_preview(&self, preview: Preview) {
        let previews = self.inner.borrow().previews.clone();
        let _ = previews.send(preview);
    }

    /// What the front end wants; holds while paused.
    pub(super) fn control(&self) -> Control {
        let mut control = if self.inner.borrow().stop_seen { Control::Stop } else { Control::Continue };
        let mut paused = false;
        loop {
            let command = if paused {
                self.commands.recv().unwrap_or(Command::Stop)
            } else {
                match self.commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => return control,
                }
            };
            match command {
                Command::Pause => paused = true,
                Command::Resume => paused = false,
                Command::Save => control = if control == Control::Stop { Control::Stop } else { Control::Save },
                Command::Stop => {
                    self.inner.borrow_mut().stop_seen = true;
                    return Control::Stop;
                }
            }
        }
    }

    /// A copy of what is known of the run.
    pub(super) fn state(&self) -> RunState {
        self.inner.borrow().state.clone()
    }

    /// Writes `summary.json` and `metrics.csv` of what is known so far.
    pub(super) fn write_results(&self, training: &Training) -> Result<(), JobError> {
        let state = self.state();
        let summary = serde_json::to_vec_pretty(&Summary::new(&state)).expect("plain data becomes JSON");
        training.folder.write("summary.json", &summary)?;
        let table = super::measure::metrics_csv(&state);
        Ok(training.folder.write("metrics.csv", &table)?)
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
        driver: device.driver.clone(),
        backend: device.backend.clone(),
        threads: device.threads,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}
