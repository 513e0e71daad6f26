//! DICOM structure sets (RTSTRUCT) in: closed contours, as a label map on the slices that they were drawn on.
//!
//! Definition: DICOM PS3.3, Structure Set (C.8.8.5) and ROI Contour (C.8.8.6). Contours of one structure in one slice are combined by exclusive or,
//! so that a contour within another is a hole, as the type CLOSEDPLANAR_XOR says and as platipy (pull request 271) and dcmrtstruct2nii (pull
//! request 37) read CLOSED_PLANAR too; a hole by a keyhole comes out the same. Nothing is made up between contours, and a contour that lies in no
//! slice is refused.
//!
//! A file of contours has no grid: whoever reads it names the image that it is of.

mod polygons;
mod read;
#[cfg(test)]
mod tests;

pub(in crate::volume) use read::{is_structure_set, read, referenced, segments};
