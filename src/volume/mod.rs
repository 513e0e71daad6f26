//! Volumes on disk and in memory. No tensors.
//!
//! Voxels lie as in a NIfTI file: its first axis (i) fastest. Read row by row that is the array order
//! `[channel, D, H, W]` with D = k, H = j, W = i; every list of three in this program is in that order.

mod grid;

pub use grid::Grid;

/// An image: one or more channels on one grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Number of channels.
    pub channels: usize,
    /// Where the voxels lie.
    pub grid: Grid,
    /// Intensities, `[channel, D, H, W]` row-major.
    pub voxels: Vec<f32>,
}

/// A segmentation: one label value for each voxel.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMap {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Label values, `[D, H, W]` row-major; 0 is background.
    pub voxels: Vec<u16>,
}
