//! One folder, one writer: a lock that the operating system lets go when its holder ends, however it ends.
//!
//! Beside the lock lies who holds it, for whoever is refused, and a request that it may stop, where one was left. File systems differ in
//! whether a lock is seen on other computers: there the holder's signs of life count as well, and one that has given none for
//! two minutes is taken for dead.

mod beat;
mod busy;
mod holder;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::atomic_file;
use beat::{Beat, SILENCE, silence};
use holder::{BEAT, HOLDER, LOCK, STOP};

pub use busy::Busy;
pub use holder::Holder;

/// A program that only looks whether a folder is free locks it for an instant: a lock is tried again so often, so far apart.
const TRIES: usize = 5;
const BETWEEN: Duration = Duration::from_millis(30);
/// Two programs on computers that do not see each other's locks may take a folder at the same moment: after so long both read the same name.
const SETTLED: Duration = Duration::from_millis(300);

/// Kept while a program writes into a folder: another one is refused meanwhile.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    /// None where the file system knows no locks.
    file: Option<File>,
    /// Why there is no lock although the folder may be written, for a person.
    pub warning: Option<String>,
    own: Holder,
    beat: Option<Beat>,
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
        Self::take_in(folder, folder)
    }

    /// The same for a folder that others remove when they take its holder for dead: with that it is lost. `home` is there whenever its file
    /// system is: without it, the folder is only away.
    ///
    /// # Errors
    /// As [`FolderLock::take`].
    pub fn take_in(folder: &Path, home: &Path) -> Result<Self, LockError> {
        let (file, warning) = match lock_file(folder)? {
            Ok(file) => (Some(file), None),
            Err(cause) => (None, Some(unlocked(folder, &cause))),
        };
        // On this computer the lock says whether its holder lives; of others it may say nothing.
        let other = Holder::read(folder).filter(|holder| file.is_none() || holder.is_elsewhere());
        if other.is_some() && silence(folder).is_some_and(|silence| silence < SILENCE) {
            return Err(LockError::Busy(Busy { folder: folder.to_owned(), holder: other.map(Box::new) }));
        }
        let own = Holder::this_program();
        // From here on, to let go is to remove what is left beside the lock.
        let mut lock = Self { folder: folder.to_owned(), file, warning, own, beat: None };
        remove(&folder.join(STOP));
        let holder = serde_json::to_vec_pretty(&lock.own).expect("plain data becomes JSON");
        // The sign of life first: beside an old one, a new name would look dead.
        for (name, bytes) in [(BEAT, &b""[..]), (HOLDER, &holder)] {
            let path = folder.join(name);
            atomic_file::write(&path, bytes).map_err(|cause| LockError::Io { path, cause })?;
        }
        lock.beat = Some(Beat::begin(folder, home, &lock.own));
        Ok(lock)
    }

    /// [`FolderLock::take_in`] for a folder that several programs want at the same moment, which is made if need be: where computers do not
    /// see each other's locks, one gets it all the same.
    ///
    /// # Errors
    /// As [`FolderLock::take`].
    pub fn claim(folder: &Path, home: &Path) -> Result<Self, LockError> {
        std::fs::create_dir_all(folder).map_err(|cause| LockError::Io { path: folder.to_owned(), cause })?;
        let lock = Self::take_in(folder, home)?;
        std::thread::sleep(SETTLED);
        if lock.is_anothers() { Err(LockError::Busy(Busy::named(folder))) } else { Ok(lock) }
    }

    /// Whether another program has taken the folder over, because this one had given no sign of life for long: nothing may be written there.
    /// Known at once where this computer slept or this program was held, and at the next sign of life otherwise.
    pub fn is_lost(&self) -> bool {
        self.beat.as_ref().is_some_and(Beat::is_lost)
    }

    /// Whether the folder bears another program's name.
    fn is_anothers(&self) -> bool {
        Holder::read(&self.folder).is_some_and(|holder| holder != self.own)
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

    /// As after a long sleep of the computer.
    #[cfg(test)]
    pub(crate) fn sleep(&self) {
        self.beat.iter().for_each(Beat::sleep);
    }

    /// Whether somebody has asked the holder to stop, or it has lost the folder.
    pub fn stop_requested(&self) -> bool {
        self.is_lost() || self.folder.join(STOP).exists()
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        self.beat = None;
        if self.is_anothers() {
            return;
        }
        remove(&self.folder.join(STOP));
        remove(&self.folder.join(BEAT));
        remove(&self.folder.join(HOLDER));
        // Elsewhere an open file that is removed keeps its name for a while, and nobody could lock it.
        if cfg!(unix) && self.file.is_some() {
            remove(&self.folder.join(LOCK));
        }
    }
}

