//! Volumes on disk and in memory. No tensors.
//!
//! Voxels lie as in a NIfTI file: its first axis (i) fastest. Read row by row that is the array order
//! `[channel, D, H, W]` with D = k, H = j, W = i; every list of three in this program is in that order.
//!
//! [`nifti`] reads and writes files; [`datalist`] makes a [`Dataset`] of folders and lists, with
//! [`demo`] and [`synthetic`] cases besides; [`check`] looks for everything wrong with one, [`content`] knows one
//! scan under two names; [`split`] draws who trains.

pub mod check;
pub mod content;
pub mod datalist;
pub mod demo;
mod error;
pub mod label_table;
pub mod labels;
pub mod nifti;
pub mod note;
mod order;
pub mod source;
pub mod split;
mod split_record;
pub mod synthetic;
pub mod together;

pub use crate::geometry::Grid;
pub use datalist::Dataset;
pub use error::{DataError, DataErrors, Fault};
pub use nifti::{Scan, SourceHeader};
pub use note::Note;
pub use order::natural;
pub use source::{CaseSource, LoadedCase, VolumeSource};
pub use split::Split;
pub use split_record::SplitRecord;
pub use together::Together;

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

impl Volume {
    /// The intensities of each channel, `[D, H, W]`.
    pub fn iter_channels(&self) -> impl Iterator<Item = &[f32]> {
        self.voxels.chunks_exact(self.grid.len().max(1))
    }

    /// The least intensity of each channel: its background.
    pub fn minima(&self) -> Vec<f32> {
        self.iter_channels().map(|channel| channel.iter().copied().fold(f32::INFINITY, f32::min)).collect()
    }
}

/// A segmentation: one label value for each voxel.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMap {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Label values, `[D, H, W]` row-major; 0 is background.
    pub voxels: Vec<u16>,
}
