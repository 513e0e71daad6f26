//! Signs of life: whoever writes into a folder says so again and again, for programs on computers that do not see its lock.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::holder::{BEAT, HOLDER, Holder};
use crate::atomic_file;

/// How often a holder gives a sign of life.
pub const EVERY: Duration = Duration::from_secs(10);
/// A holder whose last sign of life is past for longer looks whether it still holds the folder before it writes there: far less than
/// [`SILENCE`], so that a write that begins in time ends in time.
const DOUBT: Duration = Duration::from_secs(15);
/// A holder elsewhere that has given none for so long is taken for dead. A file server that stands still for less takes nothing from anybody.
pub const SILENCE: Duration = Duration::from_secs(120);

/// A thread that gives signs of life until it is dropped.
#[derive(Debug)]
pub(super) struct Beat {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    life: Arc<Life>,
}

/// A holder's life in a folder.
#[derive(Debug)]
struct Life {
    folder: PathBuf,
    /// There whenever the folder's file system is: without it, that the folder is gone says nothing.
    home: PathBuf,
    holder: Holder,
    lost: AtomicBool,
    /// When the folder last bore the holder's name and a sign of life was given, by this computer's clock, which goes on while the computer
    /// sleeps or the program is held; none where that never was.
    seen: Mutex<Option<SystemTime>>,
}

impl Beat {
    /// Signs of life of `holder` in `folder`, the first one now. `home` is there whenever the folder's file system is.
    pub(super) fn begin(folder: &Path, home: &Path, holder: &Holder) -> Self {
        let (end, ended) = channel::<()>();
        let (folder, home, holder) = (folder.to_owned(), home.to_owned(), holder.clone());
        let life = Arc::new(Life { folder, home, holder, lost: AtomicBool::new(false), seen: Mutex::new(None) });
        life.give();
        let given = life.clone();
        let work = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) && !given.lost.load(Ordering::Relaxed) {
                given.give();
            }
        };
        // A system without a thread to give leaves those on this computer their lock.
        let thread = std::thread::Builder::new().name("signs of life".to_owned()).spawn(work).ok();
        Self { end: Some(end), thread, life }
    }

    /// Whether another program has taken the folder over. Where the last sign of life is past for longer than one should be, as after the
    /// computer slept, that is looked up at once.
    pub(super) fn is_lost(&self) -> bool {
        if !self.life.lost.load(Ordering::Relaxed) && self.life.is_in_doubt() {
            self.life.give();
        }
        self.life.lost.load(Ordering::Relaxed)
    }

    /// As after a long sleep.
    #[cfg(test)]
    pub(super) fn sleep(&self) {
        *self.life.seen.lock().unwrap() = Some(SystemTime::UNIX_EPOCH);
    }
}

impl Life {
    fn give(&self) {
        // Asked first: the computer may fall asleep on the way.
        let now = SystemTime::now();
        match beat(&self.folder, &self.home, &self.holder) {
            Some(true) => *self.seen.lock().expect("no holder of it panics") = Some(now),
            Some(false) => self.lost.store(true, Ordering::Relaxed),
            None => {}
        }
    }

    /// Whether others may have taken the holder for dead. A clock that was put back is in doubt as well.
    fn is_in_doubt(&self) -> bool {
        let seen = *self.seen.lock().expect("no holder of it panics");
        seen.and_then(|seen| SystemTime::now().duration_since(seen).ok()).is_none_or(|past| past >= DOUBT)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Gives one sign of life; false, and none, where the folder has another holder by now, had one that has let it go since and took this
/// one's name along, or was removed. None where that cannot be told: its share is away. One that cannot be written may be the next time.
pub(super) fn beat(folder: &Path, home: &Path, holder: &Holder) -> Option<bool> {
    let is_taken = match std::fs::read(folder.join(HOLDER)) {
        Ok(text) => serde_json::from_slice::<Holder>(&text).is_ok_and(|other| other != *holder),
        Err(cause) if cause.kind() == ErrorKind::NotFound && (folder.is_dir() || home.exists()) => true,
        Err(_) => return None,
    };
    if !is_taken {
        let now = jiff::Timestamp::now().to_string();
        let _ = std::fs::write(folder.join(BEAT), now);
    }
    Some(!is_taken)
}

/// When the last sign of life was given, by the clock of the folder's file system: that of the server, not of the writer.
pub(super) fn last_beat(folder: &Path) -> Option<SystemTime> {
    written(&folder.join(BEAT))
}

/// How long the last sign of life is past, by the clock of the folder's file system; none where none was given.
pub(super) fn silence(folder: &Path) -> Option<Duration> {
    silence_of(&folder.join(BEAT))
}

/// How long ago a file was written, by the clock of its file system; none where it is not there. A file that is written every [`EVERY`] is itself
/// a sign of life.
pub fn silence_of(file: &Path) -> Option<Duration> {
    let last = written(file)?;
    let now = file.parent().and_then(|folder| now_in(folder).ok()).unwrap_or_else(SystemTime::now);
    Some(now.duration_since(last).unwrap_or_default())
}

fn written(file: &Path) -> Option<SystemTime> {
    // Opened anew, so that a network's file system asks its server.
    File::open(file).ok()?.metadata().ok()?.modified().ok()
}

/// The time by the clock of a folder's file system.
fn now_in(folder: &Path) -> std::io::Result<SystemTime> {
    let mut probe = tempfile::Builder::new().prefix(atomic_file::PREFIX).tempfile_in(folder)?;
    probe.write_all(b".")?;
    probe.as_file().sync_all()?;
    probe.as_file().metadata()?.modified()
}
