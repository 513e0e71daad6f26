//! Voxels that truth and prediction share, for each label or union of labels, and where they lie.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::geometry::VoxelBox;
use crate::volume::LabelMap;

/// A label, or a union of labels, that is scored as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// As reported: `spleen`, `WT`.
    pub name: String,
    /// Label values.
    pub labels: Vec<u16>,
}

/// Two label maps on one grid, `[D, H, W]` row-major.
#[derive(Clone, Copy, Debug)]
pub struct LabelPair<'a> {
    /// The reference.
    pub truth: &'a [u16],
    /// What is scored.
    pub prediction: &'a [u16],
    /// Voxels along D,H,W.
    pub shape: [usize; 3],
    /// Voxel size along D,H,W.
    pub spacing_mm: [f64; 3],
}

impl<'a> LabelPair<'a> {
    /// The two maps on the truth's grid.
    pub fn of(truth: &'a LabelMap, prediction: &'a LabelMap) -> Self {
        Self { truth: &truth.voxels, prediction: &prediction.voxels, shape: truth.grid.shape, spacing_mm: truth.grid.spacing_mm() }
    }
}

/// Voxels of one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In truth and prediction.
    pub true_positive: u64,
    /// In the prediction only.
    pub false_positive: u64,
    /// In the truth only.
    pub false_negative: u64,
}

impl Counts {
    /// Voxels in the truth.
    pub fn truth(&self) -> u64 {
        self.true_positive + self.false_negative
    }

    /// Voxels in the prediction.
    pub fn predicted(&self) -> u64 {
        self.true_positive + self.false_positive
    }

    /// The Dice coefficient, `2 |T ∩ P| / (|T| + |P|)`; none where both are empty.
    pub fn dice(&self) -> Option<f64> {
        let size = self.truth() + self.predicted();
        (size > 0).then(|| 2.0 * self.true_positive as f64 / size as f64)
    }

    /// Whether the region is in one of truth and prediction only.
    pub fn missing_in_one(&self) -> bool {
        (self.truth() > 0) != (self.predicted() > 0)
    }
}

/// Counts of one region and the box, in voxels along D,H,W, that holds all of it in truth and prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The counts.
    pub counts: Counts,
    /// Empty where the region is.
    pub bounds: VoxelBox,
}

/// Which of at most [`MEMBERSHIP_BITS`] regions each label value belongs to.
pub(super) struct Membership(Vec<u64>);

/// Regions that one [`Membership`] distinguishes.
const MEMBERSHIP_BITS: usize = 64;

impl Membership {
    pub(super) fn new(regions: &[Region]) -> Self {
        assert!(regions.len() <= MEMBERSHIP_BITS);
        let mut table = vec![0; 1 << 16];
        for (bit, region) in regions.iter().enumerate() {
            region.labels.iter().for_each(|&label| table[usize::from(label)] |= 1 << bit);
        }
        Self(table)
    }

    /// The set of regions of a label value, one bit each.
    pub(super) fn of(&self, label: u16) -> u64 {
        self.0[usize::from(label)]
    }
}

/// Counts and bounds of every region, in one pass over the voxels.
///
/// # Panics
/// If the label maps do not have the shape they state.
pub fn tally(pair: &LabelPair, regions: &[Region]) -> Vec<Tally> {
    let [depth, height, width] = pair.shape;
    assert_eq!((pair.truth.len(), pair.prediction.len()), (depth * height * width, depth * height * width), "label maps off shape");
    let tallies = regions.chunks(MEMBERSHIP_BITS).flat_map(|regions| {
        let membership = Membership::new(regions);
        let nothing = || vec![Tally::default(); regions.len()];
        let slices = (0..depth).into_par_iter().map(|slice| {
            let mut tallies = nothing();
            let start = slice * height * width;
            let rows = pair.truth[start..].chunks_exact(width).zip(pair.prediction[start..].chunks_exact(width)).take(height);
            for (row, (truth, prediction)) in rows.enumerate() {
                for (column, (&truth, &prediction)) in truth.iter().zip(prediction).enumerate() {
                    let (truth, prediction) = (membership.of(truth), membership.of(prediction));
                    let mut either = truth | prediction;
                    while either != 0 {
                        let bit = either.trailing_zeros();
                        either &= either - 1;
                        tallies[bit as usize].add([slice, row, column], truth >> bit & 1 == 1, prediction >> bit & 1 == 1);
                    }
                }
            }
            tallies
        });
        slices.reduce(nothing, |mut sum, slice| {
            sum.iter_mut().zip(slice).for_each(|(sum, tally)| sum.merge(&tally));
            sum
        })
    });
    tallies.collect()
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: Counts::default(), bounds: VoxelBox::EMPTY }
    }
}

impl Tally {
    fn add(&mut self, voxel: [usize; 3], truth: bool, prediction: bool) {
        self.counts.true_positive += u64::from(truth && prediction);
        self.counts.false_positive += u64::from(!truth);
        self.counts.false_negative += u64::from(!prediction);
        self.bounds.include(voxel, voxel);
    }

    fn merge(&mut self, other: &Self) {
        self.counts.true_positive += other.counts.true_positive;
        self.counts.false_positive += other.counts.false_positive;
        self.counts.false_negative += other.counts.false_negative;
        self.bounds = self.bounds.union(&other.bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_counts_confusion_of_its_labels_as_right() {
        let region = |name: &str, labels: &[u16]| Region { name: name.into(), labels: labels.into() };
        let regions = [region("one", &[1]), region("both", &[1, 2]), region("none", &[9])];
        let (truth, prediction) = ([0, 1, 1, 2, 0, 0], [0, 1, 2, 1, 2, 0]);
        let pair = LabelPair { truth: &truth, prediction: &prediction, shape: [1, 2, 3], spacing_mm: [1.0; 3] };
        let tallies = tally(&pair, &regions);
        let counts = |true_positive, false_positive, false_negative| Counts { true_positive, false_positive, false_negative };
        assert_eq!(tallies[0].counts, counts(1, 1, 1));
        assert_eq!(tallies[1].counts, counts(3, 1, 0));
        assert_eq!(tallies[1].bounds.ranges(), [0..1, 0..2, 0..3]);
        assert_eq!(tallies[2], Tally::default());
        assert_eq!((tallies[1].counts.truth(), tallies[1].counts.predicted()), (3, 4));
        assert_eq!([counts(0, 0, 0), counts(0, 5, 0), counts(3, 1, 1)].map(|counts| counts.dice()), [None, Some(0.0), Some(0.75)]);
    }
}
