//! Boxes of voxels: bounding boxes, crops that may reach beyond a volume, and the copies in and out of them.

use std::array::from_fn;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Grid;

/// A box of voxels along D,H,W. It may reach beyond the volume it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoxelBox {
    /// First voxel inside; negative before the volume.
    pub start: [i64; 3],
    /// First voxel beyond.
    pub end: [i64; 3],
}

impl VoxelBox {
    /// A box without voxels, to be widened by [`Self::include`].
    pub const EMPTY: Self = Self { start: [i64::MAX; 3], end: [i64::MIN; 3] };

    /// All of a volume of `shape`.
    pub fn whole(shape: [usize; 3]) -> Self {
        Self::at([0; 3], shape)
    }

    /// The box of `shape` that begins at `start`.
    pub fn at(start: [i64; 3], shape: [usize; 3]) -> Self {
        Self { start, end: from_fn(|axis| start[axis] + shape[axis] as i64) }
    }

    /// Whether it holds no voxel.
    pub fn is_empty(&self) -> bool {
        (0..3).any(|axis| self.start[axis] >= self.end[axis])
    }

    /// Voxels along D,H,W.
    pub fn shape(&self) -> [usize; 3] {
        if self.is_empty() { [0; 3] } else { from_fn(|axis| (self.end[axis] - self.start[axis]) as usize) }
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// The indices inside along D,H,W.
    ///
    /// # Panics
    /// If the box begins before the volume.
    pub fn ranges(&self) -> [Range<usize>; 3] {
        let shape = self.shape();
        from_fn(|axis| match shape[axis] {
            0 => 0..0,
            size => {
                let start = usize::try_from(self.start[axis]).expect("a box inside the volume");
                start..start + size
            }
        })
    }

    /// Widens the box to hold the voxels from `first` to `last` (`first` at or before `last` on each axis).
    pub fn include(&mut self, first: [usize; 3], last: [usize; 3]) {
        for axis in 0..3 {
            self.start[axis] = self.start[axis].min(first[axis] as i64);
            self.end[axis] = self.end[axis].max(last[axis] as i64 + 1);
        }
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { start: from_fn(|axis| self.start[axis].min(other.start[axis])), end: from_fn(|axis| self.end[axis].max(other.end[axis])) }
    }

    /// The grid of the voxels inside, on the same positions of the patient as in `grid`.
    pub fn grid(&self, grid: &Grid) -> Grid {
        let [d, h, w] = self.start.map(|n| n as f64);
        let mut world_from_voxel = grid.world_from_voxel;
        for (row, origin) in grid.world_mm([w, h, d]).into_iter().enumerate() {
            world_from_voxel[row][3] = origin;
        }
        Grid { shape: self.shape(), world_from_voxel }
    }

    /// The voxels inside of `[channel, D, H, W]` of `shape`, one or more channels.
    ///
    /// # Panics
    /// If the box reaches beyond the volume.
    pub fn cut<T: Copy>(&self, voxels: Vec<T>, shape: [usize; 3]) -> Vec<T> {
        if *self == Self::whole(shape) {
            return voxels;
        }
        let size: usize = shape.iter().product();
        let mut inside = Vec::with_capacity(voxels.len() / size.max(1) * self.len());
        for channel in voxels.chunks(size.max(1)) {
            self.rows(shape).for_each(|row| inside.extend_from_slice(&channel[row]));
        }
        inside
    }

    /// The reverse of [`Self::cut`] for one channel: `inside` in a volume of `shape`, `outside` around it.
    ///
    /// # Panics
    /// If the box reaches beyond the volume.
    pub fn paste<T: Copy>(&self, inside: Vec<T>, shape: [usize; 3], outside: T) -> Vec<T> {
        if *self == Self::whole(shape) {
            return inside;
        }
        let mut voxels = vec![outside; shape.iter().product()];
        for (row, values) in self.rows(shape).zip(inside.chunks(self.shape()[2].max(1))) {
            voxels[row].copy_from_slice(values);
        }
        voxels
    }

    /// Index ranges of the box's rows in a channel of `shape`.
    fn rows(&self, [_, height, width]: [usize; 3]) -> impl Iterator<Item = Range<usize>> {
        let [depths, heights, widths] = self.ranges();
        depths.flat_map(move |d| {
            let widths = widths.clone();
            heights.clone().map(move |h| {
                let row = (d * height + h) * width;
                row + widths.start..row + widths.end
            })
        })
    }

    /// Copies the box out of `source`, `[channel, D, H, W]` of `shape`, to `crop`, `[channel, box]`; voxels outside the
    /// volume take the channel's value in `outside`, whose length is the number of channels.
    ///
    /// # Panics
    /// If an array has another size.
    pub fn cut_padded<T: Copy>(&self, source: &[T], shape: [usize; 3], outside: &[T], crop: &mut [T]) {
        let voxels: usize = shape.iter().product();
        assert!(source.len() == outside.len() * voxels && crop.len() == outside.len() * self.len(), "arrays do not fit the box");
        let [depth, height, width] = self.shape();
        // The part of a row of the crop that lies inside, and where that part starts in the volume.
        let first = self.start[2].clamp(0, shape[2] as i64) as usize;
        let left = (first as i64 - self.start[2]).clamp(0, width as i64) as usize;
        let inside = (shape[2] - first).min(width - left);
        let at = |axis: usize, step: usize| usize::try_from(self.start[axis] + step as i64).ok().filter(|&at| at < shape[axis]);
        let mut rows = crop.chunks_exact_mut(width);
        for (channel, &outside) in outside.iter().enumerate() {
            for (d, h) in (0..depth).flat_map(|d| (0..height).map(move |h| (d, h))) {
                let row = rows.next().expect("a row for each (channel, d, h)");
                let (Some(d), Some(h)) = (at(0, d), at(1, h)) else {
                    row.fill(outside);
                    continue;
                };
                let start = channel * voxels + (d * shape[1] + h) * shape[2] + first;
                row[..left].fill(outside);
                row[left..left + inside].copy_from_slice(&source[start..start + inside]);
                row[left + inside..].fill(outside);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::unravel;

    #[test]
    fn a_padded_cut_holds_the_volume_inside_and_the_background_outside() {
        let (shape, size) = ([3, 4, 5], [4, 3, 6]);
        let source: Vec<f32> = (0..2 * 60).map(|v| v as f32).collect();
        for start in [[0, 0, 0], [-2, 1, 3], [2, -3, -4], [1, 2, 9], [-9, 0, 0], [0, 0, -7]] {
            let crop = VoxelBox::at(start, size);
            let mut values = vec![f32::NAN; 2 * crop.len()];
            crop.cut_padded(&source, shape, &[-1.0, -2.0], &mut values);
            for (index, value) in values.into_iter().enumerate() {
                let channel = index / 72;
                let at: [i64; 3] = from_fn(|axis| start[axis] + unravel(index % 72, size)[axis] as i64);
                let inside = (0..3).all(|axis| (0..shape[axis] as i64).contains(&at[axis]));
                let expected =
                    if inside { source[channel * 60 + (at[0] * 20 + at[1] * 5 + at[2]) as usize] } else { [-1.0, -2.0][channel] };
                assert_eq!(value, expected, "{start:?} at {at:?}");
            }
        }
    }

    #[test]
    fn a_box_widens_to_what_it_includes_cuts_every_channel_and_pastes_back() {
        let shape = [4, 5, 6];
        let mut bounds = VoxelBox::EMPTY;
        assert_eq!((bounds.is_empty(), bounds.shape(), bounds.ranges()), (true, [0; 3], [0..0, 0..0, 0..0]));
        bounds.include([2, 1, 3], [2, 1, 3]);
        bounds.include([1, 4, 2], [1, 4, 2]);
        assert_eq!(bounds, VoxelBox { start: [1, 1, 2], end: [3, 5, 4] });
        assert_eq!((bounds.ranges(), bounds.union(&VoxelBox::EMPTY)), ([1..3, 1..5, 2..4], bounds));
        let voxels: Vec<f32> = (0..240).map(|v| v as f32).collect();
        let cut = bounds.cut(voxels.clone(), shape);
        assert_eq!((cut.len(), cut[0], cut[16]), (32, 38.0, 158.0));
        let mut pasted = bounds.paste(cut[..16].to_vec(), shape, -1.0);
        assert_eq!(pasted.iter().filter(|&&value| value == -1.0).count(), 120 - 16);
        assert_eq!(bounds.cut(std::mem::take(&mut pasted), shape), cut[..16]);
        assert_eq!(bounds.grid(&Grid::axis_aligned(shape, [1.0; 3])).world_mm([0.0; 3]), [2.0, 1.0, 1.0]);
    }
}
