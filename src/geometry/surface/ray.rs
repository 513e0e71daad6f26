//! What a ray meets first, and the voxel that it belongs to.

use nalgebra::{Matrix4, Vector3, Vector4};
use rayon::prelude::*;

use super::mesh::LabelMesh;
use crate::geometry::Grid;

/// A ray through the patient, RAS+ millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ray {
    /// Where it begins.
    pub origin_mm: [f64; 3],
    /// Where it goes; of length 1.
    pub direction: [f64; 3],
}

/// A point of a surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfaceHit {
    /// Whose surface it is.
    pub label: u8,
    /// RAS+ millimetres.
    pub point_mm: [f64; 3],
}

impl Ray {
    /// The first point of any of these meshes that it meets.
    pub(super) fn first<'a>(&self, meshes: impl Iterator<Item = &'a LabelMesh>) -> Option<SurfaceHit> {
        let nearest = |mesh: &LabelMesh| {
            mesh.triangles.par_iter().filter_map(|&triangle| self.meets(mesh.corners_mm(triangle))).min_by(f64::total_cmp)
        };
        let met = meshes.filter_map(|mesh| Some((mesh.label, nearest(mesh)?)));
        let (label, mm) = met.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(SurfaceHit { label, point_mm: [0, 1, 2].map(|axis: usize| self.origin_mm[axis] + mm * self.direction[axis]) })
    }

    /// How far along it meets a triangle (Möller and Trumbore, 1997, <https://doi.org/10.1080/10867651.1997.10487468>).
    fn meets(&self, corners_mm: [[f64; 3]; 3]) -> Option<f64> {
        let [a, b, c] = corners_mm.map(Vector3::from);
        let (direction, from) = (Vector3::from(self.direction), Vector3::from(self.origin_mm) - a);
        let (ab, ac) = (b - a, c - a);
        let across = direction.cross(&ac);
        let volume = ab.dot(&across);
        let u = from.dot(&across) / volume;
        let around = from.cross(&ab);
        let v = direction.dot(&around) / volume;
        let along = ac.dot(&around) / volume;
        // Of a triangle seen edge on the volume is 0, and nothing of this holds.
        (u >= 0.0 && v >= 0.0 && u + v <= 1.0 && along >= 0.0).then_some(along).filter(|along| along.is_finite())
    }
}

impl SurfaceHit {
    /// D,H,W of the voxel with the hit's label nearest to it in mm, of a map on `grid` that was meshed in blocks of `step` voxels, by what
    /// `label_at` finds at D,H,W; none where the map no longer has one there.
    pub fn voxel(&self, label_at: impl Fn([usize; 3]) -> Option<u8>, grid: &Grid, step: [usize; 3]) -> Option<[usize; 3]> {
        let world_from_voxel = Matrix4::from_fn(|row, column| grid.world_from_voxel[row][column]);
        let [x, y, z] = self.point_mm;
        let ijk = world_from_voxel.try_inverse()? * Vector4::new(x, y, z, 1.0);
        // A vertex lies in a cell of which a corner is a block of the label, and that block holds a voxel of it.
        let range = |axis: usize| {
            let (index, reach) = (ijk[2 - axis].round() as i64, 2 * step[axis] as i64);
            let end = (index + reach + 1).clamp(0, grid.shape[axis] as i64);
            (index - reach).clamp(0, end) as usize..end as usize
        };
        let voxels = range(0).flat_map(|d| range(1).flat_map(move |h| range(2).map(move |w| [d, h, w])));
        let squared = |voxel: [usize; 3]| grid.voxel_mm(voxel).iter().zip(self.point_mm).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        voxels.filter(|&voxel| label_at(voxel) == Some(self.label)).min_by(|&a, &b| squared(a).total_cmp(&squared(b)))
    }
}
