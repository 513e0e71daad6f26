//! Shape and place of a voxel grid.

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
        let column = |c: usize| self.world_from_voxel[..3].iter().map(|row| row[c] * row[c]).sum::<f64>().sqrt();
        [column(2), column(1), column(0)]
    }
}
