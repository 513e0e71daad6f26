//! Elements of a data set, in as few words as they take.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag};

/// Most characters of a decimal string (VR DS).
const LONGEST_DECIMAL: usize = 16;

/// A value of a coding scheme: the scheme, the code and its meaning.
pub(super) type Code = (&'static str, &'static str, &'static str);

pub(super) fn text(tag: Tag, vr: VR, value: impl Into<String>) -> InMemElement {
    DataElement::new(tag, vr, value.into())
}

/// A number of 16 bits.
pub(super) fn short(tag: Tag, value: u16) -> InMemElement {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

/// Decimal strings.
pub(super) fn decimals(tag: Tag, values: &[f64]) -> InMemElement {
    text(tag, VR::DS, values.iter().map(|&value| decimal(value)).collect::<Vec<_>>().join("\\"))
}

pub(super) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// A sequence of one item.
pub(super) fn one(tag: Tag, elements: impl IntoIterator<Item = InMemElement>) -> InMemElement {
    sequence(tag, vec![InMemDicomObject::from_element_iter(elements)])
}

/// The elements of a coded entry.
pub(super) fn coded((scheme, value, meaning): Code) -> [InMemElement; 3] {
    [text(tags::CODE_VALUE, VR::SH, value), text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme), text(tags::CODE_MEANING, VR::LO, meaning)]
}

/// A number with as many digits as a decimal string holds.
fn decimal(value: f64) -> String {
    let shortest = value.to_string();
    if shortest.len() <= LONGEST_DECIMAL {
        return shortest;
    }
    let rounded = (0..LONGEST_DECIMAL).rev().map(|digits| format!("{value:.digits$}")).find(|text| text.len() <= LONGEST_DECIMAL);
    rounded.unwrap_or_else(|| format!("{value:.8e}"))
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_decimal_string_has_at_most_16_characters() {
        for (value, expected) in [
            (-235.2, "-235.2"),
            (0.1 + 0.2, "0.30000000000000"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (123_456_789.123_456_78, "123456789.123457"),
            (-1.234_567_890_123e18, "-1.23456789e18"),
        ] {
            assert_eq!(decimal(value), expected);
            assert!(decimal(value).len() <= 16);
        }
    }
}
