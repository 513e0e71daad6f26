//! Segmentations in: binary ones without overlaps, as a label map.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{DefaultDicomObject, InMemDicomObject, OpenFileOptions};

use super::colour::from_dicom;
use super::place::placed;
use super::value::value_of;
use crate::volume::dicom::find::{causes, class, open_header};
use crate::volume::dicom::frames::{self, Frame, of_frame, text};
use crate::volume::segment::{Segment, Segments};
use crate::volume::{DataError, Fault, Note, Scan, SourceHeader, Volume};

/// What a segment without a colour is shown in.
const GREY: [u8; 3] = [128; 3];

/// The class of files that give each voxel the number of its segment.
const LABEL_MAP: &str = "1.2.840.10008.5.1.4.1.1.66.7";

/// One segment of a file.
struct Described {
    /// Its label value.
    value: u16,
    segment: Segment,
}

/// Whether a file is a DICOM segmentation, by its first bytes.
pub(in crate::volume) fn is_segmentation(file: &Path) -> bool {
    class(file).is_some_and(|class| [uids::SEGMENTATION_STORAGE, LABEL_MAP].contains(&class.as_str()))
}

/// What a file's segments are called and shown in, by label value.
///
/// # Errors
/// A header that cannot be read, segments without numbers, or two of one.
pub(in crate::volume) fn segments(file: &Path) -> Result<Segments, DataError> {
    let described = open_header(file).and_then(|object| described(&object)).map_err(|fault| fault.at(file))?;
    Ok(described.into_values().map(|described| (u32::from(described.value), described.segment)).collect())
}

/// Series Instance UIDs that a file refers to; none of a header that cannot be read, which whoever reads the label map reports.
pub(in crate::volume) fn referenced(file: &Path) -> BTreeSet<String> {
    let Ok(object) = open_header(file) else { return BTreeSet::new() };
    let items = object.get(tags::REFERENCED_SERIES_SEQUENCE).and_then(InMemElement::items).unwrap_or_default();
    let identifiers = items.iter().map(|item| text(item, tags::SERIES_INSTANCE_UID).trim_end_matches('\0').to_owned());
    identifiers.filter(|identifier| !identifier.is_empty()).collect()
}

/// Reads a segmentation as a label map: where no segment is, the background. Its grid runs from the first to the last slice that holds a
/// frame, whatever the series that it belongs to.
///
/// # Errors
/// A file that cannot be read, segments that overlap, fractions, compressed or missing pixels, frames that are no even stack.
pub(in crate::volume) fn read(file: &Path) -> Result<Scan, DataError> {
    let whole = OpenFileOptions::new().open_file(file).map_err(|error| Fault::Damaged(causes(&error)));
    whole.and_then(|object| label_map(&object, file)).map_err(|fault| fault.at(file))
}

