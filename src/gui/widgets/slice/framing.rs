//! How much of a slice a view shows, and where its positions lie in the view and on the screen.

use eframe::egui::{Pos2, Rect, pos2};

use super::PlaneGeometry;

/// Points kept free around the whole slice, so that its outermost voxels are seen to be that.
pub(super) const MARGIN: f64 = 6.0;
/// How far one can zoom.
const ZOOM_RANGE: (f64, f64) = (0.25, 100.0);

/// How much of a slice a view shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Framing {
    /// Magnification; 1 shows the whole slice.
    pub zoom: f64,
    /// The position in the view's middle, in voxels across and down; none: the slice's middle.
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
        let centre = self.middle(geometry);
        let step = geometry.spacing_mm.map(|spacing| mm_per_pixel / spacing);
        let first = [0, 1].map(|side: usize| centre[side] - step[side] * pixels[side] / 2.0);
        Placement { first, step, mm_per_pixel }
    }

    /// The position in the view's middle.
    pub(super) fn middle(&self, geometry: &PlaneGeometry) -> [f64; 2] {
        self.centre.unwrap_or(geometry.size.map(|size| (size as f64 - 1.0) / 2.0))
    }

    /// Magnifies to `zoom`, within bounds; the position `about` stays where it is in the view.
    pub fn zoom_to(&mut self, geometry: &PlaneGeometry, about: [f64; 2], zoom: f64) {
        let zoom = zoom.clamp(ZOOM_RANGE.0, ZOOM_RANGE.1);
        if zoom == self.zoom {
            return;
        }
        let (middle, factor) = (self.middle(geometry), zoom / self.zoom);
        self.zoom = zoom;
        self.look_at(geometry, [0, 1].map(|side: usize| about[side] + (middle[side] - about[side]) / factor));
    }

    /// Puts a position on the slice into the middle; positions outside it are moved to its edge, so that it cannot get lost.
    pub(super) fn look_at(&mut self, geometry: &PlaneGeometry, centre: [f64; 2]) {
        self.centre = Some([0, 1].map(|side: usize| centre[side].clamp(-0.5, geometry.size[side] as f64 - 0.5)));
    }
}

/// A slice laid into a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Position at the view's upper left corner, in voxels across and down.
    pub first: [f64; 2],
    /// Voxels for each pixel across and down.
    pub step: [f64; 2],
    /// The same in mm, equal in both directions.
    pub mm_per_pixel: f64,
}

impl Placement {
    /// The position on the slice under a point of the view, in pixels from its upper left corner.
    pub fn at(&self, pixel: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|side: usize| self.first[side] + pixel[side] * self.step[side])
    }

    /// The point of the view, in pixels, where a position on the slice is shown.
    pub fn pixel(&self, at: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|side: usize| (at[side] - self.first[side]) / self.step[side])
    }
}

/// A pane with a slice in it.
#[derive(Clone, Copy)]
pub(super) struct Pane<'a> {
    pub(super) geometry: &'a PlaneGeometry,
    /// In points.
    pub(super) rect: Rect,
    pub(super) pixels_per_point: f32,
    pub(super) framing: Framing,
}

impl Pane<'_> {
    /// A point of the screen in pixels.
    fn pixels(&self, point: Pos2) -> [f64; 2] {
        [point.x, point.y].map(|points| f64::from(points * self.pixels_per_point))
    }

    /// Its upper left corner, in whole pixels of the frame.
    fn corner(&self) -> [f64; 2] {
        self.pixels(self.rect.min).map(f64::round)
    }

    /// How the slice lies in it.
    pub(super) fn placement(&self) -> Placement {
        let (corner, end) = (self.corner(), self.pixels(self.rect.max).map(f64::round));
        let pixels = [0, 1].map(|side: usize| (end[side] - corner[side]).max(1.0));
        self.framing.placement(self.geometry, pixels, MARGIN * f64::from(self.pixels_per_point))
    }

    /// The position on the slice under a point of the screen.
    pub(super) fn at(&self, point: Pos2) -> [f64; 2] {
        let (corner, pixel) = (self.corner(), self.pixels(point));
        self.placement().at([0, 1].map(|side: usize| pixel[side] - corner[side]))
    }

    /// The point of the screen where a position on the slice is shown.
    pub(super) fn point(&self, at: [f64; 2]) -> Pos2 {
        let (corner, pixel) = (self.corner(), self.placement().pixel(at));
        let [x, y] = [0, 1].map(|side: usize| ((pixel[side] + corner[side]) / f64::from(self.pixels_per_point)) as f32);
        pos2(x, y)
    }
}
