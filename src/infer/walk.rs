//! What the runs of a network over the windows of one image share.

use super::error::{Fault, SlidingWindowError};
use super::windows::Windows;

/// All windows of an image.
pub(super) struct Walk {
    pub layout: Windows,
    /// Voxels of the image without padding.
    pub image: [usize; 3],
    /// Voxels of a window.
    pub roi: [usize; 3],
    /// Windows of a run.
    pub batch: usize,
    /// Classes of all networks together.
    pub classes: usize,
    /// Axes that each mirror image of a window flips, the window itself first.
    pub mirrors: Vec<[bool; 3]>,
    /// Of each voxel of a window.
    pub weights: Vec<f32>,
}

/// One run of the network.
pub(super) struct Pass<'a, L> {
    /// First voxels of its windows.
    pub starts: &'a [[usize; 3]],
    /// Windows before these.
    pub done: usize,
    /// Axes along which they are mirrored.
    pub mirror: [bool; 3],
    pub logits: L,
}

impl Walk {
    /// Why the windows behind the first `done` have no logits.
    pub fn failure(&self, done: usize, cause: Fault) -> SlidingWindowError {
        SlidingWindowError::Predict { window: done + 1, windows: self.layout.starts.len(), cause }
    }

    /// Refuses a number of logits that is not that of so many windows.
    pub fn check_count(&self, found: usize, windows: usize) -> Result<(), SlidingWindowError> {
        let &Self { roi, classes, .. } = self;
        let expected = windows * classes * self.weights.len();
        if found == expected { Ok(()) } else { Err(SlidingWindowError::Logits { found, expected, windows, roi, classes }) }
    }
}
