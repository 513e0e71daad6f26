//! Copies arrays with their axes reordered and mirrored.

use rayon::prelude::*;

use super::strides;

/// Edge of the square tiles in which a permutation that moves W is copied: keeps both sides of the transposition in cache.
const TILE: usize = 16;

/// Distance in the source of neighbours on one axis of the result, and the way it is read.
#[derive(Clone, Copy)]
struct Walk {
    count: usize,
    stride: usize,
    backwards: bool,
}

impl Walk {
    fn offset(self, index: usize) -> usize {
        let index = if self.backwards { self.count - 1 - index } else { index };
        index * self.stride
    }
}

/// One copy, planned: result axis `o` is source axis `axes[o]`, read backwards if `flips[o]`.
#[derive(Clone, Copy)]
pub(super) struct Permute {
    walks: [Walk; 3],
    /// The source's W as an axis of the result.
    w_axis: usize,
    voxels: usize,
}

impl Permute {
    pub fn new(axes: [usize; 3], flips: [bool; 3], shape: [usize; 3]) -> Self {
        let strides = strides(shape);
        let walks = std::array::from_fn(|o| Walk { count: shape[axes[o]], stride: strides[axes[o]], backwards: flips[o] });
        let w_axis = axes.iter().position(|&axis| axis == 2).expect("axes are a permutation");
        Self { walks, w_axis, voxels: shape.iter().product() }
    }

    /// Copies whole volumes, one after the other.
    pub fn copy<T: Copy>(&self, source: &[T], result: &mut [T]) {
        for (source, result) in source.chunks_exact(self.voxels).zip(result.chunks_exact_mut(self.voxels)) {
            result.chunks_mut(self.slab()).enumerate().for_each(|(slab, result)| self.copy_slab(source, slab * TILE, result));
        }
    }

    /// The same on all threads.
    pub fn par_copy<T: Copy + Send + Sync>(&self, source: &[T], result: &mut [T]) {
        for (source, result) in source.chunks_exact(self.voxels).zip(result.chunks_exact_mut(self.voxels)) {
            result.par_chunks_mut(self.slab()).enumerate().for_each(|(slab, result)| self.copy_slab(source, slab * TILE, result));
        }
    }

    /// Voxels of so many planes of the result as are copied at a time.
    fn slab(&self) -> usize {
        TILE * self.plane()
    }

    fn plane(&self) -> usize {
        self.walks[1].count * self.walks[2].count
    }

    /// Copies the planes of the result from `first` on that `result` has room for.
    fn copy_slab<T: Copy>(&self, source: &[T], first: usize, result: &mut [T]) {
        let [d, h, w] = self.walks;
        let planes = first..first + result.len() / self.plane();
        match self.w_axis {
            // W stays the fastest axis: whole rows, forwards or backwards.
            2 => {
                let starts = planes.flat_map(|i| (0..h.count).map(move |j| d.offset(i) + h.offset(j)));
                for (row, start) in result.chunks_exact_mut(w.count).zip(starts) {
                    let source = &source[start..start + w.count];
                    if w.backwards {
                        row.iter_mut().zip(source.iter().rev()).for_each(|(to, from)| *to = *from);
                    } else {
                        row.copy_from_slice(source);
                    }
                }
            }
            // H of the result is W of the source: each plane is a transposition.
            1 => {
                for (plane, result) in planes.zip(result.chunks_exact_mut(self.plane())) {
                    transpose(source, result, d.offset(plane), [(h, 0..h.count, w.count), (w, 0..w.count, 1)]);
                }
            }
            // D of the result is W of the source: each row across the slab's planes is.
            _ => {
                for j in 0..h.count {
                    let rows = [(d, planes.clone(), self.plane()), (w, 0..w.count, 1)];
                    transpose(source, &mut result[j * w.count..], h.offset(j), rows);
                }
            }
        }
    }
}

/// One axis of a transposition: how the source is walked, where, and the result's stride.
type Side = (Walk, std::ops::Range<usize>, usize);

/// Copies a plane in square tiles; `from` is where the plane begins in the source.
fn transpose<T: Copy>(source: &[T], result: &mut [T], from: usize, [(slow, rows, row_stride), (fast, columns, _)]: [Side; 2]) {
    for top in rows.clone().step_by(TILE) {
        for left in columns.clone().step_by(TILE) {
            let right = (left + TILE).min(columns.end);
            for i in top..(top + TILE).min(rows.end) {
                let (from, to) = (from + slow.offset(i), (i - rows.start) * row_stride);
                for (k, value) in result[to + left..to + right].iter_mut().enumerate() {
                    *value = source[from + fast.offset(left + k)];
                }
            }
        }
    }
}
