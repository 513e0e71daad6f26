//! Segmentations out: a label map on the grid of its series, as one file that belongs to the same patient and study.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{InMemDicomObject, Tag};
use jiff::Timestamp;

use super::content::{Described, Packed, described, pack};
use super::elements::{one, sequence, short, text};
use super::frame;
use super::identity::Identity;
use super::instance;
use crate::atomic_file;
use crate::volume::dicom::find::{dicom_fault, open_header};
use crate::volume::dicom::stack::{Headers, headers};
use crate::volume::segment::Segments;
use crate::volume::{DataError, DataErrors, Fault, LabelMap, Note, aligned};

/// What a segmentation belongs to.
#[derive(Clone, Copy, Debug)]
pub(in crate::volume) struct Belonging<'a> {
    /// What messages call the series.
    pub place: &'a Path,
    /// The series' files.
    pub files: &'a [PathBuf],
    /// What its label values are called.
    pub segments: &'a Segments,
    /// What the dataset is called that the names are of; may be empty.
    pub dataset: &'a str,
    /// When it was made.
    pub now: Timestamp,
}

/// Writes a label map as a binary segmentation of its series; what had to be left unsaid or uncoded comes back as notes. The file appears
/// whole or not at all. Equal arguments give equal bytes, unique identifiers included.
///
/// # Errors
/// A series that is none, or that lacks what a segmentation must refer to; labels on another grid; a file that cannot be written.
pub(in crate::volume) fn write(file: &Path, labels: &LabelMap, belonging: &Belonging<'_>) -> Result<Vec<Note>, DataError> {
    let series = headers(belonging.place, belonging.files).map_err(DataErrors::into_first)?;
    let (map, _) = aligned(labels.clone(), &series.grid, belonging.place).map_err(|fault| fault.at(file))?;
    let (described, mut notes) = described(&map.voxels, belonging.segments, belonging.dataset);
    if described.is_empty() {
        return Err(Fault::NoSegmentation("it holds no label, and none is named".to_owned()).at(file));
    }
    let packed = pack(&map, &described);
    let first = &belonging.files[series.frames[0].file];
    let source = open_header(first).map_err(|fault| fault.at(first))?;
    let identity = Identity::new(&source, &map, &described, belonging.now);
    let object = object(&source, &series, &described, packed, &identity).map_err(|fault| fault.at(first))?;
    if source.get(tags::FRAME_OF_REFERENCE_UID).is_none() {
        notes.push("its series names no Frame of Reference: the segmentation gets one that is made of the series' identifier".to_owned());
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let whole = object.with_meta(meta).map_err(|error| dicom_fault(&error).at(file))?;
    let written = atomic_file::write_with(file, |out| whole.write_all(out).map_err(std::io::Error::other));
    written.map_err(|error| Fault::Unwritable(error.to_string()).at(file))?;
    Ok(notes.into_iter().map(|text| Note::new(file, text)).collect())
}

/// The whole data set.
fn object(
    source: &InMemDicomObject,
    series: &Headers,
    described: &[Described],
    packed: Packed,
    identity: &Identity,
) -> Result<InMemDicomObject, Fault> {
    let Headers { frames, grid, .. } = series;
    if frames.iter().any(|frame| frame.instance.is_empty() || frame.class.is_empty()) {
        return Err(Fault::NoSegmentation("its images have no SOP Instance UID that it could refer to".to_owned()));
    }
    let mut object = InMemDicomObject::from_element_iter(instance::elements(source, identity)?);
    let any = &frames[0];
    let lossy = if frames.iter().any(|frame| frame.lossy) { "01" } else { "00" };
    for element in [
        text(tags::NUMBER_OF_FRAMES, VR::IS, packed.frames.len().to_string()),
        short(tags::ROWS, any.rows as u16),
        short(tags::COLUMNS, any.columns as u16),
        text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, lossy),
        sequence(tags::SEGMENT_SEQUENCE, described.iter().map(Described::item).collect()),
        dimensions(identity),
        index_sequence(identity),
        frame::shared(any, grid.spacing_mm()[0]),
        sequence(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            packed.frames.iter().map(|&(number, slice)| frame::own(number, slice, &frames[slice])).collect(),
        ),
        referenced(source, series),
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(packed.bits.into())),
    ] {
        object.put(element);
    }
    Ok(object)
}

fn dimensions(identity: &Identity) -> dicom_object::mem::InMemElement {
    one(tags::DIMENSION_ORGANIZATION_SEQUENCE, [text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, identity.uid("dimensions"))])
}

/// By what frames are told apart: segment, then place.
fn index_sequence(identity: &Identity) -> dicom_object::mem::InMemElement {
    let index = |pointer: Tag, group: Tag, label: &str| {
        InMemDicomObject::from_element_iter([
            text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, identity.uid("dimensions")),
            DataElement::new(tags::DIMENSION_INDEX_POINTER, VR::AT, PrimitiveValue::from(pointer)),
            DataElement::new(tags::FUNCTIONAL_GROUP_POINTER, VR::AT, PrimitiveValue::from(group)),
            text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label),
        ])
    };
    let indices = vec![
        index(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment Number"),
        index(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Image Position Patient"),
    ];
    sequence(tags::DIMENSION_INDEX_SEQUENCE, indices)
}

/// The series with every image that is a slice of it, each once.
fn referenced(source: &InMemDicomObject, series: &Headers) -> dicom_object::mem::InMemElement {
    let mut seen = BTreeSet::new();
    let images = series.frames.iter().filter(|frame| seen.insert(frame.instance.as_str()));
    let images = images.map(|frame| InMemDicomObject::from_element_iter(frame::reference(frame))).collect();
    let uid = instance::known(source, tags::SERIES_INSTANCE_UID);
    one(
        tags::REFERENCED_SERIES_SEQUENCE,
        [text(tags::SERIES_INSTANCE_UID, VR::UI, uid), sequence(tags::REFERENCED_INSTANCE_SEQUENCE, images)],
    )
}
