//! What mouse and keys do in a pane: the habits of ITK-SNAP and 3D Slicer.

use eframe::egui::{Event, EventFilter, Id, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Response, Ui, Vec2, pos2};

use super::view::MARGIN;
use super::{Cursor, Framing, Placement, PlaneGeometry, Scene, SliceView, WindowLevel};
use crate::gui::Action;

/// Voxels of an arrow key with Shift.
const STRIDE: i64 = 5;
/// Points of a trackpad's scrolling that count as one notch of a wheel.
const POINTS_PER_NOTCH: f32 = 24.0;
/// Magnification of one notch.
const ZOOM_PER_NOTCH: f64 = 1.15;
/// Points dragged that magnify by e.
const ZOOM_POINTS: f64 = 150.0;
/// How far one can zoom.
const ZOOM_RANGE: (f64, f64) = (0.25, 100.0);

/// What the pressed pointer does, from press to release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gesture {
    /// Moves the crosshair.
    Crosshair,
    /// Changes window and level.
    Window,
    /// Moves the slice.
    Pan,
    /// Magnifies about the point that was pressed.
    Zoom(Pos2),
}

/// What a frame's input asked of the pane's owner.
#[derive(Default)]
pub(super) struct Heard {
    pub window: Option<WindowLevel>,
    pub auto_window: bool,
    pub maximise: bool,
}

/// Where a pane lies.
#[derive(Clone, Copy)]
pub(super) struct Pane<'a> {
    pub geometry: &'a PlaneGeometry,
    /// In points.
    pub rect: Rect,
    pub pixels_per_point: f32,
}

/// A pane with its slice in it.
#[derive(Clone, Copy)]
pub(super) struct Laid<'a> {
    pub pane: Pane<'a>,
    pub placement: Placement,
    /// Whether sides of the patient are named: not where the volume was turned away from the patient.
    pub lettered: bool,
}

impl<'a> Pane<'a> {
    /// Its upper left corner, in whole pixels of the frame.
    fn corner(&self) -> [f64; 2] {
        [self.rect.min.x, self.rect.min.y].map(|points| f64::from((points * self.pixels_per_point).round()))
    }

    fn pixels(&self) -> [f64; 2] {
        let end = [self.rect.max.x, self.rect.max.y].map(|points| f64::from((points * self.pixels_per_point).round()));
        let corner = self.corner();
        [0, 1].map(|side: usize| (end[side] - corner[side]).max(1.0))
    }

    pub fn laid(&self, framing: &Framing) -> Laid<'a> {
        let margin = MARGIN * f64::from(self.pixels_per_point);
        Laid { pane: *self, placement: framing.placement(self.geometry, self.pixels(), margin), lettered: true }
    }
}

impl Laid<'_> {
    /// The place on the slice under a point of the screen.
    pub fn at(&self, point: Pos2) -> [f64; 2] {
        let corner = self.pane.corner();
        let pixel = [point.x, point.y].map(|points| f64::from(points * self.pane.pixels_per_point));
        self.placement.at([0, 1].map(|side: usize| pixel[side] - corner[side]))
    }

    /// The point of the screen where a place on the slice is shown.
    pub fn point(&self, at: [f64; 2]) -> Pos2 {
        let corner = self.pane.corner();
        let pixel = self.placement.pixel(at);
        let [x, y] = [0, 1].map(|side: usize| ((pixel[side] + corner[side]) / f64::from(self.pane.pixels_per_point)) as f32);
        pos2(x, y)
    }
}

impl SliceView {
    /// Fits the whole slice into the pane.
    pub fn reset(&mut self) {
        self.framing = Framing::default();
    }

