//! What the mouse and the keys do, through a window's events.

use eframe::egui::{self, Event, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Role, TouchPhase, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};

use super::Phantom;
use crate::gui::slice::{Cursor, ImageTexture, LabelTexture, Plane, PlaneGeometry, Scene, SliceView, WindowLevel};
use crate::gui::testing::has_gpu;
use crate::gui::{Convention, KeyMap};

/// Three linked views side by side, each 200 points wide.
struct Linked {
    phantom: Phantom,
    image: ImageTexture,
    labels: LabelTexture,
    keys: KeyMap,
    views: [SliceView; 3],
    cursor: Cursor,
    hovered: Option<[usize; 3]>,
    clicked: Option<[usize; 3]>,
    auto_window: bool,
    maximised: Option<usize>,
}

impl Linked {
    fn show(&mut self, ui: &mut egui::Ui) {
        self.hovered = None;
        for (index, plane) in Plane::ALL.into_iter().enumerate() {
            let rect = pane(index);
            let scene = Scene {
                grid: &self.phantom.grid,
                image: &self.image,
                labels: Some(&self.labels),
                truth: None,
                heat: None,
                tokens: None,
                window: self.phantom.window,
                colours: &self.phantom.colours,
                settings: &self.phantom.settings,
                convention: Convention::Radiological,
                keys: &self.keys,
            };
            let mut child = ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(index));
            let seen = self.views[index].show(&mut child, plane, &scene, &mut self.cursor);
            self.hovered = self.hovered.or(seen.hovered);
            self.clicked = seen.clicked.or(self.clicked);
            self.auto_window |= seen.auto_window;
            if seen.maximise {
                self.maximised = Some(index);
            }
            if let Some(window) = seen.window {
                self.phantom.window = window;
            }
        }
    }
}

fn pane(index: usize) -> Rect {
    Rect::from_min_size(pos2(200.0 * index as f32, 0.0), vec2(200.0, 200.0))
}

fn linked() -> Harness<'static, Linked> {
    let gpu = create_render_state(default_wgpu_setup(), eframe::egui_wgpu::RendererOptions::PREDICTABLE);
    let phantom = Phantom::new();
    let (image, labels, _) = phantom.textures(&gpu);
    let cursor = Cursor::middle(phantom.grid.shape);
    let linked = Linked {
        phantom,
        image,
        labels,
        keys: KeyMap::default(),
        views: std::array::from_fn(|_| SliceView::default()),
        cursor,
        hovered: None,
        clicked: None,
        auto_window: false,
        maximised: None,
    };
    let mut harness = Harness::builder()
        .with_size(vec2(600.0, 200.0))
        // Two clicks of a hand follow each other faster than the harness's own quarter of a second.
        .with_step_dt(1.0 / 60.0)
        .renderer(WgpuTestRenderer::from_render_state(gpu))
        .build_ui_state(|ui, linked: &mut Linked| linked.show(ui), linked);
    harness.run_steps(2);
    harness
}

/// The point of a pane where a voxel of the current slice is shown while the whole slice is.
fn point_of(harness: &Harness<'_, Linked>, index: usize, voxel: [usize; 3]) -> Pos2 {
    let linked = harness.state();
    let geometry = PlaneGeometry::new(&linked.phantom.grid, Plane::ALL[index], Convention::Radiological);
    let placement = linked.views[index].framing.placement(&geometry, [200.0, 200.0], 6.0);
    let [x, y] = placement.pixel(geometry.place(voxel.map(|index| index as f64)).1);
    pane(index).min + vec2(x as f32, y as f32)
}

fn press(harness: &mut Harness<'_, Linked>, pos: Pos2, button: PointerButton, pressed: bool) {
    let modifiers = harness.ctx.input(|input| input.modifiers);
    harness.event(Event::PointerButton { pos, button, pressed, modifiers });
    harness.step();
}

/// Drags from one point to another with keys held.
fn drag(harness: &mut Harness<'_, Linked>, button: PointerButton, modifiers: Modifiers, [from, to]: [Pos2; 2]) {
    harness.event(Event::ModifiersChanged(modifiers));
    harness.hover_at(from);
    harness.step();
    press(harness, from, button, true);
    harness.hover_at(from.lerp(to, 0.5));
    harness.hover_at(to);
    harness.step();
    press(harness, to, button, false);
    harness.event(Event::ModifiersChanged(Modifiers::NONE));
    harness.step();
}

