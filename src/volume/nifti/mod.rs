//! NIfTI-1, NIfTI-2 and Analyze 7.5 in, NIfTI-1 out: one file or two, compressed or not, any real-valued datatype, either
//! byte order.
//!
//! Read in the order: file (`pair.rs`, `content.rs`), header (`fields.rs`), its meaning (`layout.rs`, `place.rs`),
//! voxels (`read.rs`, which the `nifti` crate decodes). Headers are not believed: a file can be damaged or hostile, so
//! sizes are checked against the file's length before memory is taken, and every fault is a typed error. What is odd and
//! can be read is noted in the scan. What is written keeps the source's header.

mod content;
mod fields;
mod header;
mod layout;
mod pair;
mod place;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use header::SourceHeader;
pub use pair::files;
pub use read::{Scan, channels, read, read_from};
pub(super) use write::write_numbers;
pub use write::{to_bytes, write_labels, write_volume};
