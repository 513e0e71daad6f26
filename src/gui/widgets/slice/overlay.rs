//! What lies over a slice: crosshair, letters, scale; of tokens their borders and numbers, and which are masked. Readable on any background.

use eframe::egui::{Align2, Color32, FontId, Painter, Pos2, Rangef, Rect, Sense, Shape, Stroke, StrokeKind, TextStyle, Ui, vec2};

use super::framing::Pane;
use super::{Cursor, Plane, Scene, TokenOverlay};
use crate::geometry::unravel;
use crate::gui::theme::colour;
use crate::gui::{Convention, Palette};
use crate::palette;

/// Points from the pane's edge.
const EDGE: f32 = 6.0;
/// Half of the crosshair's gap, in points: what it points at stays visible.
const GAP: f32 = 9.0;
/// Side of the square in which a letter lies, in points.
const LETTER: f32 = 18.0;
/// Longest scale bar, as a share of the pane's width.
const SCALE_SHARE: f64 = 0.28;
/// Width of a pane, in points, below which the plane's name is left out.
const NARROW: f32 = 230.0;
/// Fewest points between two borders of tokens that are still drawn.
const TOKEN_POINTS: f32 = 3.0;
/// Least edge of a token, in points, that its number is written into.
const NUMBERED: f32 = 22.0;
/// Distance of the lines across a masked token, in points.
const HATCH: f32 = 9.0;

/// What is drawn over a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overlay {
    pub(super) crosshair: bool,
    /// Sides of the patient, plane, scale.
    pub(super) letters: bool,
    /// The volume was rotated away from the patient: its sides have no letters.
    pub(super) rotated: bool,
    /// The pane has the keyboard's focus.
    pub(super) focused: bool,
}

/// Draws it all.
pub(super) fn draw(ui: &Ui, scene: &Scene<'_>, pane: &Pane<'_>, cursor: Cursor, overlay: Overlay) {
    let rect = pane.rect;
    let painter = ui.painter_at(rect);
    let (slice, at) = pane.geometry.position(cursor.voxel.map(|index| index as f64));
    let tokens = scene.tokens.map(|tokens| Tokens { tokens, pane, shape: scene.grid.shape, slice: slice as usize });
    if let Some(tokens) = &tokens {
        tokens.borders(&painter);
    }
    if overlay.crosshair {
        crosshair(&painter, pane, pane.point(at), overlay.letters && !overlay.rotated);
    }
    if overlay.letters {
        captions(ui, scene, pane, slice as usize, overlay.rotated);
    }
    if overlay.focused {
        painter.rect_stroke(rect, 0.0, Stroke::new(1.0, Palette::of(ui).series(0)), StrokeKind::Inside);
    }
    if let Some(tokens) = &tokens {
        tokens.numbers(&painter, &TextStyle::Small.resolve(ui.style()));
        tokens.hatch(&painter);
    }
}

/// Sides of the patient, plane, number of the slice, convention, scale.
fn captions(ui: &Ui, scene: &Scene<'_>, pane: &Pane<'_>, slice: usize, rotated: bool) {
    let (rect, geometry) = (pane.rect, pane.geometry);
    let painter = ui.painter_at(rect);
    let text = Outlined { painter: &painter, font: TextStyle::Body.resolve(ui.style()) };
    let small = Outlined { painter: &painter, font: TextStyle::Small.resolve(ui.style()) };
    if !rotated {
        letters(&text, rect, pane);
    }
    let title = if rotated { "Rotated" } else { geometry.plane.title() };
    // A narrow pane has no room for the plane's name beside the letter on its upper edge; its letters show the plane as well.
    let plane = if rect.width() < NARROW { String::new() } else { format!("{title} ") };
    let corner = rect.min + vec2(EDGE, EDGE);
    let mut line = text.show(corner, Align2::LEFT_TOP, &format!("{plane}{} / {}", slice + 1, geometry.slices)).left_bottom();
    // A sagittal slice is the same in both.
    if geometry.plane != Plane::Sagittal && !rotated {
        let convention = match scene.style.convention {
            Convention::Radiological => "radiological",
            Convention::Neurological => "neurological",
        };
        line = small.show(line, Align2::LEFT_TOP, convention).left_bottom();
    }
    if let Some(notice) = scene.image.notice() {
        let [d, h, w] = scene.image.0.step;
        let position = small.coloured(line, Align2::LEFT_TOP, &format!("blocks of {w} x {h} x {d}"), colour(palette::CAUTION.dark));
        ui.interact(position, ui.scope_id().with(("notice", geometry.plane.title())), Sense::hover()).on_hover_text(notice);
    }
    scale_bar(&small, rect, pane);
}

