//! Another program at work in a folder, as others see it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::beat::{SILENCE, last_beat};
use super::holder::{Holder, LOCK, STOP};
use crate::atomic_file;

/// Another program writes into the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The folder.
    pub folder: PathBuf,
    /// The program; none where it did not leave its name.
    pub holder: Option<Box<Holder>>,
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder = self.folder.display();
        let Some(holder) = &self.holder else { return write!(f, "{folder} is being written by another simtrot") };
        let Holder { process, host, since, command, .. } = holder.as_ref();
        write!(f, "{folder} is being written by process {process} on {host} since {since} UTC ({command})")?;
        if holder.is_elsewhere() {
            write!(f, "; were that computer gone, the folder would be free {} s after its last sign of life", SILENCE.as_secs())?;
        }
        Ok(())
    }
}

impl Busy {
    pub(super) fn named(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), holder: Holder::read(folder).map(Box::new) }
    }

    /// Who writes into a folder right now; none where nobody does. Of a program on another computer its signs of life are read, by this
    /// computer's clock, and no lock is touched.
    pub fn look(folder: &Path) -> Option<Self> {
        let (holder, last) = (Holder::read(folder), last_beat(folder));
        let lives = last.is_some_and(|last| SystemTime::now().duration_since(last).unwrap_or_default() < SILENCE);
        let busy = if last.is_some() && holder.as_ref().is_some_and(Holder::is_elsewhere) {
            lives
        } else {
            match File::open(folder.join(LOCK)).ok()?.try_lock_shared() {
                Ok(()) => false,
                Err(TryLockError::WouldBlock) => true,
                // The file system knows no locks.
                Err(TryLockError::Error(_)) => lives && holder.is_some(),
            }
        };
        busy.then(|| Self { folder: folder.to_owned(), holder: holder.map(Box::new) })
    }

    /// Who has left its name in a folder from elsewhere and given no sign of life for long: dead, or standing still for now.
    pub fn silent(folder: &Path) -> Option<Self> {
        let holder = Holder::read(folder).filter(Holder::is_elsewhere)?;
        Self::look(folder).is_none().then(|| Self { folder: folder.to_owned(), holder: Some(Box::new(holder)) })
    }

    /// Asks the holder to save and stop, which it does within a step, window or case.
    ///
    /// # Errors
    /// The request could not be left in the folder.
    pub fn ask_to_stop(&self) -> io::Result<()> {
        atomic_file::write(&self.folder.join(STOP), b"")
    }
}
