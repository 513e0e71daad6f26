//! NIfTI-1 in and out: `.nii` and `.nii.gz`, any real-valued datatype, either byte order.
//!
//! The `nifti` crate takes headers and voxels apart; what stands here is what it leaves to its user.
//! Headers are not believed: a file can be damaged or hostile, so sizes are checked against the file's length before
//! memory is taken, and every fault is a typed error. What is written keeps the source's header.

mod header;
mod name;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use header::SourceHeader;
pub use name::{ENDINGS, ending, stem};
pub use read::{Scan, read, read_from};
pub use write::{to_bytes, write_labels, write_volume};
