//! The crop, its views and the restored tokens, side by side and linked.

use std::sync::Arc;

use eframe::egui::{Align2, Color32, Rect, RichText, Sense, Shape, Stroke, TextStyle, Ui, UiBuilder, vec2};
use eframe::egui_wgpu::RenderState;

use super::super::slice::{
    Cursor, ImageTexture, LabelColours, Plane, PlaneGeometry, Scene, SliceSettings, SliceView, TokenOverlay, WindowLevel,
};
use super::super::{Background, Palette, Settings};
use crate::volume::Grid;
use crate::worker::views::{DrawnViews, HiddenView};

/// Voxels of a crop that are hidden and sent to the GPU within a frame; more take a thread of their own.
const AT_ONCE: usize = 1 << 18;
/// Least edge of a cell, in points, that a number is written into.
const NUMBERED: f32 = 22.0;
/// Distance of hatching lines in points.
const HATCH: f32 = 9.0;

/// What a pane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Original,
    /// A view by its number.
    View(usize),
    Restored,
}

/// A volume on the GPU, in the axes of its pane.
struct Shown {
    shows: Shows,
    grid: Grid,
    image: ImageTexture,
    /// Hidden cells, row-major; empty where there are none.
    mask: Vec<bool>,
    /// For each token of the pane, its place in the original crop, from 1.
    numbers: Vec<u32>,
}

/// A view with its cells hidden, as far as it is.
struct Masked {
    ratio: f64,
    view: usize,
    hidden: HiddenView,
    image: ImageTexture,
}

/// The panes.
#[derive(Default)]
pub(super) struct Panes {
    drawn: Option<Arc<DrawnViews>>,
    shown: Vec<Shown>,
    window: Option<WindowLevel>,
    masking: Option<Background<Vec<Masked>>>,
    masked_at: Option<f64>,
    views: [SliceView; 4],
    pub(super) plane: Option<Plane>,
    pub(super) cursor: Cursor,
    /// The turned view shows the slice of the same number instead of the same anatomy.
    pub(super) same_slice: bool,
    pub(super) channel: usize,
    channel_shown: usize,
    colours: LabelColours,
    /// The pane that is shown alone.
    alone: Option<usize>,
}

impl Panes {
    /// Brings the volumes up to the newest views and the ratio.
    pub(super) fn follow(&mut self, ui: &Ui, gpu: &RenderState, drawn: &Arc<DrawnViews>, ratio: f64) {
        let channel = self.channel.min(drawn.channels - 1);
        let is_new = self.drawn.as_ref().is_none_or(|known| !Arc::ptr_eq(known, drawn)) || channel != self.channel_shown;
        if is_new {
            if self.drawn.as_ref().is_none_or(|known| known.crop != drawn.crop) {
                self.cursor = Cursor::middle(drawn.crop);
            }
            (self.drawn, self.channel_shown) = (Some(drawn.clone()), channel);
            (self.masking, self.masked_at) = (None, None);
            self.window = Some(WindowLevel::auto(of_channel(&drawn.original, drawn, channel)));
            self.shown = volumes(gpu, drawn, channel);
            self.alone = self.alone.filter(|&alone| alone < self.shown.len());
        }
        if self.masking.as_mut().is_some_and(Background::poll) {
            let masked = self.masking.take().and_then(Background::take).unwrap_or_default();
            self.take_masked(masked);
        }
        if self.masked_at == Some(ratio) || self.masking.is_some() {
            return;
        }
        if drawn.original.len() <= AT_ONCE {
            self.take_masked(mask(gpu, drawn, channel, ratio));
        } else {
            let (gpu, drawn) = (gpu.clone(), drawn.clone());
            self.masking = Some(Background::start(ui.ctx(), move || mask(&gpu, &drawn, channel, ratio)));
        }
    }

    fn take_masked(&mut self, masked: Vec<Masked>) {
        for Masked { ratio, view, hidden, image } in masked {
            self.masked_at = Some(ratio);
            if let Some(shown) = self.shown.iter_mut().find(|shown| shown.shows == Shows::View(view)) {
                (shown.image, shown.mask) = (image, hidden.mask);
            }
        }
    }

