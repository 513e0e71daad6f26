//! A network that sees one window at a time, run over a whole volume.
//!
//! Windows, weights and padding are those of MONAI's `sliding_window_inference`. Windows are walked along D first, so
//! that only the rows between the oldest unfinished window and the newest need sums: what is finished is handed on and
//! forgotten, and memory is classes x slab instead of classes x volume.
//!
//! A GPU's windows are blended in its own memory, where there is room for their sums; else the GPU is given the next windows before the host
//! blends the last ones.

use std::cell::RefCell;

use super::blender::Blender;
use super::error::MOST_CLASSES;
use super::slab::Line;
use super::walk::{Pass, Walk};
use super::windows::{Windows, gaussian};
use crate::config::{Blending, InferConfig};
use crate::geometry::{SignedPermutation, VoxelBox};
use crate::volume::Volume;

pub use super::error::{Fault, SlidingWindowError};
pub use super::logits::{DeviceLogits, Logits};

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

/// Windows predicted so far, windows in all, and the classes found so far (`[D, H, W]`, 0 where none is yet; empty where logits
/// are asked for): whether to go on. The last windows of a device that computes beside the host are not blended yet.
pub type Watch<'a> = dyn FnMut(usize, usize, &[u8]) -> bool + 'a;

/// The network: windows `[batch, channel, D, H, W]` and that shape, to logits `[batch, class, D, H, W]`.
pub type Predict<'a> = dyn FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> + 'a;

impl SlidingWindow {
    /// With windows of `roi` voxels, `batch` at once; mirrored along every axis if asked for.
    pub fn new(config: &InferConfig, roi: [usize; 3], batch: usize) -> Self {
        let &InferConfig { overlap, blending, mirror, .. } = config;
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
        self.slide(image, classes, &mut Run { predict, watch: &mut watch, finished: &mut finished, channels: image.channels })?;
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
        let mut watch = |done, windows| watch(done, windows, &[]);
        self.slide(image, classes, &mut Run { predict, watch: &mut watch, finished: &mut copy, channels: image.channels })?;
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
        let walk = Walk {
            layout: Windows::new(self.roi, self.overlap, shape),
            image: shape,
            roi: self.roi,
            batch: self.batch,
            classes,
            mirrors: mirror_images(self.mirror),
            weights: self.weights(),
        };
        let Walk { layout, weights, mirrors, .. } = &walk;
        let windows = layout.starts.len();
        let outside = match self.outside {
            Outside::Value(value) => vec![value; image.channels],
            Outside::Background => image.minima(),
        };
        let values = image.channels * weights.len();
        let mut inputs = vec![0.0; self.batch.min(windows) * values];
        let mut blender = Blender::Unknown(&walk);
        for (batch, starts) in layout.starts.chunks(self.batch).enumerate() {
            let (inputs, done) = (&mut inputs[..starts.len() * values], batch * self.batch);
            for (input, start) in inputs.chunks_exact_mut(values).zip(starts) {
                let origin = std::array::from_fn(|axis| start[axis] as i64 - layout.before[axis] as i64);
                VoxelBox::at(origin, self.roi).cut_padded(&image.voxels, shape, &outside, input);
            }
            for &mirror in mirrors {
                let logits = self.ask(inputs, mirror, [done, windows], run)?;
                blender.take(Pass { starts, done, mirror, logits }, run.finished)?;
            }
        }
        blender.finish(run.finished)?;
        // Nothing is left to stop.
        let _ = (run.watch)(windows, windows);
        Ok(())
    }

    /// Asks the network for the logits of a batch, mirrored along some axes, unless it is to stop. `done`: windows before these.
    fn ask(
        &self,
        inputs: &[f32],
        mirror: [bool; 3],
        [done, windows]: [usize; 2],
        run: &mut Run<'_, '_>,
    ) -> Result<Logits, SlidingWindowError> {
        if !(run.watch)(done, windows) {
            return Err(SlidingWindowError::Stopped { next: done + 1, windows });
        }
        let [depth, height, width] = self.roi;
        let channels = run.channels;
        let batch = inputs.len() / (channels * depth * height * width);
        let shape = [batch, channels, depth, height, width];
        let asked = if mirror == [false; 3] {
            (run.predict)(inputs, shape)
        } else {
            (run.predict)(&SignedPermutation::flip(mirror).apply(inputs, batch * channels, self.roi), shape)
        };
        asked.map_err(|cause| SlidingWindowError::Predict { window: done + 1, windows, cause })
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
    /// Of the image.
    pub channels: usize,
}

#[cfg(test)]
#[path = "sliding_window_tests.rs"]
mod tests;
