//! How tokens are probed, volumes segmented and results scored.

use serde::{Deserialize, Serialize};

use super::check::settings;

settings! {
    /// The probe set of the collapse metrics (METHOD: "Representation collapse, measured").
    pub struct ProbeConfig {
        /// At most so many held-out volumes.
        volumes: usize = 32, in 2..=10_000;
        /// Crops taken from each volume.
        crops: usize = 2, in 1..=64;
        /// Crops start at random offsets; volumes are padded by up to this many voxels to allow them.
        jitter: usize = 24, in 0..=256;
        /// Numbers of labelled volumes on which the label probe is fitted.
        label_volumes: Vec<usize> = vec![4, 10];
    }
}

settings! {
    /// Sliding-window segmentation.
    pub struct InferConfig {
        /// Share of a window that the next one covers again.
        overlap: f64 = 0.5, in 0.0..=0.95;
        /// How overlapping windows are weighted.
        blending: Blending = Blending::Gaussian;
        /// Average over the eight mirror images.
        mirror: bool = false;
        /// The numbers that a network segments with.
        precision: Precision = Precision::Full;
    }
}

settings! {
    /// Scoring of segmentations.
    pub struct EvaluateConfig {
        /// Which 95th percentile.
        hd95_convention: Hd95Convention = Hd95Convention::Pooled;
        /// Unit of distances.
        distance_unit: DistanceUnit = DistanceUnit::Mm;
        /// Resamples of the cases behind each interval.
        bootstrap: usize = 2000, in 100..=1_000_000;
    }
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

/// The numbers that a network segments with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Float32, as it was trained.
    #[default]
    Full,
    /// Weights and activations in float16, sums in float32: half the memory, on GPUs alone.
    Half,
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
