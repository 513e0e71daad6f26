//! From trained networks to a segmentation on the scanner's own grid.

mod blender;
mod convention;
mod device_blender;
mod ensemble;
mod error;
pub mod export;
mod host_blender;
mod logits;
mod mirror;
mod predict;
mod probabilities;
mod slab;
pub mod sliding_window;
mod tokens;
mod walk;
mod windows;

pub use convention::InputConvention;
pub use ensemble::{Ensemble, Segmentation};
pub use mirror::{mirror_axes, mirror_note};
pub use predict::predictor;
pub use probabilities::{entropy, foreground_entropy, to_source as probabilities_to_source};
pub use tokens::TokenReader;
