//! What the mouse and the keys do, through a window's events.

use eframe::egui::{
    self, Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, PointerButton, Pos2, Rect, Role, TouchPhase, pos2, vec2,
};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::wgpu::WgpuTestRenderer;

use super::{Phantom, gpu};
use crate::gui::testing::needs_gpu;
use crate::gui::widgets::slice::{Cursor, Framing, Phase, Plane, PlaneGeometry, Scene, SliceView, Touch, VolumeTexture};
use crate::gui::{Convention, KeyMap};

/// Three linked views side by side, each 200 points wide.
struct Linked {
    phantom: Phantom,
    textures: [VolumeTexture; 3],
    keys: KeyMap,
    views: [SliceView; 3],
    cursor: Cursor,
    hovered: Option<[usize; 3]>,
    clicked: Option<[usize; 3]>,
    auto_window: bool,
    maximised: Option<usize>,
    touches: Vec<Touch>,
}

type Window = Harness<'static, Linked>;

impl Linked {
    fn show(&mut self, ui: &mut egui::Ui) {
        self.hovered = None;
        for (index, plane) in Plane::ALL.into_iter().enumerate() {
            let [image, labels, _] = &self.textures;
            let scene =
                Scene { labels: Some(labels), ..Scene::new(&self.phantom.grid, image, self.phantom.style(Convention::Radiological)) };
            let mut child = ui.new_child(egui::UiBuilder::new().max_rect(pane(index)).id_salt(index));
            let seen = self.views[index].show(&mut child, plane, &scene, (&mut self.cursor, &self.keys));
            self.hovered = self.hovered.or(seen.hovered);
            self.clicked = seen.clicked.or(self.clicked);
            self.auto_window |= seen.auto_window;
            self.touches.extend(&seen.touches);
            self.maximised = if seen.maximise { Some(index) } else { self.maximised };
            self.phantom.window = seen.window.unwrap_or(self.phantom.window);
        }
    }
}

fn pane(index: usize) -> Rect {
    Rect::from_min_size(pos2(200.0 * index as f32, 0.0), vec2(200.0, 200.0))
}

