//! From a trained network to a segmentation on the scanner's own grid.

mod convention;
pub mod export;
mod predict;
mod slab;
pub mod sliding_window;
mod windows;

pub use convention::InputConvention;
pub use predict::predictor;
