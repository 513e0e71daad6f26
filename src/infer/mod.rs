//! From a trained network to a segmentation on the scanner's own grid.

pub mod export;