/// Whether a file in a folder belongs to its lock.
pub fn is_lock_file(name: &std::ffi::OsStr) -> bool {
    [LOCK, HOLDER, BEAT, STOP].iter().any(|own| name == *own)
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
        "{} lies on a file system that cannot lock files ({cause}): a second program is kept away by this one's signs of life alone, also {} s \
         after this one has been killed",
        folder.display(),
        SILENCE.as_secs()
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// A program on a computer of another name, which has been started another time.
    fn elsewhere() -> Holder {
        let (host, since) = ("elsewhere".to_owned(), "2026-01-01 00:00:00".to_owned());
        Holder { process: 1, host, machine: Some("another".to_owned()), since, command: "x".to_owned() }
    }

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
        let dead = elsewhere();
        std::fs::write(folder.path().join(LOCK), "").unwrap();
        std::fs::write(folder.path().join(HOLDER), serde_json::to_vec(&dead).unwrap()).unwrap();
        std::fs::write(folder.path().join(STOP), "").unwrap();
        assert_eq!(Busy::look(folder.path()), None);
        let lock = FolderLock::take(folder.path()).unwrap();
        assert!(!lock.stop_requested());
        assert_ne!(Busy::look(folder.path()).unwrap().holder.as_deref(), Some(&dead));
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

    #[test]
    fn a_writer_on_another_computer_lives_as_long_as_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // Its lock is not seen from here.
        std::fs::write(at(LOCK), "").unwrap();
        std::fs::write(at(HOLDER), serde_json::to_vec(&elsewhere()).unwrap()).unwrap();
        let lives = |holder: &Holder| beat::beat(folder.path(), folder.path(), holder);
        assert_eq!(lives(&elsewhere()), Some(true));
        let refused = FolderLock::take(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("on elsewhere since") && refused.to_string().contains("120 s after its last"), "{refused}");
        assert_eq!(Busy::look(folder.path()).unwrap().holder.as_deref(), Some(&elsewhere()));
        assert!(Holder::read(folder.path()) == Some(elsewhere()) && at(BEAT).exists(), "who is refused leaves everything as it was");
        let ago = |secs| SystemTime::now() - Duration::from_secs(secs);
        let last_beat = |secs| File::options().write(true).open(at(BEAT)).unwrap().set_modified(ago(secs)).unwrap();
        last_beat(SILENCE.as_secs() - 20);
        assert!(Busy::look(folder.path()).is_some() && FolderLock::take(folder.path()).is_err());
        assert_eq!(Busy::silent(folder.path()), None);
        last_beat(SILENCE.as_secs() + 20);
        assert_eq!(Busy::look(folder.path()), None);
        assert_eq!(Busy::silent(folder.path()).unwrap().holder.as_deref(), Some(&elsewhere()));
        let lock = FolderLock::take(folder.path()).unwrap();
        assert_eq!(lives(&elsewhere()), Some(false), "the one that was thought dead learns of it");
        // And so does this one, were it thought dead: at once, after a sleep.
        std::fs::write(at(HOLDER), serde_json::to_vec(&elsewhere()).unwrap()).unwrap();
        assert!(!lock.is_lost(), "it has just given a sign of life");
        lock.sleep();
        assert!(lock.is_lost() && lock.stop_requested());
        drop(lock);
        assert_eq!(Holder::read(folder.path()), Some(elsewhere()), "what has become another's stays");
    }

    #[test]
    fn a_holder_whose_name_is_gone_has_lost_the_folder_unless_the_folder_is_away() {
        let place = tempfile::tempdir().unwrap();
        let (home, folder) = (place.path().join("config.ron"), place.path().join("shard"));
        std::fs::write(&home, "").unwrap();
        std::fs::create_dir(&folder).unwrap();
        let lock = FolderLock::take_in(&folder, &home).unwrap();
        let lives = || beat::beat(&folder, &home, &lock.own);
        assert_eq!(lives(), Some(true));
        std::fs::remove_file(folder.join(HOLDER)).unwrap();
        assert_eq!(lives(), Some(false), "another one took it over and is done");
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(lives(), Some(false), "another one has removed what it took for a dead one's");
        std::fs::remove_file(&home).unwrap();
        assert_eq!(lives(), None, "the share is away");
        lock.sleep();
        assert!(!lock.is_lost(), "which loses nothing");
        std::fs::write(&home, "").unwrap();
        assert!(lock.is_lost());
    }

    #[test]
    fn of_two_that_see_no_lock_of_the_other_one_gets_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("new");
        let claiming = std::thread::spawn({
            let folder = folder.clone();
            move || FolderLock::claim(&folder, &folder)
        });
        while Holder::read(&folder).is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        atomic_file::write(&folder.join(HOLDER), &serde_json::to_vec(&elsewhere()).unwrap()).unwrap();
        let refused = claiming.join().unwrap().unwrap_err();
        assert!(refused.to_string().contains("on elsewhere since"), "{refused}");
        assert_eq!(Holder::read(&folder), Some(elsewhere()), "the last to write its name has it");
        let other = place.path().join("other");
        assert!(FolderLock::claim(&other, &other).is_ok());
    }
}
