//! Segmentations to files: label maps with what a network or a person calls their labels, beside the image that they are of.

use std::path::{Path, PathBuf};

use super::dicom::{self, segmentation};
use super::file::{self, Format};
use super::segment::Segments;
use super::{DataError, Fault, LabelMap, Note, SourceHeader, VolumeSource, nifti, nrrd};

/// What a segmentation is of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Header of the image's first file: NIfTI keeps it to the bit, other formats take the grid of the labels.
    pub header: &'a SourceHeader,
    /// The image's files. DICOM refers to them.
    pub images: &'a [VolumeSource],
    /// What label values are called and shown in: written where the format has a place for it.
    pub segments: &'a Segments,
    /// What the dataset is called that the names are of; may be empty.
    pub dataset: &'a str,
}

/// Writes a segmentation in the format of the file's ending, as the smallest integer type that holds its largest value. The file appears
/// whole or not at all. Only DICOM has something to say afterwards: of names without a code, for example.
///
/// # Errors
/// A file that cannot be written; for DICOM an image that is no DICOM series.
pub fn write(file: &Path, labels: &LabelMap, subject: &Subject<'_>) -> Result<Vec<Note>, DataError> {
    match file::asked(file) {
        Some(Format::Dicom) => {
            let (place, files) = series(subject.images).map_err(|fault| fault.at(file))?;
            let now = jiff::Timestamp::now();
            let belonging =
                segmentation::Belonging { place: &place, files: &files, segments: subject.segments, dataset: subject.dataset, now };
            return segmentation::write(file, labels, &belonging);
        }
        Some(Format::SegNrrd) => nrrd::write_segments(file, labels, subject.segments),
        Some(Format::Nrrd | Format::MetaImage) => file::write_volume(file, &labels.clone().into(), subject.header).map(drop),
        Some(Format::Nifti) | None => nifti::write_labels(file, labels, subject.header),
    }?;
    Ok(Vec::new())
}

/// Whether a file is a label map in DICOM, a segmentation or a structure set, by its first bytes.
pub fn is_dicom_label_map(file: &Path) -> bool {
    dicom::is_label_map(file)
}

/// Whether a file is a DICOM structure set, by its first bytes: contours, which become labels on the grid of an image alone.
pub fn is_structure_set(file: &Path) -> bool {
    dicom::structures::is_structure_set(file)
}

/// Why a file that is DICOM by its first bytes or by its ending cannot be read as such; none of a good one, or of another file.
pub fn damage(file: &Path) -> Option<DataError> {
    dicom::damage(file).map(|fault| fault.at(file))
}

/// Whether a segmentation of such an image can be written to a file of such a name.
///
/// # Errors
/// DICOM, and an image that is no DICOM series.
pub fn check(file: &Path, images: &[VolumeSource]) -> Result<(), DataError> {
    if file::asked(file) == Some(Format::Dicom) {
        series(images).map_err(|fault| fault.at(file))?;
    }
    Ok(())
}

/// The DICOM series that an image is, with what messages call it.
fn series(images: &[VolumeSource]) -> Result<(PathBuf, Vec<PathBuf>), Fault> {
    let none = |found: &str| Fault::NoSegmentation(format!("it must belong to a DICOM series, and its image is {found}"));
    match images {
        [VolumeSource::Series { place, files, .. }] => Ok((place.clone(), files.clone())),
        [VolumeSource::File(file)] if file::format(file) == Format::Dicom && !dicom::is_label_map(file) => {
            dicom::files(file).map(|files| (file.clone(), files)).map_err(|error| error.fault)
        }
        [one] => Err(none(&one.file().display().to_string())),
        several => Err(none(&format!("{} files, one for each channel", several.len()))),
    }
}
