//! Writes the journal on a thread of its own: painting never waits for a disk.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::place::{self, Placed};
use super::record::{FIRST_LINE, Header, Kind, NamedLabel, packed, record};
use crate::digest;
use crate::edit::class_volume::ClassVolume;
use crate::edit::step::{Step, put};
use crate::folder_lock::EVERY;
use crate::volume::segment::Segments;
use crate::volume::{Scan, VolumeSource, content};

/// What an edit is of: what its journal needs besides the map.
#[derive(Clone, Debug)]
pub struct JournalSubject {
    /// The first of the image's files: the journal lies beside it.
    pub image: VolumeSource,
    /// The image in memory, whose digest the journal holds.
    pub scan: Arc<Scan>,
    /// What the user knows the edited label map by.
    pub title: String,
    /// Its file; none of a map that is in no file.
    pub source: Option<PathBuf>,
    /// The label value of each class of the map.
    pub values: Vec<u16>,
    /// What label values are called and shown in.
    pub segments: Segments,
}

/// Something that happened to the map.
#[derive(Debug)]
pub(in crate::edit) enum Change {
    /// A step was done.
    Step(Arc<Step>),
    /// The last step was taken back.
    Undo,
    /// It was done again.
    Redo,
    /// A label has a new name or colour.
    Label(NamedLabel),
    /// The map was saved as it was so many changes before.
    Saved { since: u64 },
}

/// What the thread is told, and what is known of it.
#[derive(Debug, Default)]
struct Shared {
    /// Where the journal lies, once it does.
    file: Mutex<Option<PathBuf>>,
    /// What the user should know of where it lies: why elsewhere than beside the image, or that it has no lock.
    place: Mutex<Option<String>>,
    /// Why the last changes could not be written.
    fault: Mutex<Option<String>>,
    /// Whether the edit is given up.
    discarded: AtomicBool,
}

/// The journal of an edit under way.
#[derive(Debug)]
pub(in crate::edit) struct Journal {
    changes: Option<Sender<Change>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Whether anything was recorded, so that the file must be whole before the program goes on without the edit.
    used: AtomicBool,
}

impl Journal {
    /// Begins the journal of an edit of `base`. The file appears once the image's digest is counted: about a second for a large one.
    pub(in crate::edit) fn start(subject: JournalSubject, base: ClassVolume) -> Self {
        Self::spawn(false, move |shared| begin(&subject, &base, shared))
    }

    /// Goes on with the journal of an edit that was brought back: `file` at `path`, whose first `length` bytes are whole; `unlocked`: why it has no
    /// lock.
    pub(super) fn go_on((path, file, unlocked): (PathBuf, File, Option<String>), length: u64, unsaved: u64) -> Self {
        Self::spawn(true, move |shared| {
            set(&shared.file, Some(path.clone()));
            let beats = unlocked.is_some();
            set(&shared.place, unlocked);
            Some(Written { path, file, beats, length, pending: Vec::new(), unsaved })
        })
    }

    fn spawn(used: bool, open: impl FnOnce(&Shared) -> Option<Written> + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let shared = Arc::new(Shared::default());
        let body = {
            let shared = shared.clone();
            move || {
                if let Some(written) = open(&shared) {
                    written.follow(&receiver, &shared);
                }
            }
        };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(body).expect("the system has a thread to give");
        Self { changes: Some(sender), shared, thread: Some(thread), used: AtomicBool::new(used) }
    }

    /// Hands a change to the thread.
    pub(in crate::edit) fn record(&self, change: Change) {
        self.used.store(true, Ordering::Relaxed);
        // A thread that has ended has left its fault.
        if let Some(changes) = &self.changes {
            let _ = changes.send(change);
        }
    }

    /// Where it lies, once it does.
    pub(in crate::edit) fn file(&self) -> Option<PathBuf> {
        get(&self.shared.file)
    }

    /// What the user should know of it: that it cannot be kept, or lies elsewhere.
    pub(in crate::edit) fn notice(&self) -> Option<String> {
        get(&self.shared.fault).or_else(|| get(&self.shared.place))
    }

    /// Ends it and removes its file: nothing of the edit is to come back.
    pub(in crate::edit) fn remove(self) {
        self.shared.discarded.store(true, Ordering::Relaxed);
        self.used.store(true, Ordering::Relaxed);
    }
}

impl Drop for Journal {
    /// Waits until what was recorded is on the disk, and until a file with no change in it is gone. One that is yet to be made is not any more.
    fn drop(&mut self) {
        self.changes = None;
        let used = self.used.load(Ordering::Relaxed);
        let began = {
            let file = self.shared.file.lock().unwrap_or_else(PoisonError::into_inner);
            if file.is_none() && !used {
                self.shared.discarded.store(true, Ordering::Relaxed);
            }
            file.is_some()
        };
        if (began || used)
            && let Some(thread) = self.thread.take()
        {
            // Its panic was reported where it happened; the journal then is as far as it was written.
            let _ = thread.join();
        }
    }
}

