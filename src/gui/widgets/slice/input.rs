//! What mouse and keys do in a pane: the habits of ITK-SNAP and 3D Slicer.

use eframe::egui::{Event, EventFilter, Id, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Response, Ui, Vec2};

use super::framing::Pane;
use super::{Cursor, Framing, PlaneGeometry, WindowLevel};
use crate::gui::keys::take_presses;
use crate::gui::widgets::pointer::reaches;
use crate::gui::{Action, KeyMap};

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
/// Share of the window's width by which a dragged point changes width and level.
const WINDOW_SPEED: f32 = 0.005;

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
    /// Does what the tool does.
    Tool,
}

/// A gesture under way.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pressed {
    gesture: Gesture,
    button: PointerButton,
    /// Where the pointer was last.
    at: Pos2,
}

impl Pressed {
    fn new(button: PointerButton, modifiers: Modifiers, at: Pos2, [tool, brush]: [bool; 2]) -> Self {
        let gesture = match button {
            PointerButton::Secondary if brush && modifiers.is_none() => Gesture::Tool,
            PointerButton::Secondary => Gesture::Zoom(at),
            PointerButton::Middle => Gesture::Pan,
            _ if modifiers.shift => Gesture::Pan,
            _ if modifiers.command || modifiers.ctrl => Gesture::Window,
            _ if tool => Gesture::Tool,
            _ => Gesture::Crosshair,
        };
        Self { gesture, button, at }
    }

    /// Where the pointer is, for the tool that has the button.
    fn touch(&self, pane: &Pane<'_>, phase: Phase) -> Touch {
        Touch { at: pane.at(self.at), phase, right: self.button == PointerButton::Secondary }
    }
}

/// What part of a stroke with a tool a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its first point.
    Pressed,
    /// On the way.
    Moved,
    /// Its last point.
    Released,
}

/// A point of a stroke with a tool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// Position on the slice in voxels across and down from the centre of the first, in parts of voxels; beyond its edges as well.
    pub at: [f64; 2],
    /// What part of the stroke it is.
    pub phase: Phase,
    /// Whether the right button makes it, which only a brush has.
    pub right: bool,
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
    /// What the left button did where a tool has it, and the right one of a brush, in its order.
    pub touches: Vec<Touch>,
    /// Notches that the wheel turned with Shift, where a brush is the tool.
    pub notches: f32,
    /// Points of the screen that a millimetre of the slice takes.
    pub points_per_mm: f32,
}

impl SliceResponse {
    /// Nothing has happened yet.
    pub(super) fn new(response: Response) -> Self {
        let (touches, notches, points_per_mm) = (Vec::new(), 0.0, 1.0);
        let (hovered, clicked, window, auto_window, maximise) = (None, None, None, false, false);
        Self { response, hovered, clicked, window, auto_window, maximise, touches, notches, points_per_mm }
    }
}

/// A frame's input, and what it changes.
pub(super) struct Input<'a, 'p> {
    pub(super) ui: &'a Ui,
    pub(super) pane: &'a mut Pane<'p>,
    pub(super) window: WindowLevel,
    pub(super) keys: &'a KeyMap,
    pub(super) cursor: &'a mut Cursor,
    pub(super) seen: &'a mut SliceResponse,
    /// Whether a tool has the left button.
    pub(super) tool: bool,
    /// Whether it is a brush, which has the right button and the wheel with Shift as well.
    pub(super) brush: bool,
}

/// What the mouse is doing to a pane.
#[derive(Default)]
pub(super) struct Mouse {
    pressed: Option<Pressed>,
    /// Parts of notches that the wheel has made since the last slice.
    pub(super) wheel: f32,
}

impl Mouse {
    pub(super) fn handle(&mut self, input: &mut Input<'_, '_>) {
        self.pointer(input);
        if input.seen.response.hovered() {
            self.wheel(input);
        }
        if input.takes_keys() {
            Self::keys(input);
        }
        if input.seen.response.has_focus() {
            let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
            input.ui.memory_mut(|memory| memory.set_focus_lock_filter(input.seen.response.id, arrows));
        }
    }

