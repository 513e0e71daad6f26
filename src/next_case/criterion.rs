//! By what a case is chosen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of an unlabelled case: the larger, the sooner a label of it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// How unsure the networks are: mean entropy of their probabilities (uncertainty sampling; Settles 2009).
    Entropy,
    /// How far their segmentations differ: mean of 1 - Dice over pairs of networks (query by committee; Seung et al. 1992).
    Disagreement,
    /// How far its tokens lie from those of the nearest labelled case (k-centre; Sener and Savarese, arXiv:1708.00489).
    Distance,
}

impl Criterion {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Entropy, Self::Disagreement, Self::Distance];
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entropy => "entropy",
            Self::Disagreement => "disagreement",
            Self::Distance => "distance",
        })
    }
}

impl FromStr for Criterion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|criterion| criterion.to_string() == text.trim().to_lowercase());
        named.ok_or_else(|| format!("{text:?} is none of entropy, disagreement and distance"))
    }
}