    /// Draws the panes side by side, each `height` points high under its title.
    pub(super) fn show(&mut self, ui: &mut Ui, settings: &Settings, height: f32) {
        let Some(drawn) = self.drawn.clone() else { return };
        let plane = self.plane.unwrap_or(Plane::Axial);
        let shown: Vec<usize> = (0..self.shown.len()).filter(|index| self.alone.is_none_or(|alone| alone == *index)).collect();
        let one_view = drawn.views.len() == 1 && self.alone.is_none();
        let count = (shown.len() + usize::from(one_view)).max(1) as f32;
        let width = (ui.available_width() - 10.0 * (count - 1.0)) / count;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 10.0;
            for index in shown {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    title(ui, self.shown[index].shows, &drawn);
                    let (rect, _) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
                    let mut pane = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(index));
                    self.pane(&mut pane, index, (&drawn, plane), settings);
                });
            }
            if one_view {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.strong("No second view");
                    ui.label("This pretext task predicts what is hidden from what is left: it compares no views, and turns and restores nothing.");
                });
            }
        });
    }

    fn pane(&mut self, ui: &mut Ui, index: usize, (drawn, plane): (&DrawnViews, Plane), settings: &Settings) {
        let rect = ui.max_rect();
        let (shown, view) = (&self.shown[index], &mut self.views[index]);
        let turned = match shown.shows {
            Shows::View(view) => Turn::of(drawn, view),
            Shows::Original | Shows::Restored => None,
        };
        view.turned = turned.is_some();
        let cell = if shown.mask.is_empty() { drawn.token } else { drawn.cell };
        let overlay_cell = turned.as_ref().filter(|_| shown.mask.is_empty()).map_or(cell, |turn| turn.axes.map(|axis| cell[axis]));
        // A mean of a patch has no neighbours to blend with.
        let slices = SliceSettings { linear: settings.slices.linear && shown.shows != Shows::Restored, ..settings.slices.clone() };
        let scene = Scene {
            grid: &shown.grid,
            image: &shown.image,
            labels: None,
            truth: None,
            heat: None,
            tokens: Some(TokenOverlay { cell: overlay_cell, marked: &[] }),
            window: self.window.unwrap_or(WindowLevel { low: 0.0, high: 1.0 }),
            colours: &self.colours,
            settings: &slices,
            convention: settings.convention,
            keys: &settings.keys,
        };
        // The turned view has a crosshair of its own, on the same anatomy or the same slice.
        let place = |voxel: [usize; 3]| match &turned {
            Some(turn) if !self.same_slice => turn.there(voxel, drawn.crop),
            _ => voxel,
        };
        let mut cursor = Cursor { voxel: place(self.cursor.voxel) };
        let before = cursor;
        let seen = view.show(ui, plane, &scene, &mut cursor);
        if cursor != before {
            self.cursor.voxel = match &turned {
                Some(turn) if !self.same_slice => turn.back(cursor.voxel, drawn.crop),
                _ => cursor.voxel,
            };
        }
        if seen.maximise {
            self.alone = if self.alone.is_none() { Some(index) } else { None };
        }
        if let Some(window) = seen.window {
            self.window = Some(window);
        } else if seen.auto_window {
            self.window = Some(WindowLevel::auto(of_channel(&drawn.original, drawn, self.channel_shown)));
        }
        let geometry = PlaneGeometry::new(&shown.grid, plane, settings.convention);
        let over =
            Over { rect, view: &self.views[index], geometry: &geometry, slice: cursor.voxel[geometry.through], shape: shown.grid.shape };
        if self.shown[index].mask.is_empty() {
            over.numbers(ui, overlay_cell, &self.shown[index].numbers);
        } else {
            over.hatch(ui, overlay_cell, &self.shown[index].mask);
        }
    }

    /// Which pane is shown alone.
    #[cfg(test)]
    pub(super) fn alone(&self) -> Option<usize> {
        self.alone
    }

    /// Hidden cells of the first view.
    #[cfg(test)]
    pub(super) fn hidden(&self) -> usize {
        let shown = self.shown.iter().find(|shown| shown.shows == Shows::View(0));
        shown.map_or(0, |shown| shown.mask.iter().filter(|&&hidden| hidden).count())
    }
}

/// How a view lies to the crop.
struct Turn {
    axes: [usize; 3],
    flips: [bool; 3],
}

impl Turn {
    /// None where the view is not turned.
    fn of(drawn: &DrawnViews, view: usize) -> Option<Self> {
        let view = &drawn.views[view];
        (view.axes != [0, 1, 2] || view.flips != [false; 3]).then_some(Self { axes: view.axes, flips: view.flips })
    }

    /// Where a voxel of the crop lies in the view.
    fn there(&self, voxel: [usize; 3], crop: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|o| {
            let axis = self.axes[o];
            if self.flips[o] { crop[axis] - 1 - voxel[axis] } else { voxel[axis] }
        })
    }

    /// Where a voxel of the view lies in the crop.
    fn back(&self, voxel: [usize; 3], crop: [usize; 3]) -> [usize; 3] {
        let mut to = [0; 3];
        for (o, &axis) in self.axes.iter().enumerate() {
            to[axis] = if self.flips[o] { crop[axis] - 1 - voxel[o] } else { voxel[o] };
        }
        to
    }
}

