//! From stored label values to a [`LabelMap`]: whole numbers that the dataset names, or faults.

use std::collections::BTreeMap;

use super::{DataError, Fault, LabelMap, Note, Scan};

/// Distance from a whole number up to which a float label is taken for it: rounding of scaled or resaved files.
const WHOLE_NUMBER_TOLERANCE: f32 = 1e-3;

/// Label values shown of a long list of unknown ones.
const SHOWN: usize = 8;

/// A label map with its inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct CountedLabels {
    /// The labels.
    pub map: LabelMap,
    /// Voxels of each value that occurs.
    pub voxels_of: BTreeMap<u32, u64>,
    /// The scan's.
    pub notes: Vec<Note>,
}

/// The label of a stored value; none for one that is no whole number from 0 to 65535.
pub fn label_of(value: f32) -> Option<u16> {
    let nearest = value.round();
    ((value - nearest).abs() <= WHOLE_NUMBER_TOLERANCE && (0.0..=65_535.0).contains(&nearest)).then_some(nearest as u16)
}

/// Turns a scan into labels. `known` are the values the dataset names; none: all are taken.
///
/// # Errors
/// Everything wrong with it: several channels, NaN, values that are no whole number from 0 to 65535, unknown values.
pub fn from_scan(scan: Scan, known: Option<&[u32]>) -> Result<CountedLabels, Vec<DataError>> {
    let Scan { file, volume, notes, .. } = scan;
    let mut faults = Vec::new();
    if volume.channels != 1 {
        faults.push(Fault::Channels { found: volume.channels, expected: 1 });
    }
    let labels: Vec<u16> = volume.voxels.iter().filter_map(|&value| label_of(value)).collect();
    if labels.len() < volume.voxels.len() {
        faults.extend(volume.not_finite());
        let broken = volume.count_where(|value| value.is_finite() && label_of(value).is_none());
        faults.extend(broken.map(|(voxels, value, at)| Fault::FractionalLabel { voxels, example: f64::from(value), at }));
    }
    let mut counts = vec![0_u64; usize::from(u16::MAX) + 1];
    labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
    let voxels_of: BTreeMap<u32, u64> = (0_u32..).zip(counts).filter(|&(_, count)| count > 0).collect();
    if let Some(known) = known {
        let found: Vec<u32> = voxels_of.keys().filter(|value| !known.contains(value)).take(SHOWN).copied().collect();
        if !found.is_empty() {
            faults.push(Fault::UnknownLabel { found, known: known.to_vec() });
        }
    }
    if faults.is_empty() {
        Ok(CountedLabels { map: LabelMap { grid: volume.grid, voxels: labels }, voxels_of, notes })
    } else {
        Err(faults.into_iter().map(|fault| fault.at(&file)).collect())
    }
}
