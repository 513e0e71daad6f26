//! What a front end may look at while a job runs: too large for the record, and dropped where nobody looks.

use std::sync::Arc;

use super::Stage;
use crate::volume::{LabelMap, SourceHeader};

/// Something to look at, newer than all before of its kind.
#[derive(Clone, Debug)]
pub enum Preview {
    /// Tokens of a few crops, taken with a `Probe` event.
    Tokens(Arc<TokenPreview>),
    /// A segmentation as far as it has come.
    Segmentation(Arc<SegmentationPreview>),
}

/// Tokens of the first crop of a few held-out volumes, with the crops themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenPreview {
    /// The stage that measured them.
    pub stage: Stage,
    /// Optimiser steps done.
    pub step: usize,
    /// Names of the volumes.
    pub cases: Vec<String>,
    /// Channels of a crop.
    pub channels: usize,
    /// Voxels of a crop along D,H,W.
    pub crop: [usize; 3],
    /// Distance of voxels along D,H,W in mm, of each volume. Crops lie along R,A,S: W grows to the right, H forwards, D upwards.
    pub spacing_mm: Vec<[f64; 3]>,
    /// Token grid along D,H,W.
    pub grid: [usize; 3],
    /// The crops as the encoder sees them, `[volume, channel, D, H, W]`.
    pub voxels: Arc<Vec<f32>>,
    /// The tokens that the loss compares; none where the pretext task compares no tokens.
    pub projected: Option<TokenSet>,
    /// The tokens as they leave the encoder.
    pub encoder: TokenSet,
}

/// Tokens of several volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenSet {
    /// Numbers of a token.
    pub dim: usize,
    /// `[volume, D, H, W, dim]` of the token grid, not normalised.
    pub values: Vec<f32>,
}

/// A segmentation on the scanner's grid, while windows arrive and at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentationPreview {
    /// The case.
    pub case: String,
    /// Windows predicted.
    pub done: usize,
    /// Windows in all.
    pub windows: usize,
    /// Label values so far.
    pub labels: LabelMap,
    /// Header of the image, for saving the segmentation beside it.
    pub header: SourceHeader,
    /// What the dataset is called that the names are of.
    pub dataset: String,
    /// Names of the label values, background included.
    pub names: std::collections::BTreeMap<u32, String>,
}