fn wheel(harness: &mut Harness<'_, Linked>, notches: f32, modifiers: Modifiers) {
    let source = egui::MouseWheelSource::Wheel;
    let delta = vec2(0.0, notches);
    harness.event(Event::MouseWheel { unit: MouseWheelUnit::Line, delta, phase: TouchPhase::Move, source, modifiers });
    harness.step();
}

/// Plays events within one frame.
fn at_once(harness: &mut Harness<'_, Linked>, events: impl IntoIterator<Item = Event>) {
    harness.input_mut().events.extend(events);
    harness.step();
}

fn button(pos: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) -> Event {
    Event::PointerButton { pos, button, pressed, modifiers }
}

fn key(key: Key, modifiers: Modifiers) -> [Event; 2] {
    [true, false].map(|pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers })
}

#[test]
fn a_click_within_one_frame_sets_the_crosshair_wherever_the_pointer_goes_afterwards() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let [d, ..] = harness.state().cursor.voxel;
    let (first, second) = ([d, 5, 15], [d, 17, 4]);
    let points = [first, second].map(|voxel| point_of(&harness, 0, voxel));
    harness.hover_at(points[0]);
    harness.step();
    let click = |pos| [true, false].map(|pressed| button(pos, PointerButton::Primary, pressed, Modifiers::NONE));
    at_once(&mut harness, click(points[0]));
    assert_eq!(harness.state().cursor.voxel, first);
    assert_eq!(harness.state().clicked, Some(first));
    harness.run_steps(40);
    // Come, click and gone within a frame.
    let there = [Event::PointerMoved(points[1])].into_iter().chain(click(points[1])).chain([Event::PointerMoved(points[0])]);
    at_once(&mut harness, there);
    assert_eq!(harness.state().cursor.voxel, second);
    // A press, a way and a release: the crosshair ends where the pointer was let go.
    harness.run_steps(40);
    let [down, up] = [(points[1], true), (points[0], false)].map(|(pos, down)| button(pos, PointerButton::Primary, down, Modifiers::NONE));
    at_once(&mut harness, [Event::PointerMoved(points[1]), down, Event::PointerMoved(points[0]), up]);
    assert_eq!(harness.state().cursor.voxel, first);
    assert!(harness.state().maximised.is_none());
}

#[test]
fn a_drag_within_one_frame_does_what_its_button_and_keys_say() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let (cursor, window) = (harness.state().cursor, harness.state().phantom.window);
    let (from, to) = (pane(0).center(), pane(0).center() + vec2(40.0, 0.0));
    harness.hover_at(from);
    harness.step();
    let drag = |which, modifiers| [button(from, which, true, modifiers), Event::PointerMoved(to), button(to, which, false, modifiers)];
    // Ctrl is let go before the frame ends.
    at_once(&mut harness, drag(PointerButton::Primary, Modifiers::COMMAND));
    assert!(harness.state().phantom.window.width() > window.width() * 1.1);
    harness.run_steps(40);
    harness.hover_at(from);
    harness.step();
    at_once(&mut harness, drag(PointerButton::Middle, Modifiers::NONE));
    assert!(harness.state().views[0].framing.centre.is_some(), "the slice was moved");
    assert_eq!(harness.state().cursor, cursor);
}

#[test]
fn every_press_of_a_key_within_one_frame_counts_in_its_order() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    harness.hover_at(pane(0).center());
    harness.step();
    let [d, h, w] = harness.state().cursor.voxel;
    at_once(&mut harness, [Key::PageDown; 3].into_iter().flat_map(|pressed| key(pressed, Modifiers::NONE)));
    assert_eq!(harness.state().cursor.voxel, [d - 3, h, w], "three slices down");
    let arrows = [key(Key::ArrowDown, Modifiers::NONE), key(Key::ArrowDown, Modifiers::NONE), key(Key::ArrowRight, Modifiers::SHIFT)];
    at_once(&mut harness, arrows.into_iter().flatten());
    assert_eq!(harness.state().cursor.voxel, [d - 3, h - 2, w + 5]);
    // On the last slice one up goes nowhere, and the one down after it counts.
    wheel(&mut harness, 1000.0, Modifiers::NONE);
    at_once(&mut harness, [Key::PageUp, Key::PageDown].into_iter().flat_map(|pressed| key(pressed, Modifiers::NONE)));
    assert_eq!(harness.state().cursor.voxel[0], 12);
    at_once(&mut harness, [Key::PageDown, Key::PageUp].into_iter().flat_map(|pressed| key(pressed, Modifiers::NONE)));
    assert_eq!(harness.state().cursor.voxel[0], 12);
}