    /// Follows the frame's events one by one: a press and its release may both lie in it, and the keys held then not be held at its end.
    fn pointer(&mut self, input: &mut Input<'_, '_>) {
        let (modifiers, any_down) = input.ui.input(|input| (input.modifiers, input.pointer.any_down()));
        if input.seen.response.double_clicked() {
            input.seen.auto_window = modifiers.command || modifiers.ctrl;
            input.seen.maximise = !input.seen.auto_window && !modifiers.shift && !input.tool;
        }
        let pointed = |event: &Event| matches!(event, Event::PointerMoved(_) | Event::PointerButton { .. });
        let events: Vec<Event> = input.ui.input(|input| input.events.iter().filter(|event| pointed(event)).cloned().collect());
        for event in events {
            match event {
                Event::PointerButton { pos, button, pressed: true, modifiers }
                    if self.pressed.is_none() && reaches(input.ui, &input.seen.response, pos) =>
                {
                    self.pressed = Some(Pressed::new(button, modifiers, pos, [input.tool, input.brush]));
                    input.seen.response.request_focus();
                    self.follow(input, pos, Phase::Pressed);
                }
                Event::PointerMoved(pos) => self.follow(input, pos, Phase::Moved),
                Event::PointerButton { pos, button, pressed: false, .. }
                    if self.pressed.is_some_and(|pressed| pressed.button == button) =>
                {
                    self.follow(input, pos, Phase::Released);
                    self.pressed = None;
                }
                _ => {}
            }
        }
        // A release that the window never saw.
        if !any_down
            && let Some(lost) = self.pressed.take()
            && lost.gesture == Gesture::Tool
        {
            input.seen.touches.push(lost.touch(input.pane, Phase::Released));
        }
    }

    /// Does what the gesture under way does when the pointer comes to a point.
    fn follow(&mut self, input: &mut Input<'_, '_>, point: Pos2, phase: Phase) {
        let Some(pressed) = &mut self.pressed else { return };
        let delta = point - pressed.at;
        pressed.at = point;
        let geometry = input.pane.geometry;
        match pressed.gesture {
            Gesture::Crosshair => {
                let slice = input.cursor.voxel[geometry.through];
                input.cursor.voxel = nearest(geometry, slice, input.pane.at(point).map(f64::round));
            }
            Gesture::Tool => input.seen.touches.push(pressed.touch(input.pane, phase)),
            _ if delta == Vec2::ZERO => {}
            Gesture::Window => input.seen.window = Some(dragged(input.seen.window.unwrap_or(input.window), delta)),
            Gesture::Pan => {
                let centre = input.pane.at(input.pane.rect.center() - delta);
                input.pane.framing.look_at(geometry, centre);
            }
            Gesture::Zoom(about) => {
                let zoom = input.pane.framing.zoom * (f64::from(-delta.y) / ZOOM_POINTS).exp();
                let about = input.pane.at(about);
                input.pane.framing.zoom_to(geometry, about, zoom);
            }
        }
    }

    fn wheel(&mut self, input: &mut Input<'_, '_>) {
        let (events, pointer) = input.ui.input(|input| (input.events.clone(), input.pointer.hover_pos()));
        let geometry = input.pane.geometry;
        for event in events {
            let factor = match event {
                Event::MouseWheel { unit, delta, modifiers, .. } => {
                    // Some systems turn the wheel sideways where Shift is held.
                    let sized = input.brush && modifiers.shift_only();
                    let turned = if sized { delta.x + delta.y } else { delta.y };
                    let notches = if unit == MouseWheelUnit::Point { turned / POINTS_PER_NOTCH } else { turned };
                    if sized {
                        input.seen.notches += notches;
                        continue;
                    }
                    if !modifiers.command && !modifiers.ctrl {
                        // Half a notch back is not the rest of a notch forth.
                        self.wheel = if self.wheel * notches < 0.0 { notches } else { self.wheel + notches };
                        let whole = (self.wheel + NOTCH_ROUNDING.copysign(self.wheel)).trunc();
                        self.wheel -= whole;
                        scroll(geometry, input.cursor, whole as isize);
                        continue;
                    }
                    ZOOM_PER_NOTCH.powf(f64::from(notches))
                }
                Event::Zoom(factor) => f64::from(factor),
                _ => continue,
            };
            let about = input.pane.at(pointer.unwrap_or(input.pane.rect.center()));
            let zoom = input.pane.framing.zoom * factor;
            input.pane.framing.zoom_to(geometry, about, zoom);
        }
    }

