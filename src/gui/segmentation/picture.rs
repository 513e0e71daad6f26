//! A view, or all of them, as a PNG of a chosen size: drawn on the host, with the pixels that the screen has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::text::{FontDefinitions, Fonts};
use eframe::egui::{Align2, Color32, ColorImage, ComboBox, FontId, Id, Modal, Pos2, Rect, Role, Ui, Vec2, WidgetInfo, pos2, vec2};

use super::case::OpenCase;
use super::layer::{Kind, Layer};
use super::views::{Arrangement, Pane, Views, column_text};
use crate::atomic_file;
use crate::gui::slice::{
    Difference, HostScene, LabelColours, MARGIN, Picture, Plane, PlaneGeometry, SliceSettings, WindowLevel, draw_on_cpu,
};
use crate::gui::{Background, Convention, Palette, Settings};
use crate::volume::Scan;

/// Text in points, as on the screen.
const LETTERS: f32 = 13.5;
/// Points from a pane's edge to its letters.
const EDGE: f32 = 6.0;
/// Points below the views for what the colours mean.
const FOOTER: f32 = 28.0;
/// Half of the crosshair's gap in points.
const GAP: f32 = 9.0;

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

/// The question what to save, and the saving.
#[derive(Default)]
pub(super) struct PictureDialog {
    open: bool,
    options: Options,
    saving: Option<Background<Option<Result<PathBuf, String>>>>,
    told: Option<Result<String, String>>,
}

impl PictureDialog {
    /// Asks what to save.
    pub(super) fn open(&mut self) {
        (self.open, self.told) = (true, None);
    }

    /// Draws the question, if it is open.
    pub(super) fn show(&mut self, ui: &Ui, case: &OpenCase, views: &Views, settings: &Settings) {
        if self.saving.as_mut().is_some_and(Background::poll) {
            self.told = match self.saving.take().and_then(Background::take) {
                Some(Some(Ok(file))) => Some(Ok(format!("Saved as {}", file.display()))),
                Some(Some(Err(cause))) => Some(Err(format!("The picture was not saved: {cause}"))),
                Some(None) => None,
                None => Some(Err("Saving ended by a fault of the program; try again".to_owned())),
            };
        }
        if !self.open {
            return;
        }
        let modal = Modal::new(Id::unique("picture")).show(ui.ctx(), |ui| self.ask(ui, case, views, settings));
        if modal.should_close() || modal.inner {
            self.open = false;
        }
    }

