//! The tokens of several volumes in the plane in which they spread most.

use eframe::egui::{Color32, Grid, Pos2, Rect, RichText, Role, Sense, Shape, Stroke, Ui, WidgetInfo, vec2};
use egui_plot::{MarkerShape, PlotPoint, PlotTransform};

use super::heat_map::{Chosen, position_name};
use crate::gui::Palette;
use crate::gui::widgets::pointer::held_at;
use crate::gui::widgets::slice::heat_colour;
use crate::gui::widgets::{Axis, Chart, Series, SeriesKind};
use crate::metrics::collapse::TokenMaps;
use crate::protocol::TokenPreview;

/// Markers of volumes, so that they are told apart without colour as well.
const SHAPES: [MarkerShape; 6] =
    [MarkerShape::Circle, MarkerShape::Square, MarkerShape::Diamond, MarkerShape::Up, MarkerShape::Down, MarkerShape::Asterisk];
/// Colours of positions: more cannot be told apart.
const COLOURS: usize = 16;
/// Farthest a click may be from a token, in points.
const REACH: f32 = 14.0;

/// What colours say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ColourBy {
    #[default]
    Position,
    Volume,
}

/// The map, as the user colours it.
#[derive(Default)]
pub(super) struct Scatter {
    pub(super) by: ColourBy,
}

impl Scatter {
    /// Draws the map below its title and the choice of colours; returns a clicked token.
    pub(super) fn show(&mut self, ui: &mut Ui, (maps, preview): (&TokenMaps, &TokenPreview), chosen: Option<Chosen>) -> Option<Chosen> {
        let [first, second] = maps.explained.map(|share| share * 100.0);
        let axes = [format!("1st direction, {first:.0} % of variance"), format!("2nd, {second:.0} %")].map(Axis::bare);
        let mut chart =
            Chart::new("Map of the tokens", "", ui.available_width() - 14.0, axes).aspect(1.0).series(self.groups(ui, (maps, preview)));
        if let Some(Chosen { volume, token }) = chosen {
            let at = |volume: usize| PlotPoint::from(maps.plane[volume * maps.tokens + token]);
            let colour = ui.visuals().strong_text_color();
            let ring = |name: &'static str, points: Vec<PlotPoint>, radius| Series {
                name: name.into(),
                colour,
                points: points.into(),
                kind: SeriesKind::Rings(radius),
            };
            let peers = (0..preview.cases.len()).map(at).collect();
            chart = chart.series([ring("same position", peers, 6.0), ring("selected", vec![at(volume)], 10.0)]);
        }
        let drawn = chart.show_below(ui, |ui| self.title(ui))?;
        let name = "Tokens in the plane in which they spread most";
        drawn.response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
        let token = |at: Pos2| nearest(&drawn.transform, maps, at);
        if let Some(Chosen { volume, token }) = drawn.response.hover_pos().and_then(token) {
            let text = format!("{}\nposition {}", preview.cases[volume], position_name(token, preview.grid));
            drawn.response.show_tooltip_text(text);
        }
        drawn.response.clicked().then(|| held_at(ui, &drawn.response)).flatten().and_then(token)
    }

    fn title(&mut self, ui: &mut Ui) {
        let meaning = "The plane in which tokens spread most (principal components). Click a token to see its patch.";
        ui.label(RichText::new("Map of tokens").strong()).on_hover_text(meaning);
        ui.spacing_mut().item_spacing.x = 3.0;
        let choices = [(ColourBy::Position, "position"), (ColourBy::Volume, "volume")];
        for (by, word) in choices {
            ui.selectable_value(&mut self.by, by, RichText::new(word).small()).on_hover_text(format!(
                "Tokens of the same {word} share a colour. {} - collapse.",
                match by {
                    ColourBy::Position => "Clouds of one colour: the position decides",
                    ColourBy::Volume => "Colours well mixed in tight clouds: the position decides",
                }
            ));
        }
    }

    /// Tokens of one volume and one colour.
    fn groups<'a>(&self, ui: &Ui, (maps, preview): (&TokenMaps, &'a TokenPreview)) -> impl Iterator<Item = Series<'a>> {
        let (palette, dark) = (Palette::of(ui), ui.visuals().dark_mode);
        let colours = if self.by == ColourBy::Position { COLOURS.min(maps.tokens) } else { 1 };
        let mut groups = vec![Vec::new(); preview.cases.len() * colours];
        for (index, point) in maps.plane.iter().enumerate() {
            let (volume, token) = (index / maps.tokens, index % maps.tokens);
            groups[volume * colours + token * colours / maps.tokens].push(PlotPoint::from(*point));
        }
        groups.into_iter().enumerate().map(move |(group, points)| {
            let (volume, band) = (group / colours, group % colours);
            let colour = if colours == 1 { palette.series(volume) } else { position_colour((band as f32 + 0.5) / colours as f32, dark) };
            let kind = SeriesKind::Marks(SHAPES[volume % SHAPES.len()], 3.6);
            Series { name: preview.cases[volume].as_str().into(), colour, points: points.into(), kind }
        })
    }

    /// What markers and colours are.
    pub(super) fn legend(&self, ui: &mut Ui, preview: &TokenPreview) {
        let (palette, dark) = (Palette::of(ui), ui.visuals().dark_mode);
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
        if self.by == ColourBy::Position {
            ui.horizontal(|ui| {
                ui.label(RichText::new("first position").small());
                let (bar, _) = ui.allocate_exact_size(vec2(64.0, 8.0), Sense::hover());
                let width = bar.width() / COLOURS as f32;
                for band in 0..COLOURS {
                    let piece = Rect::from_min_size(bar.min + vec2(width * band as f32, 0.0), vec2(width + 0.5, bar.height()));
                    ui.painter().rect_filled(piece, 0.0, position_colour((band as f32 + 0.5) / COLOURS as f32, dark));
                }
                ui.label(RichText::new("last").small());
            });
        }
    }
}

