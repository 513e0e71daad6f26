//! How a network is used to be handed volumes: the order of their axes, and what stands around them.

use serde::{Deserialize, Serialize};

use super::sliding_window::Outside;
use crate::geometry::SignedPermutation;

/// Whose convention a network was trained by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputConvention {
    /// simtrot's: axes S,A,R, slices first; each channel's least value around a volume smaller than a window.
    #[default]
    Simtrot,
    /// MONAI's after `Orientationd("RAS")`: axes R,A,S; 0 around a volume smaller than a window, as `sliding_window_inference` pads it.
    Monai,
}

impl InputConvention {
    /// Whether it is simtrot's.
    pub fn is_own(&self) -> bool {
        *self == Self::Simtrot
    }

    /// From a prepared volume's axes, which run along S,A,R, to the network's; its own inverse.
    pub fn axes(self) -> SignedPermutation {
        match self {
            Self::Simtrot => SignedPermutation::IDENTITY,
            Self::Monai => SignedPermutation::new([2, 1, 0], [false; 3]).expect("each axis occurs once"),
        }
    }

    /// What stands around a volume smaller than a window.
    pub fn outside(self) -> Outside {
        match self {
            Self::Simtrot => Outside::Background,
            Self::Monai => Outside::Value(0.0),
        }
    }
}
