//! Shape and place of a voxel grid.

use nalgebra::Matrix3;
use serde::{Deserialize, Serialize};

/// A voxel grid in patient space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Voxels along D,H,W.
    pub shape: [usize; 3],
    /// RAS+ millimetres of a voxel centre from its NIfTI index `(i, j, k, 1)` = (w, h, d, 1); rows of a 4x4 matrix.
    pub world_from_voxel: [[f64; 4]; 4],
}

impl Grid {
    /// A grid of `shape` (D,H,W) with axes along R,A,S, `spacing_mm` (D,H,W) and its first voxel at the origin.
    pub fn axis_aligned(shape: [usize; 3], spacing_mm: [f64; 3]) -> Self {
        let [d, h, w] = spacing_mm;
        let world_from_voxel = [[w, 0.0, 0.0, 0.0], [0.0, h, 0.0, 0.0], [0.0, 0.0, d, 0.0], [0.0, 0.0, 0.0, 1.0]];
        Self { shape, world_from_voxel }
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the grid holds no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distance of neighbouring voxel centres along D,H,W in mm: the lengths of the affine's columns.
    pub fn spacing_mm(&self) -> [f64; 3] {
        let column = |c: usize| self.axis_mm(c).iter().map(|v| v * v).sum::<f64>().sqrt();
        [column(2), column(1), column(0)]
    }

    /// One step along NIfTI axis `axis` (0 = i, 1 = j, 2 = k) in RAS+ mm: a column of the affine.
    pub fn axis_mm(&self, axis: usize) -> [f64; 3] {
        [0, 1, 2].map(|row| self.world_from_voxel[row][axis])
    }

    /// RAS+ mm of the point at NIfTI index `(i, j, k)`, which need not be whole.
    pub fn world_mm(&self, ijk: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|row| {
            let [x, y, z, origin] = self.world_from_voxel[row];
            x * ijk[0] + y * ijk[1] + z * ijk[2] + origin
        })
    }

    /// The patient axis (0 = R, 1 = A, 2 = S) nearest to each NIfTI axis i, j, k, and whether it runs against it.
    ///
    /// Shears are taken off first (the nearest rotation by singular values); then i, j, k choose in turn, each among
    /// the patient axes still free, as nibabel does, so that oblique volumes turn the same way in both.
    pub fn closest_axes(&self) -> [(usize, bool); 3] {
        let columns = Matrix3::from_fn(|row, column| self.world_from_voxel[row][column]);
        let unit = Matrix3::from_columns(&[0, 1, 2].map(|c| columns.column(c).normalize()));
        let svd = unit.svd(true, true);
        let rotation = match (svd.u, svd.v_t) {
            (Some(u), Some(v_t)) => u * v_t,
            _ => unit,
        };
        let mut free = [true; 3];
        [0, 1, 2].map(|axis| {
            let strength = |world: usize| if free[world] { rotation[(world, axis)].abs() } else { -1.0 };
            // The first of equals, so `>` and not max_by.
            let world = (1..3).fold(0, |best, world| if strength(world) > strength(best) { world } else { best });
            free[world] = false;
            (world, rotation[(world, axis)] < 0.0)
        })
    }

    /// Orientation letters of i, j, k: the side towards which each index grows, for example "RAS" or "LPS".
    pub fn axis_codes(&self) -> String {
        self.closest_axes().map(|(world, against)| ["RL", "AP", "SI"][world].as_bytes()[usize::from(against)] as char).iter().collect()
    }

    /// Largest |cosine| between two voxel axes: 0 for a right-angled grid, above about 1e-3 sheared.
    pub fn shear(&self) -> f64 {
        let [d, h, w] = self.spacing_mm();
        let length = [w, h, d];
        let cosine = |a: usize, b: usize| {
            let dot: f64 = self.axis_mm(a).iter().zip(self.axis_mm(b)).map(|(x, y)| x * y).sum();
            (dot / (length[a] * length[b])).abs()
        };
        cosine(0, 1).max(cosine(0, 2)).max(cosine(1, 2))
    }

    /// Largest distance in mm between corners (outermost voxel centres) of the same index.
    pub fn corner_distance_mm(&self, other: &Self) -> f64 {
        let [d, h, w] = self.shape.map(|n| n.saturating_sub(1) as f64);
        let corners = (0..8).map(|bits: u8| [w * f64::from(bits & 1), h * f64::from(bits >> 1 & 1), d * f64::from(bits >> 2)]);
        let distance = corners.map(|ijk| {
            let (a, b) = (self.world_mm(ijk), other.world_mm(ijk));
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        });
        distance.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::Grid;

    #[test]
    fn letters_name_the_side_an_index_grows_towards() {
        let mut grid = Grid::axis_aligned([2, 3, 4], [3.0, 2.0, 1.0]);
        assert_eq!(grid.axis_codes(), "RAS");
        // i runs to the left, j downwards, k to the front.
        grid.world_from_voxel = [[-1.0, 0.0, 0.1, 5.0], [0.0, 0.2, 3.0, 6.0], [0.1, -2.0, 0.0, 7.0], [0.0, 0.0, 0.0, 1.0]];
        assert_eq!(grid.axis_codes(), "LIA");
    }

    #[test]
    fn the_farthest_corner_decides_how_far_apart_two_grids_are() {
        let grid = Grid::axis_aligned([11, 11, 11], [1.0, 1.0, 1.0]);
        let mut stretched = grid.clone();
        stretched.world_from_voxel[2][2] = 1.1;
        assert!((grid.corner_distance_mm(&stretched) - 1.0).abs() < 1e-9);
        assert!(grid.shear() < 1e-12);
        stretched.world_from_voxel[0][1] = 0.5;
        assert!(stretched.shear() > 0.4);
    }
}