    pub(super) fn listen(&mut self, ui: &Ui, response: &Response, pane: &Pane<'_>, (scene, cursor): (&Scene<'_>, &mut Cursor)) -> Heard {
        let mut heard = Heard::default();
        self.pointer(ui, response, pane, (scene, cursor, &mut heard));
        if response.hovered() {
            self.wheel(ui, pane, cursor);
        }
        if hears_keys(ui, response) {
            self.keys(ui, pane.geometry, scene, cursor);
        }
        if response.has_focus() {
            let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
        }
        heard
    }

    fn pointer(&mut self, ui: &Ui, response: &Response, pane: &Pane<'_>, (scene, cursor, heard): (&Scene<'_>, &mut Cursor, &mut Heard)) {
        let (modifiers, delta) = ui.input(|input| (input.modifiers, input.pointer.delta()));
        let ctrl = modifiers.command || modifiers.ctrl;
        if response.double_clicked() {
            heard.auto_window = ctrl;
            heard.maximise = !ctrl && !modifiers.shift;
        }
        let Some(point) = response.interact_pointer_pos().filter(|_| response.is_pointer_button_down_on()) else {
            self.gesture = None;
            return;
        };
        // The press itself moves nothing: the pointer came from elsewhere.
        let delta = if self.gesture.is_none() { Vec2::ZERO } else { delta };
        let down = |button| ui.input(|input| input.pointer.button_down(button));
        let gesture = *self.gesture.get_or_insert_with(|| {
            response.request_focus();
            if down(PointerButton::Secondary) {
                Gesture::Zoom(point)
            } else if down(PointerButton::Middle) || modifiers.shift {
                Gesture::Pan
            } else if ctrl {
                Gesture::Window
            } else {
                Gesture::Crosshair
            }
        });
        match gesture {
            Gesture::Crosshair => {
                let geometry = pane.geometry;
                let at = pane.laid(&self.framing).at(point);
                // Beyond the edge the crosshair stays on it.
                let inside = [0, 1].map(|side: usize| at[side].round().clamp(0.0, geometry.size[side].saturating_sub(1) as f64));
                cursor.voxel = geometry.voxel(cursor.voxel[geometry.through], inside).map(|index| index as usize);
            }
            Gesture::Window if delta != Vec2::ZERO => heard.window = Some(scene.window.dragged(delta.x, -delta.y)),
            Gesture::Window => {}
            Gesture::Pan => self.pan(pane, delta),
            Gesture::Zoom(about) => self.zoom(pane, about, (f64::from(-delta.y) / ZOOM_POINTS).exp()),
        }
    }

    /// Moves the slice by points of the screen.
    fn pan(&mut self, pane: &Pane<'_>, delta: Vec2) {
        if delta == Vec2::ZERO {
            return;
        }
        let laid = pane.laid(&self.framing);
        let centre = laid.at(pane.rect.center() - delta);
        self.look_at(pane.geometry, centre);
    }

    /// Magnifies; the place under `about` stays there.
    fn zoom(&mut self, pane: &Pane<'_>, about: Pos2, factor: f64) {
        if factor == 1.0 {
            return;
        }
        let before = pane.laid(&self.framing).at(about);
        self.framing.zoom = (self.framing.zoom * factor).clamp(ZOOM_RANGE.0, ZOOM_RANGE.1);
        let after = pane.laid(&self.framing);
        let (now, middle) = (after.at(about), after.at(pane.rect.center()));
        self.look_at(pane.geometry, [0, 1].map(|side: usize| middle[side] + before[side] - now[side]));
    }

    /// Puts a place on the slice into the middle; places outside it are moved to its edge, so that it cannot get lost.
    fn look_at(&mut self, geometry: &PlaneGeometry, centre: [f64; 2]) {
        self.framing.centre = Some([0, 1].map(|side: usize| centre[side].clamp(-0.5, geometry.size[side] as f64 - 0.5)));
    }

    fn wheel(&mut self, ui: &Ui, pane: &Pane<'_>, cursor: &mut Cursor) {
        let (events, pointer) = ui.input(|input| {
            let wheel = |event: &Event| match *event {
                Event::MouseWheel { unit, delta, modifiers, .. } => {
                    let notches = match unit {
                        MouseWheelUnit::Point => delta.y / POINTS_PER_NOTCH,
                        MouseWheelUnit::Line | MouseWheelUnit::Page => delta.y,
                    };
                    Some(if modifiers.command || modifiers.ctrl {
                        Turn::Zoom(ZOOM_PER_NOTCH.powf(f64::from(notches)))
                    } else {
                        Turn::Scroll(notches)
                    })
                }
                Event::Zoom(factor) => Some(Turn::Zoom(f64::from(factor))),
                _ => None,
            };
            (input.events.iter().filter_map(wheel).collect::<Vec<_>>(), input.pointer.hover_pos())
        });
        for turn in events {
            match turn {
                Turn::Zoom(factor) => self.zoom(pane, pointer.unwrap_or(pane.rect.center()), factor),
                Turn::Scroll(notches) => {
                    // Half a turn back is not the rest of a turn forth.
                    self.wheel = if self.wheel * notches < 0.0 { notches } else { self.wheel + notches };
                    let whole = self.wheel.trunc();
                    self.wheel -= whole;
                    scroll(pane.geometry, cursor, whole as isize);
                }
            }
        }
    }

    fn keys(&mut self, ui: &Ui, geometry: &PlaneGeometry, scene: &Scene<'_>, cursor: &mut Cursor) {
        if scene.keys.pressed(ui, Action::SliceUp) {
            scroll(geometry, cursor, 1);
        }
        if scene.keys.pressed(ui, Action::SliceDown) {
            scroll(geometry, cursor, -1);
        }
        if scene.keys.pressed(ui, Action::ResetView) {
            self.reset();
        }
        if ui.ctx().text_edit_focused() {
            return;
        }
        let arrows = [(Key::ArrowLeft, [-1, 0]), (Key::ArrowRight, [1, 0]), (Key::ArrowUp, [0, -1]), (Key::ArrowDown, [0, 1])];
        for (key, way) in arrows {
            // Shift first: a pattern without it matches with it as well.
            let [far, near] = [Modifiers::SHIFT, Modifiers::NONE]
                .map(|modifiers| ui.input_mut(|input| input.count_and_consume_key(modifiers, key)) as i64);
            step(geometry, cursor, way.map(|side: i64| side * (far * STRIDE + near)));
        }
    }
}

