//! A picture under way on the host: slices, lines and text on it.

use eframe::egui::text::{FontDefinitions, Fonts};
use eframe::egui::{Align2, Color32, ColorImage, FontId, Pos2, Rect, pos2};

/// Text in points, as on the screen.
const LETTERS: f32 = 13.5;
/// Half of the crosshair's gap in points.
const GAP: f32 = 9.0;

/// The picture under way; places are in points from its upper left corner.
pub(super) struct Canvas {
    image: ColorImage,
    scale: f32,
    fonts: Fonts,
}

impl Canvas {
    /// A black picture of so many pixels across and down, `scale` of them for a point.
    pub(super) fn new(size: [usize; 2], scale: f32) -> Self {
        let fonts = Fonts::new(Default::default(), FontDefinitions::default());
        Self { image: ColorImage::filled(size, Color32::BLACK), scale, fonts }
    }

    /// What was drawn.
    pub(super) fn finish(self) -> ColorImage {
        self.image
    }

    fn put(&mut self, x: i64, y: i64, colour: Color32, coverage: f32) {
        let [width, height] = self.image.size;
        if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
            && x < width
            && y < height
        {
            let pixel = &mut self.image.pixels[y * width + x];
            *pixel = pixel.lerp_to_gamma(colour, coverage).to_opaque();
        }
    }

    /// Lays a drawn slice with its corner at that of `rect`.
    pub(super) fn blit(&mut self, slice: &ColorImage, rect: Rect) {
        let corner = [rect.left(), rect.top()].map(|points| (points * self.scale).round() as usize);
        let [width, height] = self.image.size;
        let columns = slice.size[0].min(width.saturating_sub(corner[0]));
        for (row, line) in slice.pixels.chunks_exact(slice.size[0]).enumerate().take(height.saturating_sub(corner[1])) {
            let start = (corner[1] + row) * width + corner[0];
            self.image.pixels[start..start + columns].copy_from_slice(&line[..columns]);
        }
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, rect: Rect, colour: Color32) {
        let scale = self.scale;
        let edge = |points: f32| (points * scale).round() as i64;
        for y in edge(rect.top())..edge(rect.bottom()) {
            for x in edge(rect.left())..edge(rect.right()) {
                self.put(x, y, colour, 1.0);
            }
        }
    }

    /// Thin lines through `middle`, open around it.
    pub(super) fn crosshair(&mut self, rect: Rect, middle: Pos2) {
        let half = 0.5;
        let line = Color32::from_gray(210);
        let columns = [(rect.left(), middle.x - GAP), (middle.x + GAP, rect.right())];
        for (from, to) in columns.into_iter().filter(|(from, to)| from < to) {
            self.fill(Rect::from_min_max(pos2(from, middle.y - half), pos2(to, middle.y + half)), line);
        }
        let rows = [(rect.top(), middle.y - GAP), (middle.y + GAP, rect.bottom())];
        for (from, to) in rows.into_iter().filter(|(from, to)| from < to) {
            self.fill(Rect::from_min_max(pos2(middle.x - half, from), pos2(middle.x + half, to)), line);
        }
    }

    /// White text on a dark seam, read on any grey; where it ends on the right.
    pub(super) fn text(&mut self, text: &str, place: Pos2, anchor: Align2) -> f32 {
        let mut view = self.fonts.with_pixels_per_point(self.scale);
        let galley = view.layout_no_wrap(text.to_owned(), FontId::proportional(LETTERS), Color32::WHITE);
        let atlas = view.image();
        let Rect { min, max } = anchor.anchor_size(place, galley.size());
        let seam = self.scale.round().max(1.0) as i64;
        let around = [(-seam, 0), (seam, 0), (0, -seam), (0, seam), (0, 0)];
        for (index, (right, down)) in around.into_iter().enumerate() {
            let colour = if index + 1 == around.len() { Color32::WHITE } else { Color32::BLACK };
            for row in &galley.rows {
                for glyph in row.row.glyphs.iter().filter(|glyph| !glyph.uv_rect.is_nothing()) {
                    let corner = (min + row.pos.to_vec2() + glyph.pos.to_vec2() + glyph.uv_rect.offset) * self.scale;
                    let [left, top] = [corner.x.round() as i64 + right, corner.y.round() as i64 + down];
                    let (first, last) = (glyph.uv_rect.min.map(usize::from), glyph.uv_rect.max.map(usize::from));
                    for y in first[1]..last[1] {
                        for x in first[0]..last[0] {
                            let coverage = f32::from(atlas.pixels[y * atlas.size[0] + x].a()) / 255.0;
                            if coverage > 0.0 {
                                self.put(left + (x - first[0]) as i64, top + (y - first[1]) as i64, colour, coverage);
                            }
                        }
                    }
                }
            }
        }
        max.x
    }
}
