//! Surface nets: a vertex in each cell of eight neighbouring voxels of which some are inside, and a face across each edge between a
//! voxel inside and one outside (Gibson, "Constrained elastic surface nets", 1998, <https://doi.org/10.1007/BFb0056277>).
//!
//! Of a label map, whose voxels are inside or outside and nothing between, they are smoother than marching cubes, and a thin part is
//! never lost: whatever the smoothing does, a vertex stays in its cell.

use super::blocks::Blocks;
use crate::geometry::VoxelBox;

/// Shares of the way to the mean of its neighbours that a vertex goes, there and back: smoothing that does not shrink (Taubin, "A signal
/// processing approach to fair surface design", 1995, <https://doi.org/10.1145/218380.218473>).
const SMOOTHING: [f32; 2] = [0.5, -0.53];
/// How often.
const ROUNDS: usize = 6;

/// A surface in the indices of blocks along D,H,W, which need not be whole.
pub(super) struct Net {
    pub(super) vertices: Vec<[f32; 3]>,
    /// Where D,H,W are thought right-handed, they go round against the clock, seen from outside.
    pub(super) faces: Vec<[u32; 4]>,
}

impl Net {
    /// The surface of a label that lies in a box of blocks; closed at the volume's border.
    pub(super) fn around(blocks: &Blocks<'_>, label: u8, within: &VoxelBox) -> Self {
        let [depth, height, width] = within.shape();
        let mut layers = Layers {
            net: Self { vertices: Vec::new(), faces: Vec::new() },
            first: within.start.map(|start| start as f32 - 1.0),
            size: [height + 1, width + 1],
            masks: [vec![false; (height + 2) * (width + 2)], vec![false; (height + 2) * (width + 2)]],
            cells: [vec![0; (height + 1) * (width + 1)], vec![0; (height + 1) * (width + 1)]],
        };
        for layer in 0..=depth {
            layers.masks.swap(0, 1);
            layers.fill_mask((blocks, label), within, layer);
            layers.cells.swap(0, 1);
            layers.cross(layer);
        }
        layers.net
    }

    /// Moves the vertices, each within its own cell, until the steps between voxels are smooth.
    pub(super) fn smooth(&mut self) {
        // A new vertex lies strictly inside its cell.
        let cells: Vec<[f32; 3]> = self.vertices.iter().map(|vertex| vertex.map(f32::floor)).collect();
        for share in std::iter::repeat_n(SMOOTHING, ROUNDS).flatten() {
            let mut sums = vec![([0.0_f32; 3], 0.0_f32); self.vertices.len()];
            let sides = self.faces.iter().flat_map(|face| [0, 1, 2, 3].map(|side: usize| [face[side], face[(side + 1) % 4]]));
            for (from, to) in sides.flat_map(|[a, b]| [(a as usize, b as usize), (b as usize, a as usize)]) {
                let (sum, count) = &mut sums[to];
                *sum = [0, 1, 2].map(|axis: usize| sum[axis] + self.vertices[from][axis]);
                *count += 1.0;
            }
            for ((vertex, cell), (sum, count)) in self.vertices.iter_mut().zip(&cells).zip(sums) {
                *vertex = [0, 1, 2].map(|axis: usize| {
                    let moved = vertex[axis] + share * (sum[axis] / count - vertex[axis]);
                    moved.clamp(cell[axis], cell[axis] + 1.0)
                });
            }
        }
    }
}

/// Two layers of voxels with the cells between them, and the cells of the layer before.
struct Layers {
    net: Net,
    /// D,H,W of the low corner of the first cell.
    first: [f32; 3],
    /// Cells down and across a layer.
    size: [usize; 2],
    /// Which voxels of the lower and of the upper layer are inside, a voxel outside on each side.
    masks: [Vec<bool>; 2],
    /// The vertex of each cell of the layer before and of this one.
    cells: [Vec<u32>; 2],
}

impl Layers {
    /// Fills the upper mask: that of voxel `layer` of the box, or of nothing beyond its last.
    fn fill_mask(&mut self, (blocks, label): (&Blocks<'_>, u8), within: &VoxelBox, layer: usize) {
        let [planes, rows, columns] = within.ranges();
        let mask = &mut self.masks[1];
        mask.fill(false);
        if layer == planes.len() {
            return;
        }
        let slice = &blocks.slices[planes.start + layer];
        for (row, h) in rows.enumerate() {
            let labels = &slice[h * blocks.shape[2]..][columns.clone()];
            let to = (row + 1) * (self.size[1] + 1) + 1;
            mask[to..to + labels.len()].iter_mut().zip(labels).for_each(|(inside, &other)| *inside = other == label);
        }
    }

    /// Gives each cell between the two layers that the surface crosses its vertex, and closes the faces that end there.
    fn cross(&mut self, layer: usize) {
        let [rows, columns] = self.size;
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            // Bit 4 of a corner is D, 2 is H, 1 is W.
            let inside = [0, 1, 2, 3, 4, 5, 6, 7]
                .map(|corner: usize| self.masks[corner >> 2][(row + (corner >> 1 & 1)) * (columns + 1) + column + (corner & 1)]);
            if inside.iter().all(|&one| one == inside[0]) {
                continue;
            }
            let middle = middle(inside);
            let low = [layer, row, column];
            self.cells[1][row * columns + column] = self.net.vertices.len() as u32;
            self.net.vertices.push([0, 1, 2].map(|axis: usize| self.first[axis] + low[axis] as f32 + middle[axis]));
            for axis in (0..3).filter(|axis| inside[0] != inside[4 >> axis]) {
                let face = self.face(axis, [row, column]);
                self.net.faces.push(if inside[0] { face } else { [face[3], face[2], face[1], face[0]] });
            }
        }
    }

    /// The face across the edge along an axis from the low corner of a cell: through the four cells around it, all but this one met
    /// before, against the clock as seen from further along the axis.
    fn face(&self, axis: usize, [row, column]: [usize; 2]) -> [u32; 4] {
        let [second, third] = [(axis + 1) % 3, (axis + 2) % 3];
        [[1, 1], [0, 1], [0, 0], [1, 0]].map(|[of_second, of_third]| {
            let mut back = [0; 3];
            (back[second], back[third]) = (of_second, of_third);
            self.cells[1 - back[0]][(row - back[1]) * self.size[1] + column - back[2]]
        })
    }
}

/// Mean of the middles of a cell's edges that the surface crosses, from the cell's low corner.
fn middle(inside: [bool; 8]) -> [f32; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for axis in 0..3 {
        let bit = 4 >> axis;
        for corner in (0..8_usize).filter(|corner| corner & bit == 0 && inside[*corner] != inside[corner | bit]) {
            for (along, sum) in sum.iter_mut().enumerate() {
                let whole = if corner & (4 >> along) == 0 { 0.0 } else { 1.0 };
                *sum += if along == axis { 0.5 } else { whole };
            }
            count += 1.0;
        }
    }
    sum.map(|sum: f32| sum / count)
}