/// The number of each token of a pane: its place in the original crop.
fn numbers(shows: Shows, drawn: &DrawnViews) -> Vec<u32> {
    let mut numbers: Vec<u32> = (1..=drawn.tokens().iter().product::<usize>() as u32).collect();
    if let Shows::View(view) = shows {
        for (place, &from) in (1..).zip(&drawn.views[view].restore) {
            numbers[from as usize] = place;
        }
    }
    numbers
}

/// The volumes of the panes, before cells are hidden.
fn volumes(gpu: &RenderState, drawn: &DrawnViews, channel: usize) -> Vec<Shown> {
    let shown = |shows: Shows, axes: [usize; 3], voxels: &[f32]| {
        let (shape, spacing) = (axes.map(|axis| drawn.crop[axis]), axes.map(|axis| drawn.spacing_mm[axis]));
        let image = ImageTexture::upload(gpu, voxels, shape);
        Shown { shows, grid: Grid::axis_aligned(shape, spacing), image, mask: Vec::new(), numbers: numbers(shows, drawn) }
    };
    let mut volumes = vec![shown(Shows::Original, [0, 1, 2], of_channel(&drawn.original, drawn, channel))];
    for (index, view) in drawn.views.iter().enumerate() {
        volumes.push(shown(Shows::View(index), view.axes, of_channel(&view.voxels, drawn, channel)));
    }
    if drawn.views.len() > 1 {
        volumes.push(shown(Shows::Restored, [0, 1, 2], &restored(drawn, channel)));
    }
    volumes
}

/// The tokens of the last view put back, each as the mean of its patch: what an encoder without position codes makes of it.
fn restored(drawn: &DrawnViews, channel: usize) -> Vec<f32> {
    let view = &drawn.views[drawn.views.len() - 1];
    let [shape, cell] = [drawn.crop, drawn.token].map(|sizes| view.axes.map(|axis| sizes[axis]));
    let grid: [usize; 3] = std::array::from_fn(|axis| shape[axis] / cell[axis]);
    let token_of = |index: usize, shape: [usize; 3], cell: [usize; 3], grid: [usize; 3]| {
        let at = [index / (shape[1] * shape[2]), index / shape[2] % shape[1], index % shape[2]];
        let [d, h, w]: [usize; 3] = std::array::from_fn(|axis| at[axis] / cell[axis]);
        (d * grid[1] + h) * grid[2] + w
    };
    let mut means = vec![0.0_f64; grid.iter().product()];
    for (index, value) in of_channel(&view.voxels, drawn, channel).iter().enumerate() {
        means[token_of(index, shape, cell, grid)] += f64::from(*value);
    }
    let size = cell.iter().product::<usize>() as f64;
    let upright = drawn.tokens();
    (0..drawn.crop.iter().product())
        .map(|index| (means[view.restore[token_of(index, drawn.crop, drawn.token, upright)] as usize] / size) as f32)
        .collect()
}

/// The views that hide cells, at a ratio.
fn mask(gpu: &RenderState, drawn: &DrawnViews, channel: usize, ratio: f64) -> Vec<Masked> {
    let views = (0..drawn.views.len()).map(|view| (view, drawn.hide(view, ratio)));
    let masked = views.filter(|(view, hidden)| *view == 0 || !hidden.mask.is_empty()).map(|(view, hidden)| {
        let shape = drawn.views[view].axes.map(|axis| drawn.crop[axis]);
        let image = ImageTexture::upload(gpu, of_channel(&hidden.voxels, drawn, channel), shape);
        Masked { ratio, view, hidden, image }
    });
    masked.collect()
}

fn of_channel<'a>(voxels: &'a [f32], drawn: &DrawnViews, channel: usize) -> &'a [f32] {
    let one: usize = drawn.crop.iter().product();
    &voxels[channel * one..][..one]
}

/// "crop of 32 x 32 x 32 voxels of 1 x 1 x 1 mm".
fn size(drawn: &DrawnViews) -> String {
    let [d, h, w] = drawn.crop;
    let [z, y, x] = drawn.spacing_mm.map(|mm| (mm * 100.0).round() / 100.0);
    format!("crop of {d} x {h} x {w} voxels of {z} x {y} x {x} mm (D, H, W)")
}

