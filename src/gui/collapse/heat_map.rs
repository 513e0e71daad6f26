//! How alike places are across volumes, place by place: a bright diagonal is collapse.

use eframe::egui::{
    Align2, Color32, ColorImage, Pos2, Rect, Response, Role, Sense, Shape, Stroke, StrokeKind, TextStyle, TextureHandle, TextureOptions,
    Ui, WidgetInfo, pos2, vec2,
};

use super::super::slice::heat_colour;
use crate::gui::widgets::pointer::held_at;
use crate::metrics::collapse::TokenMaps;

/// Width of the colour bar in points.
const BAR: f32 = 10.0;
/// Room for the numbers beside it.
const NUMBERS: f32 = 34.0;
/// Steps of the colour bar.
const STEPS: usize = 64;
/// Room for the names of the axes.
const AXIS: f32 = 15.0;

/// The heat map as a texture.
#[derive(Default)]
pub(super) struct HeatMap {
    texture: Option<TextureHandle>,
}

/// The colours' scale of cosines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Scale {
    /// From the lowest cosine, in tenths, to 1.
    pub(super) fn of(maps: &TokenMaps) -> Self {
        let [low, _] = maps.range();
        Self { low: ((low * 10.0).floor() / 10.0).clamp(-1.0, 0.9), high: 1.0 }
    }

    /// Where a cosine lies on it, from 0 to 1.
    pub(super) fn share(self, cosine: f32) -> f32 {
        (cosine - self.low) / (self.high - self.low)
    }
}

/// The name of a place on the token grid.
pub(super) fn place_name(token: usize, [_, h, w]: [usize; 3]) -> String {
    format!("D{} H{} W{}", token / (h * w), token / w % h, token % w)
}

impl HeatMap {
    /// Forgets the texture: the maps are others.
    pub(super) fn forget(&mut self) {
        self.texture = None;
    }

    /// Draws the map; returns the token places of a clicked row and column.
    pub(super) fn show(&mut self, ui: &mut Ui, maps: &TokenMaps, grid: [usize; 3], marked: Option<usize>) -> Option<[usize; 2]> {
        let scale = Scale::of(maps);
        let count = maps.places.len();
        let texture = self.texture.get_or_insert_with(|| {
            let pixels = maps.similarity.iter().map(|&cosine| heat_colour(scale.share(cosine))).collect();
            ui.ctx().load_texture("cross-volume similarity", ColorImage::new([count, count], pixels), TextureOptions::NEAREST)
        });
        let edge = (ui.available_width() - BAR - NUMBERS - AXIS - 8.0).max(40.0);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), edge + AXIS), Sense::hover());
        let map = Rect::from_min_size(rect.min + vec2(AXIS, 0.0), vec2(edge, edge));
        let response = ui.interact(map, ui.scope_id().with("heat map"), Sense::click());
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Image, true, "How alike places are across volumes: rows and columns are token places")
        });
        ui.painter().image(texture.id(), map, Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)), Color32::WHITE);
        let lines = Lines { map, count, maps };
        lines.draw(ui, grid, marked);
        colour_bar(ui, Rect::from_min_size(map.right_top() + vec2(8.0, 0.0), vec2(BAR, edge)), scale);
        let under = response.hover_pos().and_then(|at| lines.cell(at));
        if let Some([row, column]) = under {
            hovered(&response, maps, grid, [row, column]);
        }
        let clicked = response.clicked().then(|| held_at(ui, &response)).flatten().and_then(|at| lines.cell(at));
        clicked.map(|[row, column]| [maps.places[row], maps.places[column]])
    }
}

/// The map on the screen.
struct Lines<'a> {
    map: Rect,
    count: usize,
    maps: &'a TokenMaps,
}

impl Lines<'_> {
    /// Row and column under a point.
    fn cell(&self, at: Pos2) -> Option<[usize; 2]> {
        let share = (at - self.map.min) / self.map.size();
        let index = |share: f32| (share * self.count as f32) as usize;
        self.map.contains(at).then(|| [index(share.y), index(share.x)].map(|index| index.min(self.count - 1)))
    }

    /// Borders of slices, the marked place, the names of the axes.
    fn draw(&self, ui: &Ui, [_, h, w]: [usize; 3], marked: Option<usize>) {
        let painter = ui.painter();
        let at = |index: f32| index / self.count as f32 * self.map.width();
        let faint = Stroke::new(1.0, Color32::from_white_alpha(40));
        for index in 1..self.count {
            if self.maps.places[index] / (h * w) != self.maps.places[index - 1] / (h * w) {
                let offset = at(index as f32);
                painter.hline(self.map.x_range(), self.map.top() + offset, faint);
                painter.vline(self.map.left() + offset, self.map.y_range(), faint);
            }
        }
        if let Some(row) = marked.and_then(|token| self.maps.places.iter().position(|&place| place == token)) {
            let (first, last) = (at(row as f32), at(row as f32 + 1.0));
            let band = [
                Rect::from_x_y_ranges(self.map.x_range(), self.map.top() + first..=self.map.top() + last),
                Rect::from_x_y_ranges(self.map.left() + first..=self.map.left() + last, self.map.y_range()),
            ];
            for rect in band {
                painter.rect_stroke(rect, 0.0, Stroke::new(1.5, Color32::WHITE), StrokeKind::Outside);
            }
        }
        painter.rect_stroke(self.map, 0.0, ui.visuals().widgets.noninteractive.bg_stroke, StrokeKind::Outside);
        let (font, colour) = (TextStyle::Small.resolve(ui.style()), ui.visuals().text_color());
        painter.text(self.map.center_bottom() + vec2(0.0, 2.0), Align2::CENTER_TOP, "token place in another volume", font.clone(), colour);
        let galley = painter.layout_no_wrap("token place".to_owned(), font, colour);
        let place = pos2(self.map.left() - 2.0 - galley.size().y, self.map.center().y + galley.size().x / 2.0);
        painter.add(Shape::Text(eframe::egui::epaint::TextShape::new(place, galley, colour).with_angle(-std::f32::consts::FRAC_PI_2)));
    }
}

fn hovered(response: &Response, maps: &TokenMaps, grid: [usize; 3], [row, column]: [usize; 2]) {
    let cosine = maps.similarity[row * maps.places.len() + column];
    let [from, to] = [row, column].map(|index| place_name(maps.places[index], grid));
    let what = if row == column { "the same place" } else { "another place" };
    response.show_tooltip_text(format!("{from} and {to} ({what}) of different volumes\nmean cosine {cosine:.3}"));
}

/// The colours from low to high, with their numbers.
pub(super) fn colour_bar(ui: &Ui, bar: Rect, scale: Scale) {
    let painter = ui.painter();
    let step = bar.height() / STEPS as f32;
    for index in 0..STEPS {
        let top = bar.bottom() - step * (index + 1) as f32;
        let rect = Rect::from_min_size(pos2(bar.left(), top), vec2(bar.width(), step + 0.5));
        painter.rect_filled(rect, 0.0, heat_colour((index as f32 + 0.5) / STEPS as f32));
    }
    let font = TextStyle::Small.resolve(ui.style());
    let colour = ui.visuals().text_color();
    let middle = (scale.low + scale.high) / 2.0;
    for (place, anchor, value) in [
        (bar.right_top(), Align2::LEFT_TOP, scale.high),
        (bar.right_center(), Align2::LEFT_CENTER, middle),
        (bar.right_bottom(), Align2::LEFT_BOTTOM, scale.low),
    ] {
        painter.text(place + vec2(4.0, 0.0), anchor, format!("{value:.2}"), font.clone(), colour);
    }
}
