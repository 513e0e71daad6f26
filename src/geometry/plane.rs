//! How the anatomical planes of a grid lie on a screen or page. Planes run along voxel axes, as in every viewer that shows what was
//! measured and nothing interpolated, and are named by the patient axis nearest to them.

use serde::{Deserialize, Serialize};

use super::{Grid, strides};

/// The letter of each end of the patient axes R, A, S: towards it, and away from it.
pub const ENDS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];

/// Which side of the patient is on the left of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// The patient's right, as if looked at from the feet.
    #[default]
    Radiological,
    /// The patient's left, as if looked at from the head.
    Neurological,
}

/// A plane of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Seen along the body's length.
    Axial,
    /// Seen from the front.
    Coronal,
    /// Seen from the side.
    Sagittal,
}

impl Plane {
    /// All of them, in the order in which viewers show them.
    pub const ALL: [Self; 3] = [Self::Axial, Self::Coronal, Self::Sagittal];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Axial => "Axial",
            Self::Coronal => "Coronal",
            Self::Sagittal => "Sagittal",
        }
    }

    /// Patient axes (0 = R, 1 = A, 2 = S) across the screen, down the screen, and through it.
    fn axes(self) -> [usize; 3] {
        match self {
            Self::Axial => [0, 1, 2],
            Self::Coronal => [0, 2, 1],
            Self::Sagittal => [1, 2, 0],
        }
    }
}

/// Letters on the edges of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edges {
    /// Side of the patient on the screen's left.
    pub left: char,
    /// On its right.
    pub right: char,
    /// On its top.
    pub top: char,
    /// On its bottom.
    pub bottom: char,
}

/// How one plane of a grid lies on the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneGeometry {
    /// The plane.
    pub plane: Plane,
    /// Array axis (0 = D, 1 = H, 2 = W) perpendicular to the slices.
    pub through: usize,
    /// Array axes across and down the screen.
    pub axes: [usize; 2],
    /// Whether the index falls across, and down.
    pub falls: [bool; 2],
    /// Voxels across and down.
    pub size: [usize; 2],
    /// Number of slices.
    pub slices: usize,
    /// Step of the slice index that goes up: towards head, front or the patient's right.
    pub up: isize,
    /// Distance of voxels across and down.
    pub spacing_mm: [f64; 2],
    /// Which side of the patient lies at which edge.
    pub letters: Edges,
}

impl PlaneGeometry {
    /// Lays a plane of `grid` on the screen: top is front (axial) or head, left is the patient's right or left by `convention`, or
    /// the front in a sagittal slice.
    pub fn new(grid: &Grid, plane: Plane, convention: Convention) -> Self {
        let closest = grid.closest_axes();
        // The array axis nearest to a patient axis, and whether its index grows towards R, A, S.
        let array_axis = |patient: usize| {
            let nifti = closest.iter().position(|&(axis, _)| axis == patient).expect("every patient axis is nearest to one voxel axis");
            (2 - nifti, !closest[nifti].1)
        };
        let [across, down, through] = plane.axes();
        let (through_axis, through_grows) = array_axis(through);
        // Across the screen goes towards the patient's left (radiological) or right, and towards the back in sagittal slices.
        let towards = plane != Plane::Sagittal && convention == Convention::Neurological;
        let (across_axis, across_grows) = array_axis(across);
        let (down_axis, down_grows) = array_axis(down);
        let spacing = grid.spacing_mm();
        let [end, start] = if towards { ENDS[across] } else { [ENDS[across][1], ENDS[across][0]] };
        Self {
            plane,
            through: through_axis,
            axes: [across_axis, down_axis],
            falls: [across_grows != towards, down_grows],
            size: [grid.shape[across_axis], grid.shape[down_axis]],
            slices: grid.shape[through_axis],
            up: if through_grows { 1 } else { -1 },
            spacing_mm: [spacing[across_axis], spacing[down_axis]],
            letters: Edges { left: start, right: end, top: ENDS[down][0], bottom: ENDS[down][1] },
        }
    }

    /// D,H,W of a position on a slice; `at` counts voxels across and down from the centre of the first, in parts of voxels.
    pub fn voxel(&self, slice: usize, at: [f64; 2]) -> [f64; 3] {
        let mut voxel = [0.0; 3];
        voxel[self.through] = slice as f64;
        for side in 0..2 {
            voxel[self.axes[side]] = if self.falls[side] { self.size[side] as f64 - 1.0 - at[side] } else { at[side] };
        }
        voxel
    }

    /// Slice and position on it of a point in D,H,W: the inverse of [`Self::voxel`].
    pub fn position(&self, voxel: [f64; 3]) -> (f64, [f64; 2]) {
        let at = [0, 1].map(|side: usize| {
            let index = voxel[self.axes[side]];
            if self.falls[side] { self.size[side] as f64 - 1.0 - index } else { index }
        });
        (voxel[self.through], at)
    }

