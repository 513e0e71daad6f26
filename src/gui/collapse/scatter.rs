//! The tokens of several volumes in the plane in which they spread most.

use eframe::egui::{Color32, Grid, Pos2, Rect, Response, RichText, Role, Sense, Shape, Stroke, Ui, WidgetInfo, vec2};
use egui_plot::{MarkerShape, Plot, PlotPoint, PlotPoints, PlotTransform, Points};

use super::super::Palette;
use super::super::slice::heat_colour;
use super::Chosen;
use super::heat_map::place_name;
use crate::gui::widgets::pointer::held_at;
use crate::metrics::collapse::TokenMaps;
use crate::protocol::TokenPreview;

/// Markers of volumes, so that they are told apart without colour as well.
const SHAPES: [MarkerShape; 6] =
    [MarkerShape::Circle, MarkerShape::Square, MarkerShape::Diamond, MarkerShape::Up, MarkerShape::Down, MarkerShape::Asterisk];
/// Colours of places: more cannot be told apart.
const PLACES: usize = 16;
/// Farthest a click may be from a token, in points.
const REACH: f32 = 14.0;

/// What colours say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ColourBy {
    #[default]
    Place,
    Volume,
}

/// Points of one look.
struct Group {
    points: Vec<PlotPoint>,
    shape: MarkerShape,
    colour: Color32,
    radius: f32,
}

/// The map, made anew where something has changed.
#[derive(Default)]
pub(super) struct Scatter {
    pub(super) by: ColourBy,
    groups: Vec<Group>,
    key: Option<(ColourBy, bool)>,
}

impl Scatter {
    /// Forgets the points: the maps are others.
    pub(super) fn forget(&mut self) {
        self.key = None;
    }

    /// What colours say, to choose.
    pub(super) fn chooser(&mut self, ui: &mut Ui) {
        ui.label(RichText::new("Colour by").small());
        ui.selectable_value(&mut self.by, ColourBy::Place, "place")
            .on_hover_text("Tokens of the same place share a colour. Clouds of one colour: the place decides - collapse.");
        ui.selectable_value(&mut self.by, ColourBy::Volume, "volume")
            .on_hover_text("Tokens of the same volume share a colour. Colours well mixed in tight clouds: the place decides - collapse.");
    }

    /// Draws the map; returns a clicked token.
    pub(super) fn show(&mut self, ui: &mut Ui, (maps, preview): (&TokenMaps, &TokenPreview), chosen: Option<Chosen>) -> Option<Chosen> {
        self.follow(ui, maps);
        let percent = maps.explained.map(|share| share * 100.0);
        let edge = ui.available_width();
        let ink = ui.visuals().strong_text_color();
        let name = "Tokens in the plane in which they spread most";
        let plot = Plot::new("token map")
            .width(edge)
            .height(edge - 14.0)
            .data_aspect(1.0)
            .allow_scroll(false)
            .show_grid(false)
            .sense(Sense::click_and_drag())
            .x_axis_label(format!("1st direction, {:.0} % of variance", percent[0]))
            .y_axis_label(format!("2nd, {:.0} %", percent[1]))
            .label_formatter(|_| None)
            .x_axis_formatter(|_, _| String::new())
            .y_axis_formatter(|_, _| String::new())
            .show_crosshair(false)
            .set_margin_fraction(vec2(0.06, 0.06));
        let groups = &self.groups;
        let drawn = plot.show(ui, |plot| {
            for (index, group) in groups.iter().enumerate() {
                let points = Points::new(format!("{index}"), PlotPoints::Borrowed(&group.points));
                plot.points(points.shape(group.shape).color(group.colour).radius(group.radius).allow_hover(false));
            }
            if let Some(chosen) = chosen {
                let ring = |name: &str, tokens: Vec<[f64; 2]>, radius| {
                    Points::new(name, tokens).shape(MarkerShape::Circle).filled(false).color(ink).radius(radius).allow_hover(false)
                };
                let peers = (0..preview.cases.len()).map(|volume| maps.plane[volume * maps.tokens + chosen.token]).collect();
                plot.points(ring("same place", peers, 6.0));
                plot.points(ring("chosen", vec![maps.plane[chosen.volume * maps.tokens + chosen.token]], 10.0));
            }
        });
        let response = drawn.response;
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
        if let Some(token) = response.hover_pos().and_then(|at| nearest(&drawn.transform, maps, at)) {
            tooltip(&response, preview, token);
        }
        response.clicked().then(|| held_at(ui, &response)).flatten().and_then(|at| nearest(&drawn.transform, maps, at))
    }

