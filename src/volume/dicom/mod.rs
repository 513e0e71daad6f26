//! DICOM series in: single-frame slices or multi-frame files, compressed or not; segmentations ([`segmentation`]) in and out; structure sets
//! ([`structures`]) in.
//!
//! Definition: DICOM PS3.3, Image Plane (C.7.6.2) and the functional groups of multi-frame images (C.7.6.16). Slices are sorted by where
//! they lie along their normal, never by number or file name; what is no even stack of slices is refused, with the place of what is wrong.
//! Nothing that names a patient leaves this module: a series is called by its description, its number and a digest.

mod find;
mod frames;
mod jpeg_ls;
mod pixels;
pub(super) mod segmentation;
mod stack;
pub(super) mod structures;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub(super) use find::{Series, damage, find, is_dicom};
use frames::Frame;
use stack::{Headers, headers};

use super::{DataError, DataErrors, Fault, Grid, Note, Scan, SourceHeader, Volume};

/// Whether a file is a label map in DICOM, a segmentation or a structure set, by its first bytes.
pub(super) fn is_label_map(file: &Path) -> bool {
    segmentation::is_segmentation(file) || structures::is_structure_set(file)
}

/// What a label map in DICOM refers to, the most exact identifiers first; nothing of another file.
pub(super) fn referenced(file: &Path) -> Vec<BTreeSet<String>> {
    if segmentation::is_segmentation(file) {
        vec![segmentation::referenced(file)]
    } else if structures::is_structure_set(file) {
        structures::referenced(file).into()
    } else {
        Vec::new()
    }
}

/// The files of a series: of the only one in a folder, or the file itself.
///
/// # Errors
/// A folder without a series, or with several.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = find(path)?;
    match found.series.len() {
        0 => Err(Fault::Dicom("the folder holds no DICOM image".to_owned()).at(path)),
        1 => Ok(found.series.remove(0).files),
        _ => Err(Fault::SeveralSeries(found.series.into_iter().map(|series| series.name).collect()).at(path)),
    }
}

/// Where the voxels of a series lie, by its headers; `place` names it in messages.
///
/// # Errors
/// Everything that makes it no even stack of slices.
pub(super) fn grid(place: &Path, files: &[PathBuf]) -> Result<Grid, DataErrors> {
    headers(place, files).map(|headers| headers.grid)
}

/// Reads a series into one volume; `place` names it in messages.
///
/// # Errors
/// Everything wrong with it: files that cannot be read or decoded, what is no even stack of slices of intensities.
pub(super) fn read(place: &Path, files: &[PathBuf]) -> Result<Scan, DataErrors> {
    let Headers { frames, grid, notes } = headers(place, files)?;
    let slice = grid.shape[1] * grid.shape[2];
    let mut voxels = vec![0.0_f32; grid.len()];
    // Which slice each frame of a file is.
    let mut of_file: Vec<Vec<(usize, &Frame, &mut [f32])>> = files.iter().map(|_| Vec::new()).collect();
    for (frame, part) in frames.iter().zip(voxels.chunks_exact_mut(slice)) {
        of_file[frame.file].push((frame.number, frame, part));
    }
    let used = files.par_iter().zip(of_file).filter(|(_, parts)| !parts.is_empty());
    let decoded = used.map(|(file, parts)| pixels::decode(file, parts).map_err(|fault| fault.at(file)));
    DataErrors::gather(decoded.collect::<Vec<_>>()).map_err(|errors| errors.with_equal_ones_counted(place))?;
    let notes = notes.into_iter().map(|text| Note::new(place, text)).collect();
    Ok(Scan { file: place.to_owned(), header: SourceHeader::for_grid(&grid), volume: Volume { channels: 1, grid, voxels }, notes })
}
