//! From scanner grid to network input: orient, resample, normalise, crop; and what the inverse transform needs.
//!
//! Order ([`prepare_one`]): reorient to RAS ([`crate::geometry::SignedPermutation::to_ras`]), new voxel size ([`resample`]), intensities
//! ([`intensity`]), cut to the foreground box ([`foreground`]). Cases come out ready for cropping by the loader: they lie on
//! disk ([`cache`]), and a [`PreparedCase`] reads what a crop needs.

pub mod cache;
mod case;
mod class_planes;
pub mod foreground;
pub mod intensity;
mod prepare;
mod prepared;
pub mod resample;

pub use case::{Case, PreprocessRecord, orient, prepare_one, scale_and_box};
pub use class_planes::ClassPlanes;
pub use prepare::{Needs, Preparation, prepare};
pub use prepared::PreparedCase;
pub use resample::{Resampling, resample_trilinear};
