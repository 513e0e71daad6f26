//! One pane that shows a plane of a scene.

use eframe::egui::{Pos2, Rect, Response, Role, Sense, Ui, WidgetInfo};
use eframe::egui_wgpu::Callback;

use super::input::{Laid, Pane, Pressed};
use super::look::{Drawn, Layers, Look, heat_scale};
use super::overlay;
use super::paint::{Paint, Slot, Textures};
use super::{Cursor, Framing, Plane, PlaneGeometry, Scene, WindowLevel, world_letters};
use crate::gui::widgets::pointer::held_at;

/// Points kept free around the whole slice, so that its outermost voxels are seen to be that.
pub const MARGIN: f64 = 6.0;

/// One pane: how much of the slice it shows, and what the mouse is doing to it.
#[derive(Default)]
pub struct SliceView {
    /// Zoom and pan.
    pub framing: Framing,
    /// The volume was turned away from the patient: its sides have no letters.
    pub turned: bool,
    pub(super) pressed: Option<Pressed>,
    /// Parts of notches that the wheel has turned since the last slice.
    pub(super) wheel: f32,
    slot: Slot,
}

/// What happened in a pane.
pub struct SliceResponse {
    /// As of any widget.
    pub response: Response,
    /// D,H,W of the voxel under the pointer.
    pub hovered: Option<[usize; 3]>,
    /// D,H,W of the voxel that was clicked.
    pub clicked: Option<[usize; 3]>,
    /// A new window, while it is dragged.
    pub window: Option<WindowLevel>,
    /// Asks for the automatic window.
    pub auto_window: bool,
    /// Asks to be shown alone, or among the others again.
    pub maximise: bool,
}

impl SliceView {
    /// Fills what is left of `ui` with a plane, and does what mouse and keys ask of it: the crosshair follows the pressed pointer;
    /// wheel and the keys of [`crate::gui::Action`] scroll, arrows move the crosshair by one voxel and with Shift by five, in the
    /// view under the pointer or the focused one; Ctrl with the wheel or the right button zooms; the middle button, or Shift with the
    /// left, pans; Ctrl with the left changes the window, sideways its width and upwards its level.
    pub fn show(&mut self, ui: &mut Ui, plane: Plane, scene: &Scene<'_>, cursor: &mut Cursor) -> SliceResponse {
        let response = ui.allocate_response(ui.available_size(), Sense::click_and_drag());
        for (index, voxels) in cursor.voxel.iter_mut().zip(scene.grid.shape) {
            *index = (*index).min(voxels.saturating_sub(1));
        }
        let geometry = PlaneGeometry::new(scene.grid, plane, scene.convention);
        let pane = Pane { geometry: &geometry, rect: response.rect, pixels_per_point: ui.pixels_per_point() };
        let heard = self.listen(ui, &response, &pane, (scene, cursor));
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, self.accessible_name(scene, &geometry, *cursor)));
        if ui.is_rect_visible(response.rect) && geometry.slices > 0 {
            self.paint(ui, scene, &pane, *cursor);
            let laid = Laid { lettered: !self.turned, ..pane.laid(&self.framing) };
            overlay::draw(ui, &response, scene, &laid, *cursor);
        }
        let laid = pane.laid(&self.framing);
        let slice = cursor.voxel[geometry.through];
        let under = |point| geometry.voxel_at(slice, laid.at(point));
        let hovered = response.hover_pos().and_then(under);
        let clicked = response.clicked().then(|| held_at(ui, &response)).flatten().and_then(under);
        SliceResponse { hovered, clicked, window: heard.window, auto_window: heard.auto_window, maximise: heard.maximise, response }
    }

    pub(super) fn paint(&self, ui: &Ui, scene: &Scene<'_>, pane: &Pane<'_>, cursor: Cursor) {
        let drawn = Drawn {
            geometry: pane.geometry,
            slice: cursor.voxel[pane.geometry.through],
            placement: pane.laid(&self.framing).placement,
            window: scene.window,
            settings: scene.settings,
            colours: scene.colours,
            pixels_per_point: pane.pixels_per_point,
        };
        let layers = Layers {
            image: scene.image.0.step,
            labels: scene.labels.map(|labels| labels.0.step),
            truth: scene.truth.map(|truth| truth.0.step),
            heat: scene.heat.map(|heat| heat_scale(heat.1, scene.grid.shape, scene.tokens.map(|tokens| tokens.cell))),
        };
        let paint = Paint {
            look: Box::new(Look::new(&drawn, &layers)),
            rect: pane.rect,
            textures: Textures {
                image: scene.image.0.clone(),
                labels: scene.labels.map(|labels| labels.0.clone()),
                truth: scene.truth.map(|truth| truth.0.clone()),
                heat: scene.heat.map(|heat| heat.0.clone()),
            },
            slot: self.slot.clone(),
        };
        ui.painter().add(Callback::new_paint_callback(pane.rect, paint));
    }

    /// The point of the screen where a place in D,H,W is shown in the pane that fills `rect`, whichever slice it lies on.
    pub fn point(&self, ui: &Ui, rect: Rect, geometry: &PlaneGeometry, voxel: [f64; 3]) -> Pos2 {
        Pane { geometry, rect, pixels_per_point: ui.pixels_per_point() }.laid(&self.framing).point(geometry.place(voxel).1)
    }

    /// "axial slice 23 of 60, crosshair at R 17.6  P 35.3  S 12.1".
    fn accessible_name(&self, scene: &Scene<'_>, geometry: &PlaneGeometry, cursor: Cursor) -> String {
        let (slice, slices) = (cursor.voxel[geometry.through] + 1, geometry.slices);
        if self.turned {
            return format!("turned slice {slice} of {slices}");
        }
        let place = world_letters(scene.grid, cursor.voxel.map(|index| index as f64));
        format!("{} slice {slice} of {slices}, crosshair at {place}", geometry.plane.title().to_lowercase())
    }
}