fn title(ui: &mut Ui, shows: Shows, drawn: &DrawnViews) {
    let (name, what, meaning) = match shows {
        Shows::Original => ("Original", size(drawn), "A crop of the volume, cut into tokens. Each has a number: its place in the grid."),
        Shows::View(0) => (
            "Masked view",
            if drawn.views[0].turn == "not turned" { "what is hatched is noise".to_owned() } else { drawn.views[0].turn.clone() },
            "The first view: hidden cells hold noise, and the network has to make out from the rest what lies there.",
        ),
        Shows::View(view) => (
            "Rotated view",
            drawn.views[view].turn.clone(),
            "The second view, whole but turned. Each number is the place that the token had in the original crop.",
        ),
        Shows::Restored => (
            "Restored tokens",
            "the rotated view's, put back".to_owned(),
            "Each token of the rotated view back at its place, drawn as the mean of its patch. Numbers run as in the original: the turn is undone exactly.",
        ),
    };
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.strong(name).on_hover_text(meaning);
    ui.add(eframe::egui::Label::new(RichText::new(what).small()).truncate()).on_hover_text(meaning);
}

/// What is drawn over a slice.
struct Over<'a> {
    rect: Rect,
    view: &'a SliceView,
    geometry: &'a PlaneGeometry,
    slice: usize,
    shape: [usize; 3],
}

impl Over<'_> {
    /// The cells that the slice cuts: number in the grid, and where they lie on the screen.
    fn cells(&self, ui: &Ui, cell: [usize; 3]) -> Vec<(usize, Rect)> {
        let grid: [usize; 3] = std::array::from_fn(|axis| self.shape[axis] / cell[axis].max(1));
        let through = self.geometry.through;
        let mut range = grid.map(|cells| 0..cells);
        let layer = self.slice / cell[through].max(1);
        range[through] = layer..(layer + 1).min(grid[through]);
        let [planes, rows, columns] = range;
        let rows = planes.flat_map(|d| rows.clone().map(move |h| (d, h)));
        let places = rows.flat_map(|(d, h)| columns.clone().map(move |w| [d, h, w]));
        places
            .map(|place| {
                let corner = |step: usize| std::array::from_fn(|axis| ((place[axis] + step) * cell[axis]) as f64 - 0.5);
                let [a, b] = [0, 1].map(|step| self.view.point(ui, self.rect, self.geometry, corner(step)));
                ((place[0] * grid[1] + place[1]) * grid[2] + place[2], Rect::from_two_pos(a, b))
            })
            .collect()
    }

    /// A number in the middle of each cell.
    fn numbers(&self, ui: &Ui, cell: [usize; 3], numbers: &[u32]) {
        let painter = ui.painter_at(self.rect);
        let font = TextStyle::Small.resolve(ui.style());
        for (token, rect) in self.cells(ui, cell) {
            if rect.width().min(rect.height()) >= NUMBERED
                && let Some(number) = numbers.get(token)
            {
                let text = number.to_string();
                for (shift, colour) in [(vec2(1.0, 1.0), Color32::BLACK), (vec2(0.0, 0.0), Color32::WHITE)] {
                    painter.text(rect.center() + shift, Align2::CENTER_CENTER, &text, font.clone(), colour);
                }
            }
        }
    }

    /// Lines across each hidden cell, and a frame around it.
    fn hatch(&self, ui: &Ui, cell: [usize; 3], mask: &[bool]) {
        let painter = ui.painter_at(self.rect);
        let stroke = Stroke::new(1.0, Palette::label(0).gamma_multiply(0.55));
        for (number, rect) in self.cells(ui, cell) {
            if !mask.get(number).copied().unwrap_or(false) {
                continue;
            }
            let inner = rect.shrink(1.5);
            painter.rect_stroke(inner, 0.0, stroke, eframe::egui::StrokeKind::Inside);
            let reach = inner.width() + inner.height();
            let lines = (1..(reach / HATCH) as usize + 1).map(|line| {
                let offset = line as f32 * HATCH;
                let (left, top) = (inner.left(), inner.top());
                // From the upper edge (or the right one) down to the left edge (or the lower one).
                let from = vec2(offset.min(inner.width()), (offset - inner.width()).max(0.0));
                let to = vec2((offset - inner.height()).max(0.0), offset.min(inner.height()));
                let corner = vec2(left, top);
                Shape::line_segment([(corner + from).to_pos2(), (corner + to).to_pos2()], stroke)
            });
            painter.extend(lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crosshair_goes_there_and_back() {
        let crop = [4, 6, 6];
        let turn = Turn { axes: [0, 2, 1], flips: [true, false, true] };
        for voxel in [[0, 0, 0], [3, 5, 1], [2, 1, 4]] {
            let there = turn.there(voxel, crop);
            assert_eq!(turn.back(there, crop), voxel);
        }
        assert_eq!(turn.there([1, 2, 3], crop), [2, 3, 3]);
    }
}
