//! What the frames of a segmentation say of themselves: functional groups.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::elements::{coded, decimals, one, short, text};
use crate::volume::dicom::frames::Frame;

/// What all frames share: their direction and size. `between_mm`: from a slice to the next.
pub(super) fn shared(any: &Frame, between_mm: f64) -> InMemElement {
    let [across, down] = any.spacing_mm;
    one(
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        [
            one(tags::PLANE_ORIENTATION_SEQUENCE, [decimals(tags::IMAGE_ORIENTATION_PATIENT, any.directions.as_flattened())]),
            one(
                tags::PIXEL_MEASURES_SEQUENCE,
                [
                    decimals(tags::SLICE_THICKNESS, &[any.thickness_mm.unwrap_or(between_mm)]),
                    decimals(tags::SPACING_BETWEEN_SLICES, &[between_mm]),
                    decimals(tags::PIXEL_SPACING, &[down, across]),
                ],
            ),
        ],
    )
}

/// A frame of the segment `number` (from 1) in the `slice` (from 0), which is the image `source`.
pub(super) fn own(number: u16, slice: usize, source: &Frame) -> InMemDicomObject {
    let index: PrimitiveValue = PrimitiveValue::U32([u32::from(number), slice as u32 + 1].as_slice().into());
    let purpose = one(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, coded(("DCM", "121322", "Source image for image processing operation")));
    let frame_number = (source.of > 1).then(|| text(tags::REFERENCED_FRAME_NUMBER, VR::IS, (source.number + 1).to_string()));
    let image = reference(source).into_iter().chain(frame_number).chain([text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES"), purpose]);
    let derivation =
        [one(tags::DERIVATION_CODE_SEQUENCE, coded(("DCM", "113076", "Segmentation"))), one(tags::SOURCE_IMAGE_SEQUENCE, image)];
    InMemDicomObject::from_element_iter([
        one(tags::FRAME_CONTENT_SEQUENCE, [DataElement::new(tags::DIMENSION_INDEX_VALUES, VR::UL, index)]),
        one(tags::PLANE_POSITION_SEQUENCE, [decimals(tags::IMAGE_POSITION_PATIENT, &source.position)]),
        one(tags::SEGMENT_IDENTIFICATION_SEQUENCE, [short(tags::REFERENCED_SEGMENT_NUMBER, number)]),
        one(tags::DERIVATION_IMAGE_SEQUENCE, derivation),
    ])
}

/// Which file an image stands in.
pub(super) fn reference(source: &Frame) -> [InMemElement; 2] {
    [
        text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, source.class.as_str()),
        text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, source.instance.as_str()),
    ]
}
