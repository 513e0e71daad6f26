//! Images whose header and voxels lie in two files.

use std::path::{Path, PathBuf};

use crate::volume::format::{ending, stem};
use crate::volume::{DataError, Fault};

/// The files that hold the image that one of them names: the file itself, or of a pair the header's and the voxels'.
///
/// # Errors
/// One file of a pair without the other.
pub fn files(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let own = ending(&name).unwrap_or_default().to_ascii_lowercase();
    let other = match own.get(..4) {
        Some(".hdr") => ".img",
        Some(".img") => ".hdr",
        _ => return Ok(vec![file.to_owned()]),
    };
    if !file.exists() {
        return Err(Fault::Missing.at(file));
    }
    let partner = partner(file, other, own.ends_with(".gz")).ok_or_else(|| {
        let missing = if other == ".img" { "file of voxels (.img)" } else { "header (.hdr)" };
        Fault::Unpaired { missing: missing.to_owned(), expected: format!("{}{other}, or the same with .gz", stem(file)) }.at(file)
    })?;
    Ok(if other == ".img" { vec![file.to_owned(), partner] } else { vec![partner, file.to_owned()] })
}

/// The file beside `file` that has its stem and such an ending; of two the one that is compressed as `file` is.
fn partner(file: &Path, wanted: &str, compressed: bool) -> Option<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let of_pair = |name: &String| {
        let ending = ending(name).unwrap_or_default().to_ascii_lowercase();
        ending.starts_with(wanted) && stem(Path::new(name)) == stem(file)
    };
    let packed = |name: &String| name.to_ascii_lowercase().ends_with(".gz");
    let best = beside.filter(of_pair).min_by_key(|name| (packed(name) != compressed, name.clone()))?;
    Some(file.with_file_name(best))
}