/// A turn of the wheel.
enum Turn {
    Scroll(f32),
    Zoom(f64),
}

/// Whether a pane takes the frame's keys: the one under the pointer, or the focused one where the pointer is over none.
fn hears_keys(ui: &Ui, response: &Response) -> bool {
    /// The frame in which a pane last was under the pointer.
    const HOVERED: &str = "slice pane under the pointer";
    let frame = ui.ctx().cumulative_frame_nr();
    if response.contains_pointer() {
        ui.data_mut(|data| data.insert_temp(Id::unique(HOVERED), frame));
        return true;
    }
    let hovered: Option<u64> = ui.data(|data| data.get_temp(Id::unique(HOVERED)));
    response.has_focus() && hovered.is_none_or(|hovered| hovered + 1 < frame)
}

/// Moves the crosshair through slices, upwards for positive numbers.
fn scroll(geometry: &PlaneGeometry, cursor: &mut Cursor, slices: isize) {
    let index = &mut cursor.voxel[geometry.through];
    *index = index.saturating_add_signed(slices * geometry.up).min(geometry.slices.saturating_sub(1));
}

/// Moves the crosshair on the slice by voxels across and down the screen.
fn step(geometry: &PlaneGeometry, cursor: &mut Cursor, voxels: [i64; 2]) {
    let (slice, at) = geometry.place(cursor.voxel.map(|index| index as f64));
    let moved = [0, 1].map(|side: usize| (at[side] + voxels[side] as f64).clamp(0.0, geometry.size[side].saturating_sub(1) as f64));
    cursor.voxel = geometry.voxel(slice as usize, moved).map(|index| index as usize);
}
