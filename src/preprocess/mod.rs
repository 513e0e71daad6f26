//! From scanner grid to network input: orient, resample, normalise, crop; and what the inverse transform needs.
//!
//! Order ([`prepare_one`]): reorient to RAS ([`crate::geometry::SignedPermutation::to_ras`]), new voxel size ([`resample`]), intensities
//! ([`intensity`]), cut to the foreground box ([`foreground`]). Cases come out ready for cropping by the loader; [`cache`] keeps
//! them between runs.

pub mod cache;
mod case;
pub mod foreground;
pub mod intensity;
mod prepare;
pub mod resample;

pub use case::{Case, PreprocessRecord, orient, prepare_one, scale_and_box};
pub use prepare::{prepare, prepare_while};
pub use resample::{Resampling, resample_trilinear};
