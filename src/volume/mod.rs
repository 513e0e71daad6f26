//! Volumes on disk and in memory. No tensors.
//!
//! Voxels lie as in a NIfTI file: its first axis (i) fastest. Read row by row that is the array order
//! `[channel, D, H, W]` with D = k, H = j, W = i, as in [`crate::geometry`].
//!
//! [`mod@file`] reads and writes volumes, [`nifti`] those of its formats, [`segmentation`] writes what a network made of them; [`datalist`] makes a [`Dataset`] of folders and lists, with
//! [`demo`] and `synthetic` cases besides; [`check`] looks for everything wrong with one, [`content`] knows one
//! scan under two names, [`image_or_labels`] an image from a label map, [`remembered`] what was read of files before; `split` draws who trains.

mod affine;
mod aligned;
mod case;
pub mod check;
pub mod content;
pub mod datalist;
mod dataset;
pub mod demo;
mod dicom;
mod error;
pub mod file;
mod format;
pub mod image_or_labels;
pub mod label_table;
pub mod labels;
mod meta_image;
pub mod nifti;
mod nnunet_folds;
pub mod note;
mod nrrd;
mod order;
pub mod remembered;
pub mod segment;
pub mod segmentation;
mod source;
mod split;
mod split_draw;
mod synthetic;
pub mod together;
mod voxels;

pub use crate::geometry::Grid;
use crate::geometry::unravel;
pub(crate) use aligned::{aligned, fill, grid_fault};
pub use case::{CaseFiles, LoadedCase, load_image};
pub use dataset::{Dataset, Problem, Regions};
pub use error::{DataError, DataErrors, Fault};
pub use nifti::{Scan, SourceHeader};
pub use note::Note;
pub use order::natural;
pub use source::VolumeSource;
pub use split::{Split, SplitRecord};
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

    /// How many voxels `is` holds for, with the first one's value and D,H,W; none where there is none.
    pub(super) fn count_where(&self, is: impl Fn(f32) -> bool) -> Option<(usize, f32, [usize; 3])> {
        let first = self.voxels.iter().position(|&value| is(value))?;
        let count = self.voxels[first..].iter().filter(|&&value| is(value)).count();
        Some((count, self.voxels[first], unravel(first % self.grid.len(), self.grid.shape)))
    }

    /// The fault of voxels that are NaN or infinite.
    pub(super) fn not_finite(&self) -> Option<Fault> {
        self.count_where(|value| !value.is_finite()).map(|(voxels, _, at)| Fault::NotFinite { voxels, at })
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

impl From<LabelMap> for Volume {
    fn from(LabelMap { grid, voxels }: LabelMap) -> Self {
        Self { channels: 1, voxels: voxels.into_iter().map(f32::from).collect(), grid }
    }
}
