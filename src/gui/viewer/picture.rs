//! Pictures of the views: what to save is asked, then drawn off screen at the chosen size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{Align2, Button, Color32, ColorImage, ComboBox, Context, Pos2, Rect, Role, TextStyle, Ui, Vec2, WidgetInfo, pos2, vec2};
use eframe::egui_wgpu::RenderState;

use super::case::OpenCase;
use super::map::HeatMap;
use super::measurements::{Measurements, OnSlice};
use super::measuring;
use super::views::{Arrangement, Pane, TITLE, Views, column_text};
use crate::atomic_file;
use crate::gui::widgets::save::png_bytes;
use crate::gui::widgets::slice::{
    Cursor, Difference, LabelColours, PlaneGeometry, Scene, SliceSettings, SliceView, Style, VolumeTexture, WindowLevel,
};
use crate::gui::widgets::{Answer, PathDialog, modal, offscreen};
use crate::gui::{Convention, Settings};
use crate::volume::Scan;

/// Points below the views for what the colours mean.
const FOOTER: f32 = 28.0;

/// What the user wants in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Which pane; none: all of them.
    pub(super) pane: Option<usize>,
    /// Pixels of the picture for one point of the screen.
    pub(super) scale: usize,
    /// Sides of the patient, planes, scale and names.
    pub(super) letters: bool,
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
    saving: Option<PathDialog<PathBuf>>,
}

impl PictureDialog {
    /// Asks what to save.
    pub(super) fn open(&mut self) {
        self.open = true;
    }

    /// Draws the question, if it is open. A sentence that names the file, once one is saved.
    pub(super) fn show(&mut self, ctx: &Context, case: &OpenCase, views: &Views, settings: &Settings) -> Option<String> {
        if let Some(answer) = self.saving.as_mut().and_then(|saving| saving.show(ctx)) {
            self.saving = None;
            let Answer::Chosen(file) = answer else { return None };
            self.open = false;
            return Some(format!("Saved as {}", file.display()));
        }
        if self.open && self.saving.is_none() {
            let ([save, close], escaped) = modal(ctx, "picture", |ui| self.ask(ui, views));
            self.open = !close && !escaped;
            if save && let Some(shot) = Shot::new(case, views, settings, self.options) {
                let suggested = case.folder().join(format!("{}.png", case.request.title));
                let write = move |file: &Path| shot.save(file).map(|()| file.to_owned());
                self.saving = Some(PathDialog::save(ctx, ("Save the picture", "PNG", &["png"]), suggested, write));
            }
        }
        None
    }

    /// Whether to save, and whether to close.
    fn ask(&mut self, ui: &mut Ui, views: &Views) -> [bool; 2] {
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
            let size = size(views, self.options) * self.options.scale as f32;
            ui.weak(format!("{:.0} x {:.0} pixels", size.x, size.y));
        });
        ui.checkbox(&mut self.options.letters, "Sides of the patient, planes and names");
        ui.checkbox(&mut self.options.crosshair, "Crosshair");
        ui.add_space(6.0);
        ui.horizontal(|ui| [ui.add(Button::new("Save...")).clicked(), ui.button("Close").clicked()]).inner
    }
}

fn chosen(views: &Views, options: Options) -> impl Iterator<Item = &Pane> {
    views.panes.iter().enumerate().filter(move |(index, _)| options.pane.is_none_or(|pane| pane == *index)).map(|(_, pane)| pane)
}

/// The part of the screen that is pictured, in points.
fn bounds(views: &Views, options: Options) -> Rect {
    chosen(views, options).fold(Rect::NOTHING, |bounds, pane| {
        let title = if pane.titled && options.letters && options.pane.is_none() { TITLE } else { 0.0 };
        bounds.union(Rect::from_min_max(pane.rect.min - vec2(0.0, title), pane.rect.max))
    })
}

/// Size of a picture in points.
fn size(views: &Views, options: Options) -> Vec2 {
    let footer = if options.letters && options.pane.is_none() && views.arrangement != Arrangement::All { FOOTER } else { 0.0 };
    (bounds(views, options).size() + vec2(0.0, footer)).max(Vec2::ZERO)
}

/// Everything that a picture is made of, taken at one moment.
pub(super) struct Shot {
    gpu: RenderState,
    scan: Arc<Scan>,
    image: VolumeTexture,
    window: WindowLevel,
    colours: LabelColours,
    settings: SliceSettings,
    convention: Convention,
    cursor: Cursor,
    panes: Vec<ShotPane>,
    map: Option<HeatMap>,
    measurements: Measurements,
    title: String,
    /// What the colours mean.
    legend: Vec<(String, Color32)>,
    size: Vec2,
    options: Options,
}

struct ShotPane {
    /// Its rectangle is in points from the picture's corner.
    pane: Pane,
    title: String,
    labels: Option<VolumeTexture>,
    truth: Option<VolumeTexture>,
}

