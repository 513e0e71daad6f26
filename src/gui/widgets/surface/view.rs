//! One pane that shows the surfaces of labels.

use eframe::egui::{Event, MouseWheelUnit, PointerButton, Pos2, Rect, Response, Role, Sense, Ui, WidgetInfo};
use eframe::egui_wgpu::Callback;
use nalgebra::Vector3;

use super::camera::{Ball, Camera, Lens};
use super::mesh::SurfaceMeshes;
use super::overlay::{draw_compass, draw_crosshair, side_at};
use super::paint::{Paint, Slot, Uniforms};
use crate::geometry::{Grid, SurfaceHit};
use crate::gui::widgets::pointer::{held_at, takes_keys};
use crate::gui::widgets::slice::{Cursor, LabelColours, POINTS_PER_NOTCH, ZOOM_PER_NOTCH, ZOOM_POINTS};
use crate::gui::{Action, KeyMap};

/// What a view shows.
#[derive(Clone, Copy)]
pub struct SurfaceScene<'a> {
    /// Of all labels.
    pub meshes: &'a SurfaceMeshes,
    /// Where the voxels of the volume lie.
    pub grid: &'a Grid,
    /// Colour and visibility of each label.
    pub colours: &'a LabelColours,
    /// Whether labels are drawn at all.
    pub shown: bool,
    /// The crosshair, where it is drawn.
    pub cursor: Option<Cursor>,
}

impl SurfaceScene<'_> {
    fn is_visible(&self, label: u8) -> bool {
        self.shown && self.colours.get(label).visible
    }

    /// The letter of a camera's nearest side and the number of labels, for those who do not see the picture.
    fn accessible_name(&self, camera: &Camera) -> String {
        let labels = self.meshes.surfaces().meshes.iter().filter(|mesh| self.is_visible(mesh.label)).count();
        let plural = if labels == 1 { "" } else { "s" };
        format!("surface of {labels} label{plural}, seen from {}", camera.side())
    }
}

/// What happened in a pane.
pub struct SurfaceResponse {
    /// As of any widget.
    pub response: Response,
    /// The point of a surface that was clicked.
    pub hit: Option<SurfaceHit>,
    /// Asks to be shown alone, or among the others again.
    pub maximise: bool,
}

/// One pane: where its surfaces are looked at from.
#[derive(Default)]
pub struct SurfaceView {
    /// Where they are looked at from.
    pub camera: Camera,
    slot: Slot,
}

impl SurfaceView {
    /// Fills what is left of `ui` with surfaces, and does what mouse and keys ask of it: the left button turns, Shift with it or the middle
    /// one moves, the right one and the wheel magnify; a click finds the point of a surface under it, and one on a letter of the compass
    /// looks from that side.
    pub fn show(&mut self, ui: &mut Ui, scene: &SurfaceScene<'_>, keys: &KeyMap) -> SurfaceResponse {
        let response = ui.allocate_response(ui.available_size(), Sense::click_and_drag());
        self.drag(ui, scene, &response);
        if response.hovered() {
            self.wheel(ui, scene, response.rect);
        }
        if takes_keys(ui, &response) && !keys.pressed(ui, &[Action::ResetView]).is_empty() {
            self.camera = Camera::default();
        }
        let mut hit = None;
        if let Some(point) = response.clicked().then(|| held_at(ui, &response)).flatten() {
            response.request_focus();
            let lens = self.lens(scene, response.rect);
            match side_at(&lens, point) {
                Some(letter) => self.camera.look_from(letter),
                None => hit = scene.meshes.surfaces().first_on(&lens.ray(point), |label| scene.is_visible(label)),
            }
        }
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, scene.accessible_name(&self.camera)));
        if ui.is_rect_visible(response.rect) {
            self.draw(ui, scene, response.rect, true);
        }
        let maximise = response.double_clicked();
        SurfaceResponse { response, hit, maximise }
    }

    /// Draws surfaces into `rect`, for a picture: nothing in it answers to mouse or keys.
    pub fn picture(ui: &Ui, camera: Camera, scene: &SurfaceScene<'_>, (rect, letters): (Rect, bool)) {
        Self { camera, slot: Slot::default() }.draw(ui, scene, rect, letters);
    }

    fn lens(&self, scene: &SurfaceScene<'_>, rect: Rect) -> Lens {
        let surfaces = scene.meshes.surfaces();
        Lens::new(&self.camera, Ball { centre: Vector3::from(surfaces.centre_mm), radius: surfaces.radius_mm }, rect)
    }

    fn drag(&mut self, ui: &Ui, scene: &SurfaceScene<'_>, response: &Response) {
        let (delta, lens) = (response.drag_delta(), self.lens(scene, response.rect));
        let (shift, pressed) = ui.input(|input| (input.modifiers.shift, input.pointer.press_origin()));
        let by = |button| response.dragged_by(button);
        if by(PointerButton::Middle) || by(PointerButton::Primary) && shift {
            lens.pan(&mut self.camera, delta);
        } else if by(PointerButton::Primary) {
            self.camera.turn(delta);
        } else if by(PointerButton::Secondary) {
            let factor = (f64::from(-delta.y) / ZOOM_POINTS).exp();
            lens.zoom(&mut self.camera, pressed.unwrap_or(lens.rect.center()), factor);
        }
    }

    fn wheel(&mut self, ui: &Ui, scene: &SurfaceScene<'_>, rect: Rect) {
        let (events, pointer) = ui.input(|input| (input.events.clone(), input.pointer.hover_pos()));
        let about: Pos2 = pointer.unwrap_or(rect.center());
        for event in events {
            let factor = match event {
                Event::MouseWheel { unit, delta, .. } => {
                    let notches = if unit == MouseWheelUnit::Point { delta.y / POINTS_PER_NOTCH } else { delta.y };
                    ZOOM_PER_NOTCH.powf(f64::from(notches))
                }
                Event::Zoom(factor) => f64::from(factor),
                _ => continue,
            };
            self.lens(scene, rect).zoom(&mut self.camera, about, factor);
        }
    }

    fn draw(&self, ui: &Ui, scene: &SurfaceScene<'_>, rect: Rect, letters: bool) {
        let lens = self.lens(scene, rect);
        let meshes = &scene.meshes.0;
        let visible = (0..meshes.buffers.len()).filter(|&mesh| scene.is_visible(meshes.surfaces.meshes[mesh].label)).collect();
        let label = |label: usize| {
            let [r, g, b, _] = scene.colours.get(label as u8).colour.to_array().map(|part| f32::from(part) / 255.0);
            [r, g, b, 1.0]
        };
        let uniforms = Box::new(Uniforms {
            clip_from_world: lens.clip_from_world(),
            light: lens.light(),
            pane: [0.0; 4],
            labels: std::array::from_fn(label),
        });
        let paint = Paint { uniforms, rect, meshes: meshes.clone(), visible, slot: self.slot.clone() };
        let painter = ui.painter_at(rect);
        painter.add(Callback::new_paint_callback(rect, paint));
        if let Some(cursor) = scene.cursor {
            draw_crosshair(&painter, &lens, (scene.grid, cursor.voxel));
        }
        if letters {
            draw_compass(ui, &painter, &lens);
        }
    }
}
