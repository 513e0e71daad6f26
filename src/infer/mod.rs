//! From a trained network to a segmentation on the scanner's own grid.

pub mod export;
mod predict;
mod slab;
pub mod sliding_window;
mod windows;

pub use predict::predictor;
