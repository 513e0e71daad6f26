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
        let elsewhere = Holder::read(folder).filter(Holder::is_elsewhere);
        if let Some((holder, last)) = elsewhere.zip(last_beat(folder)) {
            let lives = SystemTime::now().duration_since(last).unwrap_or_default() < SILENCE;
            return lives.then(|| Self { folder: folder.to_owned(), holder: Some(Box::new(holder)) });
        }
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
