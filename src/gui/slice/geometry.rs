//! Which part of a slice a view shows, and where.

use crate::geometry::PlaneGeometry;

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
