//! The panes: three linked slices, one of them alone, or methods side by side, with crosshair, zoom and window in common.

use eframe::egui::{
    Align2, Color32, CursorIcon, FontSelection, InputState, Rect, Sense, Stroke, TextStyle, TextWrapMode, Ui, UiBuilder, Vec2, WidgetText,
    pos2, vec2,
};

use super::case::OpenCase;
use super::edit::{BrushCursor, Painted};
use super::layer::{Kind, Layer};
use super::measurements::OnSlice;
use super::measuring;
use super::tool::Tool;
use crate::gui::theme::colour;
use crate::gui::widgets::slice::{Framing, Plane, PlaneGeometry, Scene, SliceView, Style};
use crate::gui::{Action, Convention, Settings};
use crate::palette;
use crate::volume::Grid;

/// Points between panes.
const GAP: f32 = 2.0;
/// Height of a column's title in a comparison.
pub(super) const TITLE: f32 = 20.0;
/// Width of the labels beside slices: a share of the room, within bounds in points.
const ASIDE: (f32, f32, f32) = (0.28, 256.0, 330.0);
/// Methods side by side at most: more would be stamps.
pub(super) const MOST_COLUMNS: usize = 6;

/// Which panes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// All three planes, and the labels in the fourth pane.
    #[default]
    All,
    /// One plane.
    Alone(Plane),
    /// Methods side by side in one plane.
    Compare(Plane),
    /// Methods side by side, all planes below each other.
    CompareAll,
}

impl Arrangement {
    /// The planes of a comparison; none of other arrangements.
    pub(super) fn compared(self) -> Option<&'static [Plane]> {
        match self {
            Self::All | Self::Alone(_) => None,
            Self::Compare(plane) => Plane::ALL.iter().position(|&other| other == plane).map(|index| &Plane::ALL[index..=index]),
            Self::CompareAll => Some(&Plane::ALL),
        }
    }

    /// The plane whose slices the slice profile scores.
    pub(super) fn plane(self) -> Plane {
        match self {
            Self::Alone(plane) | Self::Compare(plane) => plane,
            Self::All | Self::CompareAll => Plane::Axial,
        }
    }
}

/// A pane as it was drawn last: what a picture of it repeats.
#[derive(Clone, Debug)]
pub(super) struct Pane {
    /// In points.
    pub(super) rect: Rect,
    /// The plane.
    pub(super) plane: Plane,
    /// Title of the layer over the image.
    pub(super) layer: Option<String>,
    /// The part of the slice that is shown.
    pub(super) framing: Framing,
    /// Whether the layer's name stands above it.
    pub(super) titled: bool,
}

/// The panes and what they show.
#[derive(Default)]
pub(super) struct Views {
    /// Which panes there are.
    pub(super) arrangement: Arrangement,
    /// What a maximised pane came from.
    before: Arrangement,
    /// The arrangement is that of a volume of one slice, and not the user's.
    flat: bool,
    /// Title of the layer in panes that show one.
    pub(super) shown: Option<String>,
    /// Titles of the layers that the user chose to compare, in no order; none: all are compared.
    pub(super) compared: Option<Vec<String>>,
    framings: [Framing; 3],
    /// One for each pane.
    views: Vec<SliceView>,
    /// The panes of the last frame.
    pub(super) panes: Vec<Pane>,
    /// The voxel under the pointer in the last frame.
    pub(super) hovered: Option<[usize; 3]>,
    /// What the left button does on a slice.
    pub(super) tool: Tool,
    /// The brush, where it is that tool and can paint.
    pub(super) brush: Option<BrushCursor>,
    /// What it did in the panes in the last frame.
    pub(super) painted: Vec<Painted>,
    /// Notches that the wheel turned for its width in the last frame.
    pub(super) notches: f32,
}

impl Views {
    /// Shows another volume: fits all slices into their panes, and shows a volume of one slice in that plane alone.
    pub(super) fn reset(&mut self, grid: &Grid) {
        self.framings = <[Framing; 3]>::default();
        match only_plane(grid) {
            Some(plane) => {
                if !self.flat {
                    self.before = self.arrangement;
                }
                let compared = self.arrangement.compared().is_some();
                self.arrangement = if compared { Arrangement::Compare(plane) } else { Arrangement::Alone(plane) };
            }
            None if self.flat => self.arrangement = self.before,
            None => {}
        }
        self.flat = only_plane(grid).is_some();
    }

