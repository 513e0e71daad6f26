//! MetaImage in and out: `.mha`, and `.mhd` with its voxels in a second file.
//!
//! Definition: the MetaIO library of ITK (itk.org/Wiki/MetaIO/Documentation), as ITK reads it. Positions are left-posterior-superior;
//! `TransformMatrix` holds one row for each axis, its direction; channels of a voxel lie together.

mod header;
#[cfg(test)]
mod tests;
mod write;

use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

pub(super) use write::{data_file, write};

use self::header::Header;
use super::{DataError, Fault, Scan, voxels};

/// Reads a volume.
///
/// # Errors
/// A file that cannot be read, a header beyond reason or of a form that is not supported, fewer voxels than promised.
pub(super) fn read(file: &Path) -> Result<Scan, DataError> {
    let (mut source, length) = voxels::open(file).map_err(|fault| fault.at(file))?;
    let (header, header_length) = Header::read(&mut source).map_err(|fault| fault.at(file))?;
    let data = header.data_file().map_err(|fault| fault.at(file))?.map(|name| file.with_file_name(name));
    let stored = header.stored().map_err(|fault| fault.at(file))?;
    let (place, mut stored_bytes, before) = match &data {
        None => (file, length - header_length, header_length),
        Some(data) => {
            let opened;
            (source, opened) = voxels::open(data).map_err(|fault| fault.at(data))?;
            (data.as_path(), opened, 0)
        }
    };
    let at = |fault: Fault| fault.at(place);
    let skipped = header.skip(&stored, stored_bytes).map_err(at)?;
    stored_bytes -= skipped;
    source.seek(SeekFrom::Start(before + skipped)).map_err(|error| at(error.into()))?;
    voxels::read(stored, file, &mut source, stored_bytes).map_err(at)
}

/// How many channels a file has, by its header alone.
///
/// # Errors
/// As of [`read`], as far as the header shows.
pub(super) fn channels(file: &Path) -> Result<usize, DataError> {
    let stored = open(file)?.stored();
    stored.map(|stored| stored.channels).map_err(|fault| fault.at(file))
}

/// The header's file and, where the voxels lie in another one, that.
///
/// # Errors
/// A header that cannot be read.
pub(super) fn files(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    let header = open(file)?;
    let name = header.data_file().map_err(|fault| fault.at(file))?;
    Ok([file.to_owned()].into_iter().chain(name.map(|name| file.with_file_name(name))).collect())
}

fn open(file: &Path) -> Result<Header, DataError> {
    let header = voxels::open(file).and_then(|(mut source, _)| Header::read(&mut source));
    header.map(|(header, _)| header).map_err(|fault| fault.at(file))
}
