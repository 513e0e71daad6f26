//! Reorientation: the signed permutation that brings a grid's axes to RAS, or to those of another grid.
//!
//! Obliqueness stays in the affine: no voxel value changes, so that the inverse permutation is exact.

use super::{Grid, SignedPermutation};

impl SignedPermutation {
    /// The permutation after which i, j, k run nearest to right, anterior and superior.
    pub fn to_ras(grid: &Grid) -> Self {
        let (mut axes, mut flips) = ([0, 1, 2], [false; 3]);
        for (nifti_axis, (world, against)) in grid.closest_axes().into_iter().enumerate() {
            axes[2 - world] = 2 - nifti_axis;
            flips[2 - world] = against;
        }
        Self::new(axes, flips).expect("each patient axis is nearest to one voxel axis")
    }

    /// The permutation after which the axes of `source` run as those of `target` do; none where two of them run nearest to one.
    pub fn between(source: &Grid, target: &Grid) -> Option<Self> {
        let cosine = |axis: usize, from: usize| {
            let (a, b) = (target.axis_mm(2 - axis), source.axis_mm(2 - from));
            let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            dot / (target.spacing_mm()[axis] * source.spacing_mm()[from])
        };
        let nearest = |axis: usize| (0..3).max_by(|&a, &b| cosine(axis, a).abs().total_cmp(&cosine(axis, b).abs())).unwrap_or(axis);
        let axes = [0, 1, 2].map(nearest);
        Self::new(axes, std::array::from_fn(|axis| cosine(axis, axes[axis]) < 0.0))
    }

    /// The grid afterwards: the same points of the patient under other indices.
    pub fn grid(self, source: &Grid) -> Grid {
        let mut world_from_voxel = source.world_from_voxel;
        for (axis, (from, flip)) in self.axes().into_iter().zip(self.flips()).enumerate() {
            for (row, step) in source.axis_mm(2 - from).into_iter().enumerate() {
                world_from_voxel[row][2 - axis] = if flip { -step } else { step };
                if flip {
                    world_from_voxel[row][3] += step * (source.shape[from] - 1) as f64;
                }
            }
        }
        Grid { shape: self.shape(source.shape), world_from_voxel }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::geometry::unravel;

    /// All 48 axis-aligned grids of a shape, and each of them tilted by an oblique rotation.
    pub(crate) fn all_grids(shape: [usize; 3], spacing_mm: [f64; 3]) -> Vec<Grid> {
        let tilt = nalgebra::Rotation3::from_euler_angles(0.2, -0.12, 0.09);
        let grid = |(permutation, oblique): (SignedPermutation, bool)| {
            let mut grid = Grid::axis_aligned(shape, spacing_mm);
            for column in 0..3 {
                let mut axis = nalgebra::Vector3::zeros();
                axis[permutation.axes()[column]] = if permutation.flips()[column] { -1.0 } else { 1.0 } * spacing_mm[2 - column];
                let axis = if oblique { tilt * axis } else { axis };
                (0..3).for_each(|row| grid.world_from_voxel[row][column] = axis[row]);
            }
            (0..3).for_each(|row| grid.world_from_voxel[row][3] = 10.0 - 7.0 * row as f64);
            grid
        };
        SignedPermutation::all().into_iter().flat_map(|permutation| [(permutation, false), (permutation, true)]).map(grid).collect()
    }

    #[test]
    fn a_grid_reoriented_to_another_s_axes_lies_as_it_does() {
        let grids = all_grids([2, 3, 4], [3.0, 2.0, 1.0]);
        for (source, target) in grids.iter().zip(grids.iter().skip(2).step_by(2)) {
            let there = SignedPermutation::between(source, target).expect("axes of one patient");
            assert_eq!(there.grid(source).axis_codes(), target.axis_codes(), "from {}", source.axis_codes());
            assert_eq!(there.inverse(), SignedPermutation::between(target, source).expect("axes of one patient"));
        }
        assert!(SignedPermutation::between(&grids[0], &grids[0]).is_some_and(SignedPermutation::is_identity));
    }

    #[test]
    fn every_orientation_comes_to_ras_and_back_and_no_voxel_moves_in_the_patient() {
        let shape = [2, 3, 4];
        let voxels: Vec<usize> = (0..2 * 24).collect();
        for grid in all_grids(shape, [3.0, 2.0, 1.0]) {
            let to_ras = SignedPermutation::to_ras(&grid);
            let ras = to_ras.grid(&grid);
            assert_eq!(ras.axis_codes(), "RAS", "from {}", grid.axis_codes());
            let moved = to_ras.reorient(voxels.clone(), shape);
            for (index, &value) in moved.iter().enumerate() {
                assert_eq!(value / 24, index / 24, "channels stay apart");
                let (was, is) = (grid.voxel_mm(unravel(value % 24, shape)), ras.voxel_mm(unravel(index % 24, ras.shape)));
                assert!(was.iter().zip(is).all(|(a, b)| (a - b).abs() < 1e-9), "{was:?} became {is:?}");
            }
            assert_eq!(to_ras.inverse().reorient(moved, ras.shape), voxels);
        }
    }
}
