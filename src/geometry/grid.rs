//! Shape and position of a voxel grid.

use std::fmt;

use nalgebra::Matrix3;
use serde::{Deserialize, Serialize};

/// Cosines that differ by less are equal, so that rounding doesn't choose between axes at 45 degrees.
const EQUAL: f64 = 1e-12;

/// A voxel grid in patient space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Voxels along D,H,W.
    pub shape: [usize; 3],
    /// RAS+ millimetres of a voxel centre from its NIfTI index `(i, j, k, 1)` = (w, h, d, 1); rows of a 4x4 matrix.
    pub world_from_voxel: [[f64; 4]; 4],
}

impl fmt::Display for Grid {
    /// Size, voxel size, axes and position, so that two grids can be distinguished.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([d, h, w], [z, y, x]) = (self.shape, self.spacing_mm());
        let [right, anterior, superior] = self.world_mm([0.0; 3]);
        write!(
            f,
            "{d} x {h} x {w} voxels (D,H,W) of {z:.4} x {y:.4} x {x:.4} mm, axes {}, first voxel at {right:.3}, {anterior:.3}, {superior:.3} mm (R,A,S)",
            self.axis_codes()
        )
    }
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

    /// RAS+ mm of the centre of the voxel at D,H,W.
    pub fn voxel_mm(&self, [d, h, w]: [usize; 3]) -> [f64; 3] {
        self.world_mm([w as f64, h as f64, d as f64])
    }

    /// The patient axis (0 = R, 1 = A, 2 = S) nearest to each NIfTI axis i, j, k, and whether it runs against it.
    ///
    /// Shears are taken off first (the nearest rotation by singular values); then the voxel axis that lies nearest to any
    /// patient axis chooses, then the next, each among the patient axes still free, as nibabel does since 5.3, so that
    /// oblique volumes are reoriented alike in both and whatever the order of their axes. Of equals the first is taken.
    pub fn closest_axes(&self) -> [(usize, bool); 3] {
        let columns = Matrix3::from_fn(|row, column| self.world_from_voxel[row][column]);
        let unit = Matrix3::from_columns(&[0, 1, 2].map(|c| columns.column(c).normalize()));
        let svd = unit.svd(true, true);
        let rotation = match (svd.u, svd.v_t) {
            (Some(u), Some(v_t)) => u * v_t,
            _ => unit,
        };
        // Equals that differ by the rounding of the decomposition only.
        let strength = |world: usize, axis: usize| (rotation[(world, axis)].abs() / EQUAL).round();
        let strongest = |axis: usize| (0..3).map(|world| strength(world, axis)).fold(0.0, f64::max);
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| strongest(b).total_cmp(&strongest(a)));
        let mut free = vec![0, 1, 2];
        let mut closest = [(0, false); 3];
        for axis in order {
            // The first of equals, so `>` and not max_by.
            let best = (1..free.len()).fold(0, |best, at| if strength(free[at], axis) > strength(free[best], axis) { at } else { best });
            let world = free.remove(best);
            closest[axis] = (world, rotation[(world, axis)] < 0.0);
        }
        closest
    }

    /// Orientation letters of i, j, k: the side towards which each index grows, for example "RAS" or "LPS".
    pub fn axis_codes(&self) -> String {
        self.closest_axes().map(|(world, against)| ["RL", "AP", "SI"][world].as_bytes()[usize::from(against)] as char).iter().collect()
    }

    /// Volume of a voxel in mm3: on a sheared grid, such as that of a tilted gantry, less than the product of its spacings.
    pub fn voxel_mm3(&self) -> f64 {
        Matrix3::from_fn(|row, column| self.world_from_voxel[row][column]).determinant().abs()
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

    /// Every assignment of voxel axes to patient axes, judged as nibabel chooses: the strongest voxel axis has the patient
    /// axis nearest to it, then the next has the nearest of the two left.
    fn by_trial(rotation: &nalgebra::Matrix3<f64>) -> [(usize, bool); 3] {
        let strongest = |axis: usize| rotation.column(axis).amax();
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let by_strength = orders.into_iter().find(|&[a, b, c]| strongest(a) >= strongest(b) && strongest(b) >= strongest(c));
        let [first, second, third] = by_strength.expect("an order");
        let key = |worlds: &[usize; 3]| [first, second, third].map(|axis| rotation[(worlds[axis], axis)].abs());
        let best = orders
            .into_iter()
            .reduce(|best, next| if key(&next).partial_cmp(&key(&best)).is_some_and(|o| o.is_gt()) { next } else { best });
        let worlds = best.expect("six orders");
        [0, 1, 2].map(|axis| (worlds[axis], rotation[(worlds[axis], axis)] < 0.0))
    }

    #[test]
    fn the_strongest_axis_of_an_oblique_scan_chooses_first() {
        use rand::RngExt as _;
        let mut random = crate::random::stream(3, "oblique grids", 0, 0);
        let mut in_order = 0;
        for _ in 0..2000 {
            let angles = [0; 3].map(|_| random.random_range(-3.2_f64..3.2));
            let rotation = *nalgebra::Rotation3::from_euler_angles(angles[0], angles[1], angles[2]).matrix();
            let size = [0; 3].map(|_| random.random_range(0.3_f64..4.0));
            let mut grid = Grid::axis_aligned([5, 6, 7], [1.0; 3]);
            for (row, column) in (0..9).map(|at| (at / 3, at % 3)) {
                grid.world_from_voxel[row][column] = rotation[(row, column)] * size[column];
            }
            assert_eq!(grid.closest_axes(), by_trial(&rotation), "{rotation}");
            in_order += usize::from(grid.closest_axes()[0].0 == rotation.column(0).iamax());
        }
        assert!(in_order < 1990, "in some of them the first axis must give way");
    }

    #[test]
    fn axes_of_an_oblique_scan_are_those_that_nibabel_finds_and_ties_go_to_the_first() {
        // Letters by `aff2axcodes` of nibabel 5.4.2; if i, j, k chose in turn, all of them would be others.
        let of_nibabel = [
            ("SRA", [[-1.56, 0.78, 1.11], [1.15, -0.93, 1.19], [1.92, 1.19, 0.19]]),
            ("IPL", [[-0.8, 0.8, -0.73], [1.57, -0.79, -0.58], [-2.23, -0.85, -0.15]]),
            ("ILA", [[1.62, -1.96, -0.66], [-0.81, -1.8, 1.65], [-1.62, -1.06, -1.64]]),
            ("IRP", [[0.38, 0.89, -0.2], [-0.38, 0.2, -0.71], [-0.52, 0.31, 0.93]]),
        ];
        let mut grid = Grid::axis_aligned([2, 3, 4], [1.0; 3]);
        for (letters, axes) in of_nibabel {
            for (row, axes) in grid.world_from_voxel.iter_mut().zip(axes) {
                row[..3].copy_from_slice(&axes);
            }
            assert_eq!(grid.axis_codes(), letters);
        }
        let diagonal = std::f64::consts::FRAC_1_SQRT_2;
        grid.world_from_voxel =
            [[diagonal, -diagonal, 0.0, 0.0], [diagonal, diagonal, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert_eq!(grid.axis_codes(), "RAS");
    }

    #[test]
    fn a_grid_is_named_by_what_distinguishes_it() {
        let mut grid = Grid::axis_aligned([2, 3, 4], [3.0, 2.0, 0.75]);
        grid.world_from_voxel[0] = [-0.75, 0.0, 0.0, 5.0];
        let text = "2 x 3 x 4 voxels (D,H,W) of 3.0000 x 2.0000 x 0.7500 mm, axes LAS, first voxel at 5.000, 0.000, 0.000 mm (R,A,S)";
        assert_eq!(grid.to_string(), text);
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
        assert!((stretched.voxel_mm3() - 1.1).abs() < 1e-12, "shearing moves layers and keeps the volume");
    }
}
