//! Surfaces of a label map: a closed mesh of triangles around each label, in the patient's millimetres.
//!
//! `blocks` makes the map coarser where its surfaces would have too many faces, `net` finds the surface of one label, `mesh` is what comes
//! of it, `ray` finds what the pointer is on.

mod blocks;
mod mesh;
mod net;
mod ray;
#[cfg(test)]
mod tests;

use nalgebra::Matrix3;
use rayon::prelude::*;

pub use mesh::{LabelMesh, SurfaceVertex};
pub use ray::{Ray, SurfaceHit};

use self::blocks::Blocks;
use self::net::Net;
use super::Grid;

/// The surfaces of a label map.
#[derive(Clone, Debug)]
pub struct LabelSurfaces {
    /// One for each label that is there, by its number.
    pub meshes: Vec<LabelMesh>,
    /// Voxels along D,H,W of the blocks that were meshed in place of voxels.
    pub step: [usize; 3],
    /// Labels that are there, but are the most frequent in no block.
    pub lost: Vec<u8>,
    /// The middle of all of them, RAS+ millimetres.
    pub centre_mm: [f64; 3],
    /// Farthest vertex from the middle, in mm.
    pub radius_mm: f64,
}

impl LabelSurfaces {
    /// Four-sided faces of all labels together, at most, in the viewer: two triangles each, and with their vertices 48 bytes of host memory
    /// and as many on the GPU.
    pub const MOST_FACES: usize = 500_000;

    /// Meshes all labels but the background, 0, of a map on `grid`, given by its slices of D, each `[H, W]` row-major. A map whose surfaces would have more than `most_faces` four-sided faces
    /// is meshed in blocks of voxels, as small as will do, each with the label of most of its voxels.
    ///
    /// # Panics
    /// Where the slices do not fill the grid: our own bug.
    pub fn new(slices: &[&[u8]], grid: &Grid, most_faces: usize) -> Self {
        assert_eq!(slices.iter().map(|slice| slice.len()).sum::<usize>(), grid.len(), "labels fill {:?}", grid.shape);
        let mut blocks = Blocks::whole(slices, grid.shape);
        let whole = blocks.survey();
        let present: Vec<u8> = (1..=u8::MAX).filter(|&label| !whole.boxes[usize::from(label)].is_empty()).collect();
        let mut survey = whole;
        while survey.faces > most_faces
            && let Some(step) = Blocks::larger(blocks.step, grid.shape, grid.spacing_mm())
        {
            blocks = Blocks::reduced(slices, grid.shape, step);
            survey = blocks.survey();
        }
        let (lost, kept): (Vec<u8>, Vec<u8>) = present.into_iter().partition(|&label| survey.boxes[usize::from(label)].is_empty());
        let mirrored = is_mirrored(grid);
        let mesh = |&label: &u8| {
            let mut net = Net::around(&blocks, label, &survey.boxes[usize::from(label)]);
            net.smooth();
            if mirrored {
                net.faces.iter_mut().for_each(|face| face.reverse());
            }
            let positions_mm: Vec<[f32; 3]> = net.vertices.iter().map(|vertex| position_mm(*vertex, blocks.step, grid)).collect();
            LabelMesh::new(label, &positions_mm, &net.faces)
        };
        let meshes: Vec<LabelMesh> = kept.par_iter().map(mesh).collect();
        let (centre_mm, radius_mm) = ball(&meshes);
        Self { meshes, step: blocks.step, lost, centre_mm, radius_mm }
    }

    /// The first point of the labels that `visible` picks on a ray.
    pub fn first_on(&self, ray: &Ray, visible: impl Fn(u8) -> bool) -> Option<SurfaceHit> {
        ray.first(self.meshes.iter().filter(|mesh| visible(mesh.label)))
    }
}

/// Whether D,H,W, in this order, lie in the patient as a left hand's fingers do.
fn is_mirrored(grid: &Grid) -> bool {
    Matrix3::from_fn(|row, column| grid.world_from_voxel[row][2 - column]).determinant() < 0.0
}

/// Where a point among blocks lies in the patient: at the middle of a block where its indices are whole.
fn position_mm(block: [f32; 3], step: [usize; 3], grid: &Grid) -> [f32; 3] {
    let [d, h, w] = [0, 1, 2].map(|axis: usize| f64::from(block[axis]) * step[axis] as f64 + (step[axis] as f64 - 1.0) / 2.0);
    grid.world_mm([w, h, d]).map(|mm| mm as f32)
}

/// A ball that holds all vertices, about the middle of the box around them.
fn ball(meshes: &[LabelMesh]) -> ([f64; 3], f64) {
    let positions = || meshes.iter().flat_map(|mesh| &mesh.vertices).map(|vertex| vertex.position_mm.map(f64::from));
    let mut bounds = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
    for position in positions() {
        bounds = [
            [0, 1, 2].map(|axis: usize| bounds[0][axis].min(position[axis])),
            [0, 1, 2].map(|axis: usize| bounds[1][axis].max(position[axis])),
        ];
    }
    if bounds[0][0] > bounds[1][0] {
        return ([0.0; 3], 0.0);
    }
    let centre = [0, 1, 2].map(|axis: usize| (bounds[0][axis] + bounds[1][axis]) / 2.0);
    let squared = |position: [f64; 3]| position.iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    (centre, positions().map(squared).fold(0.0, f64::max).sqrt())
}
