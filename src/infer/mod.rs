//! From a trained network to a segmentation on the scanner's own grid.

pub mod export;
mod predict;
pub mod sliding_window;

pub use predict::predictor;
