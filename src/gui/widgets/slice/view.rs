//! One pane that shows a plane of a scene.

use eframe::egui::{Pos2, Rect, Role, Sense, Ui, WidgetInfo};
use eframe::egui_wgpu::Callback;

use super::framing::Pane;
use super::input::{Input, Mouse, SliceResponse};
use super::overlay::{self, Overlay};
use super::paint::{Paint, Slot};
use super::uniforms::{Drawn, Layers, Uniforms, heat_scale};
use super::{Cursor, Framing, Plane, PlaneGeometry, Scene, world_letters};
use crate::gui::KeyMap;
use crate::gui::widgets::pointer::held_at;

/// One pane: how much of the slice it shows, and what the mouse is doing to it.
#[derive(Default)]
pub struct SliceView {
    /// Zoom and pan.
    pub framing: Framing,
    /// The volume was rotated away from the patient: its sides have no letters.
    pub rotated: bool,
    /// A tool has the left button where no key is held: its way comes as [`SliceResponse::touches`], and the crosshair stays.
    pub tool: bool,
    /// That tool is a brush: it has the right button as well, and the wheel with Shift ([`SliceResponse::notches`]).
    pub brush: bool,
    pub(super) mouse: Mouse,
    pub(super) slot: Slot,
}

impl SliceView {
    /// Fills what is left of `ui` with a plane, and does what mouse and keys ask of it: the crosshair follows the pressed pointer;
    /// wheel and the keys of [`crate::gui::Action`] scroll, arrows move the crosshair by one voxel and with Shift by five, in the
    /// view under the pointer or the focused one; Ctrl with the wheel or the right button zooms; the middle button, or Shift with the
    /// left, pans; Ctrl with the left changes the window, sideways its width and upwards its level.
    pub fn show(&mut self, ui: &mut Ui, plane: Plane, scene: &Scene<'_>, (cursor, keys): (&mut Cursor, &KeyMap)) -> SliceResponse {
        let response = ui.allocate_response(ui.available_size(), Sense::click_and_drag());
        for (index, voxels) in cursor.voxel.iter_mut().zip(scene.grid.shape) {
            *index = (*index).min(voxels.saturating_sub(1));
        }
        let geometry = PlaneGeometry::new(scene.grid, plane, scene.style.convention);
        let mut pane = self.pane(ui, &geometry, response.rect);
        let mut seen = SliceResponse::new(response);
        let (window, tool, brush) = (scene.style.window, self.tool, self.brush);
        self.mouse.handle(&mut Input { ui, pane: &mut pane, window, keys, cursor, seen: &mut seen, tool, brush });
        seen.points_per_mm = (1.0 / (pane.placement().mm_per_pixel * f64::from(pane.pixels_per_point))) as f32;
        self.framing = pane.framing;
        seen.response.widget_info(|| WidgetInfo::labeled(Role::Image, true, self.accessible_name(scene, &geometry, *cursor)));
        if ui.is_rect_visible(pane.rect) {
            let overlay = Overlay {
                crosshair: scene.style.settings.crosshair,
                letters: true,
                focused: seen.response.has_focus(),
                rotated: self.rotated,
            };
            self.draw(ui, scene, (&pane, *cursor), overlay);
        }
        let under = |point| geometry.voxel_at(cursor.voxel[geometry.through], pane.at(point));
        seen.hovered = seen.response.hover_pos().and_then(under);
        seen.clicked = seen.response.clicked().then(|| held_at(ui, &seen.response)).flatten().and_then(under);
        seen
    }

    /// Draws a plane, framed, into `rect`, for a picture: nothing in it answers to mouse or keys.
    pub fn picture(
        ui: &Ui,
        (plane, framing, rect): (Plane, Framing, Rect),
        scene: &Scene<'_>,
        cursor: Cursor,
        [letters, crosshair]: [bool; 2],
    ) {
        let geometry = PlaneGeometry::new(scene.grid, plane, scene.style.convention);
        let view = Self { framing, ..Self::default() };
        view.draw(ui, scene, (&view.pane(ui, &geometry, rect), cursor), Overlay { crosshair, letters, focused: false, rotated: false });
    }

    /// Where a position on a slice, in voxels across and down, is shown on the screen in a `rect` with this framing.
    pub fn point(ui: &Ui, (geometry, framing, rect): (&PlaneGeometry, Framing, Rect), at: [f64; 2]) -> Pos2 {
        Pane { geometry, rect, pixels_per_point: ui.pixels_per_point(), framing }.point(at)
    }

    pub(super) fn pane<'a>(&self, ui: &Ui, geometry: &'a PlaneGeometry, rect: Rect) -> Pane<'a> {
        Pane { geometry, rect, pixels_per_point: ui.pixels_per_point(), framing: self.framing }
    }

    fn draw(&self, ui: &Ui, scene: &Scene<'_>, (pane, cursor): (&Pane<'_>, Cursor), overlay: Overlay) {
        if pane.geometry.slices > 0 {
            self.paint(ui, scene, pane, cursor);
            overlay::draw(ui, scene, pane, cursor, overlay);
        }
    }

    pub(super) fn paint(&self, ui: &Ui, scene: &Scene<'_>, pane: &Pane<'_>, cursor: Cursor) {
        let slice = cursor.voxel[pane.geometry.through];
        let drawn = Drawn { geometry: pane.geometry, slice, placement: pane.placement(), pixels_per_point: pane.pixels_per_point };
        let textures = [Some(scene.image), scene.labels, scene.truth, scene.heat].map(|texture| texture.map(|texture| texture.0.clone()));
        let [image, labels, truth, heat] = &textures;
        let layers = Layers {
            steps: [image, labels, truth].map(|texture| texture.as_ref().map(|stored| stored.step)),
            heat: heat.as_ref().map(|heat| heat_scale(heat.shape, scene.grid.shape, scene.tokens.map(|tokens| tokens.cell))),
        };
        let uniforms = Box::new(Uniforms::new(&drawn, &scene.style, &layers));
        let paint = Paint { uniforms, rect: pane.rect, target: scene.image.0.target, textures, slot: self.slot.clone() };
        ui.painter().add(Callback::new_paint_callback(pane.rect, paint));
    }

    /// "axial slice 23 of 60, crosshair at R 17.6  P 35.3  S 12.1".
    fn accessible_name(&self, scene: &Scene<'_>, geometry: &PlaneGeometry, cursor: Cursor) -> String {
        let (slice, slices) = (cursor.voxel[geometry.through] + 1, geometry.slices);
        if self.rotated {
            return format!("rotated slice {slice} of {slices}");
        }
        let position = world_letters(scene.grid, cursor.voxel.map(|index| index as f64));
        format!("{} slice {slice} of {slices}, crosshair at {position}", geometry.plane.title().to_lowercase())
    }
}
