//! Axis permutation and flips that turn a grid to RAS, and back.
//!
//! Obliqueness stays in the affine: no voxel value changes, so the turn can be undone exactly.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::volume::Grid;

/// How each axis of the turned grid reads the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orientation {
    /// Source axis (0 = D, 1 = H, 2 = W) behind each axis D,H,W of the turned grid.
    pub from: [usize; 3],
    /// Whether it is read backwards.
    pub flip: [bool; 3],
}

impl Orientation {
    /// Nothing moves.
    pub const IDENTITY: Self = Self { from: [0, 1, 2], flip: [false; 3] };

    /// The turn after which i, j, k run nearest to right, anterior and superior.
    pub fn to_ras(grid: &Grid) -> Self {
        let closest = grid.closest_axes();
        let mut turn = Self { from: [0, 1, 2], flip: [false; 3] };
        for (nifti_axis, (world, against)) in closest.into_iter().enumerate() {
            turn.from[2 - world] = 2 - nifti_axis;
            turn.flip[2 - world] = against;
        }
        turn
    }

    /// The turn after which the axes of `source` run as those of `target` do; none where two of them run nearest to one.
    pub fn between(source: &Grid, target: &Grid) -> Option<Self> {
        let cosine = |axis: usize, from: usize| {
            let (a, b) = (target.axis_mm(2 - axis), source.axis_mm(2 - from));
            let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            dot / (target.spacing_mm()[axis] * source.spacing_mm()[from])
        };
        let mut turn = Self { from: [0; 3], flip: [false; 3] };
        for axis in 0..3 {
            turn.from[axis] = (0..3).max_by(|&a, &b| cosine(axis, a).abs().total_cmp(&cosine(axis, b).abs()))?;
            turn.flip[axis] = cosine(axis, turn.from[axis]) < 0.0;
        }
        let each_once = (0..3).all(|axis| turn.from.contains(&axis));
        each_once.then_some(turn)
    }

    /// Whether nothing moves.
    pub fn is_identity(self) -> bool {
        self == Self::IDENTITY
    }

    /// The turn back.
    pub fn inverse(self) -> Self {
        let mut back = self;
        for (axis, &source) in self.from.iter().enumerate() {
            back.from[source] = axis;
            back.flip[source] = self.flip[axis];
        }
        back
    }

    /// Shape (D,H,W) after the turn.
    pub fn shape(self, source: [usize; 3]) -> [usize; 3] {
        self.from.map(|axis| source[axis])
    }

    /// Grid after the turn: the same points of the patient under other indices.
    pub fn grid(self, source: &Grid) -> Grid {
        let mut world_from_voxel = source.world_from_voxel;
        for (axis, (&from, &flip)) in self.from.iter().zip(&self.flip).enumerate() {
            let step = source.axis_mm(2 - from);
            for (row, step) in step.into_iter().enumerate() {
                world_from_voxel[row][2 - axis] = if flip { -step } else { step };
                if flip {
                    world_from_voxel[row][3] += step * (source.shape[from] - 1) as f64;
                }
            }
        }
        Grid { shape: self.shape(source.shape), world_from_voxel }
    }

    /// Turns voxels `[channel, D, H, W]` of `shape` (one or more channels).
    pub fn turn<T: Copy + Send + Sync>(self, voxels: Vec<T>, shape: [usize; 3]) -> Vec<T> {
        if self.is_identity() || voxels.is_empty() {
            return voxels;
        }
        let [depth, height, width] = self.shape(shape);
        let source_stride = [shape[1] * shape[2], shape[2], 1].map(|stride| stride as isize);
        let mut stride = [0; 3];
        let mut first = 0;
        for (axis, (&from, &flip)) in self.from.iter().zip(&self.flip).enumerate() {
            let along = source_stride[from];
            stride[axis] = if flip { -along } else { along };
            first += if flip { along * (shape[from] as isize - 1) } else { 0 };
        }
        let size = depth * height * width;
        let mut turned = voxels.clone();
        turned.par_chunks_mut(height * width).enumerate().for_each(|(plane, out)| {
            let source = &voxels[plane / depth * size..][..size];
            let at = first + (plane % depth) as isize * stride[0];
            for (h, row) in out.chunks_mut(width).enumerate() {
                let mut at = at + h as isize * stride[1];
                for value in row {
                    *value = source[at as usize];
                    at += stride[2];
                }
            }
        });
        turned
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// All 48 axis-aligned grids of a shape, and each of them tilted by an oblique rotation.
    pub(crate) fn all_grids(shape: [usize; 3], spacing_mm: [f64; 3]) -> Vec<Grid> {
        let tilt = nalgebra::Rotation3::from_euler_angles(0.2, -0.12, 0.09);
        let mut grids = Vec::new();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for signs in 0..8_u8 {
                for oblique in [false, true] {
                    let mut grid = Grid::axis_aligned(shape, spacing_mm);
                    let size = [spacing_mm[2], spacing_mm[1], spacing_mm[0]];
                    for column in 0..3 {
                        let sign = if signs >> column & 1 == 1 { -1.0 } else { 1.0 };
                        let mut axis = nalgebra::Vector3::zeros();
                        axis[order[column]] = sign * size[column];
                        let axis = if oblique { tilt * axis } else { axis };
                        (0..3).for_each(|row| grid.world_from_voxel[row][column] = axis[row]);
                    }
                    (0..3).for_each(|row| grid.world_from_voxel[row][3] = 10.0 - 7.0 * row as f64);
                    grids.push(grid);
                }
            }
        }
        grids
    }

    #[test]
    fn a_grid_turned_to_another_s_axes_lies_as_it_does() {
        let grids = all_grids([2, 3, 4], [3.0, 2.0, 1.0]);
        for (source, target) in grids.iter().zip(grids.iter().skip(2).step_by(2)) {
            let turn = Orientation::between(source, target).expect("axes of one patient");
            assert_eq!(turn.grid(source).axis_codes(), target.axis_codes(), "from {}", source.axis_codes());
            assert_eq!(turn.inverse(), Orientation::between(target, source).expect("axes of one patient"));
        }
        assert!(Orientation::between(&grids[0], &grids[0]).is_some_and(Orientation::is_identity));
    }

    #[test]
    fn every_orientation_turns_to_ras_and_back_and_no_voxel_moves_in_the_patient() {
        let shape = [2, 3, 4];
        let voxels: Vec<usize> = (0..2 * 24).collect();
        for grid in all_grids(shape, [3.0, 2.0, 1.0]) {
            let turn = Orientation::to_ras(&grid);
            let turned = turn.grid(&grid);
            assert_eq!(turned.axis_codes(), "RAS", "from {}", grid.axis_codes());
            let moved = turn.turn(voxels.clone(), shape);
            for (index, &value) in moved.iter().enumerate() {
                assert_eq!(value / 24, index / 24, "channels stay apart");
                let at = |index: usize, shape: [usize; 3]| {
                    let [d, h, w] = crate::volume::position(index % 24, shape);
                    [w as f64, h as f64, d as f64]
                };
                let (was, is) = (grid.world_mm(at(value, shape)), turned.world_mm(at(index, turned.shape)));
                assert!(was.iter().zip(is).all(|(a, b)| (a - b).abs() < 1e-9), "{was:?} became {is:?}");
            }
            assert_eq!(turn.inverse().turn(moved, turned.shape), voxels);
            assert_eq!(turn.inverse().shape(turned.shape), shape);
        }
    }
}
