//! The brush in the hand: its outline under the pointer, as large as what it paints, and its way over a pane.

use eframe::egui::{Color32, Painter, Pos2, Rect, Stroke, StrokeKind, Vec2};

use crate::edit::BrushShape;
use crate::gui::widgets::slice::{PlaneGeometry, Touch};

/// Least radius of an outline in points: a smaller one would not be seen.
const SMALLEST: f32 = 2.0;
/// Half of the cross in the middle of a wide outline, in points, and from which radius on there is one.
const CROSS: (f32, f32) = (3.0, 12.0);

/// What a brush did in a pane in one frame.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gui::viewer) struct Painted {
    /// How the pane's plane lies on the screen.
    pub(in crate::gui::viewer) geometry: PlaneGeometry,
    /// The slice that it shows.
    pub(in crate::gui::viewer) slice: usize,
    /// In their order.
    pub(in crate::gui::viewer) touches: Vec<Touch>,
}

/// A brush in the hand, and over which labels.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gui::viewer) struct BrushCursor {
    /// Title of the layer that it paints on.
    pub(in crate::gui::viewer) layer: String,
    pub(super) width_mm: f64,
    pub(super) shape: BrushShape,
    pub(super) colour: Color32,
}

impl BrushCursor {
    /// Draws it around the pointer. A dark seam keeps it visible on any slice.
    pub(in crate::gui::viewer) fn draw(&self, painter: &Painter, at: Pos2, points_per_mm: f32) {
        let radius = (self.width_mm as f32 / 2.0 * points_per_mm).max(SMALLEST);
        for stroke in [Stroke::new(3.0, Color32::from_black_alpha(140)), Stroke::new(1.2, self.colour)] {
            match self.shape {
                BrushShape::Round => drop(painter.circle_stroke(at, radius, stroke)),
                BrushShape::Square => {
                    let square = Rect::from_center_size(at, Vec2::splat(2.0 * radius));
                    painter.rect_stroke(square, 0.0, stroke, StrokeKind::Middle);
                }
            }
            if radius >= CROSS.1 {
                painter.hline(at.x - CROSS.0..=at.x + CROSS.0, at.y, stroke);
                painter.vline(at.x, at.y - CROSS.0..=at.y + CROSS.0, stroke);
            }
        }
    }
}
