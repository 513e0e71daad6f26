//! Volumes in files: the one place where a file's ending chooses its format.

use std::path::{Path, PathBuf};

use super::format::known;
pub use super::format::{Format, asked, ending, stem};
use super::voxels::Scalar;
use super::{DataError, DataErrors, Fault, Scan, SourceHeader, Volume, dicom, meta_image, nifti, nrrd};

/// The format that a file's ending names. A folder, a file that ends in `.dcm`, and one of any other name that begins as such, is DICOM;
/// the rest is taken for NIfTI, whose first bytes then decide.
pub fn format(file: &Path) -> Format {
    match known(&file.file_name().unwrap_or_default().to_string_lossy()) {
        Some((_, format)) if !file.is_dir() => format,
        None if file.is_dir() || asked(file) == Some(Format::Dicom) || dicom::is_dicom(file) => Format::Dicom,
        Some(_) => Format::Dicom,
        None => Format::Nifti,
    }
}

/// Folder of entropy maps, below that of the segmentations.
pub const ENTROPY_FOLDER: &str = "entropy";

/// Folder of the probabilities of classes, below that of the segmentations.
pub const PROBABILITIES_FOLDER: &str = "probabilities";

/// Whether a file is an entropy map of a segmentation, by its folder.
pub fn is_entropy(file: &Path) -> bool {
    lies_in(file, ENTROPY_FOLDER)
}

/// Whether a file holds the probabilities of a segmentation's classes, by its folder.
pub fn is_probabilities(file: &Path) -> bool {
    lies_in(file, PROBABILITIES_FOLDER)
}

fn lies_in(file: &Path, name: &str) -> bool {
    file.parent().and_then(Path::file_name).is_some_and(|folder| folder == name)
}

/// The files that hold the image that one of them names, the header's first.
///
/// # Errors
/// One file of a pair without the other, a header that cannot be read.
pub fn files(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    match format(file) {
        Format::Nifti => nifti::files(file),
        Format::Nrrd | Format::SegNrrd => nrrd::files(file),
        Format::MetaImage => meta_image::files(file),
        Format::Dicom => dicom::files(file),
    }
}

/// The files that writing a volume to `file` makes: one, or a header and its voxels. None for a name of which nothing can be written.
pub fn written(file: &Path) -> Option<Vec<PathBuf>> {
    let name = file.file_name()?.to_string_lossy();
    let data = match asked(file)? {
        Format::Nifti if !ending(&name).is_some_and(|ending| ending.to_lowercase().starts_with(".nii")) => return None,
        Format::Nifti | Format::SegNrrd | Format::Dicom => None,
        Format::Nrrd => nrrd::data_file(file),
        Format::MetaImage => meta_image::data_file(file),
    };
    Some([file.to_owned()].into_iter().chain(data).collect())
}

/// Reads a volume.
///
/// # Errors
/// A file that cannot be read, whose header is beyond reason or of a form that is not supported, or that holds fewer voxels than promised.
pub fn read(file: &Path) -> Result<Scan, DataError> {
    match format(file) {
        Format::Nifti => nifti::read(file),
        Format::Nrrd | Format::SegNrrd => nrrd::read(file),
        Format::MetaImage => meta_image::read(file),
        Format::Dicom if dicom::segmentation::is_segmentation(file) => dicom::segmentation::read(file),
        Format::Dicom => dicom::read(file, &dicom::files(file)?).map_err(DataErrors::into_first),
    }
}

/// How many channels an image has, by its header alone.
///
/// # Errors
/// As of [`read`], as far as the header shows.
pub fn channels(file: &Path) -> Result<usize, DataError> {
    match format(file) {
        Format::Nifti => nifti::channels(file),
        Format::Nrrd | Format::SegNrrd => nrrd::channels(file),
        Format::MetaImage => meta_image::channels(file),
        Format::Dicom => dicom::grid(file, &dicom::files(file)?).map(|_| 1).map_err(DataErrors::into_first),
    }
}

/// Writes intensities, or labels without names, in the format of the file's ending, as the smallest type that holds each of them to the bit, float32
/// where they are no whole numbers, and returns its name. The file appears whole or not at all.
///
/// `source` is the header of the scan that they belong to: NIfTI keeps it to the bit, other formats take the grid of `volume`.
///
/// # Errors
/// A file that cannot be written; one of segments alone ([`super::segmentation::write`]).
pub fn write_volume(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<&'static str, DataError> {
    let scalar = Scalar::smallest(&volume.voxels);
    write_numbers(file, volume, source, scalar)?;
    Ok(scalar.name())
}

/// Writes numbers as float32, also where all of them are whole; else as [`write_volume`].
///
/// # Errors
/// A file that cannot be written.
pub fn write_float32(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<(), DataError> {
    write_numbers(file, volume, source, Scalar::Float32)
}

fn write_numbers(file: &Path, volume: &Volume, source: &SourceHeader, scalar: Scalar) -> Result<(), DataError> {
    let Volume { channels, grid, voxels } = volume;
    match asked(file) {
        Some(Format::Nifti) | None => nifti::write_numbers(file, volume, source, scalar),
        Some(Format::Nrrd) => nrrd::write(file, grid, *channels, scalar, voxels),
        Some(Format::MetaImage) => meta_image::write(file, grid, *channels, scalar, voxels),
        Some(Format::SegNrrd | Format::Dicom) => Err(Fault::NoVolume.at(file)),
    }
}