#[test]
fn parts_of_notches_add_up_to_whole_slices() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    harness.hover_at(pane(0).center());
    harness.step();
    let [d, ..] = harness.state().cursor.voxel;
    // A touchpad, in tenths of a notch: their sum in 32 bits is a little less than a whole.
    (0..10).for_each(|_| wheel(&mut harness, 0.1, Modifiers::NONE));
    (0..10).for_each(|_| wheel(&mut harness, 0.1, Modifiers::NONE));
    assert_eq!(harness.state().cursor.voxel[0], d + 2);
    let notch = |up| {
        let (unit, source) = (MouseWheelUnit::Line, egui::MouseWheelSource::Wheel);
        Event::MouseWheel { unit, delta: vec2(0.0, up), phase: TouchPhase::Move, source, modifiers: Modifiers::NONE }
    };
    at_once(&mut harness, [notch(-1.0), notch(-1.0), notch(-1.0)]);
    assert_eq!(harness.state().cursor.voxel[0], d - 1, "three notches within a frame are three slices");
    let smooth = |points| {
        let (unit, source) = (MouseWheelUnit::Point, egui::MouseWheelSource::Trackpad);
        Event::MouseWheel { unit, delta: vec2(0.0, points), phase: TouchPhase::Move, source, modifiers: Modifiers::NONE }
    };
    at_once(&mut harness, [smooth(9.0), smooth(9.0), smooth(9.0), smooth(9.0), smooth(9.0), smooth(9.0)]);
    assert_eq!(harness.state().cursor.voxel[0], d + 1);
}

#[test]
fn the_crosshair_follows_the_pressed_pointer_and_links_the_views() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let before = harness.state().cursor.voxel;
    let target = [before[0], 5, 15];
    let point = point_of(&harness, 0, target);
    harness.hover_at(point);
    harness.step();
    assert_eq!(harness.state().hovered, Some(target));
    press(&mut harness, point, PointerButton::Primary, true);
    assert_eq!(harness.state().cursor.voxel, target, "at the press, not after the release");
    press(&mut harness, point, PointerButton::Primary, false);
    assert_eq!(harness.state().clicked, Some(target));
    // Dragged in the coronal view: the axial slice follows.
    let aim = [2, target[1], 3];
    let points = [point_of(&harness, 1, target), point_of(&harness, 1, aim)];
    drag(&mut harness, PointerButton::Primary, Modifiers::NONE, points);
    assert_eq!(harness.state().cursor.voxel, aim);
    // The name tells a screen reader where one is.
    harness.step();
    let names: Vec<String> = harness.get_all_by_role(Role::Image).filter_map(|node| node.accesskit_node().label()).collect();
    assert!(names[0].starts_with("axial slice 3 of 14, crosshair at "), "{names:?}");
    assert!(names[1].starts_with("coronal slice 6 of 24, ") && names[2].starts_with("sagittal slice 4 of 19, "), "{names:?}");
}

#[test]
fn beyond_the_edge_the_crosshair_stays_on_it() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let start = harness.state().cursor.voxel;
    let from = point_of(&harness, 0, start);
    drag(&mut harness, PointerButton::Primary, Modifiers::NONE, [from, pos2(-40.0, -40.0)]);
    // The phantom's i runs to the left and j to the front: the upper left corner is the head's right front.
    assert_eq!(harness.state().cursor.voxel, [start[0], 23, 0]);
}

#[test]
fn wheel_and_keys_scroll_the_view_under_the_pointer() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let [d, h, w] = harness.state().cursor.voxel;
    harness.hover_at(pane(0).center());
    harness.step();
    wheel(&mut harness, 2.0, Modifiers::NONE);
    assert_eq!(harness.state().cursor.voxel, [d + 2, h, w]);
    // Parts of notches add up.
    (0..4).for_each(|_| wheel(&mut harness, -0.25, Modifiers::NONE));
    assert_eq!(harness.state().cursor.voxel, [d + 1, h, w]);
    harness.hover_at(pane(1).center());
    harness.step();
    harness.key_press(Key::PageUp);
    harness.key_press(Key::PageUp);
    harness.key_press(Key::PageDown);
    harness.step();
    assert_eq!(harness.state().cursor.voxel, [d + 1, h + 1, w]);
    // Left on the screen is towards the patient's right, against which i runs.
    harness.key_press(Key::ArrowLeft);
    harness.key_press(Key::ArrowUp);
    harness.step();
    assert_eq!(harness.state().cursor.voxel, [d + 2, h + 1, w - 1]);
    harness.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
    harness.step();
    assert_eq!(harness.state().cursor.voxel, [d + 2, h + 1, w + 4]);
    wheel(&mut harness, 1000.0, Modifiers::NONE);
    assert_eq!(harness.state().cursor.voxel, [d + 2, 23, w + 4], "the last slice is the last");
}