/// Text that is read on black and on white.
pub(in crate::gui) struct Outlined<'a> {
    pub(in crate::gui) painter: &'a Painter,
    pub(in crate::gui) font: FontId,
}

impl Outlined<'_> {
    /// Writes it in white; where it stands.
    pub(in crate::gui) fn show(&self, position: Pos2, anchor: Align2, text: &str) -> Rect {
        self.coloured(position, anchor, text, Color32::WHITE)
    }

    /// Writes it in a colour; where it stands.
    pub(in crate::gui) fn coloured(&self, position: Pos2, anchor: Align2, text: &str, colour: Color32) -> Rect {
        let galley = self.painter.layout_no_wrap(text.to_owned(), self.font.clone(), colour);
        let rect = anchor.anchor_size(position, galley.size());
        for (x, y) in [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-0.7, -0.7), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7)] {
            self.painter.galley_with_override_text_color(rect.min + vec2(x, y), galley.clone(), Color32::BLACK);
        }
        self.painter.galley(rect.min, galley, colour);
        rect
    }
}

fn letters(text: &Outlined<'_>, rect: Rect, pane: &Pane<'_>) {
    let letters = pane.geometry.letters;
    let inner = rect.shrink(EDGE);
    for (letter, position, anchor) in [
        (letters.left, inner.left_center(), Align2::LEFT_CENTER),
        (letters.right, inner.right_center(), Align2::RIGHT_CENTER),
        (letters.top, inner.center_top(), Align2::CENTER_TOP),
        (letters.bottom, inner.center_bottom(), Align2::CENTER_BOTTOM),
    ] {
        text.show(position, anchor, letter.encode_utf8(&mut [0; 4]));
    }
}

/// Thin lines on a dark seam, open in the middle, and ending before a letter that they would strike through.
fn crosshair(painter: &Painter, pane: &Pane<'_>, middle: Pos2, lettered: bool) {
    let rect = pane.rect;
    let (x, y) = (painter.round_to_pixel_center(middle.x), painter.round_to_pixel_center(middle.y));
    let kept = |aside: f32| if lettered && aside.abs() < LETTER / 2.0 { LETTER + EDGE } else { 0.0 };
    let across = rect.x_range().shrink(kept(y - rect.center().y));
    let down = rect.y_range().shrink(kept(x - rect.center().x));
    for stroke in [Stroke::new(3.0, Color32::from_black_alpha(90)), Stroke::new(1.0, Color32::from_white_alpha(190))] {
        for part in [Rangef::new(across.min, x - GAP), Rangef::new(x + GAP, across.max)].into_iter().filter(|part| part.span() > 0.0) {
            painter.hline(part, y, stroke);
        }
        for part in [Rangef::new(down.min, y - GAP), Rangef::new(y + GAP, down.max)].into_iter().filter(|part| part.span() > 0.0) {
            painter.vline(x, part, stroke);
        }
    }
}

fn scale_bar(text: &Outlined<'_>, rect: Rect, pane: &Pane<'_>) {
    let points_per_mm = 1.0 / (pane.placement().mm_per_pixel * f64::from(pane.pixels_per_point));
    let mm = round_length(f64::from(rect.width()) * SCALE_SHARE / points_per_mm);
    let length = (mm * points_per_mm) as f32;
    let end = rect.right_bottom() - vec2(EDGE + 4.0, EDGE + 4.0);
    let start = end - vec2(length, 0.0);
    let tick = vec2(0.0, 4.0);
    for stroke in [Stroke::new(3.5, Color32::BLACK), Stroke::new(1.5, Color32::WHITE)] {
        text.painter.line_segment([start, end], stroke);
        text.painter.line_segment([start - tick, start + tick], stroke);
        text.painter.line_segment([end - tick, end + tick], stroke);
    }
    let unit = if mm >= 1.0 { format!("{mm:.0} mm") } else { format!("{mm} mm") };
    text.show(start.lerp(end, 0.5) - vec2(0.0, 5.0), Align2::CENTER_BOTTOM, &unit);
}

/// The longest of 1, 2, 5, 10, 20 ... mm that is not longer than `mm`.
fn round_length(mm: f64) -> f64 {
    let decade = 10.0_f64.powf(mm.max(1e-6).log10().floor());
    let parts = [5.0, 2.0].into_iter().find(|part| part * decade <= mm);
    // Of 0.1 and the like, what the decimal says and not its power of two.
    let length = parts.unwrap_or(1.0) * decade;
    (length * 1e6).round() / 1e6
}

