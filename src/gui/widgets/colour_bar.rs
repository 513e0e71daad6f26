//! The colours of a heat map from low to high, with their numbers.

use eframe::egui::{Align2, Color32, FontId, Painter, Rect, pos2, vec2};

use super::slice::heat_colour;

/// Steps of the bar.
const STEPS: usize = 64;

/// Draws the colours into `bar`, low below, and beside it the numbers at its lower end, its middle and its upper end.
pub(in crate::gui) fn colour_bar(painter: &Painter, bar: Rect, numbers: [f32; 3], (font, colour): (FontId, Color32)) {
    let step = bar.height() / STEPS as f32;
    for index in 0..STEPS {
        let top = bar.bottom() - step * (index + 1) as f32;
        let rect = Rect::from_min_size(pos2(bar.left(), top), vec2(bar.width(), step + 0.5));
        painter.rect_filled(rect, 0.0, heat_colour((index as f32 + 0.5) / STEPS as f32));
    }
    let [low, middle, high] = numbers;
    let places = [
        (bar.right_top(), Align2::LEFT_TOP, high),
        (bar.right_center(), Align2::LEFT_CENTER, middle),
        (bar.right_bottom(), Align2::LEFT_BOTTOM, low),
    ];
    for (at, anchor, value) in places {
        painter.text(at + vec2(4.0, 0.0), anchor, format!("{value:.2}"), font.clone(), colour);
    }
}
