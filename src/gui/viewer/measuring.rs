//! Measurements on the screen: their lines, ends and numbers over a slice.

use eframe::egui::{Align2, Color32, Rect, Role, Sense, Shape, Stroke, TextStyle, Ui, WidgetInfo, pos2, vec2};

use super::case::OpenCase;
use super::measurements::{Measurement, Measurements, OnSlice, Shape as Kind};
use super::tool::Tool;
use crate::gui::Palette;
use crate::gui::widgets::slice::{Outlined, Touch};

/// Radius of a handle in points.
const HANDLE: f32 = 3.5;
/// Points between a measurement and its numbers, and between these and the pane's edge.
const ASIDE: f32 = 9.0;

/// Draws the measurements of a slice into its pane.
pub(super) fn draw(ui: &Ui, pane: Rect, measurements: &Measurements, on: &OnSlice<'_>) {
    for (_, measurement, selected) in measurements.on(on) {
        one(ui, pane, (measurement, selected), on);
    }
}

/// Follows what a tool did in a pane; then draws its measurements, and names each for a screen reader.
pub(super) fn show(ui: &Ui, pane: Rect, case: &mut OpenCase, (on, tool, touches): (&OnSlice<'_>, Tool, &[Touch])) {
    let (scan, channel) = (case.background.scan.clone(), case.channel);
    let measurements = &mut case.measurements;
    touches.iter().for_each(|&touch| measurements.follow(on, tool, touch));
    measurements.count(&scan.volume, channel);
    for (index, measurement, selected) in measurements.on(on) {
        let rect = one(ui, pane, (measurement, selected), on);
        let name = name(measurement, on);
        let response = ui.interact(rect, ui.scope_id().with(("measurement", index)), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    }
}

/// "Ruler, 12.3 mm".
fn name(measurement: &Measurement, on: &OnSlice<'_>) -> String {
    let kind = match measurement.shape {
        Kind::Ruler => "Ruler",
        Kind::Circle => "Circle",
    };
    format!("{kind}, {}", measurement.text(on.grid).replace('\n', ", "))
}

/// Draws one; where its numbers stand.
fn one(ui: &Ui, pane: Rect, (measurement, selected): (&Measurement, bool), on: &OnSlice<'_>) -> Rect {
    let painter = ui.painter_at(pane);
    let colour = if selected { Palette::of(ui).series(4) } else { Color32::WHITE };
    let line: Vec<_> = measurement.outline(on.grid).into_iter().map(|voxel| on.on_screen(voxel)).collect();
    let ends = measurement.ends.map(|end| on.on_screen(end));
    for (width, wider, colour) in [(3.5, 1.0, Color32::BLACK), (1.5, 0.0, colour)] {
        painter.add(Shape::line(line.clone(), Stroke::new(width, colour)));
        for end in ends {
            painter.circle_filled(end, HANDLE + wider, colour);
        }
    }
    let font = TextStyle::Small.resolve(ui.style());
    let text = measurement.text(on.grid);
    let size = painter.layout_no_wrap(text.clone(), font.clone(), colour).size();
    let right = line.iter().copied().reduce(|best, point| if point.x > best.x { point } else { best }).unwrap_or(pane.center());
    let room = Rect::from_min_max(pane.min, (pane.max - size).max(pane.min)).shrink(ASIDE / 2.0);
    let wanted = right + vec2(ASIDE, -size.y / 2.0);
    let at =
        pos2(wanted.x.clamp(room.left().min(room.right()), room.right()), wanted.y.clamp(room.top().min(room.bottom()), room.bottom()));
    Outlined { painter: &painter, font }.coloured(at, Align2::LEFT_TOP, &text, colour)
}
