//! From trained networks to a segmentation on the scanner's own grid.

mod convention;
mod ensemble;
pub mod export;
mod mirror;
mod predict;
mod probabilities;
mod slab;
pub mod sliding_window;
mod tokens;
mod windows;

pub use convention::InputConvention;
pub use ensemble::{Ensemble, Segmentation};
pub use mirror::{mirror_axes, mirror_note};
pub use predict::predictor;
pub use probabilities::{entropy, foreground_entropy, to_source as probabilities_to_source};
pub use tokens::TokenReader;