fn label_map(object: &DefaultDicomObject, file: &Path) -> Result<Scan, Fault> {
    let refuse = |cause: String| Err(Fault::Segmentation(cause));
    let kind = text(object, tags::SEGMENTATION_TYPE);
    if kind != "BINARY" {
        return refuse(format!("its type is {}; binary ones are read", if kind.is_empty() { "not given" } else { &kind }));
    }
    let described = described(object)?;
    let frames = frames::of_object(object, 0)?;
    let between = of_frame(object, 0, tags::PIXEL_MEASURES_SEQUENCE, tags::SPACING_BETWEEN_SLICES);
    let (grid, slices) = placed(&frames, between.and_then(|element| element.to_float64().ok()))?;
    let bits = bits(object, &frames)?;

    let plane = grid.shape[1] * grid.shape[2];
    let mut labels: Vec<u16> = Vec::new();
    labels.try_reserve_exact(grid.len()).map_err(|error| Fault::Unreadable(error.to_string()))?;
    labels.resize(grid.len(), 0);
    let mut overlaps: BTreeMap<(u16, u16), usize> = BTreeMap::new();
    for (frame, slice) in frames.iter().zip(slices) {
        let number = of_frame(object, frame.number, tags::SEGMENT_IDENTIFICATION_SEQUENCE, tags::REFERENCED_SEGMENT_NUMBER);
        let number = number.and_then(|element| element.to_int::<u16>().ok()).unwrap_or(0);
        let Some(Described { value, .. }) = described.get(&number) else {
            return refuse(format!("its frame {} is of segment {number}, which it does not describe", frame.number + 1));
        };
        for (pixel, label) in labels[slice * plane..][..plane].iter_mut().enumerate() {
            let bit = frame.number * plane + pixel;
            if bits[bit / 8] >> (bit % 8) & 1 == 0 {
                continue;
            }
            if *label != 0 && label != value {
                *overlaps.entry((*label, *value)).or_default() += 1;
            }
            *label = *value;
        }
    }
    if let Some((&(a, b), &voxels)) = overlaps.iter().max_by_key(|&(_, &voxels)| voxels) {
        let name = |value: u16| described.values().find(|one| one.value == value).map_or_else(String::new, |one| one.segment.name.clone());
        return Err(Fault::Overlap(name(a), name(b), voxels));
    }
    let volume = Volume { channels: 1, voxels: labels.into_iter().map(f32::from).collect(), grid };
    Ok(Scan { file: file.to_owned(), header: SourceHeader::for_grid(&volume.grid), volume, notes: notes(&described, file) })
}

/// The packed pixels of all frames.
fn bits<'a>(object: &'a InMemDicomObject, frames: &[Frame]) -> Result<std::borrow::Cow<'a, [u8]>, Fault> {
    let allocated = object.get(tags::BITS_ALLOCATED).and_then(|element| element.to_int::<u16>().ok());
    if allocated != Some(1) {
        return Err(Fault::header("Bits Allocated", format_args!("{}", allocated.unwrap_or(0)), "1, in a binary segmentation"));
    }
    let pixels = object.get(tags::PIXEL_DATA).filter(|element| element.fragments().is_none()).and_then(|element| element.to_bytes().ok());
    let Some(pixels) = pixels else {
        return Err(Fault::Segmentation("its pixels are compressed or missing; uncompressed ones are read".to_owned()));
    };
    let promised = frames.iter().map(|frame| frame.rows * frame.columns).sum::<usize>().div_ceil(8);
    if pixels.len() < promised {
        return Err(Fault::Length { promised: promised as u64, held: pixels.len().to_string() });
    }
    Ok(pixels)
}

/// The segments by their number.
fn described(object: &InMemDicomObject) -> Result<BTreeMap<u16, Described>, Fault> {
    let mut described = BTreeMap::new();
    for item in object.get(tags::SEGMENT_SEQUENCE).and_then(InMemElement::items).unwrap_or_default() {
        let number = item.get(tags::SEGMENT_NUMBER).and_then(|element| element.to_int::<u16>().ok()).unwrap_or(0);
        let called = [text(item, tags::SEGMENT_LABEL), format!("segment {number}")];
        let stored = item.get(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE).and_then(|element| element.to_multi_int::<u16>().ok());
        let colour = stored.and_then(|stored| <[u16; 3]>::try_from(stored).ok()).map_or(GREY, from_dicom);
        let name = called.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let value = value_of(&text(item, tags::SEGMENT_DESCRIPTION)).unwrap_or(number);
        let one = Described { value, segment: Segment { name, colour } };
        let twice = described.values().any(|other: &Described| other.value == value);
        if value == 0 || number == 0 || twice || described.insert(number, one).is_some() {
            return Err(Fault::header("Segment Number", number, "one for each segment, from 1"));
        }
    }
    if described.is_empty() {
        return Err(Fault::Segmentation("it describes no segment".to_owned()));
    }
    Ok(described)
}

/// Which number a segment has as a label, since the file itself has names alone.
fn notes(described: &BTreeMap<u16, Described>, file: &Path) -> Vec<Note> {
    let named: Vec<String> = described.values().map(|one| format!("{} {}", one.value, one.segment.name)).collect();
    vec![Note::new(file, format!("its segments are taken as label values: {}", named.join(", ")))]
}
