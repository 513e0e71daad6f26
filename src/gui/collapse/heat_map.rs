//! How alike positions are across volumes: a bright diagonal is collapse.

use eframe::egui::{
    Align2, Color32, ColorImage, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, TextStyle, TextureHandle, TextureOptions, Ui,
    WidgetInfo, epaint::TextShape, pos2, vec2,
};

use crate::geometry::unravel;
use crate::gui::widgets::pointer::held_at;
use crate::gui::widgets::slice::heat_colour;
use crate::gui::widgets::{card, colour_bar, csv, save};
use crate::metrics::collapse::TokenMaps;

/// Width of the colour bar, of the room for its numbers and for an axis's name, in points.
const BAR: f32 = 10.0;
const NUMBERS: f32 = 34.0;
const AXIS: f32 = 15.0;

pub(super) const TITLE: &str = "Are positions alike across volumes?";
const MEANING: &str = "Mean cosine of a token at the row's position and one at the column's position in another volume. A bright diagonal: \
     tokens of the same position are alike whatever the image shows - collapse.";

/// A token: its volume among those shown, its position's number in the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) volume: usize,
    pub(super) token: usize,
}

/// The colours' scale of cosines: from the lowest, in tenths, to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale(f32);

impl Scale {
    /// That of a heat map.
    pub(super) fn of(maps: &TokenMaps) -> Self {
        Self(((maps.range()[0] * 10.0).floor() / 10.0).clamp(-1.0, 0.9))
    }

    /// Where a cosine lies on it, from 0 to 1.
    pub(super) fn share(self, cosine: f32) -> f32 {
        (cosine - self.0) / (1.0 - self.0)
    }
}

/// The name of a position on the token grid.
pub(super) fn position_name(token: usize, grid: [usize; 3]) -> String {
    let [d, h, w] = unravel(token, grid);
    format!("D{d} H{h} W{w}")
}

/// Draws the map, whose picture is kept in `texture`; returns the token position of a clicked row.
pub(super) fn show(
    ui: &mut Ui,
    texture: &mut Option<TextureHandle>,
    (maps, grid): (&TokenMaps, [usize; 3]),
    marked: Option<usize>,
) -> Option<usize> {
    let title = |ui: &mut Ui| card::heading(ui, TITLE, MEANING);
    save::figure(ui, (TITLE, title), |ui| draw(ui, texture, (maps, grid), marked), || table(maps, grid))
}

fn table(maps: &TokenMaps, grid: [usize; 3]) -> String {
    let names: Vec<String> = maps.positions.iter().map(|&token| position_name(token, grid)).collect();
    let titles: Vec<String> = std::iter::once("position".to_owned()).chain(names.iter().cloned()).collect();
    let rows = maps.similarity.chunks(names.len()).zip(&names);
    csv(&titles, rows.map(|(row, name)| std::iter::once(name.clone()).chain(row.iter().map(f32::to_string)).collect()))
}

fn draw(ui: &mut Ui, texture: &mut Option<TextureHandle>, (maps, grid): (&TokenMaps, [usize; 3]), marked: Option<usize>) -> Option<usize> {
    let scale = Scale::of(maps);
    let count = maps.positions.len();
    let texture = texture.get_or_insert_with(|| {
        let pixels = maps.similarity.iter().map(|&cosine| heat_colour(scale.share(cosine))).collect();
        ui.ctx().load_texture("cross-volume similarity", ColorImage::new([count, count], pixels), TextureOptions::NEAREST)
    });
    let edge = (ui.available_width() - BAR - NUMBERS - AXIS - 8.0).max(40.0);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), edge + AXIS), Sense::hover());
    let map = Rect::from_min_size(rect.min + vec2(AXIS, 0.0), vec2(edge, edge));
    let response = ui.interact(map, ui.scope_id().with("heat map"), Sense::click());
    let name = "How alike positions are across volumes: rows and columns are token positions";
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    ui.painter().image(texture.id(), map, Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)), Color32::WHITE);
    frame(ui, map, (maps, grid), marked);
    let bar = Rect::from_min_size(map.right_top() + vec2(8.0, 0.0), vec2(BAR, edge));
    let looks = (TextStyle::Small.resolve(ui.style()), ui.visuals().text_color());
    colour_bar(ui.painter(), bar, [scale.0, (scale.0 + 1.0) / 2.0, 1.0], looks);
    let cell = |at: Pos2| {
        let share = (at - map.min) / map.size();
        map.contains(at).then(|| [share.y, share.x].map(|share| ((share * count as f32) as usize).min(count - 1)))
    };
    if let Some([row, column]) = response.hover_pos().and_then(cell) {
        let [from, to] = [row, column].map(|index| position_name(maps.positions[index], grid));
        let what = if row == column { "the same position" } else { "another position" };
        let cosine = maps.similarity[row * count + column];
        response.show_tooltip_text(format!("{from} and {to} ({what}) of different volumes\nmean cosine {cosine:.3}"));
    }
    response.clicked().then(|| held_at(ui, &response)).flatten().and_then(cell).map(|[row, _]| maps.positions[row])
}

/// Borders of slices, the marked position, the names of the axes.
fn frame(ui: &Ui, map: Rect, (maps, grid): (&TokenMaps, [usize; 3]), marked: Option<usize>) {
    let painter = ui.painter();
    let at = |index: usize| index as f32 / maps.positions.len() as f32 * map.width();
    let faint = Stroke::new(1.0, Color32::from_white_alpha(40));
    let is_border = |index: &usize| unravel(maps.positions[*index], grid)[0] != unravel(maps.positions[*index - 1], grid)[0];
    for index in (1..maps.positions.len()).filter(is_border) {
        painter.hline(map.x_range(), map.top() + at(index), faint);
        painter.vline(map.left() + at(index), map.y_range(), faint);
    }
    if let Some(row) = marked.and_then(|token| maps.positions.iter().position(|&position| position == token)) {
        let bands = [
            Rect::from_x_y_ranges(map.x_range(), map.top() + at(row)..=map.top() + at(row + 1)),
            Rect::from_x_y_ranges(map.left() + at(row)..=map.left() + at(row + 1), map.y_range()),
        ];
        for band in bands {
            painter.rect_stroke(band, 0.0, Stroke::new(1.5, Color32::WHITE), StrokeKind::Outside);
        }
    }
    painter.rect_stroke(map, 0.0, ui.visuals().widgets.noninteractive.bg_stroke, StrokeKind::Outside);
    let (font, colour) = (TextStyle::Small.resolve(ui.style()), ui.visuals().text_color());
    painter.text(map.center_bottom() + vec2(0.0, 2.0), Align2::CENTER_TOP, "position in another volume", font.clone(), colour);
    let galley = painter.layout_no_wrap("token position".to_owned(), font, colour);
    let foot = pos2(map.left() - 2.0 - galley.size().y, map.center().y + galley.size().x / 2.0);
    painter.add(Shape::Text(TextShape::new(foot, galley, colour).with_angle(-std::f32::consts::FRAC_PI_2)));
}
