//! The verdict: one word, a symbol, what it means, what to try.

use eframe::egui::{Color32, Frame, Margin, Pos2, Rect, RichText, Sense, Shape, Stroke, Ui, Vec2, vec2};

use crate::gui::Palette;
use crate::metrics::collapse::{THRESHOLDS, Verdict};
use crate::results::Assessment;

/// Edge of the symbol in points.
const SYMBOL: f32 = 54.0;

/// Draws the card of an encoder; `measured` says when, and of which tokens.
pub(super) fn show(ui: &mut Ui, assessment: &Assessment, measured: Option<&str>) {
    let palette = Palette::of(ui);
    let colour = assessment.verdict.map_or_else(|| palette.reference(), |verdict| palette.verdict(verdict));
    let fill = ui.visuals().faint_bg_color;
    Frame::new().fill(fill).stroke(Stroke::new(1.5, colour)).corner_radius(8.0).inner_margin(Margin::same(12)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(SYMBOL), Sense::hover());
            ui.painter().extend(symbol(assessment.verdict, rect, colour, fill));
            ui.add_space(6.0);
            ui.vertical(|ui| {
                let word = RichText::new(&assessment.word).strong().color(colour);
                match assessment.verdict {
                    Some(_) => drop(ui.label(word.size(28.0)).on_hover_text(THRESHOLDS)),
                    None => drop(ui.label(word.size(20.0))),
                }
                if let Some(measured) = measured {
                    ui.label(RichText::new(measured).small());
                }
            });
        });
        ui.add_space(4.0);
        ui.label(RichText::new(&assessment.sentence).size(14.5));
        ui.add_space(2.0);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.label(RichText::new("What to try:").strong());
            ui.label(&assessment.advice);
        });
    });
}

/// A shape of its own for each verdict: a tick, a triangle with a bar, a cross, a ring with dots.
fn symbol(verdict: Option<Verdict>, rect: Rect, colour: Color32, background: Color32) -> Vec<Shape> {
    let (centre, radius) = (rect.center(), rect.width() / 2.0);
    let at = |x: f32, y: f32| centre + vec2(x, y) * radius;
    let line = |points: Vec<Pos2>| Shape::line(points, Stroke::new(radius * 0.2, background));
    match verdict {
        Some(Verdict::Healthy) => {
            vec![Shape::circle_filled(centre, radius * 0.95, colour), line(vec![at(-0.45, 0.05), at(-0.12, 0.38), at(0.48, -0.34)])]
        }
        Some(Verdict::PartlyBound) => {
            let triangle = vec![at(0.0, -0.95), at(0.98, 0.82), at(-0.98, 0.82)];
            let bar = line(vec![at(0.0, -0.35), at(0.0, 0.28)]);
            vec![Shape::convex_polygon(triangle, colour, Stroke::NONE), bar, Shape::circle_filled(at(0.0, 0.56), radius * 0.12, background)]
        }
        Some(Verdict::Collapsed) => {
            let corner = |corner: u8| {
                let angle = (f32::from(corner) + 0.5) * std::f32::consts::FRAC_PI_4;
                at(angle.cos() * 0.98, angle.sin() * 0.98)
            };
            let octagon = Shape::convex_polygon((0..8).map(corner).collect(), colour, Stroke::NONE);
            vec![octagon, line(vec![at(-0.38, -0.38), at(0.38, 0.38)]), line(vec![at(-0.38, 0.38), at(0.38, -0.38)])]
        }
        Some(Verdict::Untrained) | None => {
            let ring = Shape::circle_stroke(centre, radius * 0.85, Stroke::new(radius * 0.12, colour));
            let dots = [-0.36, 0.0, 0.36].map(|x| Shape::circle_filled(at(x, 0.0), radius * 0.1, colour));
            std::iter::once(ring).chain(dots).collect()
        }
    }
}
