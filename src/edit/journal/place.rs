//! Where journals lie: beside the image, hidden; of an image in a folder that cannot be written or in no file, in the folder of the settings.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

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

/// A new file at the first place that can be written, locked; with why a better place was not taken.
///
/// # Errors
/// No place can be written: each with its cause.
pub(super) fn create(places: &[(PathBuf, String)]) -> Result<(PathBuf, File, Option<String>), String> {
    let mut causes = Vec::new();
    let own = folders::config();
    for (at, place) in places.iter().enumerate() {
        // Of an image in no file the settings' folder is the first place; an image's own folder is never made.
        if at > 0 || own.as_ref().is_some_and(|own| place.0.starts_with(own)) {
            // What fails here fails below, with its cause.
            let _ = std::fs::create_dir_all(&place.0);
        }
        match new_file(place) {
            Ok((path, file)) => return Ok((path, file, (!causes.is_empty()).then(|| causes.join("; ")))),
            Err(cause) => causes.push(format!("{}: {cause}", place.0.display())),
        }
    }
    Err(if causes.is_empty() { "this computer has no folder for settings".to_owned() } else { causes.join("; ") })
}

fn new_file(place: &(PathBuf, String)) -> io::Result<(PathBuf, File)> {
    for path in names(place) {
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) if lock(&file) => return Ok((path, file)),
            // Another window looks at it this very moment, finds nothing in it and removes it.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{MOST} edits of this image wait there to be restored or discarded")))
}

/// Locks a journal while it is written or asked about; false where another window has it. A file system without locks stands in nobody's way.
pub(super) fn lock(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}
