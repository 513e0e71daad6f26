//! What a label value is called and shown in, where a file or a network says so.

use std::collections::BTreeMap;

use crate::palette;

/// How a label value is called and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// For people.
    pub name: String,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

/// Segments by their label value.
pub type Segments = BTreeMap<u32, Segment>;

/// The segments of named label values, in the program's colours. The background (0) is none.
pub fn named(labels: &BTreeMap<u32, String>) -> Segments {
    labels
        .iter()
        .filter(|&(&value, _)| value != 0)
        .map(|(&value, name)| (value, Segment { name: name.clone(), colour: colour(value) }))
        .collect()
}

/// The program's colour of a label value.
pub(super) fn colour(value: u32) -> [u8; 3] {
    let [_, red, green, blue] = palette::label(value).to_be_bytes();
    [red, green, blue]
}
