//! A view, or all of them, drawn on the host with the pixels that the screen has, at a chosen size.

use std::path::Path;
use std::sync::Arc;

use eframe::egui::{Align2, Color32, ColorImage, Pos2, Rect, Vec2, pos2, vec2};

use super::canvas::Canvas;
use super::case::OpenCase;
use super::layer::{Kind, Layer};
use super::views::{Arrangement, Pane, Views, column_text};
use crate::atomic_file;
use crate::gui::slice::{
    Difference, HostScene, LabelColours, MARGIN, Picture, Plane, PlaneGeometry, SliceSettings, WindowLevel, draw_on_cpu,
};
use crate::gui::{Convention, Settings};
use crate::volume::Scan;

/// Points from a pane's edge to its letters.
const EDGE: f32 = 6.0;
/// Points below the views for what the colours mean.
const FOOTER: f32 = 28.0;

/// What the user wants in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Which pane; none: all of them.
    pub(super) pane: Option<usize>,
    /// Pixels of the picture for one point of the screen.
    pub(super) scale: usize,
    /// Sides of the patient, planes and names.
    pub(super) letters: bool,
    /// The crosshair.
    pub(super) crosshair: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { pane: None, scale: 2, letters: true, crosshair: false }
    }
}

/// The part of the screen that is pictured, in points.
fn bounds(views: &Views, options: Options) -> Rect {
    let chosen = views.panes.iter().enumerate().filter(|(index, _)| options.pane.is_none_or(|pane| pane == *index));
    chosen.fold(Rect::NOTHING, |bounds, (_, pane)| {
        let title = if pane.titled && options.letters && options.pane.is_none() { 20.0 } else { 0.0 };
        bounds.union(pane.rect).union(Rect::from_min_max(pane.rect.min - vec2(0.0, title), pane.rect.max))
    })
}

/// Pixels across and down that a picture will have.
pub(super) fn size(views: &Views, options: Options) -> [usize; 2] {
    let bounds = bounds(views, options);
    let footer = if options.letters && options.pane.is_none() && views.arrangement != Arrangement::All { FOOTER } else { 0.0 };
    [bounds.width(), bounds.height() + footer].map(|points| (points.max(0.0) * options.scale as f32).round() as usize)
}

/// Everything that a picture is made of, taken at one moment.
pub(super) struct Shot {
    scan: Arc<Scan>,
    channel: usize,
    window: WindowLevel,
    colours: LabelColours,
    settings: SliceSettings,
    convention: Convention,
    cursor: [usize; 3],
    panes: Vec<ShotPane>,
    title: String,
    /// What the colours mean.
    legend: Vec<(String, Color32)>,
    bounds: Rect,
    options: Options,
}

struct ShotPane {
    pane: Pane,
    title: String,
    labels: Option<Arc<Vec<u8>>>,
    truth: Option<Arc<Vec<u8>>>,
}

impl Shot {
    /// Takes what the panes show now; none where nothing has been drawn yet.
    pub(super) fn new(case: &OpenCase, views: &Views, settings: &Settings, options: Options) -> Option<Self> {
        let bounds = bounds(views, options);
        let chosen = views.panes.iter().enumerate().filter(|(index, _)| options.pane.is_none_or(|pane| pane == *index));
        let panes: Vec<ShotPane> = chosen
            .map(|(_, pane)| {
                let layer = pane.layer.as_ref().and_then(|title| case.layers.iter().find(|layer| layer.title == *title));
                let truth = layer.filter(|layer| layer.kind != Kind::Truth).and(case.truth_labels());
                ShotPane {
                    pane: pane.clone(),
                    title: column_text(case, pane.layer.as_deref()),
                    labels: layer.and_then(Layer::labels).map(|labels| labels.classes.clone()),
                    truth: truth.map(|labels| labels.classes.clone()),
                }
            })
            .collect();
        let named = case.classes.in_order().into_iter().filter(|&class| case.colours.get(class).visible);
        let labels = named.map(|class| (case.classes.name(class).to_owned(), case.colours.get(class).colour));
        let differing = settings.slices.difference && panes.iter().any(|shown| shown.truth.is_some());
        let differences = Difference::ALL.into_iter().filter(|_| differing).map(|kind| (kind.title().to_owned(), kind.colour()));
        // Labels keep their own colours where the truth itself is shown.
        let own = !differing || panes.iter().any(|shown| shown.truth.is_none());
        let legend = labels.filter(|_| own).chain(differences).collect();
        (!panes.is_empty()).then(|| Self {
            scan: case.ground.scan.clone(),
            channel: case.channel,
            window: case.window(),
            colours: case.colours.clone(),
            settings: settings.slices.clone(),
            convention: settings.convention,
            cursor: case.cursor.voxel,
            panes,
            title: case.title.clone(),
            legend,
            bounds,
            options,
        })
    }

    /// Draws the picture and writes it.
    ///
    /// # Errors
    /// A file that cannot be written, in words.
    pub(super) fn save(&self, file: &Path) -> Result<(), String> {
        let image = self.draw();
        let bytes = encode(&image).map_err(|error| error.to_string())?;
        atomic_file::write(file, &bytes)
            .map_err(|error| format!("{}: {error}; check the free space and the folder's permissions", file.display()))
    }

