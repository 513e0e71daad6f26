//! Label maps on the grid of another volume: whether they lie there, with their axes turned to its own.

use std::path::Path;

use super::{Fault, Grid, LabelMap};
use crate::geometry::{SignedPermutation, VoxelBox};

/// Share of the smallest voxel edge by which corners of one case's files may lie apart: headers are float32, and
/// tools round them differently.
const PLACE_TOLERANCE: f64 = 0.1;

/// Whether a grid departs from the `expected` one, that of the file `other`, in shape, or in place beyond rounding.
pub(crate) fn grid_fault(grid: &Grid, expected: &Grid, other: &Path) -> Option<Fault> {
    let other = other.to_owned();
    if grid.shape != expected.shape {
        return Some(Fault::Shape { found: grid.shape, expected: expected.shape, other });
    }
    let tolerance_mm = PLACE_TOLERANCE * expected.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let distance_mm = expected.corner_distance_mm(grid);
    (distance_mm > tolerance_mm).then_some(Fault::Place { distance_mm, tolerance_mm, other })
}

/// The label map with its axes as those of the `target` grid, that of the file `other`, on which it must then lie; and whether they had to be
/// turned.
///
/// # Errors
/// It lies on another grid.
pub(crate) fn aligned(map: LabelMap, target: &Grid, other: &Path) -> Result<(LabelMap, bool), Fault> {
    let rotation = SignedPermutation::between(&map.grid, target).unwrap_or(SignedPermutation::IDENTITY);
    if let Some(fault) = grid_fault(&rotation.grid(&map.grid), target, other) {
        return Err(fault);
    }
    if rotation.is_identity() {
        return Ok((map, false));
    }
    let shape = map.grid.shape;
    Ok((LabelMap { grid: rotation.grid(&map.grid), voxels: rotation.reorient(map.voxels, shape) }, true))
}

/// Fills voxels up with background to the `whole` grid where their own is a part of that, voxel for voxel; what is to be said of it then.
/// Else nothing changes.
pub(crate) fn fill<T: Copy + Default + Send + Sync>(voxels: &mut Vec<T>, grid: &mut Grid, whole: &Grid) -> Option<String> {
    let rotation = SignedPermutation::between(grid, whole).unwrap_or(SignedPermutation::IDENTITY);
    let turned = rotation.grid(grid);
    let begin = start_within(&turned, whole);
    let inside = (0..3).all(|axis| begin[axis] >= 0.0 && begin[axis] as usize + turned.shape[axis] <= whole.shape[axis]);
    let part = VoxelBox::at(begin.map(|at| at as i64), turned.shape);
    if turned.shape == whole.shape || !inside || grid_fault(&turned, &part.grid(whole), Path::new("")).is_some() {
        return None;
    }
    let text =
        format!("its frames are {:?} of {:?} voxels (D,H,W) of its image; the others are taken as background", turned.shape, whole.shape);
    *voxels = part.paste(rotation.reorient(std::mem::take(voxels), grid.shape), whole.shape, T::default());
    *grid = whole.clone();
    Some(text)
}

/// The voxel of `whole` (D,H,W) that lies nearest to the first voxel of a grid with the same axes.
fn start_within(grid: &Grid, whole: &Grid) -> [f64; 3] {
    let (from, to) = (whole.world_mm([0.0; 3]), grid.world_mm([0.0; 3]));
    let axes = nalgebra::Matrix3::from_fn(|row, column| whole.world_from_voxel[row][column]);
    let offset = nalgebra::Vector3::from_fn(|row, _| to[row] - from[row]);
    let ijk = axes.try_inverse().map_or_else(|| nalgebra::Vector3::repeat(-1.0), |inverse| inverse * offset);
    [ijk[2], ijk[1], ijk[0]].map(f64::round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_grid_is_filled_up_with_background_from_either_direction() {
        let whole = Grid::axis_aligned([4, 2, 3], [2.0, 1.0, 1.0]);
        let part = VoxelBox::at([1, 0, 0], [2, 2, 3]).grid(&whole);
        let voxels: Vec<u16> = (1..=12).collect();
        let filled = |voxels: &[u16], grid: &Grid| {
            let (mut voxels, mut grid) = (voxels.to_vec(), grid.clone());
            fill(&mut voxels, &mut grid, &whole).map(|_| (voxels, grid))
        };
        let expected = Some(([vec![0; 6], voxels.clone(), vec![0; 6]].concat(), whole.clone()));
        assert_eq!(filled(&voxels, &part), expected);
        let flip = SignedPermutation::flip([true, false, true]);
        let turned = LabelMap { grid: flip.grid(&part), voxels: flip.reorient(voxels.clone(), part.shape) };
        assert_eq!(filled(&turned.voxels, &turned.grid), expected);
        assert!(aligned(turned, &part, Path::new("")).is_ok_and(|(found, moved)| moved && found.voxels == voxels));

        let moved = |row: usize, mm: f64| {
            let mut grid = part.clone();
            grid.world_from_voxel[row][3] += mm;
            grid
        };
        assert_eq!(filled(&voxels, &moved(0, 0.5)), None, "half a voxel beside it");
        assert_eq!(filled(&voxels, &moved(2, 4.0)), None, "beyond its end");
        assert_eq!(filled(&voxels, &moved(2, -4.0)), None, "before its beginning");
    }
}
