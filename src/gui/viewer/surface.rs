//! The surface of the shown labels in a pane: meshed on a thread of its own when it is first seen and when the labels have changed. A click
//! on it moves the crosshair.

use std::sync::Arc;

use eframe::egui::{Align2, Color32, Context, Rect, Role, Sense, TextStyle, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::case::OpenCase;
use super::classes::Classes;
use super::label_statistics::ClassStatistics;
use super::layer::{Kind, Labels, Layer};
use crate::geometry::{Grid, LabelSurfaces, SurfaceHit};
use crate::gui::theme::colour;
use crate::gui::widgets::slice::{Cursor, Outlined, Style};
use crate::gui::widgets::surface::{Camera, SurfaceMeshes, SurfaceScene, SurfaceView};
use crate::gui::{Action, Background, Settings};
use crate::palette;

/// Points from the pane's edge.
const EDGE: f32 = 6.0;

/// Which labels were meshed.
struct Source {
    layer: String,
    /// Counted anew whenever labels have changed: what tells them from others.
    statistics: Arc<Vec<ClassStatistics>>,
}

impl Source {
    fn is(&self, layer: &Layer, labels: &Labels) -> bool {
        self.layer == layer.title && Arc::ptr_eq(&self.statistics, &labels.statistics)
    }
}

/// The pane, and the meshes in it.
#[derive(Default)]
pub(super) struct SurfacePane {
    /// A network is at work: what it says of the open image grows, and is meshed when it is finished.
    pub(super) growing: bool,
    /// Where it lay in the last frame, in points; none: it was not seen.
    pub(super) rect: Option<Rect>,
    view: SurfaceView,
    meshed: Option<(Source, SurfaceMeshes)>,
    work: Option<(Source, Background<SurfaceMeshes>)>,
}

impl SurfacePane {
    /// Whether what is seen is of the labels as they are.
    pub(super) fn is_settled(&self) -> bool {
        !self.work.as_ref().is_some_and(|(_, work)| work.is_working())
    }

    /// Draws the surface of the layer of a title into `rect`, and moves the crosshair to what is clicked; whether it is asked to be shown alone,
    /// or among other views again. Where there is no place for it nothing is done.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        rect: Option<Rect>,
        (case, title): (&mut OpenCase, Option<&str>),
        settings: &Settings,
    ) -> bool {
        self.rect = rect;
        let Some(rect) = rect else { return false };
        self.follow(ui.ctx(), case, title);
        let mut inner = ui.new_child(UiBuilder::new().id_salt("surface").max_rect(rect));
        inner.set_clip_rect(rect.intersect(ui.clip_rect()));
        let Some((_, meshes)) = &self.meshed else {
            let response = inner.allocate_rect(rect, Sense::click());
            inner.painter().rect_filled(rect, 0.0, colour(palette::AROUND));
            self.captions(&inner, rect, (case, title));
            return response.double_clicked() || response.contains_pointer() && !settings.keys.pressed(ui, &[Action::Maximise]).is_empty();
        };
        let slices = &settings.slices;
        let cursor = slices.crosshair.then_some(case.cursor);
        let scene = SurfaceScene { meshes, grid: case.grid(), colours: &case.colours, shown: slices.shown, cursor };
        let seen = self.view.show(&mut inner, &scene, &settings.keys);
        let voxel = seen.hit.and_then(|hit| voxel_of(&hit, case, (title, meshes.surfaces().step)));
        case.cursor.voxel = voxel.unwrap_or(case.cursor.voxel);
        self.captions(&inner, rect, (case, title));
        seen.maximise || seen.response.contains_pointer() && !settings.keys.pressed(ui, &[Action::Maximise]).is_empty()
    }

    /// Takes in meshes that are there, and starts meshing what is to be seen and is not. Those of the same layer before it changed are shown
    /// meanwhile.
    fn follow(&mut self, ctx: &Context, case: &OpenCase, title: Option<&str>) {
        if self.work.as_mut().is_some_and(|(_, work)| work.poll())
            && let Some((source, work)) = self.work.take()
        {
            match work {
                Background::Done(meshes) => self.meshed = Some((source, meshes)),
                lost => self.work = Some((source, lost)),
            }
        }
        self.meshed.take_if(|(source, _)| Some(source.layer.as_str()) != title);
        let Some(layer) = case.layer(title).filter(|layer| !self.waits(layer)) else { return };
        let Some(labels) = layer.labels() else { return };
        let known = self.meshed.as_ref().is_some_and(|(source, _)| source.is(layer, labels));
        let tried = self.work.as_ref().is_some_and(|(source, work)| work.is_working() || source.is(layer, labels));
        if known || tried {
            return;
        }
        let (classes, grid, gpu) = (labels.classes.clone(), case.grid().clone(), case.background.gpu.clone());
        let mesh = move || {
            let slices: Vec<&[u8]> = classes.slices().collect();
            SurfaceMeshes::new(&gpu, LabelSurfaces::new(&slices, &grid, LabelSurfaces::MOST_FACES))
        };
        let source = Source { layer: layer.title.clone(), statistics: labels.statistics.clone() };
        self.work = Some((source, Background::start(ctx, mesh)));
    }

    /// Whether a layer still grows: meshing it again and again would slow down the worker that predicts it.
    fn waits(&self, layer: &Layer) -> bool {
        self.growing && layer.kind == Kind::Segmented
    }

    /// What it is, and what is to be known of it.
    fn captions(&self, ui: &Ui, rect: Rect, (case, title): (&OpenCase, Option<&str>)) {
        let painter = ui.painter_at(rect);
        let text = Outlined { painter: &painter, font: TextStyle::Body.resolve(ui.style()) };
        let small = Outlined { painter: &painter, font: TextStyle::Small.resolve(ui.style()) };
        let mut below = text.show(rect.min + vec2(EDGE, EDGE), Align2::LEFT_TOP, "Surface").bottom();
        for (number, Caption { text, colour, hint }) in self.say(case, title).into_iter().enumerate() {
            let place = small.coloured(pos2(rect.left() + EDGE, below), Align2::LEFT_TOP, &text, colour);
            below = place.bottom();
            let response = ui.interact(place, ui.scope_id().with(("caption", number)), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &text));
            if !hint.is_empty() {
                response.on_hover_text(hint);
            }
        }
    }

    fn say(&self, case: &OpenCase, title: Option<&str>) -> Vec<Caption> {
        let Some(layer) = case.layer(title) else { return vec![Caption::plain("no labels")] };
        let name = &layer.title;
        let mut lines = Vec::new();
        let working = self.work.as_ref().map(|(source, work)| (work.is_working(), source));
        let lost =
            working.as_ref().is_some_and(|(working, source)| !working && layer.labels().is_some_and(|labels| source.is(layer, labels)));
        if layer.fault.is_some() {
            lines.push(Caption::caution("the labels cannot be shown: see their table", String::new()));
        } else if self.waits(layer) {
            lines.push(Caption::plain("follows when the segmentation is finished"));
        } else if lost {
            lines.push(Caption::caution("a fault of the program ended the meshing; open the case again", String::new()));
        } else if layer.labels().is_none() {
            lines.push(Caption::plain(format!("reading {name} ...")));
        } else if working.is_some_and(|(working, _)| working) {
            lines.push(Caption::plain(format!("meshing {name} ...")));
        }
        if let Some((_, meshes)) = &self.meshed {
            lines.extend(of_meshes(meshes, &case.classes));
        }
        lines
    }

    /// What a picture of it repeats, in the rectangle that it has there.
    pub(super) fn shot(&self, rect: Rect) -> SurfaceShot {
        SurfaceShot { rect, camera: self.view.camera, meshes: self.meshed.as_ref().map(|(_, meshes)| meshes.clone()) }
    }
}

