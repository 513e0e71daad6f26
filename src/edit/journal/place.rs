//! Where journals lie: beside the image, hidden; of an image in a folder that cannot be written or in no file, in the folder of the settings.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::folder_lock::SILENCE;
use crate::volume::VolumeSource;
use crate::{digest, folders};

/// Ends the name of a journal.
const ENDING: &str = "simtrot-edit";

/// Journals of one image: of edits that were neither brought back nor discarded yet, and of windows side by side.
const MOST: usize = 9;

/// Digits of the digest in a name.
const DIGITS: usize = 12;

/// The places for journals of an image, best first: each a folder and a name.
pub(super) fn places(image: &VolumeSource) -> Vec<(PathBuf, String)> {
    let file = image.file();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = match image {
        VolumeSource::File(file) | VolumeSource::Contours { file, .. } => file.parent(),
        VolumeSource::Series { files, .. } => files.first().and_then(|file| file.parent()),
        VolumeSource::Embedded { .. } | VolumeSource::Synthetic { .. } => None,
    };
    let here = |folder: &Path| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
    let beside = folder.map(|folder| (here(folder), format!(".{name}")));
    let whole = std::path::absolute(&file).unwrap_or_else(|_| file.clone().into_owned());
    let key = digest::sha256(whole.as_os_str().as_encoded_bytes());
    let kept = folders::config().map(|folder| (folder.join("edits"), format!("{name}-{}", &key[..DIGITS])));
    beside.into_iter().chain(kept).collect()
}

/// The journals that may lie at a place.
pub(super) fn names((folder, name): &(PathBuf, String)) -> impl Iterator<Item = PathBuf> {
    let name = move |number| if number == 1 { format!("{name}.{ENDING}") } else { format!("{name}.{number}.{ENDING}") };
    (1..=MOST).map(move |number| folder.join(name(number)))
}

/// A new journal's file.
pub(super) struct Placed {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Why a better place was not taken.
    pub(super) elsewhere: Option<String>,
    /// Why it has no lock, in a sentence.
    pub(super) unlocked: Option<String>,
}

/// What locking a journal came to.
pub(super) enum Lock {
    /// It is this window's now.
    Own,
    /// Another window has it.
    Others,
    /// Its file system cannot lock files: the window that writes it gives signs of life. Why, in a sentence for the user.
    Missing(String),
}

/// A new file at the first place that can be written, locked where that can be.
///
/// # Errors
/// No place can be written: each with its cause.
pub(super) fn create(places: &[(PathBuf, String)]) -> Result<Placed, String> {
    let mut causes = Vec::new();
    let own = folders::config();
    for (at, place) in places.iter().enumerate() {
        // Of an image in no file the settings' folder is the first place; an image's own folder is never made.
        if at > 0 || own.as_ref().is_some_and(|own| place.0.starts_with(own)) {
            // What fails here fails below, with its cause.
            let _ = std::fs::create_dir_all(&place.0);
        }
        match new_file(place) {
            Ok((path, file, unlocked)) => {
                return Ok(Placed { path, file, elsewhere: (!causes.is_empty()).then(|| causes.join("; ")), unlocked });
            }
            Err(cause) => causes.push(format!("{}: {cause}", place.0.display())),
        }
    }
    Err(if causes.is_empty() { "this computer has no folder for settings".to_owned() } else { causes.join("; ") })
}

fn new_file(place: &(PathBuf, String)) -> io::Result<(PathBuf, File, Option<String>)> {
    for path in names(place) {
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => match lock(&file, &path) {
                Lock::Own => return Ok((path, file, None)),
                Lock::Missing(cause) => return Ok((path, file, Some(cause))),
                // Another window looks at it this very moment, finds nothing in it and removes it.
                Lock::Others => {}
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{MOST} edits of this image wait there to be restored or discarded")))
}

/// Locks a journal while it is written or asked about.
pub(super) fn lock(file: &File, path: &Path) -> Lock {
    match try_lock(file, path) {
        Ok(()) => Lock::Own,
        Err(TryLockError::WouldBlock) => Lock::Others,
        Err(TryLockError::Error(cause)) => Lock::Missing(format!(
            "{} lies on a file system that cannot lock files ({cause}): other windows are kept from this edit by its signs of life alone, also \
             {} s after a crash.",
            path.display(),
            SILENCE.as_secs()
        )),
    }
}

/// Folders that tests take for those of a file system without locks.
#[cfg(test)]
pub(in crate::edit) static WITHOUT_LOCKS: std::sync::Mutex<Vec<PathBuf>> = std::sync::Mutex::new(Vec::new());

#[cfg_attr(not(test), expect(unused_variables, reason = "tests tell by the path whether there are locks"))]
fn try_lock(file: &File, path: &Path) -> Result<(), TryLockError> {
    #[cfg(test)]
    if WITHOUT_LOCKS.lock().is_ok_and(|folders| folders.iter().any(|folder| path.starts_with(folder))) {
        return Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
    }
    file.try_lock()
}