    /// The voxel that a position on a slice lies in; none outside the volume.
    pub fn voxel_at(&self, slice: usize, at: [f64; 2]) -> Option<[usize; 3]> {
        let whole = at.map(|value| (value + 0.5).floor());
        let inside = [0, 1].iter().all(|&side: &usize| whole[side] >= 0.0 && whole[side] < self.size[side] as f64);
        inside.then(|| self.voxel(slice, whole).map(|index| index as usize))
    }

    /// The voxels of a slice of `voxels` (`[D, H, W]`), row by row as they lie on the screen.
    ///
    /// # Panics
    /// If there is no such slice.
    pub fn cut<T: Copy>(&self, voxels: &[T], slice: usize) -> Vec<T> {
        self.indices(slice).map(|index| voxels[index]).collect()
    }

    /// The slice with the largest marked area, of equals the lowest in the patient; the middle one of nothing.
    pub fn fullest(&self, marked: impl Fn(usize) -> bool) -> usize {
        let area = |slice: usize| self.indices(slice).filter(|&index| marked(index)).count();
        let upwards = (0..self.slices).map(|step| if self.up > 0 { step } else { self.slices - 1 - step });
        let areas: Vec<(usize, usize)> = upwards.map(|slice| (slice, area(slice))).collect();
        match areas.iter().rev().max_by_key(|&&(_, area)| area) {
            Some(&(slice, area)) if area > 0 => slice,
            _ => areas.get(self.slices / 2).map_or(0, |&(slice, _)| slice),
        }
    }

    /// Indices into `[D, H, W]` of a slice's voxels, row by row as they lie on the screen.
    fn indices(&self, slice: usize) -> impl Iterator<Item = usize> {
        // The grid's shape, as far as strides need it.
        let mut shape = [0; 3];
        shape[self.through] = self.slices;
        shape[self.axes[0]] = self.size[0];
        shape[self.axes[1]] = self.size[1];
        let strides = strides(shape);
        let [across, down] = [0, 1].map(|side: usize| (strides[self.axes[side]], self.size[side], self.falls[side]));
        let at = |(stride, size, falls): (usize, usize, bool), step: usize| stride * if falls { size - 1 - step } else { step };
        let first = strides[self.through] * slice;
        (0..down.1).flat_map(move |row| (0..across.1).map(move |column| first + at(down, row) + at(across, column)))
    }
}

/// A point's position in the patient with letters, in mm: "R 17.6  P 35.3  S 12.1".
pub fn world_letters(grid: &Grid, voxel: [f64; 3]) -> String {
    let [d, h, w] = voxel;
    let mm = grid.world_mm([w, h, d]);
    let part = |axis: usize| format!("{} {:.1}", ENDS[axis][usize::from(mm[axis] < 0.0)], mm[axis].abs());
    [part(0), part(1), part(2)].join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_the_same_however_the_file_stores_it() {
        // The same 2 x 3 x 4 (S, A, R) anatomy, once stored as RAS, once with i = posterior, j = right, k = inferior.
        let value = |r: usize, a: usize, s: usize| (100 * s + 10 * a + r) as u16;
        let ras = Grid::axis_aligned([2, 3, 4], [3.0, 2.0, 1.0]);
        let straight: Vec<u16> = (0..24).map(|v| value(v % 4, v / 4 % 3, v / 12)).collect();
        let pri = Grid {
            shape: [2, 4, 3],
            world_from_voxel: [[0.0, 1.0, 0.0, 0.0], [-2.0, 0.0, 0.0, 4.0], [0.0, 0.0, -3.0, 3.0], [0.0, 0.0, 0.0, 1.0]],
        };
        let stored: Vec<u16> = (0..24).map(|v| value(v / 3 % 4, 2 - v % 3, 1 - v / 12)).collect();
        let layout = |grid: &Grid, plane| PlaneGeometry::new(grid, plane, Convention::Radiological);
        for plane in Plane::ALL {
            let (one, other) = (layout(&ras, plane), layout(&pri, plane));
            assert_eq!((one.size, one.spacing_mm, one.slices), (other.size, other.spacing_mm, other.slices));
            for slice in 0..one.slices {
                let same = if one.up == other.up { slice } else { one.slices - 1 - slice };
                assert_eq!(one.cut(&straight, slice), other.cut(&stored, same), "{plane:?} {slice}");
            }
        }
        // Axial: anterior on top, the patient's right on the left.
        assert_eq!(layout(&ras, Plane::Axial).cut(&straight, 1), [123, 122, 121, 120, 113, 112, 111, 110, 103, 102, 101, 100]);
        assert_eq!(layout(&ras, Plane::Sagittal).cut(&straight, 0), [120, 110, 100, 20, 10, 0]);
        let axial = layout(&Grid::axis_aligned([5, 4, 3], [1.0; 3]), Plane::Axial);
        assert_eq!(axial.fullest(|voxel| voxel / 12 == 3 || voxel == 0), 3);
        assert_eq!(axial.fullest(|_| false), 2);
    }
}