/// A line in the pane.
struct Caption {
    text: String,
    colour: Color32,
    /// More of it, where the pointer rests on it.
    hint: String,
}

impl Caption {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: Color32::WHITE, hint: String::new() }
    }

    fn caution(text: impl Into<String>, hint: String) -> Self {
        Self { text: text.into(), colour: colour(palette::CAUTION.dark), hint }
    }
}

/// That there is nothing to see, that it is coarser than the labels, and which labels are missing therefore.
fn of_meshes(meshes: &SurfaceMeshes, classes: &Classes) -> Vec<Caption> {
    let surfaces = meshes.surfaces();
    if surfaces.meshes.is_empty() {
        return vec![Caption::plain("no labelled voxel")];
    }
    let [d, h, w] = surfaces.step;
    let coarse = meshes.notice().map(|notice| Caption::caution(format!("drawn in blocks of {w} x {h} x {d} voxels"), notice));
    let lost: Vec<&str> = surfaces.lost.iter().map(|&class| classes.name(class)).collect();
    let missing = (!lost.is_empty()).then(|| {
        let names = lost.join(", ");
        let hint = format!(
            "Smaller than blocks of {w} x {h} x {d} voxels, so that they are not in this surface: {names}. Slices and numbers have them."
        );
        Caption::caution(format!("{} labels too small for that", lost.len()), hint)
    });
    coarse.into_iter().chain(missing).collect()
}

/// The voxel of the shown layer that a hit belongs to.
fn voxel_of(hit: &SurfaceHit, case: &OpenCase, (title, step): (Option<&str>, [usize; 3])) -> Option<[usize; 3]> {
    let layer = case.layer(title)?;
    hit.voxel(|voxel| case.class_at(layer, voxel), case.grid(), step)
}

/// A surface as it is pictured.
pub(super) struct SurfaceShot {
    rect: Rect,
    camera: Camera,
    meshes: Option<SurfaceMeshes>,
}

impl SurfaceShot {
    /// Draws it; without meshes the pane stays empty.
    pub(super) fn paint(&self, ui: &Ui, grid: &Grid, style: &Style<'_>, (cursor, letters): (Option<Cursor>, bool)) {
        let Some(meshes) = &self.meshes else {
            ui.painter().rect_filled(self.rect, 0.0, colour(palette::AROUND));
            return;
        };
        let scene = SurfaceScene { meshes, grid, colours: style.colours, shown: style.settings.shown, cursor };
        SurfaceView::picture(ui, self.camera, &scene, (self.rect, letters));
    }
}
