//! What a segmentation says of patient, study and itself.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag};

use super::elements::{short, text};
use super::identity::{Identity, uid_of};
use crate::volume::Fault;
use crate::volume::dicom::frames;

/// What the series' own files say and a segmentation must say too, if only that it is not known.
const NEEDED: [(Tag, VR); 9] = [
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::STUDY_ID, VR::SH),
    (tags::ACCESSION_NUMBER, VR::SH),
];

/// What a segmentation says where the series' own files do.
const TAKEN: [(Tag, VR); 12] = [
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_AGE, VR::AS),
    (tags::PATIENT_SIZE, VR::DS),
    (tags::PATIENT_WEIGHT, VR::DS),
    (tags::PATIENT_IDENTITY_REMOVED, VR::CS),
    (tags::DEIDENTIFICATION_METHOD, VR::LO),
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::BODY_PART_EXAMINED, VR::CS),
    (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH),
    (tags::POSITION_REFERENCE_INDICATOR, VR::LO),
    (tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS),
    (tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS),
];

/// An element of a source file as text, without padding; empty where there is none.
pub(super) fn known(source: &InMemDicomObject, tag: Tag) -> String {
    frames::text(source, tag).trim_end_matches('\0').to_owned()
}

/// Elements of patient, study, series, equipment and image, but those that depend on frames.
///
/// # Errors
/// A source without study or series.
pub(super) fn elements(source: &InMemDicomObject, identity: &Identity) -> Result<Vec<InMemElement>, Fault> {
    let study = known(source, tags::STUDY_INSTANCE_UID);
    if study.is_empty() || known(source, tags::SERIES_INSTANCE_UID).is_empty() {
        return Err(Fault::NoSegmentation("its images name no study or no series that it could belong to".to_owned()));
    }
    let mut elements: Vec<InMemElement> = NEEDED.iter().map(|&(tag, vr)| text(tag, vr, known(source, tag))).collect();
    let taken = TAKEN.iter().map(|&(tag, vr)| (tag, vr, known(source, tag))).filter(|(_, _, value)| !value.is_empty());
    elements.extend(taken.map(|(tag, vr, value)| text(tag, vr, value)));
    let number = known(source, tags::SERIES_NUMBER).parse::<u32>().map_or(1, |number| number.saturating_mul(100).min(99_999_900) + 1);
    let [date, time] = identity.date_and_time();
    elements.extend([
        // Whatever the series' files are encoded in, what was read of them is written in UTF-8.
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY"),
        text(tags::SOP_CLASS_UID, VR::UI, uids::SEGMENTATION_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, identity.uid("instance")),
        text(tags::STUDY_INSTANCE_UID, VR::UI, study),
        text(tags::SERIES_INSTANCE_UID, VR::UI, identity.uid("series")),
        text(tags::SERIES_NUMBER, VR::IS, number.to_string()),
        text(tags::SERIES_DATE, VR::DA, date.as_str()),
        text(tags::SERIES_TIME, VR::TM, time.as_str()),
        text(tags::SERIES_DESCRIPTION, VR::LO, "Segmentation by simtrot"),
        text(tags::INSTANCE_NUMBER, VR::IS, "1"),
        text(tags::MODALITY, VR::CS, "SEG"),
        text(tags::MANUFACTURER, VR::LO, "simtrot"),
        text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "simtrot"),
        text(tags::DEVICE_SERIAL_NUMBER, VR::LO, crate::COMMIT),
        text(tags::SOFTWARE_VERSIONS, VR::LO, crate::VERSION),
        text(tags::CONTENT_DATE, VR::DA, date),
        text(tags::CONTENT_TIME, VR::TM, time),
        text(tags::CONTENT_LABEL, VR::CS, "SEGMENTATION"),
        text(tags::CONTENT_DESCRIPTION, VR::LO, "Segmentation by a neural network"),
        text(tags::CONTENT_CREATOR_NAME, VR::PN, ""),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        short(tags::SAMPLES_PER_PIXEL, 1),
        short(tags::BITS_ALLOCATED, 1),
        short(tags::BITS_STORED, 1),
        short(tags::HIGH_BIT, 0),
        short(tags::PIXEL_REPRESENTATION, 0),
        text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY"),
        text(tags::SEGMENTS_OVERLAP, VR::CS, "NO"),
    ]);
    let space = known(source, tags::FRAME_OF_REFERENCE_UID);
    let space = if space.is_empty() { uid_of("space", known(source, tags::SERIES_INSTANCE_UID).as_bytes()) } else { space };
    elements.push(text(tags::FRAME_OF_REFERENCE_UID, VR::UI, space));
    if known(source, tags::POSITION_REFERENCE_INDICATOR).is_empty() {
        elements.push(text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""));
    }
    Ok(elements)
}
