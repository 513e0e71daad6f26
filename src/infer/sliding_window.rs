//! A network that sees one window at a time, run over a whole volume.
//!
//! Windows, weights and padding are those of MONAI's `sliding_window_inference`. Windows are walked along D first, so
//! that only the rows between the oldest unfinished window and the newest need sums: what is finished is handed on and
//! forgotten, and memory is classes x slab instead of classes x volume.

use std::cell::RefCell;
use std::error::Error;

use thiserror::Error;

use super::slab::{Line, Slab};
use super::windows::{Windows, gaussian};
use crate::config::{Blending, InferConfig};
use crate::geometry::{SignedPermutation, VoxelBox};
use crate::volume::Volume;

/// The largest number of classes that a segmentation of bytes holds.
const MOST_CLASSES: usize = 256;

/// What stands around an image smaller than the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outside {
    /// The least value of each channel, as around training crops.
    Background,
    /// One value: MONAI's `cval`.
    Value(f32),
}

/// How windows are laid over a volume and blended.
#[derive(Clone, Debug, PartialEq)]
pub struct SlidingWindow {
    /// Voxels of a window along D,H,W.
    pub roi: [usize; 3],
    /// Share of a window that the next one covers again, from 0 to below 1.
    pub overlap: f64,
    /// How overlapping windows are weighted.
    pub blending: Blending,
    /// Standard deviation of the Gaussian weights, in window edges.
    pub sigma_scale: f64,
    /// Axes D,H,W along which the window is mirrored: logits are averaged over all mirror images.
    pub mirror: [bool; 3],
    /// Windows predicted at once.
    pub batch: usize,
    /// Around an image smaller than the window, which then lies in the middle (extra voxel at the end).
    pub outside: Outside,
}

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
        cause: Box<dyn Error + Send + Sync>,
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

/// Windows predicted so far, windows in all, and the classes found so far (`[D, H, W]`, 0 where none is yet; empty where logits
/// are asked for): whether to go on.
pub type Watch<'a> = dyn FnMut(usize, usize, &[u8]) -> bool + 'a;

/// The network: windows `[batch, channel, D, H, W]` and that shape, to logits `[batch, class, D, H, W]`.
pub type Predict<'a> = dyn FnMut(&[f32], [usize; 5]) -> Result<Vec<f32>, Box<dyn Error + Send + Sync>> + 'a;

impl SlidingWindow {
    /// With windows of `roi` voxels, `batch` at once; mirrored along every axis if asked for.
    pub fn new(config: &InferConfig, roi: [usize; 3], batch: usize) -> Self {
        let &InferConfig { overlap, blending, mirror } = config;
        Self { roi, overlap, blending, sigma_scale: 0.125, mirror: [mirror; 3], batch, outside: Outside::Background }
    }

    /// First voxels of the windows of an image of `shape`, padded to at least `roi`; D slowest.
    pub fn starts(&self, shape: [usize; 3]) -> Vec<[usize; 3]> {
        Windows::new(self.roi, self.overlap, shape).starts
    }

    /// The weight of each voxel of a window, `[D, H, W]`.
    pub fn weights(&self) -> Vec<f32> {
        match self.blending {
            Blending::Constant => vec![1.0; self.roi.iter().product()],
            Blending::Gaussian => gaussian(self.roi, self.sigma_scale),
        }
    }

    /// The class of the largest blended logit of each voxel, `[D, H, W]`; of equal ones the first.
    ///
    /// `watch` is called before each run of the network and once at the end.
    ///
    /// # Errors
    /// A failure of `predict`, a stop, or sizes that do not fit.
    pub fn segment(
        &self,
        image: &Volume,
        classes: usize,
        predict: &mut Predict<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<u8>, SlidingWindowError> {
        check_classes(classes)?;
        let [_, height, width] = image.grid.shape;
        // Lines are filled in and looked at in turn, by two callbacks.
        let segmentation = RefCell::new(vec![0; image.grid.len()]);
        let mut best = vec![0.0; width];
        let mut finished = |line: Line<'_>| {
            let voxels = &mut segmentation.borrow_mut()[(line.depth * height + line.height) * width..][..width];
            arg_max((0..classes).map(|class| line.class(class)), &mut best, voxels);
        };
        let mut watch = |done, windows| watch(done, windows, &segmentation.borrow());
        self.slide(image, classes, &mut Run { predict, watch: &mut watch, finished: &mut finished })?;
        Ok(segmentation.into_inner())
    }

    /// The blended logits, `[class, D, H, W]`. For a segmentation alone, [`Self::segment`] needs far less memory.
    ///
    /// # Errors
    /// As [`Self::segment`].
    pub fn blend(
        &self,
        image: &Volume,
        classes: usize,
        predict: &mut Predict<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<f32>, SlidingWindowError> {
        check_classes(classes)?;
        let [_, height, width] = image.grid.shape;
        let voxels = image.grid.len();
        let mut logits = vec![0.0; classes * voxels];
        let mut copy = |line: Line<'_>| {
            for class in 0..classes {
                let start = class * voxels + (line.depth * height + line.height) * width;
                logits[start..start + width].copy_from_slice(line.class(class));
            }
        };
        self.slide(image, classes, &mut Run { predict, watch: &mut |done, windows| watch(done, windows, &[]), finished: &mut copy })?;
        Ok(logits)
    }

