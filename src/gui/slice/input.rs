//! What mouse and keys do in a pane: the habits of ITK-SNAP and 3D Slicer.

use eframe::egui::{Event, EventFilter, Id, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Response, Ui, Vec2, pos2};

use super::view::MARGIN;
use super::{Cursor, Framing, Placement, PlaneGeometry, Scene, SliceView, WindowLevel};
use crate::gui::Action;
use crate::gui::keys::take_presses;
use crate::gui::widgets::pointer::reaches;

/// Voxels of an arrow key with Shift.
const STRIDE: i64 = 5;
/// Points of a trackpad's scrolling that count as one notch of a wheel.
const POINTS_PER_NOTCH: f32 = 24.0;
/// Part of a notch that rounding may take off the sum of its parts.
const NOTCH_ROUNDING: f32 = 1e-3;
/// Magnification of one notch.
const ZOOM_PER_NOTCH: f64 = 1.15;
/// Points dragged that magnify by e.
const ZOOM_POINTS: f64 = 150.0;
/// How far one can zoom.
const ZOOM_RANGE: (f64, f64) = (0.25, 100.0);

/// What the pressed pointer does, from press to release.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gesture {
    /// Moves the crosshair.
    Crosshair,
    /// Changes window and level.
    Window,
    /// Moves the slice.
    Pan,
    /// Magnifies about the point that was pressed.
    Zoom(Pos2),
}

/// A gesture under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pressed {
    gesture: Gesture,
    button: PointerButton,
    /// Where the pointer was last.
    at: Pos2,
}

impl Pressed {
    fn new(button: PointerButton, modifiers: Modifiers, at: Pos2) -> Self {
        let gesture = match button {
            PointerButton::Secondary => Gesture::Zoom(at),
            PointerButton::Middle => Gesture::Pan,
            _ if modifiers.shift => Gesture::Pan,
            _ if modifiers.command || modifiers.ctrl => Gesture::Window,
            _ => Gesture::Crosshair,
        };
        Self { gesture, button, at }
    }
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

    /// Follows the frame's events one by one: a press and its release may both lie in it, and the keys held then not be held at its end.
    fn pointer(&mut self, ui: &Ui, response: &Response, pane: &Pane<'_>, (scene, cursor, heard): (&Scene<'_>, &mut Cursor, &mut Heard)) {
        let (modifiers, any_down) = ui.input(|input| (input.modifiers, input.pointer.any_down()));
        if response.double_clicked() {
            heard.auto_window = modifiers.command || modifiers.ctrl;
            heard.maximise = !heard.auto_window && !modifiers.shift;
        }
        let pointed = |event: &Event| matches!(event, Event::PointerMoved(_) | Event::PointerButton { .. });
        let events: Vec<Event> = ui.input(|input| input.events.iter().filter(|event| pointed(event)).cloned().collect());
        for event in events {
            match event {
                Event::PointerButton { pos, button, pressed: true, modifiers } if self.pressed.is_none() && reaches(ui, response, pos) => {
                    self.pressed = Some(Pressed::new(button, modifiers, pos));
                    response.request_focus();
                    self.follow(pane, pos, (scene, cursor, heard));
                }
                Event::PointerMoved(pos) => self.follow(pane, pos, (scene, cursor, heard)),
                Event::PointerButton { pos, button, pressed: false, .. }
                    if self.pressed.is_some_and(|pressed| pressed.button == button) =>
                {
                    self.follow(pane, pos, (scene, cursor, heard));
                    self.pressed = None;
                }
                _ => {}
            }
        }
        // A release that the window never saw.
        if !any_down {
            self.pressed = None;
        }
    }

    /// Does what the gesture under way does when the pointer comes to a point.
    fn follow(&mut self, pane: &Pane<'_>, point: Pos2, (scene, cursor, heard): (&Scene<'_>, &mut Cursor, &mut Heard)) {
        let Some(pressed) = &mut self.pressed else { return };
        let delta = point - pressed.at;
        pressed.at = point;
        match pressed.gesture {
            Gesture::Crosshair => {
                let geometry = pane.geometry;
                let at = pane.laid(&self.framing).at(point);
                // Beyond the edge the crosshair stays on it.
                let inside = [0, 1].map(|side: usize| at[side].round().clamp(0.0, geometry.size[side].saturating_sub(1) as f64));
                cursor.voxel = geometry.voxel(cursor.voxel[geometry.through], inside).map(|index| index as usize);
            }
            Gesture::Window if delta != Vec2::ZERO => {
                heard.window = Some(heard.window.unwrap_or(scene.window).dragged(delta.x, -delta.y));
            }
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
                    let whole = (self.wheel + NOTCH_ROUNDING.copysign(self.wheel)).trunc();
                    self.wheel -= whole;
                    scroll(pane.geometry, cursor, whole as isize);
                }
            }
        }
    }

    /// Obeys every press of the frame, in their order.
    fn keys(&mut self, ui: &Ui, geometry: &PlaneGeometry, scene: &Scene<'_>, cursor: &mut Cursor) {
        let arrows = [(Key::ArrowLeft, [-1, 0]), (Key::ArrowRight, [1, 0]), (Key::ArrowUp, [0, -1]), (Key::ArrowDown, [0, 1])];
        let meaning = |key, modifiers: Modifiers| {
            if let Some(action) = scene.keys.meant(key, modifiers, &[Action::SliceUp, Action::SliceDown, Action::ResetView]) {
                return Some(Press::Act(action));
            }
            let stride = if modifiers.shift { STRIDE } else { 1 };
            let (_, way) = arrows.into_iter().find(|&(arrow, _)| arrow == key && modifiers.matches_logically(Modifiers::NONE))?;
            Some(Press::Step(way.map(|side: i64| side * stride)))
        };
        for press in take_presses(ui, meaning) {
            match press {
                Press::Act(Action::SliceUp) => scroll(geometry, cursor, 1),
                Press::Act(Action::SliceDown) => scroll(geometry, cursor, -1),
                Press::Act(_) => self.reset(),
                Press::Step(voxels) => step(geometry, cursor, voxels),
            }
        }
    }
}

/// What a pressed key asks of a pane.
enum Press {
    Act(Action),
    /// Voxels across and down the screen.
    Step([i64; 2]),
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
