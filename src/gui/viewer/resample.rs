//! A label map of another grid, shown on the image's: each voxel takes the label of the nearest voxel in the patient.

use nalgebra::{Matrix4, Vector4};
use rayon::prelude::*;

use crate::geometry::{ravel, unravel};
use crate::volume::{Grid, LabelMap};

/// Voxels that a thread takes at a time.
const CHUNK: usize = 1 << 16;

/// A label map on another grid than its own.
pub(super) struct Resampled {
    /// Label values on the new grid, `[D, H, W]`; 0 outside the map's own.
    pub(super) values: Vec<u16>,
    /// Share of the map's labelled voxels whose centre lies outside the new grid; 0 where none is labelled.
    pub(super) outside: f64,
}

/// Shows `map` on the grid `onto`. None where a grid spans nothing, so that positions have no index.
pub(super) fn nearest(map: &LabelMap, onto: &Grid) -> Option<Resampled> {
    let map_from_onto = between(&map.grid, onto)?;
    let onto_from_map = between(onto, &map.grid)?;
    let mut values = vec![0; onto.len()];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
        for (index, value) in values.iter_mut().enumerate() {
            let at = voxel(&map_from_onto, unravel(chunk * CHUNK + index, onto.shape), map.grid.shape);
            *value = at.map_or(0, |at| map.voxels[at]);
        }
    });
    let labelled = map.voxels.par_iter().enumerate().filter(|(_, value)| **value != 0);
    let count = |(index, _): (usize, &u16)| {
        let inside = voxel(&onto_from_map, unravel(index, map.grid.shape), onto.shape).is_some();
        (1_u64, u64::from(!inside))
    };
    let (all, lost) = labelled.map(count).reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    Some(Resampled { values, outside: lost as f64 / all.max(1) as f64 })
}

/// From NIfTI indices of one grid to those of another.
fn between(to: &Grid, from: &Grid) -> Option<Matrix4<f64>> {
    let matrix = |grid: &Grid| Matrix4::from_fn(|row, column| grid.world_from_voxel[row][column]);
    Some(matrix(to).try_inverse()? * matrix(from))
}

/// Index in a volume of `shape` of the voxel nearest to a voxel (D,H,W) of the other grid; none outside.
fn voxel(matrix: &Matrix4<f64>, [d, h, w]: [usize; 3], shape: [usize; 3]) -> Option<usize> {
    let ijk = matrix * Vector4::new(w as f64, h as f64, d as f64, 1.0);
    let [depth, height, width] = shape;
    let whole = |value: f64, voxels: usize| {
        let nearest = value.round();
        (nearest >= 0.0 && nearest < voxels as f64).then_some(nearest as usize)
    };
    Some(ravel([whole(ijk.z, depth)?, whole(ijk.y, height)?, whole(ijk.x, width)?], shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_where_they_are_in_the_patient_however_they_are_stored() {
        let grid = Grid::axis_aligned([3, 4, 5], [2.0, 1.0, 1.0]);
        let mut map = LabelMap { voxels: vec![0; grid.len()], grid: grid.clone() };
        (map.voxels[ravel([1, 2, 3], grid.shape)], map.voxels[0]) = (7, 300);
        // The same voxels, i stored from left to right.
        let mut flipped = LabelMap { voxels: map.voxels.chunks(5).flat_map(|row| row.iter().rev().copied()).collect(), ..map.clone() };
        flipped.grid.world_from_voxel[0] = [-1.0, 0.0, 0.0, 4.0];
        let same = nearest(&flipped, &grid).unwrap();
        assert_eq!((same.values, same.outside), (map.voxels.clone(), 0.0));
        // Twice as fine, and moved so far that one of the two labels lies outside: each old voxel becomes two by two by two.
        let mut fine = Grid::axis_aligned([6, 8, 10], [1.0, 0.5, 0.5]);
        for (row, origin) in [-0.25 + 1.0, -0.25 + 1.0, -0.5].into_iter().enumerate() {
            fine.world_from_voxel[row][3] = origin;
        }
        let resampled = nearest(&map, &fine).unwrap();
        assert_eq!(resampled.values.iter().filter(|value| **value == 7).count(), 8);
        assert!((resampled.outside - 0.5).abs() < 1e-12 && !resampled.values.contains(&300));
        let nowhere = Grid { world_from_voxel: [[0.0; 4]; 4], ..grid };
        assert!(nearest(&map, &nowhere).is_none());
    }
}
