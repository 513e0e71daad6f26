//! Label values in descriptions of segments.

/// Before a label value.
const LABEL_VALUE: &str = "label value ";

/// The description of the segment of a label value.
pub(super) fn description(value: u16) -> String {
    format!("{LABEL_VALUE}{value}")
}

/// The label value in a description of ours.
pub(super) fn value_of(description: &str) -> Option<u16> {
    description.strip_prefix(LABEL_VALUE)?.parse().ok()
}
