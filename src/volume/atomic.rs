//! Files that appear whole or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::Builder;

use super::{DataError, Fault};

/// Writes `file` through a temporary file beside it: content, fsync, rename. Makes its folder if need be.
///
/// # Errors
/// [`Fault::Unwritable`]; what stood there before is then still there.
pub fn write_atomically(file: &Path, content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), DataError> {
    let write = || -> std::io::Result<()> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut builder = Builder::new();
        builder.prefix(".simtrot-");
        // A temporary file is private by default; a result should be as readable as any other new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut temporary = builder.tempfile_in(folder)?;
        let mut buffered = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
        content(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        Ok(())
    };
    write().map_err(|error| Fault::Unwritable { cause: error.to_string() }.at(file))
}