    /// True when the question is to close.
    fn ask(&mut self, ui: &mut Ui, case: &OpenCase, views: &Views, settings: &Settings) -> bool {
        ui.set_width(360.0);
        ui.heading("Save a view as PNG");
        self.options.pane = self.options.pane.filter(|&pane| pane < views.panes.len());
        let name = |pane: Option<usize>| match pane.and_then(|pane| views.panes.get(pane)) {
            None => "All views".to_owned(),
            Some(pane) => match &pane.layer {
                Some(layer) if views.arrangement.compared().is_some() => format!("{}, {layer}", pane.plane.title()),
                _ => pane.plane.title().to_owned(),
            },
        };
        ui.horizontal(|ui| {
            ui.label("View");
            let combo = ComboBox::from_id_salt("pictured view").width(240.0).selected_text(name(self.options.pane));
            let response = combo.show_ui(ui, |ui| {
                for pane in std::iter::once(None).chain((0..views.panes.len()).map(Some)) {
                    ui.selectable_value(&mut self.options.pane, pane, name(pane));
                }
            });
            response.response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "View to save"));
        });
        ui.horizontal(|ui| {
            ui.label("Size");
            for scale in [1, 2, 4] {
                ui.selectable_value(&mut self.options.scale, scale, format!("{scale}x"));
            }
            let [width, height] = size(views, self.options);
            ui.weak(format!("{width} x {height} pixels"));
        });
        ui.checkbox(&mut self.options.letters, "Sides of the patient, planes and names");
        ui.checkbox(&mut self.options.crosshair, "Crosshair");
        match &self.told {
            Some(Ok(text)) => drop(ui.colored_label(Palette::of(ui).good(), text)),
            Some(Err(text)) => drop(ui.colored_label(Palette::of(ui).bad(), text)),
            None => {}
        }
        ui.add_space(6.0);
        let mut close = false;
        ui.horizontal(|ui| {
            if ui.add_enabled(self.saving.is_none(), eframe::egui::Button::new("Save...")).clicked() {
                self.save(ui.ctx(), case, views, settings);
            }
            close = ui.button("Close").clicked();
        });
        close
    }

    fn save(&mut self, ctx: &eframe::egui::Context, case: &OpenCase, views: &Views, settings: &Settings) {
        let Some(shot) = Shot::new(case, views, settings, self.options) else { return };
        let name = format!("{}.png", case.title);
        self.saving = Some(Background::start(ctx, move || {
            let dialog = rfd::FileDialog::new().set_title("Save the picture").set_file_name(name).add_filter("PNG", &["png"]);
            dialog.save_file().map(|file| shot.save(&file).map(|()| file))
        }));
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

fn size(views: &Views, options: Options) -> [usize; 2] {
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
        let named = (1..=u8::MAX).take(case.classes.len().saturating_sub(1)).filter(|&class| case.colours.get(class).visible);
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
        let mut canvas = Canvas {
            image: ColorImage::filled(size, Color32::BLACK),
            scale,
            fonts: Fonts::new(Default::default(), FontDefinitions::default()),
        };
        for shown in &self.panes {
            self.slice(&mut canvas, shown);
        }
        if legend {
            self.legend(&mut canvas);
        }
        canvas.image
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
        let pixels = [rect.width(), rect.height()].map(|points| ((points * canvas.scale).round() as usize).max(1));
        let margin = MARGIN * f64::from(canvas.scale);
        let slice = self.cursor[geometry.through];
        let picture = Picture { plane: pane.plane, slice, pixels, framing: pane.framing, margin, pixels_per_point: canvas.scale };
        canvas.blit(&draw_on_cpu(&scene, &picture), rect);
        if self.options.crosshair {
            let (_, at) = geometry.place(self.cursor.map(|index| index as f64));
            let placement = pane.framing.placement(&geometry, pixels.map(|count| count as f64), margin);
            let [x, y] = placement.pixel(at).map(|pixel| pixel as f32 / canvas.scale);
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

/// The picture under way; places are in points from its upper left corner.
struct Canvas {
    image: ColorImage,
    scale: f32,
    fonts: Fonts,
}

impl Canvas {
    fn put(&mut self, x: i64, y: i64, colour: Color32, coverage: f32) {
        let [width, height] = self.image.size;
        if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
            && x < width
            && y < height
        {
            let pixel = &mut self.image.pixels[y * width + x];
            *pixel = pixel.lerp_to_gamma(colour, coverage).to_opaque();
        }
    }

    fn blit(&mut self, slice: &ColorImage, rect: Rect) {
        let corner = [rect.left(), rect.top()].map(|points| (points * self.scale).round() as usize);
        let [width, height] = self.image.size;
        let columns = slice.size[0].min(width.saturating_sub(corner[0]));
        for (row, line) in slice.pixels.chunks_exact(slice.size[0]).enumerate().take(height.saturating_sub(corner[1])) {
            let start = (corner[1] + row) * width + corner[0];
            self.image.pixels[start..start + columns].copy_from_slice(&line[..columns]);
        }
    }

    fn fill(&mut self, rect: Rect, colour: Color32) {
        let scale = self.scale;
        let edge = |points: f32| (points * scale).round() as i64;
        for y in edge(rect.top())..edge(rect.bottom()) {
            for x in edge(rect.left())..edge(rect.right()) {
                self.put(x, y, colour, 1.0);
            }
        }
    }

    fn crosshair(&mut self, rect: Rect, middle: Pos2) {
        let half = 0.5;
        let line = Color32::from_gray(210);
        let columns = [(rect.left(), middle.x - GAP), (middle.x + GAP, rect.right())];
        for (from, to) in columns.into_iter().filter(|(from, to)| from < to) {
            self.fill(Rect::from_min_max(pos2(from, middle.y - half), pos2(to, middle.y + half)), line);
        }
        let rows = [(rect.top(), middle.y - GAP), (middle.y + GAP, rect.bottom())];
        for (from, to) in rows.into_iter().filter(|(from, to)| from < to) {
            self.fill(Rect::from_min_max(pos2(middle.x - half, from), pos2(middle.x + half, to)), line);
        }
    }

    /// White text on a dark seam, read on any grey; where it ends on the right.
    fn text(&mut self, text: &str, place: Pos2, anchor: Align2) -> f32 {
        let mut view = self.fonts.with_pixels_per_point(self.scale);
        let galley = view.layout_no_wrap(text.to_owned(), FontId::proportional(LETTERS), Color32::WHITE);
        let atlas = view.image();
        let Rect { min, max } = anchor.anchor_size(place, galley.size());
        let seam = self.scale.round().max(1.0) as i64;
        let around = [(-seam, 0), (seam, 0), (0, -seam), (0, seam), (0, 0)];
        for (index, (right, down)) in around.into_iter().enumerate() {
            let colour = if index + 1 == around.len() { Color32::WHITE } else { Color32::BLACK };
            for row in &galley.rows {
                for glyph in row.row.glyphs.iter().filter(|glyph| !glyph.uv_rect.is_nothing()) {
                    let corner = (min + row.pos.to_vec2() + glyph.pos.to_vec2() + glyph.uv_rect.offset) * self.scale;
                    let [left, top] = [corner.x.round() as i64 + right, corner.y.round() as i64 + down];
                    let (first, last) = (glyph.uv_rect.min.map(usize::from), glyph.uv_rect.max.map(usize::from));
                    for y in first[1]..last[1] {
                        for x in first[0]..last[0] {
                            let coverage = f32::from(atlas.pixels[y * atlas.size[0] + x].a()) / 255.0;
                            if coverage > 0.0 {
                                self.put(left + (x - first[0]) as i64, top + (y - first[1]) as i64, colour, coverage);
                            }
                        }
                    }
                }
            }
        }
        max.x
    }
}

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