/// The tokens of a volume of `shape`, over one slice of it.
struct Tokens<'a> {
    tokens: TokenOverlay<'a>,
    pane: &'a Pane<'a>,
    shape: [usize; 3],
    slice: usize,
}

impl Tokens<'_> {
    /// Where a token begins along an axis, in voxels.
    fn border(&self, axis: usize, token: usize) -> f64 {
        ((token * self.tokens.cell[axis]).min(self.shape[axis]) as f64) - 0.5
    }

    fn on_screen(&self, voxel: [f64; 3]) -> Pos2 {
        self.pane.point(self.pane.geometry.position(voxel).1)
    }

    /// Where a token lies on the screen.
    fn rect(&self, token: [usize; 3]) -> Rect {
        let corner = |step: usize| self.on_screen([0, 1, 2].map(|axis: usize| self.border(axis, token[axis] + step)));
        Rect::from_two_pos(corner(0), corner(1))
    }

    /// Whether the slice cuts a token.
    fn is_cut(&self, token: [usize; 3]) -> bool {
        let through = self.pane.geometry.through;
        token[through] == self.slice / self.tokens.cell[through].max(1)
    }

    /// The whole tokens that the slice cuts: number in the grid, and where they lie on the screen.
    fn cut(&self) -> impl Iterator<Item = (usize, Rect)> {
        let grid = [0, 1, 2].map(|axis: usize| self.shape[axis] / self.tokens.cell[axis].max(1));
        let tokens = (0..grid.iter().product()).map(move |index| (index, unravel(index, grid)));
        tokens.filter(move |&(_, token)| self.is_cut(token)).map(move |(index, token)| (index, self.rect(token)))
    }

    /// Borders of tokens, and frames around those that are marked and lie on the slice.
    fn borders(&self, painter: &Painter) {
        let geometry = self.pane.geometry;
        // Both ends of a side on the screen, whichever way its index runs.
        let (first, last) = (self.on_screen([-0.5; 3]), self.on_screen(self.shape.map(|voxels| voxels as f64 - 0.5)));
        let whole = Rect::from_two_pos(first, last);
        let line = Stroke::new(1.0, Color32::from_white_alpha(70));
        for (side, &axis) in geometry.axes.iter().enumerate() {
            let tokens = self.shape[axis].div_ceil(self.tokens.cell[axis].max(1));
            let span = if side == 0 { whole.width() } else { whole.height() };
            if span < TOKEN_POINTS * tokens as f32 {
                continue;
            }
            for token in 0..=tokens {
                let mut voxel = [0.0; 3];
                voxel[axis] = self.border(axis, token);
                let point = self.on_screen(voxel);
                if side == 0 {
                    painter.vline(point.x, whole.y_range(), line);
                } else {
                    painter.hline(whole.x_range(), point.y, line);
                }
            }
        }
        for frame in self.tokens.marked.iter().filter(|token| self.is_cut(**token)).map(|token| self.rect(*token)) {
            painter.rect_stroke(frame, 0.0, Stroke::new(4.0, Color32::BLACK), StrokeKind::Middle);
            painter.rect_stroke(frame, 0.0, Stroke::new(2.0, colour(palette::LABELS[0])), StrokeKind::Middle);
        }
    }

    /// A number in the middle of each token.
    fn numbers(&self, painter: &Painter, font: &FontId) {
        for (token, rect) in self.cut().filter(|(_, rect)| rect.width().min(rect.height()) >= NUMBERED) {
            let Some(number) = self.tokens.numbers.get(token) else { continue };
            for (shift, colour) in [(vec2(1.0, 1.0), Color32::BLACK), (vec2(0.0, 0.0), Color32::WHITE)] {
                painter.text(rect.center() + shift, Align2::CENTER_CENTER, number.to_string(), font.clone(), colour);
            }
        }
    }

    /// Lines across each masked token, and a frame around it.
    fn hatch(&self, painter: &Painter) {
        let stroke = Stroke::new(1.0, Palette::label(0).gamma_multiply(0.55));
        for (_, rect) in self.cut().filter(|(token, _)| self.tokens.masked.get(*token) == Some(&true)) {
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

#[cfg(test)]
mod tests {
    use super::round_length;

    #[test]
    fn a_scale_bar_has_a_round_length() {
        let lengths = [(0.07, 0.05), (0.99, 0.5), (1.0, 1.0), (4.9, 2.0), (50.0, 50.0), (199.0, 100.0), (4321.0, 2000.0)];
        for (room, length) in lengths {
            assert_eq!(round_length(room), length);
        }
    }
}