fn linked() -> Window {
    let gpu = gpu();
    let phantom = Phantom::new();
    let linked = Linked {
        textures: phantom.textures(&gpu),
        cursor: Cursor::middle(phantom.grid.shape),
        phantom,
        keys: KeyMap::default(),
        views: Default::default(),
        hovered: None,
        clicked: None,
        auto_window: false,
        maximised: None,
        touches: Vec::new(),
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

/// The point of a pane where a voxel of the current slice is shown.
fn point_of(harness: &Window, index: usize, voxel: [usize; 3]) -> Pos2 {
    let linked = harness.state();
    let geometry = PlaneGeometry::new(&linked.phantom.grid, Plane::ALL[index], Convention::Radiological);
    let placement = linked.views[index].framing.placement(&geometry, [200.0, 200.0], 6.0);
    let [x, y] = placement.pixel(geometry.position(voxel.map(|index| index as f64)).1);
    pane(index).min + vec2(x as f32, y as f32)
}

fn button(pos: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) -> Event {
    Event::PointerButton { pos, button, pressed, modifiers }
}

fn click(pos: Pos2) -> Vec<Event> {
    let press = |pressed| button(pos, PointerButton::Primary, pressed, Modifiers::NONE);
    vec![Event::PointerMoved(pos), press(true), press(false)]
}

/// A drag with keys held, from press to release.
fn drag(which: PointerButton, modifiers: Modifiers, [from, to]: [Pos2; 2]) -> Vec<Event> {
    let ways = [from, from.lerp(to, 0.5), to].map(Event::PointerMoved);
    let [start, half, end] = ways;
    vec![start, button(from, which, true, modifiers), half, end, button(to, which, false, modifiers)]
}

fn wheel(unit: MouseWheelUnit, up: f32, modifiers: Modifiers) -> Event {
    Event::MouseWheel { unit, delta: vec2(0.0, up), phase: TouchPhase::Move, source: MouseWheelSource::Wheel, modifiers }
}

fn keys(presses: &[(Key, Modifiers)]) -> Vec<Event> {
    let event = |key, modifiers, pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers };
    presses.iter().flat_map(|&(key, modifiers)| [true, false].map(|pressed| event(key, modifiers, pressed))).collect()
}

/// Plays events within one frame, or each in a frame of its own; clicks before are forgotten.
fn play(harness: &mut Window, events: Vec<Event>, at_once: bool) {
    harness.run_steps(40);
    if at_once {
        harness.input_mut().events.extend(events);
        harness.step();
    } else {
        for event in events {
            harness.event(event);
            harness.step();
        }
    }
    harness.step();
}

#[test]
fn wheel_and_keys_move_the_crosshair_within_one_frame_as_within_many() {
    needs_gpu!();
    let mut harness = linked();
    let notches = |parts: &[f32]| parts.iter().map(|&up| wheel(MouseWheelUnit::Line, up, Modifiers::NONE)).collect::<Vec<_>>();
    let (none, shift) = (Modifiers::NONE, Modifiers::SHIFT);
    let last = |presses: [Key; 2]| [notches(&[1000.0]), keys(&presses.map(|key| (key, none)))].concat();
    let points = vec![wheel(MouseWheelUnit::Point, 9.0, none); 6];
    let down = |count| keys(&vec![(Key::PageDown, none); count]);
    // The pane under the pointer, what is done, and where the crosshair comes from the middle, 7, 12, 9 of 14, 24, 19 voxels.
    let table = [
        (0, notches(&[2.0]), [9, 12, 9]),
        // Parts of notches add up, also where their sum in 32 bits is a little less than a whole.
        (0, notches(&[-0.25; 4]), [6, 12, 9]),
        (0, notches(&[0.1; 20]), [9, 12, 9]),
        (0, notches(&[-1.0; 3]), [4, 12, 9]),
        (1, keys(&[(Key::PageUp, none), (Key::PageUp, none), (Key::PageDown, none)]), [7, 13, 9]),
        // Left on the screen is towards the patient's right, against which i runs.
        (1, keys(&[(Key::ArrowLeft, none), (Key::ArrowUp, none)]), [8, 12, 8]),
        (1, keys(&[(Key::ArrowRight, shift)]), [7, 12, 14]),
        (1, notches(&[1000.0]), [7, 23, 9]),
        (0, down(3), [4, 12, 9]),
        (0, keys(&[(Key::ArrowDown, none), (Key::ArrowDown, none), (Key::ArrowRight, shift)]), [7, 10, 14]),
        // On the last slice one up goes nowhere, and the one down after it counts.
        (0, last([Key::PageUp, Key::PageDown]), [12, 12, 9]),
        (0, last([Key::PageDown, Key::PageUp]), [13, 12, 9]),
        (0, points, [9, 12, 9]),
    ];
    for (row, (index, events, expected)) in table.into_iter().enumerate() {
        for at_once in [true, false] {
            harness.state_mut().cursor = Cursor::middle([14, 24, 19]);
            harness.state_mut().views[index].mouse.wheel = 0.0;
            harness.hover_at(pane(index).center());
            play(&mut harness, events.clone(), at_once);
            assert_eq!(harness.state().cursor.voxel, expected, "row {row}, at once: {at_once}");
        }
    }
}

#[test]
fn the_crosshair_follows_the_pressed_pointer_and_links_the_views() {
    needs_gpu!();
    let mut harness = linked();
    for at_once in [true, false] {
        let [first, second] = [[7, 5, 15], [7, 17, 4]];
        let [to_first, to_second] = [first, second].map(|voxel| point_of(&harness, 0, voxel));
        play(&mut harness, click(to_first), at_once);
        assert_eq!((harness.state().cursor.voxel, harness.state().clicked, harness.state().hovered), (first, Some(first), Some(first)));
        // The pointer goes away afterwards.
        play(&mut harness, [click(to_second), vec![Event::PointerMoved(to_first)]].concat(), at_once);
        assert_eq!(harness.state().cursor.voxel, second);
        // A press, a way and a release: the crosshair ends where the pointer was let go.
        play(&mut harness, drag(PointerButton::Primary, Modifiers::NONE, [to_second, to_first]), at_once);
        assert_eq!(harness.state().cursor.voxel, first);
        // In the coronal view: the axial slice follows.
        let aim = [2, 5, 3];
        let ends = [point_of(&harness, 1, first), point_of(&harness, 1, aim)];
        play(&mut harness, drag(PointerButton::Primary, Modifiers::NONE, ends), at_once);
        assert_eq!(harness.state().cursor.voxel, aim);
        // Beyond the edge it stays there. The phantom's i runs to the left and j to the front: upper left is the head's right front.
        harness.state_mut().cursor.voxel = first;
        play(&mut harness, drag(PointerButton::Primary, Modifiers::NONE, [to_first, pos2(-40.0, -40.0)]), at_once);
        assert_eq!(harness.state().cursor.voxel, [7, 23, 0]);
        harness.state_mut().cursor.voxel = [2, 5, 3];
        harness.run_steps(2);
        // A screen reader gets the position.
        let names: Vec<String> = harness.get_all_by_role(Role::Image).filter_map(|node| node.accesskit_node().label()).collect();
        assert!(names[0].starts_with("axial slice 3 of 14, crosshair at "), "{names:?}");
        assert!(names[1].starts_with("coronal slice 6 of 24, ") && names[2].starts_with("sagittal slice 4 of 19, "), "{names:?}");
        assert!(harness.state().maximised.is_none());
        harness.state_mut().cursor = Cursor::middle([14, 24, 19]);
        harness.run_steps(2);
    }
}

#[test]
fn the_focused_view_takes_keys_where_the_pointer_is_over_none() {
    needs_gpu!();
    let mut harness = linked();
    play(&mut harness, click(pane(2).center()), false);
    let [d, h, w] = harness.state().cursor.voxel;
    // Over another view, that one scrolls.
    harness.hover_at(pane(0).center());
    play(&mut harness, keys(&[(Key::PageDown, Modifiers::NONE)]), true);
    assert_eq!(harness.state().cursor.voxel, [d - 1, h, w]);
    harness.remove_cursor();
    // The phantom's i runs to the left: one slice to the right is one index less. Arrows move the crosshair and not the focus.
    play(&mut harness, keys(&[Key::PageUp, Key::ArrowRight, Key::ArrowRight].map(|key| (key, Modifiers::NONE))), false);
    assert_eq!(harness.state().cursor.voxel, [d - 1, h - 2, w - 1]);
}

#[test]
fn zoom_keeps_what_is_under_the_pointer_and_pan_moves_it() {
    needs_gpu!();
    let mut harness = linked();
    for at_once in [true, false] {
        let cursor = harness.state().cursor;
        let aim = [cursor.voxel[0], 4, 4];
        let point = point_of(&harness, 0, aim);
        harness.hover_at(point);
        // With the wheel, and with the right button, which is no click.
        play(&mut harness, vec![wheel(MouseWheelUnit::Line, 1.0, Modifiers::COMMAND); 5], at_once);
        assert!(harness.state().views[0].framing.zoom > 1.9);
        play(&mut harness, drag(PointerButton::Secondary, Modifiers::NONE, [point, point - vec2(0.0, 60.0)]), at_once);
        assert!(harness.state().views[0].framing.zoom > 2.5);
        assert!(point_of(&harness, 0, aim).distance(point) < 0.1);
        for (button, modifiers) in [(PointerButton::Middle, Modifiers::NONE), (PointerButton::Primary, Modifiers::SHIFT)] {
            let start = point_of(&harness, 0, aim);
            play(&mut harness, drag(button, modifiers, [pos2(100.0, 100.0), pos2(82.0, 111.0)]), at_once);
            assert!(point_of(&harness, 0, aim).distance(start + vec2(-18.0, 11.0)) < 0.1);
        }
        assert_eq!(harness.state().cursor, cursor);
        play(&mut harness, keys(&[(Key::R, Modifiers::NONE)]), at_once);
        assert_eq!(harness.state().views[0].framing, Framing::default());
    }
}

#[test]
fn ctrl_drags_the_window_and_two_clicks_maximise() {
    needs_gpu!();
    let mut harness = linked();
    let cursor = harness.state().cursor;
    let from = pane(1).center();
    for at_once in [true, false] {
        let before = harness.state().phantom.window;
        play(&mut harness, drag(PointerButton::Primary, Modifiers::COMMAND, [from, from + vec2(40.0, 0.0)]), at_once);
        let wider = harness.state().phantom.window;
        assert!(wider.width() > before.width() * 1.1 && (wider.level() - before.level()).abs() < 1e-2);
        play(&mut harness, drag(PointerButton::Primary, Modifiers::COMMAND, [from, from - vec2(0.0, 20.0)]), at_once);
        let lifted = harness.state().phantom.window;
        assert!(lifted.level() > wider.level() + 1.0 && (lifted.width() - wider.width()).abs() < 1e-2);
        play(&mut harness, drag(PointerButton::Primary, Modifiers::COMMAND, [from, from - vec2(40.0, 0.0)]), at_once);
        assert!((harness.state().phantom.window.width() - before.width()).abs() < 1e-2, "and back");
    }
    assert_eq!(harness.state().cursor, cursor);

    harness.event(Event::ModifiersChanged(Modifiers::COMMAND));
    play(&mut harness, [click(from), click(from)].concat(), false);
    assert!(harness.state().auto_window && harness.state().maximised.is_none());
    harness.event(Event::ModifiersChanged(Modifiers::NONE));
    play(&mut harness, [click(from), click(from)].concat(), false);
    assert_eq!(harness.state().maximised, Some(1));
}

#[test]
fn a_tool_has_the_left_button_and_nothing_else() {
    needs_gpu!();
    let mut harness = linked();
    harness.state_mut().views[0].tool = true;
    let voxels = [[7, 5, 15], [7, 17, 4]];
    let ends = voxels.map(|voxel| point_of(&harness, 0, voxel));
    let before = harness.state().cursor;
    for at_once in [true, false] {
        harness.state_mut().touches.clear();
        play(&mut harness, drag(PointerButton::Primary, Modifiers::NONE, ends), at_once);
        let linked = harness.state();
        assert_eq!(linked.cursor, before, "the crosshair stays where it is");
        let (first, last) = (linked.touches[0], *linked.touches.last().unwrap());
        assert_eq!((first.phase, last.phase), (Phase::Pressed, Phase::Released));
        assert!(linked.touches[1..linked.touches.len() - 1].iter().all(|touch| touch.phase == Phase::Moved));
        let geometry = PlaneGeometry::new(&linked.phantom.grid, Plane::Axial, Convention::Radiological);
        for (touch, voxel) in [first, last].into_iter().zip(voxels) {
            let [x, y] = geometry.position(voxel.map(|index| index as f64)).1;
            assert!((touch.at[0] - x).abs() < 1e-3 && (touch.at[1] - y).abs() < 1e-3, "{touch:?} is not at {x}, {y}");
        }
    }
    // Two clicks are the tool's; with a key held the button does what it always does.
    harness.state_mut().touches.clear();
    play(&mut harness, [click(ends[0]), click(ends[0])].concat(), false);
    assert!(harness.state().maximised.is_none() && harness.state().touches.len() >= 4);
    harness.state_mut().touches.clear();
    play(&mut harness, drag(PointerButton::Primary, Modifiers::SHIFT, [pos2(100.0, 100.0), pos2(82.0, 111.0)]), false);
    assert!(harness.state().touches.is_empty() && harness.state().views[0].framing != Framing::default());
    // Another view has no tool.
    let aim = point_of(&harness, 1, [2, 12, 3]);
    play(&mut harness, click(aim), false);
    assert_eq!(harness.state().cursor.voxel, [2, 12, 3]);
}
