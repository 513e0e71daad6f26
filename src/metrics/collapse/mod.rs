//! Representation collapse, measured: does a token tell what it sees, or only where it lies?

mod bank;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bank::{LabelledBank, TokenBank};

/// The numbers. `None` where an input was not given, or where the number does not exist (0 divided by 0).
///
/// Of a constant encoder (all tokens equal): `eta2`, shares, locks and `residual_rankme` do not exist, `gap` is 0, `rankme` 1,
/// `uniformity` 0, both probes are at chance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collapse {
    /// Share of token variance explained by grid position; 1: a token is a function of its position alone. Anatomy is aligned
    /// across patients, so that it stays high in healthy encoders (0.8).
    pub eta2: Option<f64>,
    /// The same after each volume was turned by an element of its own, not restored: no anatomy is aligned, what is left is the
    /// array index. The headline: untrained 0.10, collapsed 0.996, cured 0.47.
    pub eta2_turned: Option<f64>,
    /// Share of token variance explained by the crop (two-way analysis of variance).
    pub volume_share: Option<f64>,
    /// Share explained by neither position nor crop.
    pub remainder_share: Option<f64>,
    /// Mean cosine of tokens of different volumes at the same position, minus that at other positions.
    pub gap: Option<f64>,
    /// Mean cosine (grand mean taken off) of the point-reflected volume's tokens and the original's at the same index.
    pub index_lock: Option<f64>,
    /// The same at the same anatomy.
    pub anatomy_lock: Option<f64>,
    /// R² of label shares in a token's block, on test volumes, by number of labelled volumes.
    pub label_probe_r2: BTreeMap<usize, f64>,
    /// The same from the position alone.
    pub label_probe_r2_position: BTreeMap<usize, f64>,
    /// Effective rank of all tokens. For looking, not for judging: it stays up under positional collapse.
    pub rankme: Option<f64>,
    /// Effective rank after each position's mean is taken off. For looking as well.
    pub residual_rankme: Option<f64>,
    /// R² of a linear probe for the grid coordinates, on volumes it was not fitted on.
    pub position_probe_r2: Option<f64>,
    /// How often a linear probe finds a token's volume, on crops (or positions, with one crop) it was not fitted on.
    pub content_probe_accuracy: Option<f64>,
    /// Mean squared distance of a token and its counterpart in the reflected volume, from 0 to 4.
    pub alignment: Option<f64>,
    /// Log of the mean `exp(-2 distance²)` over pairs of tokens; 0: all equal, the lower the more spread.
    pub uniformity: Option<f64>,
    /// Share of tokens whose nearest other token has their position in another volume.
    pub retrieval_wrong_volume: Option<f64>,
    /// Singular values of the tokens, largest first, summing to 1.
    pub spectrum: Vec<f64>,
}
