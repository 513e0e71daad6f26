//! The desktop's file dialogs, and what is done on desktops that have none.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rfd::FileDialog;

/// Nobody cancels a dialog sooner than this: it was never shown.
const NEVER_SHOWN: Duration = Duration::from_millis(400);

/// Asks, and waits for the answer; none: cancelled.
///
/// # Errors
/// No dialog was shown.
pub(super) fn ask<T>(dialog: impl FnOnce() -> Option<T>) -> Result<Option<T>, String> {
    let opened = Instant::now();
    match dialog() {
        None if opened.elapsed() < NEVER_SHOWN => Err("the desktop's file dialog does not open here".to_owned()),
        answer => Ok(answer),
    }
}

/// Asks where to save, and saves there with `write`; without a dialog, in a new file called `name` in `folder`. The file; none: cancelled.
///
/// # Errors
/// What `write` says; without a dialog, a file of that name that is there already.
pub(super) fn save(
    dialog: FileDialog,
    (folder, name): (&Path, &str),
    write: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<Option<PathBuf>, String> {
    let file = match ask(|| dialog.set_file_name(name).save_file()) {
        Ok(None) => return Ok(None),
        Ok(Some(file)) => file,
        Err(why) => {
            let file = folder.join(name);
            if file.exists() {
                return Err(format!("{why}, and {} is there already", file.display()));
            }
            file
        }
    };
    write(&file).map(|()| Some(file))
}
