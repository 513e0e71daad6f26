//! Geometry of voxel grids, once for every module: pure host code, no tensors and no files.
//!
//! Voxels lie as in a NIfTI file, its first axis (i) fastest. Read row by row that is the array order
//! `[channel, D, H, W]` with D = k, H = j, W = i; every list of three in this program is in that order.
//!
//! [`Grid`] places voxels in the patient; [`SignedPermutation`] reorders and mirrors axes, which is how volumes are reoriented
//! ([`SignedPermutation::to_ras`]) and views rotated; [`VoxelBox`] cuts and pastes sub-volumes; [`PlaneGeometry`] lays
//! anatomical slices; [`LabelSurfaces`] meshes labels; [`keep_largest`] clears stray components; [`WindowLevel`] maps intensities to grey; [`quantile`] and [`percentiles`] are NumPy's.

mod components;
mod grid;
mod index;
mod orientation;
mod permutation;
mod permute;
mod plane;
mod quantile;
mod surface;
mod voxel_box;
mod window;

pub use components::keep_largest;
pub use grid::Grid;
pub use index::{ravel, strides, unravel};
#[cfg(test)]
pub(crate) use orientation::tests::all_grids;
pub use permutation::{AXES, SignedPermutation};
pub use plane::{Convention, ENDS, Edges, Plane, PlaneGeometry, world_letters};
pub use quantile::{percentiles, quantile};
pub use surface::{LabelMesh, LabelSurfaces, Ray, SurfaceHit, SurfaceVertex};
pub use voxel_box::VoxelBox;
pub use window::WindowLevel;
