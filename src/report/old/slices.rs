//! Orthogonal slices of a voxel grid as a radiologist expects them, whatever way the file stores its axes.
//!
//! Radiological convention: the patient's right is on the left of axial and coronal slices; sagittal slices look
//! from the patient's left with the face to the left.

use crate::volume::Grid;

/// One of the three anatomical planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plane {
    /// Across the body.
    Axial,
    /// Parallel to the face.
    Coronal,
    /// Parallel to the side.
    Sagittal,
}

impl Plane {
    /// In the order in which they are shown.
    pub(super) const ALL: [Self; 3] = [Self::Axial, Self::Coronal, Self::Sagittal];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Axial => "axial",
            Self::Coronal => "coronal",
            Self::Sagittal => "sagittal",
        }
    }

    /// Letters at the left, right, top and bottom edge.
    pub(super) fn letters(self) -> [char; 4] {
        match self {
            Self::Axial => ['R', 'L', 'A', 'P'],
            Self::Coronal => ['R', 'L', 'S', 'I'],
            Self::Sagittal => ['A', 'P', 'S', 'I'],
        }
    }

    /// Patient axes (0 R, 1 A, 2 S) along rows, along columns, and across; rows and columns run against them.
    fn axes(self) -> [usize; 3] {
        match self {
            Self::Axial => [1, 0, 2],
            Self::Coronal => [2, 0, 1],
            Self::Sagittal => [2, 1, 0],
        }
    }
}

/// A way through a voxel grid, along one axis of the patient.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Walk {
    /// Voxel at which it begins.
    start: usize,
    /// Voxels to the next.
    stride: isize,
    /// Number of voxels.
    steps: usize,
    /// Distance of neighbours.
    spacing_mm: f64,
}

impl Walk {
    fn at(&self, step: usize) -> isize {
        self.start as isize + self.stride * step as isize
    }

    fn reversed(&self) -> Self {
        let start = (self.at(self.steps.saturating_sub(1))).unsigned_abs();
        Self { start, stride: -self.stride, ..*self }
    }
}

/// The slices of one plane through a voxel grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slicer {
    rows: Walk,
    columns: Walk,
    across: Walk,
}

impl Slicer {
    /// Slices of `grid`; an oblique grid is cut along the voxel axes nearest to the patient's.
    pub(super) fn new(grid: &Grid, plane: Plane) -> Self {
        let walks = walks(grid);
        let [rows, columns, across] = plane.axes();
        Self { rows: walks[rows].reversed(), columns: walks[columns].reversed(), across: walks[across] }
    }

    /// Pixels of a slice: rows, columns.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.rows.steps, self.columns.steps]
    }

    /// Size of a pixel in mm: down, right.
    pub(super) fn pixel_mm(&self) -> [f64; 2] {
        [self.rows.spacing_mm, self.columns.spacing_mm]
    }

    /// Number of slices.
    pub(super) fn slices(&self) -> usize {
        self.across.steps
    }

    /// Slice `slice` of `voxels` (`[D, H, W]`), row by row.
    pub(super) fn cut<T: Copy>(&self, voxels: &[T], slice: usize) -> Vec<T> {
        let from = self.across.at(slice);
        let row = |row| from + self.rows.stride * row as isize + self.rows.start as isize;
        let pixel = move |row: isize, column| voxels[(row + self.columns.at(column)).unsigned_abs()];
        (0..self.rows.steps)
            .flat_map(|r| (0..self.columns.steps).map(move |column| (r, column)))
            .map(|(r, column)| pixel(row(r), column))
            .collect()
    }

    /// The slice with the largest marked area, the middle one of nothing.
    pub(super) fn fullest(&self, marked: impl Fn(usize) -> bool) -> usize {
        let area = |slice: &usize| {
            let from = self.across.at(*slice);
            let pixels = (0..self.rows.steps).flat_map(|row| (0..self.columns.steps).map(move |column| (row, column)));
            pixels.filter(|&(row, column)| marked((from + self.rows.at(row) + self.columns.at(column)).unsigned_abs())).count()
        };
        let (slice, area) = (0..self.across.steps).map(|slice| (slice, area(&slice))).rev().max_by_key(|&(_, area)| area).unwrap_or((0, 0));
        if area == 0 { self.across.steps / 2 } else { slice }
    }
}

/// The voxel axis nearest to each of the patient's axes R, A, S, walked towards it.
fn walks(grid: &Grid) -> [Walk; 3] {
    let [depth, height, width] = grid.shape;
    let [depth_mm, height_mm, width_mm] = grid.spacing_mm();
    // In NIfTI's order of axes: i = W, j = H, k = D.
    let axes = [(width, 1, width_mm), (height, width, height_mm), (depth, width * height, depth_mm)];
    let mut walks = axes.map(|(steps, stride, spacing_mm)| Walk { start: 0, stride: stride as isize, steps, spacing_mm });
    let stored = walks;
    for ((world, against), walk) in grid.closest_axes().into_iter().zip(stored) {
        walks[world] = if against { walk.reversed() } else { walk };
    }
    walks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_the_same_whatever_way_the_file_stores_it() {
        // The same 2 x 3 x 4 (S, A, R) anatomy, once stored along RAS, once with i = posterior, j = right, k = inferior.
        let value = |r: usize, a: usize, s: usize| (100 * s + 10 * a + r) as u16;
        let ras = Grid::axis_aligned([2, 3, 4], [3.0, 2.0, 1.0]);
        let straight: Vec<u16> = (0..24).map(|v| value(v % 4, v / 4 % 3, v / 12)).collect();
        let turned = Grid {
            shape: [2, 4, 3],
            world_from_voxel: [[0.0, 1.0, 0.0, 0.0], [-2.0, 0.0, 0.0, 4.0], [0.0, 0.0, -3.0, 3.0], [0.0, 0.0, 0.0, 1.0]],
        };
        let stored: Vec<u16> = (0..24).map(|v| value(v / 3 % 4, 2 - v % 3, 1 - v / 12)).collect();
        for plane in Plane::ALL {
            let (one, other) = (Slicer::new(&ras, plane), Slicer::new(&turned, plane));
            assert_eq!((one.size(), one.pixel_mm(), one.slices()), (other.size(), other.pixel_mm(), other.slices()));
            for slice in 0..one.slices() {
                assert_eq!(one.cut(&straight, slice), other.cut(&stored, slice), "{plane:?} {slice}");
            }
        }
        // Axial: anterior on top, the patient's right on the left.
        let axial = Slicer::new(&ras, Plane::Axial);
        assert_eq!(axial.cut(&straight, 1), [123, 122, 121, 120, 113, 112, 111, 110, 103, 102, 101, 100]);
        assert_eq!(axial.pixel_mm(), [2.0, 1.0]);
        let sagittal = Slicer::new(&ras, Plane::Sagittal);
        assert_eq!(sagittal.cut(&straight, 0), [120, 110, 100, 20, 10, 0]);
    }

    #[test]
    fn the_fullest_slice_is_chosen_and_the_middle_of_nothing() {
        let grid = Grid::axis_aligned([5, 4, 3], [1.0; 3]);
        let axial = Slicer::new(&grid, Plane::Axial);
        assert_eq!(axial.fullest(|voxel| voxel / 12 == 3 || voxel == 0), 3);
        assert_eq!(axial.fullest(|_| false), 2);
    }
}
