//! Why a sliding window gives no segmentation.

use std::error::Error;

use thiserror::Error;

/// The largest number of classes that a segmentation of bytes holds.
pub(super) const MOST_CLASSES: usize = 256;

/// Why a network gave no logits.
pub type Fault = Box<dyn Error + Send + Sync>;

/// Why there is no segmentation.
#[derive(Debug, Error)]
pub enum SlidingWindowError {
    /// The network failed.
    #[error("window {window} of {windows}: {cause}")]
    Predict {
        /// The batch's first window, from 1.
        window: usize,
        /// Windows of the volume.
        windows: usize,
        /// Why.
        cause: Fault,
    },
    /// The callback asked to stop.
    #[error("stopped before window {next} of {windows}")]
    Stopped {
        /// The first window not predicted, from 1.
        next: usize,
        /// Windows of the volume.
        windows: usize,
    },
    /// Not the number of logits that windows, classes and voxels ask for.
    #[error("the network returned {found} logits for {windows} windows of {roi:?} voxels and {classes} classes: expected {expected}")]
    Logits {
        /// Values returned.
        found: usize,
        /// Values expected.
        expected: usize,
        /// Windows of the batch.
        windows: usize,
        /// Voxels of a window.
        roi: [usize; 3],
        /// Classes asked for.
        classes: usize,
    },
    /// More classes than a byte tells apart, or none.
    #[error("{classes} classes; allowed is 1 to {MOST_CLASSES}")]
    Classes {
        /// Classes asked for.
        classes: usize,
    },
    /// Windows that do not overlap in the way asked for.
    #[error("infer.overlap is {overlap}; allowed is 0 to below 1")]
    Overlap {
        /// The overlap.
        overlap: f64,
    },
    /// A window, batch or image without extent.
    #[error("nothing to slide: window {roi:?}, batch {batch}, image {image:?}; every number must be at least 1")]
    Empty {
        /// Voxels of a window.
        roi: [usize; 3],
        /// Windows predicted at once.
        batch: usize,
        /// Voxels of the image.
        image: [usize; 3],
    },
}