#[test]
fn the_focused_view_hears_keys_where_the_pointer_is_over_none() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let centre = pane(2).center();
    drag(&mut harness, PointerButton::Primary, Modifiers::NONE, [centre, centre]);
    let [d, h, w] = harness.state().cursor.voxel;
    // Over another view, that one scrolls.
    harness.hover_at(pane(0).center());
    harness.step();
    harness.key_press(Key::PageDown);
    harness.step();
    assert_eq!(harness.state().cursor.voxel, [d - 1, h, w]);
    harness.remove_cursor();
    harness.run_steps(3);
    harness.key_press(Key::PageUp);
    harness.step();
    // The phantom's i runs to the left: one slice to the right is one index less.
    assert_eq!(harness.state().cursor.voxel, [d - 1, h, w - 1]);
    // Arrows move the crosshair and not the focus.
    harness.key_press(Key::ArrowRight);
    harness.key_press(Key::ArrowRight);
    harness.step();
    assert_eq!(harness.state().cursor.voxel, [d - 1, h - 2, w - 1]);
}

#[test]
fn zoom_keeps_what_is_under_the_pointer_and_pan_takes_it_along() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let aim = [harness.state().cursor.voxel[0], 4, 4];
    let point = point_of(&harness, 0, aim);
    harness.hover_at(point);
    harness.step();
    (0..5).for_each(|_| wheel(&mut harness, 1.0, Modifiers::COMMAND));
    assert!(harness.state().views[0].framing.zoom > 1.9);
    assert!(point_of(&harness, 0, aim).distance(point) < 0.1);
    // The right button does the same, and is no click.
    drag(&mut harness, PointerButton::Secondary, Modifiers::NONE, [point, point - vec2(0.0, 60.0)]);
    assert!(harness.state().views[0].framing.zoom > 2.5);
    assert!(point_of(&harness, 0, aim).distance(point) < 0.1);
    for (button, modifiers) in [(PointerButton::Middle, Modifiers::NONE), (PointerButton::Primary, Modifiers::SHIFT)] {
        let (start, cursor) = (point_of(&harness, 0, aim), harness.state().cursor);
        drag(&mut harness, button, modifiers, [pos2(100.0, 100.0), pos2(82.0, 111.0)]);
        assert!(point_of(&harness, 0, aim).distance(start + vec2(-18.0, 11.0)) < 0.1);
        assert_eq!(harness.state().cursor, cursor);
    }
    harness.key_press(Key::R);
    harness.step();
    assert_eq!(harness.state().views[0].framing, Default::default());
}

#[test]
fn ctrl_drags_the_window_and_two_clicks_maximise() {
    if !has_gpu() {
        return;
    }
    let mut harness = linked();
    let (before, cursor) = (harness.state().phantom.window, harness.state().cursor);
    let from = pane(1).center();
    drag(&mut harness, PointerButton::Primary, Modifiers::COMMAND, [from, from + vec2(40.0, 0.0)]);
    let wider = harness.state().phantom.window;
    assert!(wider.width() > before.width() * 1.1 && (wider.level() - before.level()).abs() < 1e-2);
    drag(&mut harness, PointerButton::Primary, Modifiers::COMMAND, [from, from - vec2(0.0, 20.0)]);
    let WindowLevel { low, high } = harness.state().phantom.window;
    assert!(low > wider.low && high > wider.high && (high - low - wider.width()).abs() < 1e-2);
    assert_eq!(harness.state().cursor, cursor);

    let click = |harness: &mut Harness<'_, Linked>| {
        press(harness, from, PointerButton::Primary, true);
        press(harness, from, PointerButton::Primary, false);
    };
    harness.run_steps(40);
    harness.event(Event::ModifiersChanged(Modifiers::COMMAND));
    harness.step();
    click(&mut harness);
    click(&mut harness);
    assert!(harness.state().auto_window && harness.state().maximised.is_none());
    harness.event(Event::ModifiersChanged(Modifiers::NONE));
    harness.run_steps(40);
    click(&mut harness);
    click(&mut harness);
    assert_eq!(harness.state().maximised, Some(1));
}