    fn check(&self, shape: [usize; 3]) -> Result<(), SlidingWindowError> {
        if !(0.0..1.0).contains(&self.overlap) {
            return Err(SlidingWindowError::Overlap { overlap: self.overlap });
        }
        if self.roi.contains(&0) || shape.contains(&0) || self.batch == 0 {
            return Err(SlidingWindowError::Empty { roi: self.roi, batch: self.batch, image: shape });
        }
        Ok(())
    }

    /// Predicts all windows and hands on each line of voxels as soon as no window is left that touches it. `classes` counts those of
    /// all networks together.
    pub(super) fn slide(&self, image: &Volume, classes: usize, run: &mut Run<'_, '_>) -> Result<(), SlidingWindowError> {
        let shape = image.grid.shape;
        self.check(shape)?;
        let layout = Windows::new(self.roi, self.overlap, shape);
        let windows = layout.starts.len();
        let outside = match self.outside {
            Outside::Value(value) => vec![value; image.channels],
            Outside::Background => image.minima(),
        };
        let weights = self.weights();
        let values = image.channels * weights.len();
        let mut slab = Slab::new(classes, self.roi[0], &layout, shape);
        let mut inputs = vec![0.0; self.batch.min(windows) * values];
        for (batch, starts) in layout.starts.chunks(self.batch).enumerate() {
            let inputs = &mut inputs[..starts.len() * values];
            for (input, start) in inputs.chunks_exact_mut(values).zip(starts) {
                let origin = std::array::from_fn(|axis| start[axis] as i64 - layout.before[axis] as i64);
                VoxelBox::at(origin, self.roi).cut_padded(&image.voxels, shape, &outside, input);
            }
            let request = Request { channels: image.channels, classes, done: batch * self.batch, windows };
            let logits = self.predict(inputs, &request, run)?;
            for (&start, logits) in starts.iter().zip(logits.chunks_exact(classes * weights.len())) {
                slab.advance(start[0], run.finished);
                slab.add(start, self.roi, logits, &weights);
            }
        }
        slab.advance(layout.padded[0], run.finished);
        // Nothing is left to stop.
        let _ = (run.watch)(windows, windows);
        Ok(())
    }

    /// Logits of a batch of windows, averaged over mirror images if asked for.
    fn predict(&self, inputs: &[f32], request: &Request, run: &mut Run<'_, '_>) -> Result<Vec<f32>, SlidingWindowError> {
        let &Request { channels, classes, done, windows } = request;
        let voxels: usize = self.roi.iter().product();
        let batch = inputs.len() / (channels * voxels);
        let [depth, height, width] = self.roi;
        let mut once =
            |inputs: &[f32]| {
                if !(run.watch)(done, windows) {
                    return Err(SlidingWindowError::Stopped { next: done + 1, windows });
                }
                let logits = (run.predict)(inputs, [batch, channels, depth, height, width])
                    .map_err(|cause| SlidingWindowError::Predict { window: done + 1, windows, cause })?;
                let (found, expected) = (logits.len(), batch * classes * voxels);
                let fits = found == expected;
                if fits { Ok(logits) } else { Err(SlidingWindowError::Logits { found, expected, windows: batch, roi: self.roi, classes }) }
            };
        let mut sum = once(inputs)?;
        let images = mirror_images(self.mirror);
        for &flip in &images[1..] {
            let flip = SignedPermutation::flip(flip);
            let mirrored = once(&flip.apply(inputs, batch * channels, self.roi))?;
            let restored = flip.apply(&mirrored, batch * classes, self.roi);
            sum.iter_mut().zip(restored).for_each(|(sum, logit)| *sum += logit);
        }
        if images.len() > 1 {
            sum.iter_mut().for_each(|sum| *sum /= images.len() as f32);
        }
        Ok(sum)
    }
}

/// Which axes each mirror image flips, the image itself first.
fn mirror_images(axes: [bool; 3]) -> Vec<[bool; 3]> {
    let flips = (0..8).map(|bits| [bits & 4 != 0, bits & 2 != 0, bits & 1 != 0]);
    flips.filter(|flips| (0..3).all(|axis| axes[axis] || !flips[axis])).collect()
}

/// Refuses numbers of classes that a segmentation of bytes does not hold.
pub(super) fn check_classes(classes: usize) -> Result<(), SlidingWindowError> {
    if (1..=MOST_CLASSES).contains(&classes) { Ok(()) } else { Err(SlidingWindowError::Classes { classes }) }
}

/// The class of the largest value of each voxel of a line, of equal ones the first; `best` is scratch of the line's length, `voxels` are 0.
pub(super) fn arg_max<'a>(mut classes: impl Iterator<Item = &'a [f32]>, best: &mut [f32], voxels: &mut [u8]) {
    best.copy_from_slice(classes.next().expect("at least one class"));
    for (class, values) in (1..=u8::MAX).zip(classes) {
        for ((voxel, best), &value) in voxels.iter_mut().zip(&mut *best).zip(values) {
            if value > *best {
                (*voxel, *best) = (class, value);
            }
        }
    }
}

/// What a walk over the windows calls.
pub(super) struct Run<'a, 'b> {
    pub predict: &'a mut Predict<'b>,
    pub watch: &'a mut (dyn FnMut(usize, usize) -> bool + 'b),
    pub finished: &'a mut dyn FnMut(Line<'_>),
}

/// One batch of windows among all.
struct Request {
    channels: usize,
    classes: usize,
    done: usize,
    windows: usize,
}

#[cfg(test)]
#[path = "sliding_window_tests.rs"]
mod tests;
