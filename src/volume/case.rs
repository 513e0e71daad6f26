//! The files of a case, and how they become one image and one label map.

use std::collections::BTreeMap;
use std::path::Path;

use super::aligned::{fill, grid_fault};
use super::file::Format;
use super::labels::{self, CountedLabels};
use super::{DataError, DataErrors, Fault, LabelMap, Note, Scan, Volume, VolumeSource};
use crate::config::NonFinite;

/// One case of a dataset, not yet read.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseFiles {
    /// Unique in the dataset.
    pub name: String,
    /// One file with all channels, or one for each channel in the dataset's order. Empty: the list's entry is unusable.
    pub images: Vec<VolumeSource>,
    /// The label map, if the case has one.
    pub label: Option<VolumeSource>,
    /// The cross-validation fold that the dataset's list gives it.
    pub fold: Option<usize>,
}

/// A case in memory, on the scanner's grid.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedCase {
    /// Image with all channels, and the header of its (first) file.
    pub image: Scan,
    /// Label values on the same grid.
    pub label: Option<LabelMap>,
}

/// A case in memory as far as it can be read, with everything wrong with it.
pub(super) struct Examined {
    pub image: Option<Scan>,
    pub label: Option<CountedLabels>,
    pub errors: Vec<DataError>,
}

impl CaseFiles {
    /// Reads the case; `channels`: how many its image must have; `known`: the label values it may hold; `non_finite`: what happens to image
    /// voxels that are NaN or infinite.
    pub(super) fn examine(&self, channels: usize, known: &[u32], non_finite: NonFinite) -> Examined {
        let (mut image, mut errors) = read_images(&self.images, Some(channels), Some(non_finite));
        let mut label = None;
        match self.label.as_ref().map(VolumeSource::read) {
            None => {}
            // Contours are read on the grid of their image, whose faults are theirs too.
            Some(Err(found)) => {
                let more: Vec<DataError> = found.0.into_iter().filter(|error| !errors.contains(error)).collect();
                errors.extend(more);
            }
            Some(Ok(mut scan)) => {
                // The frames of a DICOM segmentation need not say how far its image goes on beyond them.
                if let (Some(image), Some(Format::Dicom)) = (&image, self.label.as_ref().map(VolumeSource::format)) {
                    let filled = fill(&mut scan.volume.voxels, &mut scan.volume.grid, &image.volume.grid);
                    scan.notes.extend(filled.map(|text| Note::new(&scan.file, text)));
                }
                let misplaced = image.as_ref().and_then(|image| grid_fault(&scan.volume.grid, &image.volume.grid, &image.file));
                errors.extend(misplaced.map(|fault| fault.at(&scan.file)));
                match labels::from_scan(scan, Some(known)) {
                    Err(faults) => errors.extend(faults),
                    Ok(counted) => {
                        image.iter_mut().for_each(|image| image.notes.extend_from_slice(&counted.notes));
                        label = Some(counted);
                    }
                }
            }
        }
        Examined { image, label, errors }
    }

    /// Voxels of the values that occur in its label map; empty if there is none or it cannot be read.
    pub(super) fn label_values(&self) -> BTreeMap<u32, u64> {
        let counted = self.label.as_ref().and_then(|source| source.read().ok()).and_then(|scan| labels::from_scan(scan, None).ok());
        counted.map(|counted| counted.voxels_of).unwrap_or_default()
    }
}

/// Reads an image outside any dataset: one file with all channels, or one for each channel in order.
///
/// `channels`: how many it must have (none: any); `non_finite`: what happens to voxels that are NaN or infinite; none: the image is looked at
/// alone, so that they are kept, and counted in the scan's notes, and a channel may be of one value throughout.
///
/// # Errors
/// Everything wrong with the files, at once.
pub fn load_image(images: &[VolumeSource], channels: Option<usize>, non_finite: Option<NonFinite>) -> Result<Scan, DataErrors> {
    match read_images(images, channels, non_finite) {
        (Some(scan), errors) if errors.is_empty() => Ok(scan),
        (None, errors) if errors.is_empty() => Err(Fault::Missing.at(Path::new("the case's image")).into()),
        (_, errors) => Err(DataErrors(errors)),
    }
}

/// Reads the channels of an image into one scan. With errors, what is left of it (for the summary) or none.
fn read_images(sources: &[VolumeSource], channels: Option<usize>, non_finite: Option<NonFinite>) -> (Option<Scan>, Vec<DataError>) {
    let (mut errors, mut constant) = (Vec::new(), Vec::new());
    let mut whole: Option<Scan> = None;
    for source in sources {
        let mut scan = match source.read() {
            Ok(scan) => scan,
            Err(found) => {
                errors.extend(found.0);
                continue;
            }
        };
        let mut faults = Vec::from_iter(handle_non_finite(&mut scan, non_finite));
        if non_finite.is_some() {
            let before = whole.as_ref().map_or(0, |whole| whole.volume.channels);
            constant.extend(constant_channels(&scan.volume, before).map(|fault| fault.at(&scan.file)));
        }
        if sources.len() > 1 && scan.volume.channels != 1 {
            faults.push(Fault::Channels { found: scan.volume.channels, expected: 1 });
        }
        let misplaced = whole.as_ref().and_then(|first| grid_fault(&scan.volume.grid, &first.volume.grid, &first.file));
        let fits = misplaced.is_none();
        errors.extend(faults.into_iter().chain(misplaced).map(|fault| fault.at(&scan.file)));
        match &mut whole {
            None => whole = Some(scan),
            Some(first) if fits => {
                first.volume.voxels.extend_from_slice(&scan.volume.voxels);
                first.volume.channels += scan.volume.channels;
                first.notes.extend(scan.notes);
            }
            Some(_) => {}
        }
    }
    if let (Some(scan), Some(expected), true) = (&whole, channels, errors.is_empty())
        && scan.volume.channels != expected
    {
        errors.push(Fault::Channels { found: scan.volume.channels, expected }.at(&scan.file));
    }
    errors.extend(constant);
    (whole, errors)
}

/// Faults of the channels whose finite voxels are all of one value; `before`: channels of the case in files before this one.
fn constant_channels(volume: &Volume, before: usize) -> impl Iterator<Item = Fault> {
    let only = |voxels: &[f32]| {
        let mut finite = voxels.iter().copied().filter(|value| value.is_finite());
        let first = finite.next()?;
        finite.all(|value| value == first).then_some(f64::from(first))
    };
    volume.iter_channels().zip(before..).filter_map(move |(voxels, channel)| Some(Fault::Constant { channel, value: only(voxels)? }))
}

/// Refuses, replaces or keeps voxels that are NaN or infinite; what isn't refused is noted.
fn handle_non_finite(scan: &mut Scan, rule: Option<NonFinite>) -> Option<Fault> {
    let fault = scan.volume.not_finite()?;
    let Fault::NotFinite { voxels: count, .. } = fault else { return Some(fault) };
    let holds = format!("holds {count} {} NaN or infinite", if count == 1 { "voxel that is" } else { "voxels that are" });
    let note = match rule {
        Some(NonFinite::Refuse) => return Some(fault),
        Some(NonFinite::Replace(value)) => {
            scan.volume.voxels.iter_mut().filter(|value| !value.is_finite()).for_each(|voxel| *voxel = value as f32);
            format!("{holds}; replaced by {value} (data.preprocess.non_finite)")
        }
        None => holds,
    };
    scan.notes.push(Note::new(&scan.file, note));
    None
}
