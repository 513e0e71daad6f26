//! Labels as segments: how they are described, and their voxels as single bits.

use std::collections::BTreeSet;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::codes::{self, Coded};
use super::colour::to_dicom;
use super::elements::{coded, one, sequence, short, text};
use super::value::description;
use crate::volume::LabelMap;
use crate::volume::segment::{Segment, Segments, colour};

/// Most characters of a segment's label.
const LONGEST_LABEL: usize = 64;

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// From 1, without gaps.
    pub number: u16,
    /// Label value.
    pub value: u16,
    pub segment: Segment,
    pub coded: Coded,
}

/// Frames, each by its segment's number and its slice, and their bits: an even number of bytes.
pub(super) struct Packed {
    pub frames: Vec<(u16, usize)>,
    pub bits: Vec<u8>,
}

/// A segment for each label value that is named or occurs, and what is to be said of them.
pub(super) fn described(voxels: &[u16], segments: &Segments, dataset: &str) -> (Vec<Described>, Vec<String>) {
    let named = segments.keys().filter_map(|&value| u16::try_from(value).ok());
    let values: BTreeSet<u16> = voxels.iter().copied().chain(named).filter(|&value| value != 0).collect();
    let (mut described, mut uncoded, mut cut) = (Vec::new(), Vec::new(), Vec::new());
    for (number, value) in (1..).zip(values) {
        let unnamed = || Segment { name: format!("label {value}"), colour: colour(value.into()) };
        let mut segment = segments.get(&value.into()).cloned().unwrap_or_else(unnamed);
        let coded = codes::of(&segment.name, dataset).unwrap_or_else(|| {
            uncoded.push(segment.name.clone());
            codes::unknown()
        });
        let label: String = segment.name.replace('\\', "/").chars().filter(|c| !c.is_control()).take(LONGEST_LABEL).collect();
        if label != segment.name {
            cut.push(segment.name.clone());
        }
        segment.name = label;
        described.push(Described { number, value, segment, coded });
    }
    let mut notes = Vec::new();
    if !uncoded.is_empty() {
        notes.push(format!("no code of SNOMED CT is known for {}: coded as Tissue (85756007)", uncoded.join(", ")));
    }
    if !cut.is_empty() {
        notes.push(format!("names that DICOM does not allow were shortened or changed: {}", cut.join(", ")));
    }
    (described, notes)
}

/// The frames of all segments in order: each slice in which the label occurs. The first segment also has the first and the last slice.
pub(super) fn pack(map: &LabelMap, described: &[Described]) -> Packed {
    let [slices, rows, columns] = map.grid.shape;
    let planes: Vec<&[u16]> = map.voxels.chunks_exact(rows * columns).collect();
    let present: Vec<BTreeSet<u16>> = planes.iter().map(|plane| plane.iter().copied().collect()).collect();
    let (mut packed, mut pixels) = (Packed { frames: Vec::new(), bits: Vec::new() }, 0_usize);
    for one in described {
        let ends = |slice: usize| one.number == 1 && (slice == 0 || slice + 1 == slices);
        for slice in (0..slices).filter(|&slice| present[slice].contains(&one.value) || ends(slice)) {
            packed.frames.push((one.number, slice));
            packed.bits.resize((pixels + rows * columns).div_ceil(8), 0);
            for (pixel, _) in planes[slice].iter().enumerate().filter(|&(_, &label)| label == one.value) {
                packed.bits[(pixels + pixel) / 8] |= 1 << ((pixels + pixel) % 8);
            }
            pixels += rows * columns;
        }
    }
    packed.bits.resize(packed.bits.len().next_multiple_of(2), 0);
    packed
}

impl Described {
    /// Its item of the Segment Sequence.
    pub(super) fn item(&self) -> InMemDicomObject {
        let lab = PrimitiveValue::U16(to_dicom(self.segment.colour).as_slice().into());
        let Coded { category, kind, modifiers } = &self.coded;
        let modifiers: Vec<_> = modifiers.iter().map(|&modifier| InMemDicomObject::from_element_iter(coded(modifier))).collect();
        let modifiers = (!modifiers.is_empty()).then(|| sequence(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, modifiers));
        InMemDicomObject::from_element_iter([
            short(tags::SEGMENT_NUMBER, self.number),
            text(tags::SEGMENT_LABEL, VR::LO, self.segment.name.as_str()),
            text(tags::SEGMENT_DESCRIPTION, VR::ST, description(self.value)),
            text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC"),
            text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, format!("simtrot {}", crate::VERSION)),
            one(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, coded(*category)),
            one(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, coded(*kind).into_iter().chain(modifiers)),
            DataElement::new(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, VR::US, lab),
        ])
    }
}