    /// The layer in panes that show one, and of which the table is: the user's choice, else a prediction, else the truth.
    pub(super) fn shown_layer<'a>(&self, case: &'a OpenCase) -> Option<&'a Layer> {
        // The table is of something that can be seen.
        let mut seen = if self.arrangement.compared().is_some() { self.compared_layers(case) } else { case.layers.iter().collect() };
        seen.sort_by_key(|layer| (self.shown.as_ref() != Some(&layer.title), layer.kind == Kind::Truth));
        seen.first().copied()
    }

    /// Whether a layer is among those that are compared.
    pub(super) fn compares(&self, layer: &Layer) -> bool {
        self.compared.as_ref().is_none_or(|titles| titles.contains(&layer.title))
    }

    /// The layers that are compared, truth first.
    pub(super) fn compared_layers<'a>(&self, case: &'a OpenCase) -> Vec<&'a Layer> {
        case.layers.iter().filter(|layer| self.compares(layer)).take(MOST_COLUMNS).collect()
    }

    /// Titles of the layers that have to be read for what is shown.
    pub(super) fn wanted(&self, case: &OpenCase) -> Vec<String> {
        let compared = if self.arrangement.compared().is_some() { self.compared_layers(case) } else { Vec::new() };
        let wanted = case.of_kind(Kind::Truth).into_iter().chain(self.shown_layer(case)).chain(compared);
        wanted.map(|layer| layer.title.clone()).collect()
    }

    /// Shows a plane alone, or everything again.
    pub(super) fn maximise(&mut self, plane: Plane) {
        if let Arrangement::Alone(_) = self.arrangement {
            self.arrangement = self.before;
        } else {
            self.before = self.arrangement;
            self.arrangement = Arrangement::Alone(plane);
        }
    }

    /// Shows all views again where one is maximised.
    pub(super) fn show_all(&mut self) {
        if let Arrangement::Alone(plane) = self.arrangement
            && !self.flat
        {
            self.maximise(plane);
        }
    }

    /// Draws the panes into what is left of `ui`; where the labels go, if a pane is kept free for them.
    pub(super) fn show(&mut self, ui: &mut Ui, case: &mut OpenCase, settings: &Settings) -> Option<Rect> {
        let whole = ui.available_rect_before_wrap();
        ui.painter().rect_filled(whole, 0.0, Color32::BLACK);
        ui.allocate_rect(whole, Sense::hover());
        (self.hovered, self.notches) = (None, 0.0);
        self.painted.clear();
        let mut panes: Vec<Pane> = Vec::new();
        let shown = || self.shown_layer(case).map(|layer| layer.title.clone());
        let mut aside = None;
        match self.arrangement {
            Arrangement::All => {
                let quarter = |column: f32, row: f32| cell(whole, [2, 2], [column, row]);
                for (plane, rect) in Plane::ALL.into_iter().zip([quarter(0.0, 0.0), quarter(0.0, 1.0), quarter(1.0, 0.0)]) {
                    panes.push(self.pane(rect, plane, shown(), false));
                }
                aside = Some(quarter(1.0, 1.0));
            }
            Arrangement::Alone(plane) => {
                let split = whole.right() - aside_width(whole.width());
                let (left, right) = whole.split_left_right_at_x(split);
                panes.push(self.pane(left, plane, shown(), false));
                aside = Some(right);
            }
            Arrangement::Compare(_) | Arrangement::CompareAll => self.lay_comparison(whole, case, &mut panes),
        }
        for (index, pane) in panes.iter().enumerate() {
            self.draw(ui, case, (pane, index), settings);
        }
        // What was dragged in one pane is what all show from the next frame on.
        panes.iter_mut().for_each(|pane| pane.framing = self.framings[pane.plane as usize]);
        self.panes = panes;
        aside
    }

    fn pane(&self, rect: Rect, plane: Plane, layer: Option<String>, titled: bool) -> Pane {
        Pane { rect, plane, layer, framing: self.framings[plane as usize], titled }
    }

    fn lay_comparison(&self, whole: Rect, case: &OpenCase, panes: &mut Vec<Pane>) {
        let planes = self.arrangement.compared().unwrap_or(&Plane::ALL);
        let layers = self.compared_layers(case);
        let columns = layers.len().max(1);
        let below = Rect::from_min_max(pos2(whole.left(), whole.top() + TITLE), whole.max);
        for column in 0..columns {
            for (row, &plane) in planes.iter().enumerate() {
                let rect = cell(below, [columns, planes.len()], [column as f32, row as f32]);
                panes.push(self.pane(rect, plane, layers.get(column).map(|layer| layer.title.clone()), row == 0));
            }
        }
    }

    fn draw(&mut self, ui: &mut Ui, case: &mut OpenCase, (pane, number): (&Pane, usize), settings: &Settings) {
        let Some(image) = case.channel_now().map(|channel| channel.texture.clone()) else { return };
        if pane.titled {
            let chosen = self.shown_layer(case).map(|layer| &layer.title) == pane.layer.as_ref();
            column_title(ui, case, pane, chosen);
        }
        if self.views.len() <= number {
            self.views.push(SliceView::default());
        }
        let plane = pane.plane as usize;
        let framing = self.framings[plane];
        let view = &mut self.views[number];
        let brush = self.brush.as_ref().filter(|brush| pane.layer.as_ref() == Some(&brush.layer));
        (view.framing, view.brush) = (framing, brush.is_some());
        view.tool = brush.is_some() || matches!(self.tool, Tool::Ruler | Tool::Circle);
        let [labels, truth] = case.overlay(pane.layer.as_deref());
        let style = Style { window: case.window(), colours: &case.colours, settings: &settings.slices, convention: settings.convention };
        let map = case.shown_map().cloned();
        let heat = map.as_ref().map(|map| &map.texture);
        let scene = Scene { labels: labels.as_ref(), truth: truth.as_ref(), heat, ..Scene::new(case.grid(), &image, style) };
        let mut cursor = case.cursor;
        let mut inner = ui.new_child(UiBuilder::new().id_salt(("pane", number)).max_rect(pane.rect));
        inner.set_clip_rect(pane.rect.intersect(ui.clip_rect()));
        let response = view.show(&mut inner, pane.plane, &scene, (&mut cursor, &settings.keys));
        if let Some(map) = &map {
            map.draw_scale(&inner, pane.rect);
        }
        let seen = view.framing;
        if view.tool && response.response.hovered() {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        let (scan, rect) = (case.background.scan.clone(), response.response.rect);
        let geometry = PlaneGeometry::new(&scan.volume.grid, pane.plane, settings.convention);
        let point = |at| SliceView::point(&inner, (&geometry, seen, rect), at);
        let slice = cursor.voxel[geometry.through];
        let on = OnSlice { geometry: &geometry, grid: &scan.volume.grid, slice, point: &point };
        measuring::show(&inner, rect, case, (&on, self.tool, &response.touches));
        if let Some(brush) = brush {
            if let Some(at) = response.response.hover_pos() {
                brush.draw(&inner.painter_at(rect), at, response.points_per_mm);
            }
            self.notches += response.notches;
            self.painted.push(Painted { geometry, slice, touches: response.touches });
        }
        // With Shift the crosshair follows the pointer through all views; a press with Shift pans.
        let follows = |input: &InputState| input.modifiers.shift && !input.pointer.any_down() && input.pointer.delta() != Vec2::ZERO;
        if let Some(voxel) = response.hovered.filter(|_| ui.input(follows)) {
            cursor.voxel = voxel;
        }
        case.cursor = cursor;
        if seen != framing {
            self.framings[plane] = seen;
            if settings.slices.linked_zoom && seen.zoom != framing.zoom {
                self.link_zoom(case, settings.convention, (plane, seen));
            }
        }
        self.hovered = response.hovered.or(self.hovered);
        if response.clicked.is_some() && pane.layer.is_some() {
            // Table and profile are of the method that was clicked last.
            self.shown = pane.layer.clone();
        }
        if response.auto_window {
            case.set_window(None);
        } else if response.window.is_some() {
            case.set_window(response.window);
        }
        let keys = if response.response.contains_pointer() { settings.keys.pressed(ui, &[Action::Maximise]).len() } else { 0 };
        for _ in 0..keys + usize::from(response.maximise) {
            self.maximise(pane.plane);
        }
    }

    /// Gives the other planes the zoom of one; what is under the crosshair stays where it is in their views.
    fn link_zoom(&mut self, case: &OpenCase, convention: Convention, (zoomed, framing): (usize, Framing)) {
        for (plane, other) in Plane::ALL.into_iter().zip(&mut self.framings).filter(|(plane, _)| *plane as usize != zoomed) {
            if framing == Framing::default() {
                *other = framing;
                continue;
            }
            let geometry = PlaneGeometry::new(case.grid(), plane, convention);
            let (_, at) = geometry.position(case.cursor.voxel.map(|index| index as f64));
            other.zoom_to(&geometry, at, framing.zoom);
        }
    }

    /// Deletes the selected measurement where it is seen.
    pub(super) fn delete_measurement(&self, case: &mut OpenCase) {
        let drawn = |plane| self.panes.iter().any(|pane| pane.plane == plane);
        if case.measurements.selected().is_some_and(|selected| drawn(selected.plane) && selected.is_on(case.cursor.voxel)) {
            case.measurements.delete();
        }
    }

    /// Crosshair to a slice of a plane.
    pub(super) fn go_to(case: &mut OpenCase, plane: Plane, slice: usize) {
        let geometry = PlaneGeometry::new(case.grid(), plane, Convention::default());
        case.cursor.voxel[geometry.through] = slice.min(geometry.slices.saturating_sub(1));
    }

    /// Crosshair into the middle of what the shown layer has wrong on a slice.
    pub(super) fn go_to_error(&self, case: &mut OpenCase, plane: Plane, slice: usize) {
        Self::go_to(case, plane, slice);
        let geometry = PlaneGeometry::new(case.grid(), plane, Convention::default());
        let (Some(found), Some(truth)) = (self.shown_layer(case), case.of_kind(Kind::Truth)) else { return };
        let positions = (0..geometry.size[1]).flat_map(|down| (0..geometry.size[0]).map(move |across| [across as f64, down as f64]));
        let is_wrong = |at: &[f64; 2]| {
            let voxel = geometry.voxel(slice, *at).map(|index| index as usize);
            case.class_at(found, voxel) != case.class_at(truth, voxel)
        };
        let wrong: Vec<[f64; 2]> = positions.filter(is_wrong).collect();
        let mean = [0, 1].map(|side: usize| wrong.iter().map(|at| at[side]).sum::<f64>() / wrong.len().max(1) as f64);
        let distance =
            |at: &[f64; 2]| [0, 1].map(|side: usize| ((at[side] - mean[side]) * geometry.spacing_mm[side]).powi(2)).iter().sum::<f64>();
        if let Some(nearest) = wrong.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) {
            case.cursor.voxel = geometry.voxel(slice, *nearest).map(|index| index as usize);
        }
    }
}