    /// Groups points by their looks.
    fn follow(&mut self, ui: &Ui, maps: &TokenMaps) {
        let key = (self.by, ui.visuals().dark_mode);
        if self.key == Some(key) {
            return;
        }
        self.key = Some(key);
        let palette = Palette::of(ui);
        let volumes = maps.plane.len() / maps.tokens;
        let colours = if self.by == ColourBy::Place { PLACES.min(maps.tokens) } else { 1 };
        self.groups = (0..volumes)
            .flat_map(|volume| (0..colours).map(move |colour| (volume, colour)))
            .map(|(volume, band)| {
                let mine = (0..maps.tokens).filter(|token| token * colours / maps.tokens == band);
                let points = mine.map(|token| maps.plane[volume * maps.tokens + token]).map(PlotPoint::from).collect();
                let colour = match self.by {
                    ColourBy::Place => place_colour((band as f32 + 0.5) / colours as f32, key.1),
                    ColourBy::Volume => palette.series(volume),
                };
                Group { points, shape: SHAPES[volume % SHAPES.len()], colour, radius: 3.6 }
            })
            .collect();
    }

    /// What markers and colours are.
    pub(super) fn legend(&self, ui: &mut Ui, preview: &TokenPreview) {
        let palette = Palette::of(ui);
        let dark = ui.visuals().dark_mode;
        ui.spacing_mut().item_spacing = vec2(6.0, 3.0);
        let columns = if ui.available_width() > 240.0 { 2 } else { 1 };
        Grid::new("volumes").num_columns(columns).striped(false).spacing([14.0, 2.0]).show(ui, |ui| {
            for (volume, case) in preview.cases.iter().enumerate() {
                let colour = if self.by == ColourBy::Volume { palette.series(volume) } else { palette.reference() };
                ui.horizontal(|ui| {
                    marker(ui, SHAPES[volume % SHAPES.len()], colour);
                    ui.label(RichText::new(case).small());
                });
                if volume % columns == columns - 1 {
                    ui.end_row();
                }
            }
        });
        if self.by == ColourBy::Place {
            ui.horizontal(|ui| {
                ui.label(RichText::new("first place").small());
                let (bar, _) = ui.allocate_exact_size(vec2(64.0, 8.0), Sense::hover());
                for band in 0..PLACES {
                    let left = bar.left() + bar.width() * band as f32 / PLACES as f32;
                    let piece = Rect::from_min_size(Pos2::new(left, bar.top()), vec2(bar.width() / PLACES as f32 + 0.5, bar.height()));
                    ui.painter().rect_filled(piece, 0.0, place_colour((band as f32 + 0.5) / PLACES as f32, dark));
                }
                ui.label(RichText::new("last place").small());
            });
        }
    }
}

/// The ends of the ramp that vanish on the page are left out.
fn place_colour(share: f32, dark: bool) -> Color32 {
    heat_colour(if dark { 0.2 + 0.8 * share } else { 0.86 * share })
}

fn marker(ui: &mut Ui, shape: MarkerShape, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(10.0, 12.0), Sense::hover());
    let at = |x: f32, y: f32| rect.center() + vec2(x, y) * 4.2;
    let polygon = |points: Vec<Pos2>| Shape::convex_polygon(points, colour, Stroke::NONE);
    let stroke = Stroke::new(1.4, colour);
    match shape {
        MarkerShape::Square => drop(ui.painter().add(polygon(vec![at(-0.8, -0.8), at(0.8, -0.8), at(0.8, 0.8), at(-0.8, 0.8)]))),
        MarkerShape::Diamond => drop(ui.painter().add(polygon(vec![at(0.0, -1.0), at(1.0, 0.0), at(0.0, 1.0), at(-1.0, 0.0)]))),
        MarkerShape::Up => drop(ui.painter().add(polygon(vec![at(0.0, -1.0), at(0.9, 0.7), at(-0.9, 0.7)]))),
        MarkerShape::Down => drop(ui.painter().add(polygon(vec![at(0.0, 1.0), at(-0.9, -0.7), at(0.9, -0.7)]))),
        MarkerShape::Asterisk => {
            for (x, y) in [(0.0, 1.0), (0.87, 0.5), (0.87, -0.5)] {
                ui.painter().line_segment([at(-x, -y), at(x, y)], stroke);
            }
        }
        _ => drop(ui.painter().circle_filled(rect.center(), 4.0, colour)),
    }
}

/// The token nearest to a point of the screen, if it is near.
fn nearest(transform: &PlotTransform, maps: &TokenMaps, at: Pos2) -> Option<Chosen> {
    let distance = |point: &[f64; 2]| transform.position_from_point(&PlotPoint::from(*point)).distance_sq(at);
    let (index, closest) = maps.plane.iter().map(distance).enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (closest <= REACH * REACH).then_some(Chosen { volume: index / maps.tokens, token: index % maps.tokens })
}

fn tooltip(response: &Response, preview: &TokenPreview, token: Chosen) {
    response.show_tooltip_text(format!("{}\nplace {}", preview.cases[token.volume], place_name(token.token, preview.grid)));
}
