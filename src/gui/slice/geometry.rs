//! How the planes of a grid lie on the screen. Pure geometry; planes run along voxel axes, as in every viewer that shows what was
//! measured and nothing interpolated, and are named by the patient axis nearest to them.

use crate::gui::Convention;
use crate::volume::Grid;

/// The letter of each end of the patient axes R, A, S: towards it, and away from it.
const ENDS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];

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
        // The array axis that runs along a patient axis, and whether its index grows towards R, A, S.
        let along = |patient: usize| {
            let nifti = closest.iter().position(|&(axis, _)| axis == patient).expect("every patient axis is nearest to one voxel axis");
            (2 - nifti, !closest[nifti].1)
        };
        let [across, down, through] = plane.axes();
        let (through_axis, through_grows) = along(through);
        // Across the screen goes towards the patient's left (radiological) or right, and towards the back in sagittal slices.
        let towards = plane != Plane::Sagittal && convention == Convention::Neurological;
        let (across_axis, across_grows) = along(across);
        let (down_axis, down_grows) = along(down);
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

    /// D,H,W of a place on a slice; `at` counts voxels across and down from the centre of the first, in parts of voxels.
    pub fn voxel(&self, slice: usize, at: [f64; 2]) -> [f64; 3] {
        let mut voxel = [0.0; 3];
        voxel[self.through] = slice as f64;
        for side in 0..2 {
            voxel[self.axes[side]] = if self.falls[side] { self.size[side] as f64 - 1.0 - at[side] } else { at[side] };
        }
        voxel
    }

    /// Slice and place on it of a point in D,H,W: the inverse of [`Self::voxel`].
    pub fn place(&self, voxel: [f64; 3]) -> (f64, [f64; 2]) {
        let at = [0, 1].map(|side: usize| {
            let index = voxel[self.axes[side]];
            if self.falls[side] { self.size[side] as f64 - 1.0 - index } else { index }
        });
        (voxel[self.through], at)
    }

    /// The voxel that a place on a slice lies in; none outside the volume.
    pub fn voxel_at(&self, slice: usize, at: [f64; 2]) -> Option<[usize; 3]> {
        let whole = at.map(|value| (value + 0.5).floor());
        let inside = [0, 1].iter().all(|&side: &usize| whole[side] >= 0.0 && whole[side] < self.size[side] as f64);
        inside.then(|| self.voxel(slice, whole).map(|index| index as usize))
    }
}

/// A point's place in the patient with letters, in mm: "R 17.6  P 35.3  S 12.1".
pub fn world_letters(grid: &Grid, voxel: [f64; 3]) -> String {
    let [d, h, w] = voxel;
    let mm = grid.world_mm([w, h, d]);
    let part = |axis: usize| format!("{} {:.1}", ENDS[axis][usize::from(mm[axis] < 0.0)], mm[axis].abs());
    [part(0), part(1), part(2)].join("  ")
}

/// How much of a slice a view shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Framing {
    /// Magnification; 1 shows the whole slice.
    pub zoom: f64,
    /// The place in the view's middle, in voxels across and down; none: the slice's middle.
    pub centre: Option<[f64; 2]>,
}

impl Default for Framing {
    fn default() -> Self {
        Self { zoom: 1.0, centre: None }
    }
}

impl Framing {
    /// Lays a slice into a view of `pixels` (across, down), `margin` pixels of it kept free on each side of the whole slice.
    pub fn placement(&self, geometry: &PlaneGeometry, pixels: [f64; 2], margin: f64) -> Placement {
        let extent = [0, 1].map(|side: usize| geometry.size[side] as f64 * geometry.spacing_mm[side]);
        let fit = [0, 1].map(|side: usize| extent[side] / (pixels[side] - 2.0 * margin).max(1.0));
        let mm_per_pixel = fit[0].max(fit[1]) / self.zoom;
        let middle = geometry.size.map(|size| (size as f64 - 1.0) / 2.0);
        let centre = self.centre.unwrap_or(middle);
        let step = geometry.spacing_mm.map(|spacing| mm_per_pixel / spacing);
        let first = [0, 1].map(|side: usize| centre[side] - step[side] * pixels[side] / 2.0);
        Placement { first, step, mm_per_pixel }
    }
}

/// A slice laid into a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Place at the view's upper left corner, in voxels across and down.
    pub first: [f64; 2],
    /// Voxels for each pixel across and down.
    pub step: [f64; 2],
    /// The same in mm, equal in both directions.
    pub mm_per_pixel: f64,
}

impl Placement {
    /// The place on the slice under a point of the view, in pixels from its upper left corner.
    pub fn at(&self, pixel: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|side: usize| self.first[side] + pixel[side] * self.step[side])
    }

    /// The point of the view, in pixels, where a place on the slice is shown.
    pub fn pixel(&self, at: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|side: usize| (at[side] - self.first[side]) / self.step[side])
    }
}
