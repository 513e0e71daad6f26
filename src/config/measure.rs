//! How tokens are probed, volumes segmented and results scored.

use serde::{Deserialize, Serialize};

use super::check::Checker;

/// The probe set of the collapse metrics (METHOD: "Representation collapse, measured").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// At most so many held-out volumes.
    pub volumes: usize,
    /// Crops taken from each volume.
    pub crops: usize,
    /// Crops start at random offsets; volumes are padded by up to this many voxels to allow them.
    pub jitter: usize,
    /// Numbers of labelled volumes on which the label probe is fitted.
    pub label_volumes: Vec<usize>,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { volumes: 32, crops: 2, jitter: 24, label_volumes: vec![4, 10] }
    }
}

/// Sliding-window segmentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InferConfig {
    /// Share of a window that the next one covers again.
    pub overlap: f64,
    /// How overlapping windows are weighted.
    pub blending: Blending,
    /// Average over the eight mirror images.
    pub mirror: bool,
}

/// How overlapping windows are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blending {
    /// All voxels of a window alike.
    Constant,
    /// A Gaussian, sigma an eighth of the window: the middle counts most.
    Gaussian,
}

impl Default for InferConfig {
    fn default() -> Self {
        Self { overlap: 0.5, blending: Blending::Gaussian, mirror: false }
    }
}

/// Scoring of segmentations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Which 95th percentile.
    pub hd95_convention: Hd95Convention,
    /// Unit of distances.
    pub distance_unit: DistanceUnit,
    /// Resamples of the cases behind each interval.
    pub bootstrap: usize,
}

/// Which 95th percentile of surface distances is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hd95Convention {
    /// Of both directed sets pooled: nnU-Net, medpy.
    Pooled,
    /// The larger of the two directed percentiles: MONAI.
    DirectedMax,
}

/// Unit of distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistanceUnit {
    /// Millimetres, from the spacing.
    #[default]
    Mm,
    /// Voxels: what the paper reports.
    Voxels,
}

impl DistanceUnit {
    /// As it stands behind a number: `mm` or `voxels`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mm => "mm",
            Self::Voxels => "voxels",
        }
    }
}

impl Hd95Convention {
    /// Which distances the percentile is of, and who computes it so.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Pooled => "95th percentile of the pooled surface distances, as nnU-Net and medpy compute it",
            Self::DirectedMax => "the larger of the two directed 95th percentiles, as MONAI computes it",
        }
    }
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { hd95_convention: Hd95Convention::Pooled, distance_unit: DistanceUnit::Mm, bootstrap: 2000 }
    }
}

impl ProbeConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.range("probe.volumes", self.volumes, 2..=10_000);
        checker.range("probe.crops", self.crops, 1..=64);
        checker.range("probe.jitter", self.jitter, 0..=256);
    }
}

impl InferConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.range("infer.overlap", self.overlap, 0.0..=0.95);
    }
}

impl EvaluateConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.range("evaluate.bootstrap", self.bootstrap, 100..=1_000_000);
    }
}
