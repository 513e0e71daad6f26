//! A label map as it is meshed: as it is, or in blocks of voxels where its surfaces would have too many faces.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::geometry::VoxelBox;

/// Labels that a map may hold, background among them.
const LABELS: usize = 256;
/// Edges of a block that differ by less than this factor in mm grow together, so that blocks stay nearly cubes.
const ALIKE: f64 = 1.25;

/// A label map in blocks of voxels; a block has the label of most of its voxels, of equally many not the background.
pub(super) struct Blocks<'a> {
    /// Slices of D, each `[H, W]` row-major.
    pub(super) slices: Vec<Cow<'a, [u8]>>,
    /// Blocks along D,H,W.
    pub(super) shape: [usize; 3],
    /// Voxels of a block along D,H,W.
    pub(super) step: [usize; 3],
}

/// What there is to mesh.
pub(super) struct Survey {
    /// Faces between blocks of different labels, counted once for each of the two labels that is not the background.
    pub(super) faces: usize,
    /// The box of each label; empty of one that is not there.
    pub(super) boxes: Vec<VoxelBox>,
}

impl<'a> Blocks<'a> {
    /// Each voxel a block.
    pub(super) fn whole(slices: &[&'a [u8]], shape: [usize; 3]) -> Self {
        Self { slices: slices.iter().map(|&slice| Cow::Borrowed(slice)).collect(), shape, step: [1; 3] }
    }

    /// The map of these slices and of `shape` in blocks of `step` voxels.
    pub(super) fn reduced(slices: &[&[u8]], shape: [usize; 3], step: [usize; 3]) -> Self {
        let reduced = [0, 1, 2].map(|axis: usize| shape[axis].div_ceil(step[axis]));
        let range = |axis: usize, at: usize| at * step[axis]..((at + 1) * step[axis]).min(shape[axis]);
        let layer = |d: usize| {
            let mut voxels = Vec::with_capacity(step.iter().product());
            let block = |index: usize| {
                let (rows, columns) = (range(1, index / reduced[2]), range(2, index % reduced[2]));
                voxels.clear();
                for (slice, h) in slices[range(0, d)].iter().flat_map(|slice| rows.clone().map(move |h| (slice, h))) {
                    voxels.extend_from_slice(&slice[h * shape[2]..][columns.clone()]);
                }
                most_frequent(&mut voxels)
            };
            Cow::Owned((0..reduced[1] * reduced[2]).map(block).collect())
        };
        Self { slices: (0..reduced[0]).into_par_iter().map(layer).collect(), shape: reduced, step }
    }

    /// The next larger blocks of a volume of `shape` voxels: their shortest edges in mm grow by a voxel. None where one block holds all.
    pub(super) fn larger(step: [usize; 3], shape: [usize; 3], spacing_mm: [f64; 3]) -> Option<[usize; 3]> {
        let edge = |axis: usize| if step[axis] < shape[axis] { step[axis] as f64 * spacing_mm[axis] } else { f64::INFINITY };
        let shortest = [0, 1, 2].map(edge).into_iter().fold(f64::INFINITY, f64::min);
        let grown = [0, 1, 2].map(|axis| step[axis] + usize::from(edge(axis).is_finite() && edge(axis) <= ALIKE * shortest));
        (grown != step).then_some(grown)
    }

    /// Counts the faces, and finds where each label lies.
    pub(super) fn survey(&self) -> Survey {
        let [_, height, width] = self.shape;
        let nothing = || Survey { faces: 0, boxes: vec![VoxelBox::EMPTY; LABELS] };
        let counted = self.slices.par_iter().enumerate().fold(nothing, |mut survey, (d, slice)| {
            if height * width == 0 {
                return survey;
            }
            survey.faces += self.slices.get(d + 1).map_or_else(|| labelled(slice), |above| between(slice, above));
            survey.faces += if d == 0 { labelled(slice) } else { 0 };
            // Neighbours one row apart; the first and the last row have the outside beside them.
            let last = slice.len() - width;
            survey.faces += between(&slice[..last], &slice[width..]) + labelled(&slice[..width]) + labelled(&slice[last..]);
            for (h, row) in slice.chunks_exact(width).enumerate() {
                let mut start = 0;
                for run in row.chunk_by(|a, b| a == b) {
                    if run[0] != 0 {
                        survey.faces += 2;
                        survey.boxes[usize::from(run[0])].include([d, h, start], [d, h, start + run.len() - 1]);
                    }
                    start += run.len();
                }
            }
            survey
        });
        counted.reduce(nothing, |a, b| Survey {
            faces: a.faces + b.faces,
            boxes: a.boxes.iter().zip(&b.boxes).map(|(a, b)| a.union(b)).collect(),
        })
    }
}

fn most_frequent(voxels: &mut [u8]) -> u8 {
    voxels.sort_unstable();
    // Of equals the last: the background comes first.
    voxels.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).map_or(0, |run| run[0])
}

/// Faces between neighbours of two lists.
fn between(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).map(|(a, b)| usize::from(a != b) * (usize::from(*a != 0) + usize::from(*b != 0))).sum()
}

fn labelled(labels: &[u8]) -> usize {
    labels.iter().filter(|&&label| label != 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_and_boxes_are_those_of_each_label() {
        // Two voxels of label 1 beside one of label 2, on the border of a volume and inside another.
        let survey = Blocks::whole(&[&[1, 1, 2]], [1, 1, 3]).survey();
        assert_eq!(survey.faces, 10 + 6);
        let survey = Blocks::whole(&[&[0; 9], &[0, 0, 0, 0, 2, 0, 0, 0, 0], &[0; 9]], [3, 3, 3]).survey();
        assert_eq!((survey.faces, survey.boxes[2], survey.boxes[1].is_empty()), (6, VoxelBox::at([1; 3], [1; 3]), true));
        assert_eq!(Blocks::whole(&[], [0, 3, 3]).survey().faces + Blocks::whole(&[&[], &[]], [2, 0, 3]).survey().faces, 0);
    }

    #[test]
    fn a_block_has_the_label_of_most_of_its_voxels() {
        let blocks = Blocks::reduced(&[&[0, 1, 3, 3, 0, 1, 0, 0, 0, 2]], [1, 2, 5], [1, 2, 2]);
        // Two of four are labelled 1, two 3, one of two 2.
        assert_eq!((blocks.shape, blocks.slices[0].as_ref()), ([1, 1, 3], [1, 3, 2].as_slice()));
    }

    #[test]
    fn blocks_grow_into_cubes_until_one_holds_all() {
        let spacing = [3.0, 1.0, 1.1];
        let mut step = [1; 3];
        let mut seen = Vec::new();
        while let Some(larger) = Blocks::larger(step, [4, 40, 40], spacing) {
            step = larger;
            seen.push(larger);
        }
        assert_eq!(seen[..3], [[1, 2, 2], [1, 3, 3], [2, 4, 4]]);
        assert_eq!(seen.last(), Some(&[4, 40, 40]));
    }
}