/// Counts the image's digest, makes the file, and writes what stands before the first step. None where nothing can be kept.
fn begin(subject: &JournalSubject, base: &ClassVolume, shared: &Shared) -> Option<Written> {
    let header = Header {
        image: content::of_scan(&subject.scan).whole,
        grid: subject.scan.volume.grid.clone(),
        title: subject.title.clone(),
        source: subject.source.clone().and_then(|file| digest::sha256_of_file(&file).ok().map(|digest| (file, digest))),
        began: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string(),
        labels: subject.segments.iter().map(|(&value, segment)| NamedLabel::new(value, segment)).collect(),
    };
    let header = serde_json::to_vec(&header).expect("plain data becomes JSON");
    let first = [FIRST_LINE, &record(Kind::Header, &header), &record(Kind::Base, &packed(base, &subject.values))].concat();
    let mut lies = shared.file.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.discarded.load(Ordering::Relaxed) {
        return None;
    }
    match place::create(&place::places(&subject.image)) {
        Ok(Placed { path, file, elsewhere, unlocked }) => {
            let elsewhere =
                elsewhere.map(|cause| format!("What is not saved is kept in {}, not beside the volume: {cause}.", path.display()));
            let beats = unlocked.is_some();
            let said: Vec<String> = elsewhere.into_iter().chain(unlocked).collect();
            set(&shared.place, (!said.is_empty()).then(|| said.join(" ")));
            *lies = Some(path.clone());
            Some(Written { path, file, beats, length: 0, pending: first, unsaved: 0 })
        }
        Err(cause) => {
            set(&shared.fault, Some(format!("A crash would take this edit: its journal cannot be written ({cause}). Save it often.")));
            None
        }
    }
}

/// The file as far as it is whole.
struct Written {
    path: PathBuf,
    file: File,
    /// Whether signs of life stand for the lock that its file system does not have.
    beats: bool,
    length: u64,
    /// What has yet to be written behind it.
    pending: Vec<u8>,
    /// Changes that are not saved.
    unsaved: u64,
}

impl Written {
    /// Writes every change as it comes, until the edit ends; then the file is removed, unless it holds what is not saved.
    fn follow(mut self, changes: &Receiver<Change>, shared: &Shared) {
        self.append(shared);
        self.beat();
        loop {
            let change = match changes.recv_timeout(EVERY) {
                Ok(change) => change,
                Err(RecvTimeoutError::Timeout) => {
                    self.beat();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.pending.extend(self.bytes(&change));
            self.unsaved = match change {
                Change::Step(_) | Change::Undo | Change::Redo => self.unsaved + 1,
                Change::Label(_) => self.unsaved,
                Change::Saved { since } => since,
            };
            self.append(shared);
        }
        if shared.discarded.load(Ordering::Relaxed) || self.unsaved == 0 {
            drop(self.file);
            if let Err(error) = std::fs::remove_file(&self.path) {
                tracing::warn!("{}: cannot be removed: {error}", self.path.display());
            }
        }
    }

    /// Gives a sign of life, where one is needed: the first line once more, so that the file's time is the server's. What fails may do so no more
    /// the next time.
    fn beat(&mut self) {
        if self.beats && self.file.seek(SeekFrom::Start(0)).is_ok() {
            let _ = self.file.write_all(FIRST_LINE);
        }
    }

    fn bytes(&self, change: &Change) -> Vec<u8> {
        match change {
            Change::Step(step) => record(Kind::Step, &[&step.after.value.to_le_bytes(), step.bytes()].concat()),
            Change::Undo => record(Kind::Undo, &[]),
            Change::Redo => record(Kind::Redo, &[]),
            Change::Label(label) => record(Kind::Label, &serde_json::to_vec(label).expect("plain data becomes JSON")),
            Change::Saved { since } => {
                let mut count = Vec::new();
                put(&mut count, *since as usize);
                record(Kind::Saved, &count)
            }
        }
    }

    /// Writes what is pending. What fails is tried again with the next change, behind the last whole record.
    fn append(&mut self, shared: &Shared) {
        let mut write = || -> io::Result<()> {
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(&self.pending)?;
            self.file.sync_data()
        };
        let fault = match write() {
            Ok(()) => {
                self.length += self.pending.len() as u64;
                self.pending.clear();
                None
            }
            Err(error) => Some(format!(
                "A crash would take the last changes: {} cannot be written ({error}). Save the labels, or make room.",
                self.path.display()
            )),
        };
        set(&shared.fault, fault);
    }
}

fn get<T: Clone>(shared: &Mutex<Option<T>>) -> Option<T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set<T>(shared: &Mutex<Option<T>>, value: Option<T>) {
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = value;
}
