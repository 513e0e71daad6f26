//! Hides cells of a view: `floor(ratio * cells)` in EACH volume (METHOD: "One pre-training step", step 3).
//!
//! The released code draws them over the whole batch together, so that one volume may lose nearly all of its cells.

use rand::Rng;
use rand::seq::index;

use super::SamplingError;
use crate::config::hidden_cells;

/// Standard deviation of the noise that stands in a hidden cell.
pub const FILL_STD: f32 = 0.1;

/// A crop cut into mask cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskGrid {
    cells: [usize; 3],
    patch: [usize; 3],
}

impl MaskGrid {
    /// Cells of `patch` voxels in a crop of `crop`.
    ///
    /// # Errors
    /// If they do not fill it evenly.
    pub fn new(crop: [usize; 3], patch: [usize; 3]) -> Result<Self, SamplingError> {
        let fits = (0..3).all(|axis| patch[axis] > 0 && crop[axis].is_multiple_of(patch[axis]));
        let cells = || std::array::from_fn(|axis| crop[axis] / patch[axis]);
        if fits { Ok(Self { cells: cells(), patch }) } else { Err(SamplingError::MaskCells { crop, patch }) }
    }

    /// Cells along D,H,W.
    pub fn cells(&self) -> [usize; 3] {
        self.cells
    }

    /// Voxels of a cell along D,H,W.
    pub fn patch(&self) -> [usize; 3] {
        self.patch
    }

    /// Number of cells.
    pub fn count(&self) -> usize {
        self.cells.iter().product()
    }

    /// Which cells are hidden in one volume, row-major over D,H,W: `floor(ratio * cells)` of them, every choice alike.
    pub fn draw(&self, ratio: f64, rng: &mut impl Rng) -> Vec<bool> {
        let mut mask = vec![false; self.count()];
        for cell in index::sample(rng, self.count(), hidden_cells(ratio, self.count())) {
            mask[cell] = true;
        }
        mask
    }

    /// Puts `fill(index into values)` in all voxels of the hidden cells, in memory order.
    /// `values`: `[channels, D, H, W]`; `mask`: one entry a cell, the same for all channels.
    ///
    /// # Panics
    /// If an array does not fit the grid.
    pub fn hide(&self, values: &mut [f32], mask: &[bool], mut fill: impl FnMut(usize) -> f32) {
        let [_, height, width] = self.cells;
        let rows: usize = self.cells[0] * self.patch[0] * height * self.patch[1];
        assert!(mask.len() == self.count() && values.len().is_multiple_of(rows * width * self.patch[2]), "arrays do not fit {self:?}");
        for (row, values) in values.chunks_exact_mut(width * self.patch[2]).enumerate() {
            let (d, h) = (row % rows / (height * self.patch[1]) / self.patch[0], row % (height * self.patch[1]) / self.patch[1]);
            let hidden = &mask[(d * height + h) * width..][..width];
            let first = row * width * self.patch[2];
            for (w, cell) in values.chunks_exact_mut(self.patch[2]).enumerate().filter(|&(w, _)| hidden[w]) {
                cell.iter_mut().zip(first + w * self.patch[2]..).for_each(|(value, index)| *value = fill(index));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    #[test]
    fn each_volume_loses_the_same_number_of_cells() {
        let grid = MaskGrid::new([8, 6, 12], [4, 2, 4]).unwrap();
        assert_eq!(grid.cells(), [2, 3, 3]);
        for (ratio, hidden) in [(0.0, 0), (0.75, 13), (0.5, 9), (0.99, 17)] {
            for volume in 0..20 {
                let mask = grid.draw(ratio, &mut stream(0, "test", 0, volume));
                assert_eq!(mask.iter().filter(|&&hidden| hidden).count(), hidden);
            }
        }
        assert_ne!(grid.draw(0.5, &mut stream(0, "test", 0, 0)), grid.draw(0.5, &mut stream(0, "test", 0, 1)));
    }

    #[test]
    fn hidden_cells_are_filled_in_every_channel_and_nothing_else() {
        let grid = MaskGrid::new([4, 6, 4], [2, 3, 2]).unwrap();
        let mask = grid.draw(0.5, &mut stream(0, "test", 0, 0));
        let mut values = vec![-1.0; 3 * 96];
        grid.hide(&mut values, &mask, |index| index as f32);
        for (index, value) in values.into_iter().enumerate() {
            let voxel = index % 96;
            let (d, h, w) = (voxel / 24 / 2, voxel / 4 % 6 / 3, voxel % 4 / 2);
            let expected = if mask[(d * 2 + h) * 2 + w] { index as f32 } else { -1.0 };
            assert_eq!(value, expected, "voxel {index}");
        }
    }

    #[test]
    fn cells_that_do_not_fill_the_crop_are_refused() {
        let error = MaskGrid::new([8, 8, 10], [4, 4, 4]).unwrap_err().to_string();
        assert!(error.contains("[8, 8, 10]") && error.contains("multiple"), "{error}");
        assert!(MaskGrid::new([8, 8, 8], [4, 0, 4]).is_err());
    }
}
