//! Signs of life: whoever writes into a folder says so again and again, for programs on computers that do not see its lock.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::holder::{BEAT, HOLDER, Holder};
use crate::atomic_file;

/// How often a holder gives a sign of life.
pub const EVERY: Duration = Duration::from_secs(10);
/// A holder elsewhere that has given none for so long is taken for dead. A file server that stands still for less takes nothing from anybody.
pub const SILENCE: Duration = Duration::from_secs(120);

/// A thread that gives signs of life until it is dropped.
#[derive(Debug)]
pub(super) struct Beat {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    lost: Arc<AtomicBool>,
}

impl Beat {
    /// Signs of life of `holder` in `folder`, the first one now.
    pub(super) fn begin(folder: &Path, holder: &Holder) -> Self {
        let (end, ended) = channel::<()>();
        let lost = Arc::new(AtomicBool::new(false));
        let (folder, holder, taken): (PathBuf, Holder, _) = (folder.to_owned(), holder.clone(), lost.clone());
        taken.store(!beat(&folder, &holder), Ordering::Relaxed);
        let work = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) && !taken.load(Ordering::Relaxed) {
                taken.store(!beat(&folder, &holder), Ordering::Relaxed);
            }
        };
        // A system without a thread to give leaves those on this computer their lock.
        let thread = std::thread::Builder::new().name("signs of life".to_owned()).spawn(work).ok();
        Self { end: Some(end), thread, lost }
    }

    /// Whether another program has taken the folder over.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
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

/// Gives one sign of life; false, and none, where the folder has another holder by now, or had one that has let it go since and took this
/// one's name along. One that cannot be written may be the next time.
pub(super) fn beat(folder: &Path, holder: &Holder) -> bool {
    let is_taken = match std::fs::read(folder.join(HOLDER)) {
        Ok(text) => serde_json::from_slice::<Holder>(&text).is_ok_and(|other| other != *holder),
        // Where the folder itself is not there, a share is away.
        Err(cause) => cause.kind() == ErrorKind::NotFound && folder.is_dir(),
    };
    if is_taken {
        return false;
    }
    let now = jiff::Timestamp::now().to_string();
    let _ = std::fs::write(folder.join(BEAT), now);
    true
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
