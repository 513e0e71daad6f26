//! NRRD in and out: `.nrrd`, `.nhdr` with its voxels in a second file, and label maps of 3D Slicer, `.seg.nrrd`.
//!
//! Definition: teem.sourceforge.net/nrrd/format.html. Space becomes RAS+ mm: a `space` of LPS or LAS changes signs. Axes are told
//! apart by `space directions` first, then by `kinds`; the axis that is none of space is the channels', wherever it stands.

mod header;
mod place;
mod segments;
mod stored;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

pub(super) use segments::segments;
pub(super) use write::{data_file, write, write_segments};

use self::header::Header;
use super::{DataError, Fault, Scan, voxels};

/// Reads a volume.
///
/// # Errors
/// A file that cannot be read, a header beyond reason or of a form that is not supported, segments in layers, fewer voxels than promised.
pub(super) fn read(file: &Path) -> Result<Scan, DataError> {
    let (header, mut source, left) = Header::open(file)?;
    let stored_as = stored::stored(&header).map_err(|fault| fault.at(file))?;
    let Some(name) = header.data_file().map_err(|fault| fault.at(file))? else {
        return voxels::read(stored_as, file, &mut source, left).map_err(|fault| fault.at(file));
    };
    let beside = file.with_file_name(name);
    let (mut source, length) = voxels::open(&beside).map_err(|fault| fault.at(&beside))?;
    let skipped = header.skip(length).map_err(|fault| fault.at(file))?;
    std::io::Seek::seek(&mut source, std::io::SeekFrom::Start(skipped)).map_err(|error| Fault::from(error).at(&beside))?;
    voxels::read(stored_as, file, &mut source, length - skipped).map_err(|fault| fault.at(&beside))
}

/// How many channels a file has, by its header alone.
///
/// # Errors
/// As of [`read`], as far as the header shows.
pub(super) fn channels(file: &Path) -> Result<usize, DataError> {
    let (header, ..) = Header::open(file)?;
    stored::stored(&header).map(|stored| stored.channels).map_err(|fault| fault.at(file))
}

/// The header's file and, where the voxels lie in another one, that.
///
/// # Errors
/// A header that cannot be read.
pub(super) fn files(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (header, ..) = Header::open(file)?;
    let name = header.data_file().map_err(|fault| fault.at(file))?;
    Ok([file.to_owned()].into_iter().chain(name.map(|name| file.with_file_name(name))).collect())
}
