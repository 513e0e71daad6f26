//! The box around what isn't empty.

use serde::{Deserialize, Serialize};

use crate::volume::{Grid, Volume};

/// A box of voxels, D,H,W.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropBox {
    /// First voxel inside.
    pub start: [usize; 3],
    /// First voxel beyond.
    pub end: [usize; 3],
}

/// The bounding box of voxels at which any channel lies above its threshold; none if there are no such voxels.
pub fn bounding_box(volume: &Volume, above: &[f32]) -> Option<CropBox> {
    let [depth, height, width] = volume.grid.shape;
    let mut bounds = CropBox { start: [depth, height, width], end: [0; 3] };
    for (channel, &above) in volume.voxels.chunks(volume.grid.len().max(1)).zip(above) {
        for (line, row) in channel.chunks(width).enumerate() {
            let Some(first) = row.iter().position(|&value| value > above) else { continue };
            let last = row.iter().rposition(|&value| value > above).unwrap_or(first);
            bounds.include([line / height, line % height, first], [line / height, line % height, last]);
        }
    }
    (bounds.end != [0; 3]).then_some(bounds)
}

impl CropBox {
    /// All of a grid.
    pub fn whole(shape: [usize; 3]) -> Self {
        Self { start: [0; 3], end: shape }
    }

    /// Widens the box to hold the voxels `from` and `to` (`from` at or before `to` along each axis).
    pub fn include(&mut self, from: [usize; 3], to: [usize; 3]) {
        for axis in 0..3 {
            self.start[axis] = self.start[axis].min(from[axis]);
            self.end[axis] = self.end[axis].max(to[axis] + 1);
        }
    }

    /// Its size along D,H,W.
    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.end[axis] - self.start[axis])
    }

    /// Its own grid inside `grid`.
    pub fn grid(&self, grid: &Grid) -> Grid {
        let [d, h, w] = self.start.map(|n| n as f64);
        let mut world_from_voxel = grid.world_from_voxel;
        for (row, origin) in grid.world_mm([w, h, d]).into_iter().enumerate() {
            world_from_voxel[row][3] = origin;
        }
        Grid { shape: self.shape(), world_from_voxel }
    }

    /// Voxels `[channel, D, H, W]` of a grid of `shape`, inside the box.
    pub fn cut<T: Copy>(&self, voxels: Vec<T>, shape: [usize; 3]) -> Vec<T> {
        if *self == Self::whole(shape) {
            return voxels;
        }
        let size: usize = shape.iter().product();
        let mut inside = Vec::with_capacity(voxels.len() / size * self.shape().iter().product::<usize>());
        for channel in voxels.chunks(size) {
            self.rows(shape).for_each(|row| inside.extend_from_slice(&channel[row]));
        }
        inside
    }

    /// The reverse for one channel: `inside` on a grid of `shape`, `outside` around it.
    pub fn paste<T: Copy>(&self, inside: &[T], shape: [usize; 3], outside: T) -> Vec<T> {
        let mut voxels = vec![outside; shape.iter().product()];
        for (row, values) in self.rows(shape).zip(inside.chunks(self.shape()[2])) {
            voxels[row].copy_from_slice(values);
        }
        voxels
    }

    /// Index ranges of the box's rows in a channel of `shape`.
    fn rows(self, [_, height, width]: [usize; 3]) -> impl Iterator<Item = std::ops::Range<usize>> {
        let Self { start, end } = self;
        (start[0]..end[0]).flat_map(move |d| {
            (start[1]..end[1]).map(move |h| {
                let row = (d * height + h) * width;
                row + start[2]..row + end[2]
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CropBox, bounding_box};
    use crate::volume::{Grid, Volume};

    #[test]
    fn the_box_holds_all_channels_foreground_and_pastes_back() {
        let shape = [4, 5, 6];
        let mut volume = Volume { channels: 2, voxels: vec![-1.0; 240], grid: Grid::axis_aligned(shape, [1.0; 3]) };
        assert_eq!(bounding_box(&volume, &[-1.0, -1.0]), None);
        volume.voxels[(2 * 5 + 1) * 6 + 3] = 0.5;
        volume.voxels[120 + (5 + 4) * 6 + 2] = -0.5;
        let bounds = bounding_box(&volume, &[-1.0, -1.0]).expect("two bright voxels");
        assert_eq!(bounds, CropBox { start: [1, 1, 2], end: [3, 5, 4] });
        let cut = bounds.cut(volume.voxels.clone(), shape);
        assert_eq!(cut.len(), 2 * 2 * 4 * 2);
        assert_eq!(bounds.paste(&cut[..16], shape, -1.0), volume.voxels[..120]);
        assert_eq!(bounds.grid(&volume.grid).world_mm([0.0; 3]), [2.0, 1.0, 1.0]);
    }
}
