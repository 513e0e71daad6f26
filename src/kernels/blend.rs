//! Overlapping windows of a volume, blended on the device that their logits lie on.
//!
//! Held are weighted sums for the rows along D that unfinished windows still touch. The rows go round: row `r` of the volume lies in row
//! `r mod rows` of the sums. Windows are added one after the other, so that each sum is made in their order. There is no gradient: only
//! inference blends.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::bodies::{Bodies, bodies};
use super::gpu;

/// Weighted sums, `[class + 1, rows, H, W]`: last those of the weights themselves. Nothing else holds the tensor, which a GPU changes in place.
#[derive(Debug)]
pub struct BlendSums(Tensor<4>);

/// Where the windows of a batch lie in the volume, and how their logits lie in them.
#[derive(Clone, Copy, Debug)]
pub struct WindowPlaces<'a> {
    /// The first voxel of each in the volume, D,H,W.
    pub starts: &'a [[usize; 3]],
    /// Which axis of the logits (0, 1, 2: behind their classes) each axis D,H,W of the volume is.
    pub axes: [usize; 3],
    /// Which axes D,H,W of the volume run against that of the logits.
    pub flips: [bool; 3],
}

impl BlendSums {
    /// Nothing yet, for `[classes, rows, H, W]`.
    pub fn new([classes, rows, height, width]: [usize; 4], device: &Device) -> Self {
        Self(Tensor::zeros([classes + 1, rows, height, width], device))
    }

    /// Adds the logits `[window, class, ..]` of windows, weighted by `[D, H, W]`, one after the other.
    ///
    /// # Panics
    /// If a window has more rows than there are.
    pub fn add(&mut self, logits: Tensor<5>, weights: Tensor<3>, places: &WindowPlaces<'_>) {
        assert!(weights.dims()[0] <= self.0.dims()[1], "a window of {:?} in sums of {:?}", weights.dims(), self.0.dims());
        match bodies(&self.0) {
            Bodies::Gpu => gpu::blend(self.0.clone(), logits, weights, places),
            Bodies::Host | Bodies::Reference => self.0 = added(self.0.clone(), logits, weights, places),
        }
    }

    /// The blended logits of the volume's rows `first..first + count`, `[class, count, H, W]`, all of which some window has touched; their
    /// places are for the rows behind the last now.
    ///
    /// # Panics
    /// If they are more rows than there are.
    pub fn take(&mut self, first: usize, count: usize) -> Tensor<4> {
        assert!(count <= self.0.dims()[1], "{count} rows of sums of {:?}", self.0.dims());
        match bodies(&self.0) {
            Bodies::Gpu => gpu::take_rows(self.0.clone(), first, count),
            Bodies::Host | Bodies::Reference => {
                let (sums, blended) = taken(self.0.clone(), first, count);
                self.0 = sums;
                blended
            }
        }
    }

    /// One of the sums: there once everything added so far is.
    pub fn mark(&self) -> Tensor<4> {
        self.0.clone().slice([0..1, 0..1, 0..1, 0..1])
    }
}

/// Whether a GPU blends into sums of so many `[classes, rows, H, W]` where `logits` lie. Its adapter has to bind them. And with as much again
/// for the rows that are taken, they may have 1 GiB beside the networks: no driver tells how much memory is free, and a network that makes so
/// many logits takes several times as much for itself.
pub fn gpu_blends(logits: &Tensor<5>, [classes, rows, height, width]: [usize; 4]) -> bool {
    const MOST_BYTES: u64 = 1 << 30;
    /// Rounds of a loop that every driver goes through.
    const MOST_CLASSES: usize = 65_534;
    let bytes = 4 * (classes as u64 + 1) * (rows * height * width) as u64;
    classes <= MOST_CLASSES && bytes <= gpu::binding_bytes(logits) && 2 * bytes <= MOST_BYTES
}

/// Where `count` rows of the volume from `first` on lie among `rows` that go round: before the end and behind the start.
fn pieces(first: usize, count: usize, rows: usize) -> impl Iterator<Item = Range<usize>> {
    let from = first % rows;
    let end = from + count;
    [from..end.min(rows), 0..end.saturating_sub(rows)].into_iter().filter(|rows| !rows.is_empty())
}

