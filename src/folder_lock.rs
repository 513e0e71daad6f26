//! One folder, one writer: a lock that the operating system lets go when its holder ends, however it ends.
//!
//! Beside the lock lies who holds it, for whoever is refused, and a request that it may stop, where one was left.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::atomic_file;

/// Locked by whoever writes into the folder. It stays empty: on Windows nobody can read a locked file.
const LOCK: &str = ".writer.lock";
/// Who holds the lock.
const HOLDER: &str = ".writer.json";
/// There when somebody has asked the holder to stop.
const STOP: &str = ".stop-request";

/// A program that only looks whether a folder is free locks it for an instant: a lock is tried again so often, so far apart.
const TRIES: usize = 5;
const BETWEEN: Duration = Duration::from_millis(30);

/// Kept while a program writes into a folder: another one is refused meanwhile.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    /// None where the file system knows no locks.
    file: Option<File>,
    /// Why there is no lock although the folder may be written, for a person.
    pub warning: Option<String>,
}

/// The program that writes into a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub process: u32,
    /// The computer on which it runs.
    pub host: String,
    /// When it took the folder, in UTC: `2026-11-28 17:20:05`.
    pub since: String,
    /// Its command line.
    pub command: String,
}

/// Another program writes into the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The folder.
    pub folder: PathBuf,
    /// The program; none where it did not leave its name.
    pub holder: Option<Holder>,
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder = self.folder.display();
        match &self.holder {
            Some(Holder { process, host, since, command }) => {
                write!(f, "{folder} is being written by process {process} on {host} since {since} UTC ({command})")
            }
            None => write!(f, "{folder} is being written by another simtrot"),
        }
    }
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program has it.
    #[error("{0}")]
    Busy(Busy),
    /// A file of the lock could not be written.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl FolderLock {
    /// Locks a folder that is there, and leaves word who did. A lock whose holder has ended does not stand in the way.
    ///
    /// # Errors
    /// Another program has the folder, or nothing can be written into it.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let (file, warning) = match lock_file(folder)? {
            Ok(file) => (Some(file), None),
            Err(cause) => (None, Some(unlocked(folder, &cause))),
        };
        // From here on, to let go is to remove what is left beside the lock.
        let lock = Self { folder: folder.to_owned(), file, warning };
        remove(&folder.join(STOP));
        let holder = serde_json::to_vec_pretty(&Holder::this_program()).expect("plain data becomes JSON");
        let path = folder.join(HOLDER);
        atomic_file::write(&path, &holder).map_err(|cause| LockError::Io { path, cause })?;
        Ok(lock)
    }

    /// Removes everything in the folder but the lock, and `last` after all else: half a removal still leaves a folder that is known by it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn clear(&self, last: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if is_lock_file(&entry.file_name()) || entry.path() == last {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
        match std::fs::remove_file(last) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    /// Whether somebody has asked the holder to stop.
    pub fn stop_requested(&self) -> bool {
        self.folder.join(STOP).exists()
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        remove(&self.folder.join(STOP));
        remove(&self.folder.join(HOLDER));
        // Elsewhere an open file that is removed keeps its name for a while, and nobody could lock it.
        if cfg!(unix) && self.file.is_some() {
            remove(&self.folder.join(LOCK));
        }
    }
}

impl Holder {
    fn this_program() -> Self {
        Self {
            process: std::process::id(),
            host: host(),
            since: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
        }
    }
}

impl Busy {
    fn named(folder: &Path) -> Self {
        let holder = std::fs::read(folder.join(HOLDER)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { folder: folder.to_owned(), holder }
    }

    /// Who writes into a folder right now; none where nobody does.
    pub fn look(folder: &Path) -> Option<Self> {
        let file = File::open(folder.join(LOCK)).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| Self::named(folder))
    }

    /// Asks the holder to save and stop, which it does within a step, window or case.
    ///
    /// # Errors
    /// The request could not be left in the folder.
    pub fn ask_to_stop(&self) -> io::Result<()> {
        atomic_file::write(&self.folder.join(STOP), b"")
    }
}

