//! What is reported of one case: for each region its Dice, HD95 and sizes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, LabelPair, Membership, Region, Tally, tally};
use super::surface::{Mask, surface_distances};
use crate::config::{DistanceUnit, EvaluateConfig};

/// Scores of one region of one case.
///
/// Absent from truth and prediction: no Dice and no HD95, left out of means. Absent from one only: Dice 0 and the HD95 is the
/// volume's diagonal, so that a missed organ cannot improve a mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseScore {
    /// The case.
    pub case: String,
    /// The label, or union of labels.
    pub region: String,
    /// 2 |T ∩ P| / (|T| + |P|).
    pub dice: Option<f64>,
    /// 95th percentile of the surface distances, in the unit of the config.
    pub hd95: Option<f64>,
    /// Voxels in the truth.
    pub truth_voxels: u64,
    /// Voxels in the prediction.
    pub predicted_voxels: u64,
    /// Whether the region is in one of truth and prediction only.
    pub missing_in_one: bool,
}

/// Below this mean Dice a network has found nothing: it is not called the best, were the others worse.
pub const LEAST_DICE: f64 = 0.05;

/// What is measured of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Overlap, higher is better.
    Dice,
    /// Distance, lower is better.
    Hd95,
}

/// The mean; none of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

impl Metric {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Dice, Self::Hd95];

    /// In names of fields and columns.
    pub fn key(self) -> &'static str {
        match self {
            Self::Dice => "dice",
            Self::Hd95 => "hd95",
        }
    }

    /// The number of one region.
    pub fn of(self, score: &CaseScore) -> Option<f64> {
        match self {
            Self::Dice => score.dice,
            Self::Hd95 => score.hd95,
        }
    }

    /// Mean over the labels of a case; None where every label is absent from truth and prediction.
    pub fn of_case(self, scores: &[CaseScore]) -> Option<f64> {
        mean(scores.iter().filter_map(|score| self.of(score)))
    }

    /// Whether a difference of `value` is an improvement.
    pub fn improves(self, value: f64) -> bool {
        match self {
            Self::Dice => value > 0.0,
            Self::Hd95 => value < 0.0,
        }
    }
}

impl CaseScore {
    /// The score of a region of a case by its counts; `hd95` is known to be between masks that both hold voxels.
    pub(super) fn new(case: &str, region: &Region, counts: Counts, hd95: Option<f64>) -> Self {
        Self {
            case: case.to_owned(),
            region: region.name.clone(),
            dice: counts.dice(),
            hd95,
            truth_voxels: counts.truth(),
            predicted_voxels: counts.predicted(),
            missing_in_one: counts.missing_in_one(),
        }
    }
}

/// The scores of a case's `regions`, in their order.
///
/// # Panics
/// If the label maps do not have the shape they state.
pub fn score_case(case: &str, pair: &LabelPair, regions: &[Region], config: &EvaluateConfig) -> Vec<CaseScore> {
    let spacing = match config.distance_unit {
        DistanceUnit::Mm => pair.spacing_mm,
        DistanceUnit::Voxels => [1.0; 3],
    };
    let diagonal = pair.shape.iter().zip(spacing).map(|(&voxels, size)| (voxels as f64 * size).powi(2)).sum::<f64>().sqrt();
    let hd95 = |region: &Region, bounds: &[Range<usize>; 3]| {
        let membership = Membership::new(std::slice::from_ref(region));
        let truth = Mask::within(pair.truth, pair.shape, bounds, |label| membership.of(label) != 0);
        let prediction = Mask::within(pair.prediction, pair.shape, bounds, |label| membership.of(label) != 0);
        surface_distances(&truth, &prediction, spacing).map(|distances| distances.hd95(config.hd95_convention))
    };
    let score = |(region, Tally { counts, bounds }): (&Region, Tally)| {
        let hd95 = match (counts.missing_in_one(), counts.truth()) {
            (true, _) => Some(diagonal),
            (false, 0) => None,
            (false, _) => hd95(region, &bounds.ranges()),
        };
        CaseScore::new(case, region, counts, hd95)
    };
    regions.iter().zip(tally(pair, regions)).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hd95Convention;

    #[test]
    fn an_empty_mask_is_scored_by_the_rules() {
        let regions: Vec<Region> = (1..=3).map(|label| Region { name: label.to_string(), labels: vec![label] }).collect();
        let truth = [1, 1, 0, 0, 2, 0, 0, 0];
        let prediction = [0, 1, 0, 0, 0, 0, 0, 0];
        let pair = LabelPair { truth: &truth, prediction: &prediction, shape: [2, 2, 2], spacing_mm: [3.0, 1.0, 1.5] };
        let mut config = EvaluateConfig::default();
        let scores = score_case("a", &pair, &regions, &config);
        assert_eq!((scores[0].dice, scores[0].missing_in_one), (Some(2.0 / 3.0), false));
        // Pooled distances 0, 0 and 1.5: the percentile lies at 1.9 of 0..=2.
        assert!((scores[0].hd95.unwrap() - 0.9 * 1.5).abs() < 1e-12);
        assert_eq!((scores[1].dice, scores[1].hd95, scores[1].missing_in_one), (Some(0.0), Some(7.0), true));
        assert_eq!((scores[2].dice, scores[2].hd95, scores[2].missing_in_one), (None, None, false));

        config = EvaluateConfig { hd95_convention: Hd95Convention::DirectedMax, distance_unit: DistanceUnit::Voxels, ..config };
        let scores = score_case("a", &pair, &regions, &config);
        assert!((scores[0].hd95.unwrap() - 0.95).abs() < 1e-12);
        assert_eq!(scores[1].hd95, Some(12.0_f64.sqrt()));
    }
}
