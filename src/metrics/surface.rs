//! Distances between the surfaces of two masks, and their 95th percentile (HD95).
//!
//! A surface is a mask minus its 6-neighbour erosion, the outside of the volume counting as background. Distances are
//! between voxel centres, exact, from a distance transform of the box that holds both masks.

use std::ops::Range;

use rayon::prelude::*;

use super::distance_transform::squared_distances;
use crate::config::Hd95Convention;
use crate::geometry::quantile;

/// A set of voxels in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Voxels of the box along D,H,W.
    pub shape: [usize; 3],
    /// `[D, H, W]` row-major.
    pub inside: Vec<bool>,
}

/// Distances from each surface voxel of one mask to the nearest of the other, in the unit of the spacing.
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceDistances {
    /// From the truth's surface.
    pub from_truth: Vec<f64>,
    /// From the prediction's surface.
    pub from_prediction: Vec<f64>,
}

impl Mask {
    /// The voxels of a volume of `shape` within `bounds` for which `member` holds.
    pub fn within<T: Copy + Sync>(labels: &[T], shape: [usize; 3], bounds: &[Range<usize>; 3], member: impl Fn(T) -> bool + Sync) -> Self {
        let [_, height, width] = shape;
        let [slices, rows, columns] = bounds;
        let inside = slices.clone().into_par_iter().flat_map_iter(|slice| {
            let member = &member;
            rows.clone().flat_map(move |row| {
                let start = (slice * height + row) * width;
                labels[start + columns.start..start + columns.end].iter().map(move |&label| member(label))
            })
        });
        Self { shape: bounds.each_ref().map(ExactSizeIterator::len), inside: inside.collect() }
    }

    /// The mask without its 6-neighbour erosion; beyond the box lies background.
    fn surface(&self) -> Vec<bool> {
        let [depth, height, width] = self.shape;
        let inside = &self.inside;
        let mut surface = vec![false; inside.len()];
        surface.par_chunks_mut((height * width).max(1)).enumerate().for_each(|(slice, surface)| {
            for (row, surface) in surface.chunks_mut(width).enumerate() {
                let start = (slice * height + row) * width;
                let edge = slice == 0 || slice + 1 == depth || row == 0 || row + 1 == height;
                for (column, surface) in surface.iter_mut().enumerate().filter(|(column, _)| inside[start + column]) {
                    let at = start + column;
                    let buried = || {
                        let neighbours = [at - 1, at + 1, at - width, at + width, at - height * width, at + height * width];
                        neighbours.into_iter().all(|neighbour| inside[neighbour])
                    };
                    *surface = edge || column == 0 || column + 1 == width || !buried();
                }
            }
        });
        surface
    }
}

/// Distances between the surfaces of two masks of one box; `None` where a mask is empty.
///
/// `spacing` is the voxel size along D,H,W: in mm, or ones for distances in voxels.
pub fn surface_distances(truth: &Mask, prediction: &Mask, spacing: [f64; 3]) -> Option<SurfaceDistances> {
    assert_eq!(truth.shape, prediction.shape, "both masks lie in one box");
    let surfaces = [truth.surface(), prediction.surface()];
    if surfaces.iter().any(|surface| !surface.contains(&true)) {
        return None;
    }
    let [from_truth, from_prediction] = [[0, 1], [1, 0]].map(|[from, to]: [usize; 2]| {
        let squared = squared_distances(&surfaces[from], &surfaces[to], truth.shape, spacing);
        squared.into_iter().map(f64::sqrt).collect()
    });
    Some(SurfaceDistances { from_truth, from_prediction })
}

impl SurfaceDistances {
    /// The 95th percentile of the distances, under either reading.
    pub fn hd95(&self, convention: Hd95Convention) -> f64 {
        let p95 = |mut distances: Vec<f64>| quantile(&mut distances, 0.95).unwrap_or(f64::NAN);
        match convention {
            Hd95Convention::Pooled => p95([&self.from_truth[..], &self.from_prediction].concat()),
            Hd95Convention::DirectedMax => p95(self.from_truth.clone()).max(p95(self.from_prediction.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(shape: [usize; 3], inside: impl Fn(usize, usize, usize) -> bool) -> Mask {
        let [depth, height, width] = shape;
        let voxels = (0..depth * height * width).map(|at| inside(at / (height * width), at / width % height, at % width));
        Mask { shape, inside: voxels.collect() }
    }

    #[test]
    fn a_solid_has_its_faces_as_surface_and_the_border_counts() {
        let cube = mask([5, 5, 5], |d, h, w| [d, h, w].iter().all(|place| (1..4).contains(place)));
        assert_eq!(cube.surface().iter().filter(|&&surface| surface).count(), 26);
        let whole = mask([3, 4, 5], |_, _, _| true);
        assert_eq!(whole.surface().iter().filter(|&&surface| surface).count(), 60 - 2 * 3);
    }

    #[test]
    fn planes_are_as_far_apart_as_their_spacing_says() {
        let plane = |at: usize| mask([6, 3, 4], move |d, _, _| d == at);
        let distances = surface_distances(&plane(0), &plane(4), [2.5, 1.0, 1.0]).unwrap();
        assert!(distances.from_truth.iter().chain(&distances.from_prediction).all(|&distance| distance == 10.0), "{distances:?}");
        for convention in [Hd95Convention::Pooled, Hd95Convention::DirectedMax] {
            assert_eq!(distances.hd95(convention), 10.0);
        }
        assert_eq!(surface_distances(&plane(0), &plane(9), [1.0; 3]), None);
    }

    #[test]
    fn the_conventions_differ_where_one_side_strays() {
        let distances = SurfaceDistances { from_truth: vec![0.0; 80], from_prediction: [vec![0.0; 10], vec![9.0; 4]].concat() };
        assert_eq!(distances.hd95(Hd95Convention::DirectedMax), 9.0);
        assert_eq!(distances.hd95(Hd95Convention::Pooled), 0.0);
    }

    #[test]
    fn a_mask_is_cut_to_its_bounds() {
        let labels: Vec<u8> = (0..24).collect();
        let cut = Mask::within(&labels, [2, 3, 4], &[1..2, 0..2, 2..4], |label| label != 18);
        assert_eq!((cut.shape, cut.inside), ([1, 2, 2], vec![true, true, false, true]));
    }
}
