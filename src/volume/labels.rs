//! From stored label values to a [`LabelMap`]: whole numbers that the dataset names, or faults.

use std::collections::BTreeMap;

use super::{DataError, Fault, LabelMap, Note, Scan, Volume};
use crate::geometry::unravel;

/// Distance from a whole number up to which a float label is taken for it: rounding of scaled or resaved files.
pub const WHOLE_NUMBER_TOLERANCE: f32 = 1e-3;

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

/// Turns a scan into labels. `known` are the values the dataset names; none: all are taken.
///
/// # Errors
/// Everything wrong with it: several channels, NaN, values that are no whole number from 0 to 65535, unknown values.
pub fn from_scan(scan: Scan, known: Option<&[u32]>) -> Result<CountedLabels, Vec<DataError>> {
    let Scan { file, volume: Volume { channels, grid, voxels }, notes, .. } = scan;
    let mut faults = Vec::new();
    if channels != 1 {
        faults.push(Fault::Channels { found: channels, expected: 1 });
    }
    let mut counts = vec![0_u64; usize::from(u16::MAX) + 1];
    let (mut not_finite, mut broken) = (Bad::default(), Bad::default());
    let mut map = Vec::with_capacity(voxels.len());
    for (index, &value) in voxels.iter().enumerate() {
        let nearest = value.round();
        if !value.is_finite() {
            not_finite.note(index, value);
        } else if (value - nearest).abs() > WHOLE_NUMBER_TOLERANCE || !(0.0..=65_535.0).contains(&nearest) {
            broken.note(index, value);
        } else {
            counts[nearest as usize] += 1;
            map.push(nearest as u16);
        }
    }
    if let Some((first, _)) = not_finite.first {
        faults.push(Fault::NotFinite { voxels: not_finite.voxels, at: unravel(first % grid.len(), grid.shape) });
    }
    if let Some((first, value)) = broken.first {
        let at = unravel(first % grid.len(), grid.shape);
        faults.push(Fault::FractionalLabel { voxels: broken.voxels, example: f64::from(value), at });
    }
    let voxels_of: BTreeMap<u32, u64> = (0_u32..).zip(counts).filter(|&(_, count)| count > 0).collect();
    if let Some(known) = known {
        let unknown = voxels_of.keys().filter(|value| !known.contains(value));
        let found: Vec<u32> = unknown.take(SHOWN).copied().collect();
        if !found.is_empty() {
            faults.push(Fault::UnknownLabel { found, known: known.to_vec() });
        }
    }
    if faults.is_empty() {
        Ok(CountedLabels { map: LabelMap { grid, voxels: map }, voxels_of, notes })
    } else {
        Err(faults.into_iter().map(|fault| fault.at(&file)).collect())
    }
}

/// Voxels that break a rule.
#[derive(Default)]
struct Bad {
    voxels: u64,
    first: Option<(usize, f32)>,
}

impl Bad {
    fn note(&mut self, index: usize, value: f32) {
        self.voxels += 1;
        self.first.get_or_insert((index, value));
    }
}