/// The plane of a volume's only slice; none where there are more. Of a row of voxels, a plane that holds it.
fn only_plane(grid: &Grid) -> Option<Plane> {
    let geometry = Plane::ALL.map(|plane| PlaneGeometry::new(grid, plane, Convention::default()));
    let largest = geometry.iter().max_by_key(|geometry| geometry.size[0] * geometry.size[1])?;
    (largest.slices == 1).then_some(largest.plane)
}

/// Width of the labels beside slices, of the room that both have.
pub(super) fn aside_width(room: f32) -> f32 {
    (room * ASIDE.0).clamp(ASIDE.1, ASIDE.2).min(room / 2.0)
}

/// One cell of a grid of panes. All are equally large, so that neighbours show the same zoom.
fn cell(whole: Rect, [columns, rows]: [usize; 2], [column, row]: [f32; 2]) -> Rect {
    let room = |points: f32, count: usize| ((points - GAP * (count as f32 - 1.0)) / count as f32).floor().max(1.0);
    let size = vec2(room(whole.width(), columns), room(whole.height(), rows));
    Rect::from_min_size(whole.min.round() + vec2(column * (size.x + GAP), row * (size.y + GAP)), size)
}

/// The layer's name above its column, with its mean Dice over the visible labels. The chosen one is what the table shows.
fn column_title(ui: &Ui, case: &OpenCase, pane: &Pane, chosen: bool) {
    let rect = Rect::from_min_max(pos2(pane.rect.left(), pane.rect.top() - TITLE), pane.rect.right_top());
    let text = column_text(case, pane.layer.as_deref());
    let galley =
        WidgetText::from(text).into_galley(ui, Some(TextWrapMode::Truncate), rect.width() - 8.0, FontSelection::Style(TextStyle::Body));
    let at = Align2::CENTER_CENTER.align_size_within_rect(galley.size(), rect);
    let failed = case.layer(pane.layer.as_deref()).is_some_and(|layer| layer.fault.is_some());
    let colour = match (failed, chosen) {
        (true, _) => colour(palette::BAD.dark),
        (false, true) => Color32::WHITE,
        (false, false) => Color32::from_gray(185),
    };
    if chosen {
        let line = at.left()..=at.right();
        ui.painter().hline(line, rect.bottom() - 1.0, Stroke::new(2.0, colour));
    }
    ui.painter().galley_with_override_text_color(at.min, galley, colour);
}

/// A layer's name, and its mean Dice over the visible labels.
pub(super) fn column_text(case: &OpenCase, layer: Option<&str>) -> String {
    let Some(layer) = case.layer(layer) else { return "no labels".to_owned() };
    let Some(labels) = layer.labels() else {
        return format!("{}: {}", layer.title, if layer.fault.is_some() { "cannot be read" } else { "reading ..." });
    };
    let classes = case.classes.in_order().into_iter().filter(|&class| case.colours.get(class).visible);
    let scores: Vec<f64> = classes.filter_map(|class| layer.agreement()?.whole(class)).collect();
    let title = if labels.own.is_some() { format!("{} (resampled)", layer.title) } else { layer.title.clone() };
    if scores.is_empty() {
        return title;
    }
    format!("{title}   Dice {:.3}", scores.iter().sum::<f64>() / scores.len() as f64)
}
