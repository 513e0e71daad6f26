//! What lies over surfaces: the crosshair's point, and a compass with the patient's sides.

use eframe::egui::{Align2, Color32, Painter, Pos2, Rect, Stroke, TextStyle, Ui, vec2};

use super::camera::Lens;
use crate::geometry::{ENDS, Grid};

/// Points from the pane's edge.
pub(super) const EDGE: f32 = 6.0;
/// Half of the compass's side, and the length of its axes, in points.
const COMPASS: (f32, f32) = (46.0, 34.0);
/// Half of a letter's side, in points.
const LETTER: f32 = 9.0;
/// Share of an axis that goes through the screen from which its letters would lie on each other, and are left out.
const THROUGH: f64 = 0.95;
/// Half of the gap in the crosshair's lines, in points.
const GAP: f32 = 7.0;

/// A letter of the compass: where it stands, and how much of its axis goes towards the viewer.
pub(super) struct Side {
    pub(super) letter: char,
    at: Pos2,
    towards: f64,
}

/// The sides of the patient around the lower left corner of a pane, farthest first.
pub(super) fn sides(lens: &Lens) -> Vec<Side> {
    let middle = compass(lens.rect).center();
    let mut sides = Vec::new();
    for (axis, ends) in ENDS.into_iter().enumerate() {
        let (way, towards) = lens.axis(axis);
        let ends = ends.into_iter().zip([1.0, -1.0]);
        sides.extend(ends.map(|(letter, sign)| Side { letter, at: middle + way * (sign * COMPASS.1), towards: towards * f64::from(sign) }));
    }
    sides.retain(|side| side.towards.abs() < THROUGH);
    sides.sort_by(|a, b| a.towards.total_cmp(&b.towards));
    sides
}

/// The letter at a point.
pub(super) fn side_at(lens: &Lens, point: Pos2) -> Option<char> {
    sides(lens).into_iter().rev().find(|side| side.at.distance(point) <= LETTER).map(|side| side.letter)
}

fn compass(pane: Rect) -> Rect {
    let side = COMPASS.0.min(pane.width() / 2.0).min(pane.height() / 2.0);
    Rect::from_min_max(pane.left_bottom() + vec2(EDGE, -EDGE - 2.0 * side), pane.left_bottom() + vec2(EDGE + 2.0 * side, -EDGE))
}

/// Draws the compass: what points away from the viewer is darker.
pub(super) fn draw_compass(ui: &Ui, painter: &Painter, lens: &Lens) {
    let place = compass(lens.rect);
    painter.circle_filled(place.center(), COMPASS.0, Color32::from_black_alpha(120));
    let font = TextStyle::Body.resolve(ui.style());
    for Side { letter, at, towards } in sides(lens) {
        let colour = Color32::from_gray(if towards < -0.05 { 135 } else { 255 });
        let line = at - place.center();
        let end = line.length().max(1e-3);
        painter.line_segment([place.center(), place.center() + line * ((end - LETTER).max(0.0) / end)], Stroke::new(1.5, colour));
        painter.text(at, Align2::CENTER_CENTER, letter, font.clone(), colour);
    }
}

/// The crosshair: lines along the axes of the volume through its point, from face to face, and a ring about the point.
pub(super) fn draw_crosshair(painter: &Painter, lens: &Lens, (grid, voxel): (&Grid, [usize; 3])) {
    let at = voxel.map(|index| index as f64);
    let [d, h, w] = at;
    let point = lens.point(grid.world_mm([w, h, d]));
    for axis in 0..3 {
        for end in [-0.5, grid.shape[axis] as f64 - 0.5] {
            let mut to = at;
            to[axis] = end;
            let [d, h, w] = to;
            let end = lens.point(grid.world_mm([w, h, d]));
            let length = (end - point).length();
            if length > GAP {
                let line = [point + (end - point) * (GAP / length), end];
                painter.line_segment(line, Stroke::new(3.0, Color32::from_black_alpha(90)));
                painter.line_segment(line, Stroke::new(1.0, Color32::from_white_alpha(110)));
            }
        }
    }
    painter.circle_stroke(point, 4.0, Stroke::new(3.5, Color32::from_black_alpha(160)));
    painter.circle_stroke(point, 4.0, Stroke::new(1.5, Color32::WHITE));
}
