//! Files that appear whole or not at all: a crash leaves either the old file or the new one.

use std::io::{BufWriter, Result, Write};
use std::path::Path;

use tempfile::Builder;

/// Begins the names of files that are not whole yet.
pub const PREFIX: &str = ".simtrot-";

/// Bytes gathered before they go to the file.
const BUFFER: usize = 1 << 16;

/// Writes `file` through a temporary file beside it: content, fsync, rename. Makes its folder if need be.
///
/// # Errors
/// The operating system's; what stood there before is then still there.
pub fn write_with(file: &Path, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = Builder::new();
    builder.prefix(PREFIX);
    // A temporary file is private by default; a result should be as readable as any other new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder)?;
    let mut buffered = BufWriter::with_capacity(BUFFER, temporary.as_file_mut());
    content(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    Ok(())
}

/// Removes from a folder, and from those below it, what a program left there that was killed while it wrote a file. Nobody else may
/// write there meanwhile.
///
/// # Errors
/// The operating system's.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_leftovers(&entry.path())?;
        } else if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes `bytes` as [`write_with`] does.
///
/// # Errors
/// The operating system's; what stood there before is then still there.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    write_with(file, |out| out.write_all(bytes))
}