fn added(mut sums: Tensor<4>, logits: Tensor<5>, weights: Tensor<3>, places: &WindowPlaces<'_>) -> Tensor<4> {
    let ([channels, rows, ..], [depth, height, width]) = (sums.dims(), weights.dims());
    let &WindowPlaces { starts, axes: [d, h, w], flips } = places;
    let mut restored = logits.permute([0, 1, d + 2, h + 2, w + 2]);
    for axis in (0..3).filter(|&axis| flips[axis]) {
        restored = restored.flip([axis + 2]);
    }
    let weights = weights.reshape([1, depth, height, width]);
    for (window, &[first, top, left]) in starts.iter().enumerate() {
        let own = restored.clone().narrow(0, window, 1).reshape([channels - 1, depth, height, width]);
        let weighted = Tensor::cat(vec![own * weights.clone(), weights.clone()], 0);
        let mut done = 0;
        for piece in pieces(first, depth, rows) {
            let count = piece.len();
            let voxels = [0..channels, piece, top..top + height, left..left + width];
            let sum = sums.clone().slice(voxels.clone()) + weighted.clone().narrow(1, done, count);
            sums = sums.slice_assign(voxels, sum);
            done += count;
        }
    }
    sums
}

/// What is left, and the blended rows.
fn taken(mut sums: Tensor<4>, first: usize, count: usize) -> (Tensor<4>, Tensor<4>) {
    let [channels, rows, height, width] = sums.dims();
    let mut found = Vec::new();
    for piece in pieces(first, count, rows) {
        let empty = Tensor::zeros([channels, piece.len(), height, width], &sums.device());
        let voxels = [0..channels, piece, 0..height, 0..width];
        found.push(sums.clone().slice(voxels.clone()));
        sums = sums.slice_assign(voxels, empty);
    }
    let found = Tensor::cat(found, 1);
    (sums, found.clone().narrow(0, 0, channels - 1) / found.narrow(0, channels - 1, 1))
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::device::for_tests;

    /// Three windows of an odd volume, each axis order and direction, in sums that go round; blended as float32 bits.
    fn blended(device: &Device, axes: [usize; 3], flips: [bool; 3]) -> Vec<u32> {
        let (roi, classes) = ([3, 5, 2], 4);
        let mut own = [0; 3];
        (0..3).for_each(|axis| own[axes[axis]] = roi[axis]);
        let [depth, height, width] = own;
        let numbers = |count: usize, step: f32| {
            let values: Vec<f32> = (0..count).map(|at| (at as f32 * step).sin() + 2.0).collect();
            Tensor::<1>::from_data(TensorData::new(values, [count]), device)
        };
        let logits = numbers(3 * classes * 30, 0.37).reshape([3, classes, depth, height, width]);
        let weights = numbers(30, 0.11).reshape(roi);
        let mut sums = BlendSums::new([classes, 4, 5, 3], device);
        let (mut found, bits) =
            (Vec::new(), |rows: Tensor<4>| rows.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f32::to_bits));
        for row in [0, 3, 4] {
            // Two windows cover the three columns; the third is the second again, as a mirror image is.
            let starts = &[[row, 0, 0], [row, 0, 1], [row, 0, 1]];
            sums.add(logits.clone(), weights.clone(), &WindowPlaces { starts, axes, flips });
            // Where row 4 begins, row 3 is finished.
            found.extend(bits(sums.take(row, if row == 3 { 1 } else { 3 })));
        }
        found
    }

    #[test]
    fn windows_in_every_order_of_axes_are_those_of_the_reference_and_alike_each_time() {
        for (name, device) in for_tests().into_iter().skip(1) {
            for axes in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                for flips in (0..8).map(|bits| [bits & 4 != 0, bits & 2 != 0, bits & 1 != 0]) {
                    let [found, again] = [(); 2].map(|()| blended(&device, axes, flips));
                    assert_eq!(found, again, "{name}, {axes:?} {flips:?}: to the bit");
                    let expected = blended(&Device::flex(), axes, flips);
                    assert_eq!(found.len(), expected.len());
                    for (at, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
                        let [found, expected] = [found, expected].map(f32::from_bits);
                        assert!((found - expected).abs() < 1e-5, "{name}, {axes:?} {flips:?} [{at}]: {found}, expected {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_an_adapter_does_not_bind_is_left_to_the_host() {
        for (name, device) in for_tests().into_iter().skip(1) {
            let logits = Tensor::zeros([1, 1, 1, 1, 1], &device);
            assert!(gpu_blends(&logits, [3, 64, 128, 128]), "{name}: 16 MiB");
            assert!(!gpu_blends(&logits, [3, 1 << 10, 1 << 10, 1 << 10]), "{name}: 16 GiB");
            assert!(!gpu_blends(&logits, [1 << 16, 1, 1, 1]), "{name}: a loop too long");
        }
    }
}
