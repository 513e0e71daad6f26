//! `simtrot convert`: a volume in another format.

use std::path::{Path, PathBuf};

use super::options::{CliError, Options};
use crate::terminal;
use crate::volume::file::{self, Format};
use crate::volume::image_or_labels::{Content, content};
use crate::volume::label_table::{LabelEntry, LabelTable};
use crate::volume::segment::{Segment, Segments};
use crate::volume::segmentation::{self, Subject};
use crate::volume::{DataErrors, Fault, Note, Scan, VolumeSource, labels, note};

/// Axes whose cosine is larger are said to be sheared: programs that take directions for a rotation misplace them.
const SHEARED: f64 = 1e-3;

/// Writes a volume to a file of another ending, and prints what was assumed and what is lost. `like`: the DICOM series that a segmentation, or a
/// structure set, is of.
pub(super) fn convert(input: &Path, out: &Path, like: Option<PathBuf>, options: &Options) -> Result<u8, CliError> {
    let refuse = |cause: &str| Err(CliError::Input(format!("{}: {cause}", out.display())));
    let Some(files) = file::written(out) else {
        return refuse("cannot be written under this ending. Choose .nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha, .mhd or .dcm");
    };
    if let Some(there) = files.iter().find(|file| file.exists()) {
        return refuse(&format!(
            "{} is already there, and nothing is overwritten. Choose another name, or take it away first",
            there.display()
        ));
    }
    if let Some(error) = segmentation::damage(input) {
        return Err(CliError::Input(error.to_string()));
    }
    let asked = file::asked(out);
    let is_contours = segmentation::is_structure_set(input);
    match (asked, &like) {
        (Some(Format::Dicom), None) => {
            return refuse("a DICOM segmentation belongs to a DICOM series. Name its folder with --like SERIES, or choose another ending");
        }
        (_, None) if is_contours => {
            return refuse("contours become labels on the slices of their series. Name its folder with --like SERIES");
        }
        (_, Some(_)) if is_contours => {}
        (Some(Format::Dicom), Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            return refuse("--like names the series of a DICOM segmentation or structure set; leave it out, or choose the ending .dcm");
        }
    }
    let images: Vec<VolumeSource> = like.into_iter().map(VolumeSource::File).collect();
    let scan = VolumeSource::label_map(input.to_owned(), &images).read().map_err(|errors| CliError::Input(errors.to_string()))?;
    let table = LabelTable::within(input).map_err(CliError::Input)?;
    let mut notes = scan.notes.clone();
    let (channels, grid) = (scan.volume.channels, scan.volume.grid.clone());
    let stored = match asked {
        Some(Format::Dicom | Format::SegNrrd) => {
            notes.extend(write_labels(scan, table, out, &images)?);
            "segments".to_owned()
        }
        _ => {
            notes.extend(table.map(|table| unnamed(&table, out)));
            file::write_volume(out, &scan.volume, &scan.header).map_err(|error| CliError::Failure(error.to_string()))?.to_owned()
        }
    };
    for line in note::lines(&notes) {
        terminal::print(format_args!("note: {line}"));
    }
    if grid.shear() > SHEARED {
        terminal::print(format_args!("note: its axes are not at right angles; programs that expect that refuse or misplace it"));
    }
    if !options.quiet {
        let channels = if channels == 1 { String::new() } else { format!("{channels} channels of ") };
        terminal::print(format_args!("{}: {channels}{grid}, stored as {stored}", out.display()));
    }
    Ok(0)
}

/// Writes a label map with the names and colours that its file gives its values, as far as it does. An image is refused: its intensities
/// would become segments.
fn write_labels(scan: Scan, table: Option<LabelTable>, out: &Path, images: &[VolumeSource]) -> Result<Vec<Note>, CliError> {
    let (header, file) = (scan.header.clone(), scan.file.clone());
    let is_image = table.is_none() && content(&scan) == Content::Image;
    let counted = labels::from_scan(scan, None);
    if is_image {
        let why = match &counted {
            Ok(counted) => format!("holds {} different values, scattered over the voxels", counted.voxels_of.len()),
            Err(errors) => errors.iter().map(|error| error.fault.to_string()).collect::<Vec<_>>().join(", and "),
        };
        return Err(CliError::Input(format!(
            "{}: looks like an image, not like a label map: it {why}. {} holds segments alone: name the label map of this image instead, or choose \
             .nii.gz, .nrrd or .mha for the image itself. A label map must be saved in whole numbers from 0 to 65535",
            file.display(),
            out.display()
        )));
    }
    let counted = counted.map_err(|errors| CliError::Input(DataErrors(errors).to_string()))?;
    let entries = table.map(|table| table.entries).unwrap_or_default();
    let named = |(value, entry): (u32, LabelEntry)| {
        (value, Segment { name: entry.name.unwrap_or_else(|| format!("label {value}")), colour: entry.colour })
    };
    let segments: Segments = entries.into_iter().map(named).collect();
    let subject = Subject { header: &header, images, segments: &segments, dataset: "" };
    segmentation::write(out, &counted.map, &subject).map_err(|error| match error.fault {
        Fault::Unwritable(_) => CliError::Failure(error.to_string()),
        _ => CliError::Input(error.to_string()),
    })
}

/// The note on names that a format has no place for.
fn unnamed(table: &LabelTable, out: &Path) -> Note {
    let names: Vec<String> =
        table.entries.iter().map(|(value, entry)| format!("{value} {}", entry.name.as_deref().unwrap_or("without a name"))).collect();
    Note::new(out, format!("names of segments are not written into it: {}; .seg.nrrd keeps them", names.join(", ")))
}