    /// Draws the picture.
    pub(super) fn draw(&self) -> ColorImage {
        let scale = self.options.scale as f32;
        let legend = self.options.letters && self.options.pane.is_none();
        let footer = if legend && self.free_quarter().is_none() { FOOTER } else { 0.0 };
        let size = [self.bounds.width(), self.bounds.height() + footer].map(|points| ((points * scale).round() as usize).max(1));
        let mut canvas = Canvas::new(size, scale);
        for shown in &self.panes {
            self.slice(&mut canvas, shown);
        }
        if legend {
            self.legend(&mut canvas);
        }
        canvas.finish()
    }

    fn slice(&self, canvas: &mut Canvas, shown: &ShotPane) {
        let pane = &shown.pane;
        let rect = pane.rect.translate(-self.bounds.min.to_vec2());
        let volume = &self.scan.volume;
        let scene = HostScene {
            grid: &volume.grid,
            image: &volume.voxels[self.channel * volume.grid.len()..][..volume.grid.len()],
            labels: shown.labels.as_deref().map(Vec::as_slice),
            truth: shown.truth.as_deref().map(Vec::as_slice),
            heat: None,
            token: None,
            window: self.window,
            colours: &self.colours,
            settings: &self.settings,
            convention: self.convention,
        };
        let geometry = PlaneGeometry::new(&volume.grid, pane.plane, self.convention);
        let pixels = [rect.width(), rect.height()].map(|points| ((points * self.options.scale as f32).round() as usize).max(1));
        let margin = MARGIN * f64::from(self.options.scale as f32);
        let slice = self.cursor[geometry.through];
        let picture =
            Picture { plane: pane.plane, slice, pixels, framing: pane.framing, margin, pixels_per_point: self.options.scale as f32 };
        canvas.blit(&draw_on_cpu(&scene, &picture), rect);
        if self.options.crosshair {
            let (_, at) = geometry.place(self.cursor.map(|index| index as f64));
            let placement = pane.framing.placement(&geometry, pixels.map(|count| count as f64), margin);
            let [x, y] = placement.pixel(at).map(|pixel| pixel as f32 / self.options.scale as f32);
            canvas.crosshair(rect, rect.min + vec2(x, y));
        }
        if self.options.letters {
            let inner = rect.shrink(EDGE);
            let letters = geometry.letters;
            canvas.text(&letters.left.to_string(), inner.left_center(), Align2::LEFT_CENTER);
            canvas.text(&letters.right.to_string(), inner.right_center(), Align2::RIGHT_CENTER);
            canvas.text(&letters.top.to_string(), inner.center_top(), Align2::CENTER_TOP);
            canvas.text(&letters.bottom.to_string(), inner.center_bottom(), Align2::CENTER_BOTTOM);
            canvas.text(&format!("{} {} / {}", pane.plane.title(), slice + 1, geometry.slices), inner.left_top(), Align2::LEFT_TOP);
            if pane.plane != Plane::Sagittal {
                let convention = match self.convention {
                    Convention::Radiological => "radiological",
                    Convention::Neurological => "neurological",
                };
                canvas.text(convention, inner.left_top() + vec2(0.0, 16.0), Align2::LEFT_TOP);
            }
            if pane.titled && self.options.pane.is_none() {
                canvas.text(&shown.title, pos2(rect.center().x, rect.top() - 10.0), Align2::CENTER_CENTER);
            }
        }
    }

    /// What the colours mean: in the quarter that three planes leave free, else in a line below.
    fn legend(&self, canvas: &mut Canvas) {
        let size = self.bounds.size();
        let row = |canvas: &mut Canvas, at: Pos2, (name, colour): &(String, Color32)| {
            canvas.fill(Rect::from_center_size(at + vec2(6.0, 0.0), Vec2::splat(12.0)), *colour);
            canvas.text(name, at + vec2(20.0, 0.0), Align2::LEFT_CENTER)
        };
        if let Some(free) = self.free_quarter() {
            canvas.text(&self.title, free.min + vec2(16.0, 14.0), Align2::LEFT_TOP);
            for (index, entry) in self.legend.iter().enumerate() {
                let at = free.min + vec2(16.0, 50.0 + index as f32 * 20.0);
                if at.y + 14.0 < free.bottom() {
                    row(canvas, at, entry);
                }
            }
        } else {
            let mut at = pos2(10.0, size.y + FOOTER / 2.0);
            at.x = canvas.text(&self.title, at, Align2::LEFT_CENTER) + 24.0;
            for entry in &self.legend {
                at.x = row(canvas, at, entry) + 18.0;
            }
        }
    }

    /// Where three planes leave room, in points from the picture's corner.
    fn free_quarter(&self) -> Option<Rect> {
        let [a, _, c] = self.panes.as_slice() else { return None };
        let corner = pos2(c.pane.rect.left(), a.pane.rect.bottom()) - self.bounds.min.to_vec2();
        let free = Rect::from_min_max(corner, self.bounds.size().to_pos2());
        (free.height() > 60.0 && self.panes.iter().all(|shown| !shown.pane.titled)).then_some(free)
    }
}

/// An 8-bit RGB PNG.
fn encode(image: &ColorImage) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let [width, height] = image.size;
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header()?;
    let rgb: Vec<u8> = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(bytes)
}