impl Shot {
    /// Takes what the panes show now; none where nothing has been drawn yet.
    pub(super) fn new(case: &OpenCase, views: &Views, settings: &Settings, options: Options) -> Option<Self> {
        let bounds = bounds(views, options);
        let shown = |pane: &Pane| {
            let [labels, truth] = case.overlay(pane.layer.as_deref());
            ShotPane {
                pane: Pane { rect: pane.rect.translate(-bounds.min.to_vec2()), ..pane.clone() },
                title: column_text(case, pane.layer.as_deref()),
                labels,
                truth,
            }
        };
        let panes: Vec<ShotPane> = chosen(views, options).map(shown).collect();
        let named = case.classes.in_order().into_iter().filter(|&class| case.colours.get(class).visible);
        let labels = named.map(|class| (case.classes.name(class).to_owned(), case.colours.get(class).colour));
        let differing = settings.slices.difference && panes.iter().any(|shown| shown.truth.is_some());
        let differences = Difference::ALL.into_iter().filter(|_| differing).map(|kind| (kind.title().to_owned(), kind.colour()));
        // Labels keep their own colours where the truth itself is shown.
        let own = !differing || panes.iter().any(|shown| shown.truth.is_none());
        (!panes.is_empty()).then_some(Self {
            gpu: case.background.gpu.clone(),
            scan: case.background.scan.clone(),
            image: case.channel_now()?.texture.clone(),
            window: case.window(),
            colours: case.colours.clone(),
            settings: settings.slices.clone(),
            convention: settings.convention,
            cursor: case.cursor,
            panes,
            map: case.shown_map().cloned(),
            measurements: case.measurements.unselected(),
            title: case.request.title.clone(),
            legend: labels.filter(|_| own).chain(differences).collect(),
            size: size(views, options),
            options,
        })
    }

    /// Draws the picture and writes it.
    pub(super) fn save(&self, file: &Path) -> Result<(), String> {
        atomic_file::write(file, &png_bytes(&self.draw()?))
            .map_err(|error| format!("{}: {error}; check the free space and the folder's permissions", file.display()))
    }

    /// Draws the picture.
    ///
    /// # Errors
    /// A picture beyond what the graphics device draws, in words.
    pub(super) fn draw(&self) -> Result<ColorImage, String> {
        offscreen::draw(&self.gpu, self.size, self.options.scale as f32, |ui| self.paint(ui))
    }

    fn paint(&self, ui: &Ui) {
        let captions = self.options.letters && self.options.pane.is_none();
        let style = Style { window: self.window, colours: &self.colours, settings: &self.settings, convention: self.convention };
        for ShotPane { pane, title, labels, truth } in &self.panes {
            let heat = self.map.as_ref().map(|map| &map.texture);
            let image = Scene::new(&self.scan.volume.grid, &self.image, style);
            let scene = Scene { labels: labels.as_ref(), truth: truth.as_ref(), heat, ..image };
            let part = (pane.plane, pane.framing, pane.rect);
            SliceView::picture(ui, part, &scene, self.cursor, [self.options.letters, self.options.crosshair]);
            let grid = &self.scan.volume.grid;
            let geometry = PlaneGeometry::new(grid, pane.plane, self.convention);
            let point = |at| SliceView::point(ui, (&geometry, pane.framing, pane.rect), at);
            let on = OnSlice { geometry: &geometry, grid, slice: self.cursor.voxel[geometry.through], point: &point };
            measuring::draw(ui, pane.rect, &self.measurements, &on);
            if let Some(map) = self.map.as_ref().filter(|_| self.options.letters) {
                map.draw_scale(ui, pane.rect);
            }
            if captions && pane.titled {
                text(ui, pane.rect.center_top() - vec2(0.0, TITLE / 2.0), Align2::CENTER_CENTER, title);
            }
        }
        if captions {
            self.legend(ui);
        }
    }

    /// What the colours mean: in the quarter that three planes leave free, else in a line below.
    fn legend(&self, ui: &Ui) {
        let row = |at: Pos2, (name, colour): &(String, Color32)| {
            ui.painter().rect_filled(Rect::from_center_size(at + vec2(6.0, 0.0), Vec2::splat(12.0)), 0.0, *colour);
            text(ui, at + vec2(20.0, 0.0), Align2::LEFT_CENTER, name)
        };
        if let Some(free) = self.free_quarter() {
            text(ui, free.min + vec2(16.0, 14.0), Align2::LEFT_TOP, &self.title);
            let points = (0..).map(|index| free.min + vec2(16.0, 50.0 + index as f32 * 20.0)).take_while(|at| at.y + 14.0 < free.bottom());
            for (entry, at) in self.legend.iter().zip(points) {
                row(at, entry);
            }
        } else {
            let mut at = pos2(10.0, self.size.y - FOOTER / 2.0);
            at.x = text(ui, at, Align2::LEFT_CENTER, &self.title) + 24.0;
            for entry in &self.legend {
                at.x = row(at, entry) + 18.0;
            }
        }
    }

    /// Where three planes leave room.
    fn free_quarter(&self) -> Option<Rect> {
        let [a, _, c] = self.panes.as_slice() else { return None };
        let free = Rect::from_min_max(pos2(c.pane.rect.left(), a.pane.rect.bottom()), self.size.to_pos2());
        (free.height() > 60.0 && self.panes.iter().all(|shown| !shown.pane.titled)).then_some(free)
    }
}

/// White text; where it ends on the right.
fn text(ui: &Ui, at: Pos2, anchor: Align2, text: &str) -> f32 {
    ui.painter().text(at, anchor, text, TextStyle::Body.resolve(ui.style()), Color32::WHITE).right()
}
