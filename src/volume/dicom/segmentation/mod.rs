//! DICOM segmentations (SEG): label maps in and out.
//!
//! Definition: DICOM PS3.3, Segmentation (C.8.20). Each label is a segment; each slice in which it occurs is a frame of single bits, which
//! follow each other from the lowest bit of each byte on, without padding between frames. Segments are numbered from 1 without gaps, so
//! that the label value stands in the segment's description.
//!
//! What is written also holds a frame for the first and for the last slice of the series, empty or not: so the file tells the grid of its
//! series by itself.

mod codes;
mod colour;
mod content;
mod elements;
mod frame;
mod identity;
mod instance;
mod place;
mod read;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub(in crate::volume) use read::{is_segmentation, read, referenced, segments};
pub(in crate::volume) use write::{Belonging, write};