/// Whether a file in a folder belongs to its lock.
pub fn is_lock_file(name: &std::ffi::OsStr) -> bool {
    [LOCK, HOLDER, STOP].iter().any(|own| name == *own)
}

/// The locked file of a folder, or why its file system cannot lock it.
fn lock_file(folder: &Path) -> Result<io::Result<File>, LockError> {
    let path = folder.join(LOCK);
    for attempt in 1.. {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|cause| LockError::Io { path: path.clone(), cause })?;
        match file.try_lock() {
            // The last holder may have removed the file between these two lines: then this one locks nothing.
            Ok(()) if is_at(&file, &path) => return Ok(Ok(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(BETWEEN),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(cause)) => return Ok(Err(cause)),
        }
    }
    Err(LockError::Busy(Busy::named(folder)))
}

fn unlocked(folder: &Path, cause: &io::Error) -> String {
    format!(
        "{} lies on a file system that cannot lock files ({cause}): nothing keeps a second program from writing there; start none",
        folder.display()
    )
}

/// What is left behind where this fails is taken over by the next holder.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// Whether an open file is the one that has the name now.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let id = |data: std::fs::Metadata| (data.dev(), data.ino());
        file.metadata().ok().map(id) == std::fs::metadata(path).ok().map(id)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

/// The computer's name, as far as the system tells.
fn host() -> String {
    let from_linux = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_windows = || std::env::var("COMPUTERNAME").ok();
    let from_command = || Some(String::from_utf8_lossy(&std::process::Command::new("hostname").output().ok()?.stdout).into_owned());
    let name = from_linux().or_else(from_windows).or_else(from_command).unwrap_or_default();
    if name.trim().is_empty() { "a computer without a name".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_the_first_is_and_may_ask_it_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Busy::look(folder.path()), None);
        let lock = FolderLock::take(folder.path()).unwrap();
        let refused = FolderLock::take(folder.path()).unwrap_err();
        let LockError::Busy(busy) = &refused else { panic!("{refused}") };
        let holder = busy.holder.as_ref().unwrap();
        assert_eq!(holder.process, std::process::id());
        assert!(!holder.host.is_empty() && !holder.command.is_empty());
        assert!(refused.to_string().contains(&format!("process {} on {} since ", holder.process, holder.host)), "{refused}");
        assert_eq!(Busy::look(folder.path()).as_ref(), Some(busy));
        assert!(!lock.stop_requested());
        busy.ask_to_stop().unwrap();
        assert!(lock.stop_requested());
        drop(lock);
        assert_eq!(Busy::look(folder.path()), None);
        let next = FolderLock::take(folder.path()).unwrap();
        assert!(!next.stop_requested(), "the request was for the one before");
    }

    #[test]
    fn what_a_program_left_that_was_killed_does_not_stand_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let dead = Holder { process: 1, host: "elsewhere".to_owned(), since: "2026-01-01 00:00:00".to_owned(), command: "x".to_owned() };
        std::fs::write(folder.path().join(LOCK), "").unwrap();
        std::fs::write(folder.path().join(HOLDER), serde_json::to_vec(&dead).unwrap()).unwrap();
        std::fs::write(folder.path().join(STOP), "").unwrap();
        assert_eq!(Busy::look(folder.path()), None);
        let lock = FolderLock::take(folder.path()).unwrap();
        assert!(!lock.stop_requested());
        assert_ne!(Busy::look(folder.path()).unwrap().holder, Some(dead));
    }

    #[test]
    fn of_many_that_want_a_folder_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let barrier = std::sync::Barrier::new(4);
            let take = || {
                barrier.wait();
                let lock = FolderLock::take(folder.path()).ok();
                // Nobody lets go before all have tried.
                barrier.wait();
                usize::from(lock.is_some())
            };
            let got = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            });
            assert_eq!(got, 1);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), if cfg!(unix) { 0 } else { 1 }, "nothing is left behind");
    }
}