/// The ends of the ramp that vanish on the page are left out.
fn position_colour(share: f32, dark: bool) -> Color32 {
    heat_colour(if dark { 0.2 + 0.8 * share } else { 0.86 * share })
}

fn marker(ui: &mut Ui, shape: MarkerShape, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(10.0, 12.0), Sense::hover());
    let at = |(x, y): &(f32, f32)| rect.center() + vec2(*x, *y) * 4.2;
    let corners: &[(f32, f32)] = match shape {
        MarkerShape::Square => &[(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
        MarkerShape::Diamond => &[(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)],
        MarkerShape::Up => &[(0.0, -1.0), (0.9, 0.7), (-0.9, 0.7)],
        MarkerShape::Down => &[(0.0, 1.0), (-0.9, -0.7), (0.9, -0.7)],
        MarkerShape::Asterisk => {
            for tip in [(0.0, 1.0), (0.87, 0.5), (0.87, -0.5)] {
                ui.painter().line_segment([at(&(-tip.0, -tip.1)), at(&tip)], Stroke::new(1.4, colour));
            }
            return;
        }
        _ => {
            ui.painter().circle_filled(rect.center(), 4.0, colour);
            return;
        }
    };
    ui.painter().add(Shape::convex_polygon(corners.iter().map(at).collect(), colour, Stroke::NONE));
}

/// The token nearest to a point of the screen, if it is near.
fn nearest(transform: &PlotTransform, maps: &TokenMaps, at: Pos2) -> Option<Chosen> {
    let distance = |point: &[f64; 2]| transform.position_from_point(&PlotPoint::from(*point)).distance_sq(at);
    let (index, closest) = maps.plane.iter().map(distance).enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (closest <= REACH * REACH).then_some(Chosen { volume: index / maps.tokens, token: index % maps.tokens })
}
