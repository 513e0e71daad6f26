//! Names and colours of segments, as 3D Slicer writes them into a header.

use std::collections::BTreeMap;
use std::path::Path;

use super::header::Header;
use crate::volume::DataError;

/// What a segment without a colour is shown in.
const GREY: [f64; 3] = [0.5; 3];

/// How a label value is called and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::volume) struct Segment {
    pub name: String,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

/// The segments of a file by their label value; empty for a file that names none. Of several with one value the first counts: in a label map
/// without layers no voxel tells them apart.
///
/// # Errors
/// A header that cannot be read.
pub(in crate::volume) fn segments(file: &Path) -> Result<BTreeMap<u32, Segment>, DataError> {
    let (header, ..) = Header::open(file)?;
    let mut segments = BTreeMap::new();
    for number in 0.. {
        let value = |key: &str| header.keys.get(&format!("Segment{number}_{key}")).map(|value| value.trim());
        let Some(label) = value("LabelValue") else { break };
        let (Ok(label), Some(name)) = (label.parse::<u32>(), value("Name")) else { continue };
        let shares: Option<Vec<f64>> = value("Color").and_then(|text| text.split_whitespace().map(|share| share.parse().ok()).collect());
        let shares = shares.and_then(|shares| <[f64; 3]>::try_from(shares).ok()).unwrap_or(GREY);
        let colour = shares.map(|share| (share.clamp(0.0, 1.0) * 255.0).round() as u8);
        segments.entry(label).or_insert(Segment { name: name.to_owned(), colour });
    }
    Ok(segments)
}