    /// Obeys every press of the frame, in their order.
    fn keys(input: &mut Input<'_, '_>) {
        let arrows = [(Key::ArrowLeft, [-1, 0]), (Key::ArrowRight, [1, 0]), (Key::ArrowUp, [0, -1]), (Key::ArrowDown, [0, 1])];
        let meaning = |key, modifiers: Modifiers| {
            if let Some(action) = input.keys.meant(key, modifiers, &[Action::SliceUp, Action::SliceDown, Action::ResetView]) {
                return Some((action, [0; 2]));
            }
            let stride = if modifiers.shift { STRIDE } else { 1 };
            let (_, way) = arrows.into_iter().find(|&(arrow, _)| arrow == key && modifiers.matches_logically(Modifiers::NONE))?;
            Some((Action::Help, way.map(|side: i64| side * stride)))
        };
        let geometry = input.pane.geometry;
        for (action, [across, down]) in take_presses(input.ui, meaning) {
            match action {
                Action::SliceUp => scroll(geometry, input.cursor, 1),
                Action::SliceDown => scroll(geometry, input.cursor, -1),
                Action::ResetView => input.pane.framing = Framing::default(),
                _ => {
                    let (slice, at) = geometry.position(input.cursor.voxel.map(|index| index as f64));
                    input.cursor.voxel = nearest(geometry, slice as usize, [at[0] + across as f64, at[1] + down as f64]);
                }
            }
        }
    }
}

impl Input<'_, '_> {
    /// Whether a pane takes the frame's keys: the one under the pointer, or the focused one where the pointer is over none.
    fn takes_keys(&self) -> bool {
        /// The frame in which a pane last was under the pointer.
        const HOVERED: &str = "slice pane under the pointer";
        let frame = self.ui.ctx().cumulative_frame_nr();
        if self.seen.response.contains_pointer() {
            self.ui.data_mut(|data| data.insert_temp(Id::unique(HOVERED), frame));
            return true;
        }
        let hovered: Option<u64> = self.ui.data(|data| data.get_temp(Id::unique(HOVERED)));
        self.seen.response.has_focus() && hovered.is_none_or(|hovered| hovered + 1 < frame)
    }
}

/// A window dragged by points on the screen: to the right widens it, upwards lifts the level.
fn dragged(window: WindowLevel, delta: Vec2) -> WindowLevel {
    let width = (window.width() * (delta.x * WINDOW_SPEED).exp()).max(f32::MIN_POSITIVE);
    WindowLevel::around(window.level() - delta.y * WINDOW_SPEED * window.width(), width)
}

/// The voxel of a slice nearest to a position: beyond the edge the crosshair stays on it.
fn nearest(geometry: &PlaneGeometry, slice: usize, at: [f64; 2]) -> [usize; 3] {
    let inside = [0, 1].map(|side: usize| at[side].clamp(0.0, geometry.size[side].saturating_sub(1) as f64));
    geometry.voxel(slice, inside).map(|index| index as usize)
}

/// Moves the crosshair through slices, upwards for positive numbers.
fn scroll(geometry: &PlaneGeometry, cursor: &mut Cursor, slices: isize) {
    let index = &mut cursor.voxel[geometry.through];
    *index = index.saturating_add_signed(slices * geometry.up).min(geometry.slices.saturating_sub(1));
}
