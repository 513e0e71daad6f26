//! What is drawn over a slice: the number of each token, or lines across each masked cell.

use eframe::egui::{Align2, Color32, Rect, Shape, Stroke, StrokeKind, TextStyle, Ui, vec2};

use crate::geometry::ravel;
use crate::gui::Palette;
use crate::gui::widgets::slice::{PlaneGeometry, SliceView};

/// Least edge of a cell, in points, that a number is written into.
const NUMBERED: f32 = 22.0;
/// Distance of hatching lines in points.
const HATCH: f32 = 9.0;

/// A slice on the screen, cut into cells of `cell` voxels.
pub(super) struct Overlay<'a> {
    pub(super) rect: Rect,
    pub(super) view: &'a SliceView,
    pub(super) geometry: &'a PlaneGeometry,
    pub(super) slice: usize,
    pub(super) shape: [usize; 3],
    pub(super) cell: [usize; 3],
}

impl Overlay<'_> {
    /// The cells that the slice cuts: number in the grid, and where they lie on the screen.
    fn cells(&self, ui: &Ui) -> Vec<(usize, Rect)> {
        let grid: [usize; 3] = std::array::from_fn(|axis| self.shape[axis] / self.cell[axis].max(1));
        let through = self.geometry.through;
        let mut range = grid.map(|cells| 0..cells);
        let layer = self.slice / self.cell[through].max(1);
        range[through] = layer..(layer + 1).min(grid[through]);
        let [planes, rows, columns] = range;
        let rows = planes.flat_map(|d| rows.clone().map(move |h| (d, h)));
        let cells = rows.flat_map(|(d, h)| columns.clone().map(move |w| [d, h, w]));
        let on_screen = |at: [usize; 3]| {
            let corner = |step: usize| std::array::from_fn(|axis| ((at[axis] + step) * self.cell[axis]) as f64 - 0.5);
            let [a, b] = [0, 1].map(|step| self.view.point(ui, self.rect, self.geometry, corner(step)));
            (ravel(at, grid), Rect::from_two_pos(a, b))
        };
        cells.map(on_screen).collect()
    }

    /// A number in the middle of each cell.
    pub(super) fn numbers(&self, ui: &Ui, numbers: &[u32]) {
        let painter = ui.painter_at(self.rect);
        let font = TextStyle::Small.resolve(ui.style());
        for (token, rect) in self.cells(ui) {
            if rect.width().min(rect.height()) >= NUMBERED
                && let Some(number) = numbers.get(token)
            {
                for (shift, colour) in [(vec2(1.0, 1.0), Color32::BLACK), (vec2(0.0, 0.0), Color32::WHITE)] {
                    painter.text(rect.center() + shift, Align2::CENTER_CENTER, number.to_string(), font.clone(), colour);
                }
            }
        }
    }

    /// Lines across each masked cell, and a frame around it.
    pub(super) fn hatch(&self, ui: &Ui, mask: &[bool]) {
        let painter = ui.painter_at(self.rect);
        let stroke = Stroke::new(1.0, Palette::label(0).gamma_multiply(0.55));
        for (_, rect) in self.cells(ui).into_iter().filter(|(number, _)| mask.get(*number) == Some(&true)) {
            let inner = rect.shrink(1.5);
            painter.rect_stroke(inner, 0.0, stroke, StrokeKind::Inside);
            let lines = ((inner.width() + inner.height()) / HATCH) as usize;
            painter.extend((1..=lines).map(|line| {
                let offset = line as f32 * HATCH;
                // From the upper edge (or the right one) down to the left edge (or the lower one).
                let from = vec2(offset.min(inner.width()), (offset - inner.width()).max(0.0));
                let to = vec2((offset - inner.height()).max(0.0), offset.min(inner.height()));
                Shape::line_segment([inner.min + from, inner.min + to], stroke)
            }));
        }
    }
}
