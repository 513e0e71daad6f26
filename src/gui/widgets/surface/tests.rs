//! The shader is sound, and mouse and keys do what they should, through a window's events.

use std::mem::offset_of;

use eframe::egui::{
    self, Color32, Event, Modifiers, MouseWheelSource, MouseWheelUnit, PointerButton, Pos2, Rect, Role, TouchPhase, pos2, vec2,
};
use eframe::egui_wgpu::{RenderState, RendererOptions};
use egui_kittest::kittest::Queryable as _;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use egui_kittest::{Harness, SnapshotOptions};

use super::paint::Uniforms;
use super::{Camera, SurfaceMeshes, SurfaceScene, SurfaceView};
use crate::geometry::{Grid, LabelSurfaces, SurfaceHit, unravel};
use crate::gui::testing::needs_gpu;
use crate::gui::widgets::slice::{Cursor, LabelColours};
use crate::gui::{KeyMap, theme};

/// Where the pane lies in the frame, in points: not at its corner.
const PANE: Rect = Rect { min: pos2(13.0, 7.0), max: pos2(293.0, 227.0) };

#[test]
fn naga_accepts_the_shader_and_finds_what_the_program_asks_for() {
    let source = include_str!("../../../../shaders/surface.wgsl");
    let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
    validator.validate(&module).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let names: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["place", "shade", "cover", "gamma_target", "linear_target"]);
    let (_, view) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("View")).expect("the uniform block");
    let naga::TypeInner::Struct { members, span } = &view.inner else { panic!("View is a struct") };
    assert_eq!(*span as usize, size_of::<Uniforms>());
    let offset = |name: &str| members.iter().find(|member| member.name.as_deref() == Some(name)).expect(name).offset as usize;
    assert_eq!(
        ["light", "pane", "labels"].map(offset),
        [offset_of!(Uniforms, light), offset_of!(Uniforms, pane), offset_of!(Uniforms, labels)]
    );
}

/// A pane with a red ball on the patient's right and a green one on the left, the green one behind a blue plate at the front.
struct Scene {
    grid: Grid,
    meshes: SurfaceMeshes,
    colours: LabelColours,
    shown: bool,
    keys: KeyMap,
    view: SurfaceView,
    hit: Option<SurfaceHit>,
    maximise: bool,
}

const COLOURS: [Color32; 3] = [Color32::from_rgb(220, 0, 0), Color32::from_rgb(0, 220, 0), Color32::from_rgb(0, 0, 220)];

fn gpu() -> RenderState {
    create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE)
}

fn label([d, h, w]: [usize; 3]) -> u8 {
    let ball = |middle: f64| (d as f64 - 9.0).powi(2) * 4.0 + (h as f64 - 15.0).powi(2) + (w as f64 - middle).powi(2) < 64.0;
    // Index w grows towards the patient's right.
    let plate = h == 28 && (4..14).contains(&d) && (3..19).contains(&w);
    if ball(32.0) {
        1
    } else if ball(11.0) {
        2
    } else {
        3 * u8::from(plate)
    }
}

type Window = Harness<'static, Scene>;

fn window() -> Window {
    let gpu = gpu();
    let grid = Grid::axis_aligned([18, 32, 44], [2.0, 1.0, 1.0]);
    let labels: Vec<u8> = (0..grid.len()).map(|index| label(unravel(index, grid.shape))).collect();
    let slices: Vec<&[u8]> = labels.chunks(grid.shape[1] * grid.shape[2]).collect();
    let meshes = SurfaceMeshes::new(&gpu, LabelSurfaces::new(&slices, &grid, LabelSurfaces::MOST_FACES));
    let mut colours = LabelColours::default();
    (1..).zip(COLOURS).for_each(|(label, colour)| colours.set_colour(label, colour));
    let mut view = SurfaceView::default();
    view.camera.look_from('A');
    let scene = Scene { grid, meshes, colours, shown: true, keys: KeyMap::default(), view, hit: None, maximise: false };
    let mut harness = Harness::builder()
        .with_size(vec2(300.0, 240.0))
        .with_step_dt(1.0 / 60.0)
        .with_options(SnapshotOptions::new().threshold(2.0).max_failed_pixels(200))
        .with_context_setup(theme::install)
        .renderer(WgpuTestRenderer::from_render_state(gpu))
        .build_ui_state(
            |ui: &mut egui::Ui, scene: &mut Scene| {
                let mut child = ui.new_child(egui::UiBuilder::new().max_rect(PANE).id_salt("surface"));
                let cursor = Some(Cursor { voxel: [9, 15, 32] });
                let shown = SurfaceScene { meshes: &scene.meshes, grid: &scene.grid, colours: &scene.colours, shown: scene.shown, cursor };
                let seen = scene.view.show(&mut child, &shown, &scene.keys);
                scene.hit = seen.hit.or(scene.hit);
                scene.maximise |= seen.maximise;
            },
            scene,
        );
    harness.run_steps(2);
    harness
}

/// How many pixels of the pane are mostly red, green, blue.
fn painted(harness: &mut Window) -> [usize; 3] {
    harness.remove_cursor();
    harness.run_steps(2);
    let frame = harness.render().expect("the frame is drawn");
    let inside = PANE.shrink(1.0);
    let pixels = (inside.top() as u32..inside.bottom() as u32)
        .flat_map(|y| (inside.left() as u32..inside.right() as u32).map(move |x| (x, y)))
        .map(|(x, y)| frame.get_pixel(x, y).0);
    let mut counts = [0; 3];
    for pixel in pixels {
        for (colour, count) in counts.iter_mut().enumerate() {
            let others = [(colour + 1) % 3, (colour + 2) % 3].map(|other| pixel[other]);
            *count += usize::from(pixel[colour] > 40 && others.iter().all(|&other| other < 20));
        }
    }
    counts
}

fn button(pos: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) -> Event {
    Event::PointerButton { pos, button, pressed, modifiers }
}

/// Presses a button at one point, moves to another in two steps, and lets go.
fn drag(harness: &mut Window, (which, modifiers): (PointerButton, Modifiers), [from, to]: [Pos2; 2]) {
    let events =
        [Event::PointerMoved(from), button(from, which, true, modifiers), Event::PointerMoved(from.lerp(to, 0.5)), Event::PointerMoved(to)];
    for event in events.into_iter().chain([button(to, which, false, modifiers)]) {
        harness.event_modifiers(event, modifiers);
        harness.step();
    }
    harness.run_steps(2);
}

/// Clicks in frames of their own, or within one.
fn click(harness: &mut Window, at: Pos2, quick: bool) {
    harness.state_mut().hit = None;
    let events = [
        Event::PointerMoved(at),
        button(at, PointerButton::Primary, true, Modifiers::NONE),
        button(at, PointerButton::Primary, false, Modifiers::NONE),
    ];
    if quick {
        harness.input_mut().events.extend(events);
        harness.step();
    } else {
        for event in events {
            harness.event(event);
            harness.step();
        }
    }
    // Longer than a double click.
    harness.run_steps(40);
}

#[test]
fn what_is_nearer_hides_what_is_behind_and_labels_have_their_colours() {
    needs_gpu!();
    let mut harness = window();
    harness.get_by_role_and_label(Role::Image, "surface of 3 labels, seen from A");
    let [red, green, blue] = painted(&mut harness);
    assert!(red > 1500 && blue > 1500 && green < red / 4, "the plate hides most of the green ball: {:?}", [red, green, blue]);
    // From the back the plate is behind, and the patient's right on the right.
    harness.state_mut().view.camera.look_from('P');
    let [red, green, blue] = painted(&mut harness);
    assert!(green > 1500 && red > 1500 && blue < green, "{:?}", [red, green, blue]);
    harness.snapshot("surface_from_behind_dark");
    // Visibility and colours need no other mesh.
    harness.state_mut().view.camera.look_from('A');
    harness.state_mut().colours.set_visible(3, false);
    harness.state_mut().colours.set_colour(1, COLOURS[2]);
    let [red, green, blue] = painted(&mut harness);
    assert!(red == 0 && green > 1500 && blue > 1500, "{:?}", [red, green, blue]);
    harness.get_by_role_and_label(Role::Image, "surface of 2 labels, seen from A");
    harness.state_mut().shown = false;
    assert_eq!(painted(&mut harness), [0; 3]);
}

#[test]
fn the_mouse_turns_moves_and_magnifies_and_the_key_takes_it_back() {
    needs_gpu!();
    let mut harness = window();
    let (start, at) = (harness.state().view.camera, PANE.center());
    // A quarter turn to the right shows the patient's right side.
    let quarter = vec2(100.0 * std::f32::consts::FRAC_PI_2, 0.0);
    drag(&mut harness, (PointerButton::Primary, Modifiers::NONE), [at - quarter / 2.0, at + quarter / 2.0]);
    assert_eq!(harness.state().view.camera.side(), 'R');
    drag(&mut harness, (PointerButton::Primary, Modifiers::NONE), [at - vec2(0.0, 80.0), at + vec2(0.0, 80.0)]);
    assert_eq!(harness.state().view.camera.side(), 'S', "dragged down, the top comes to the front");
    harness.state_mut().view.camera = start;

    let before = painted(&mut harness);
    let source = MouseWheelSource::Wheel;
    harness.hover_at(at);
    harness.step();
    let wheel = |up: f32| Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, up),
        phase: TouchPhase::Move,
        source,
        modifiers: Modifiers::NONE,
    };
    harness.event(wheel(-4.0));
    harness.run_steps(2);
    let smaller = painted(&mut harness);
    assert!(smaller[0] * 2 < before[0] && smaller[0] > 100, "{before:?} {smaller:?}");
    drag(&mut harness, (PointerButton::Secondary, Modifiers::NONE), [at, at - vec2(0.0, 60.0)]);
    assert!(painted(&mut harness)[0] > smaller[0]);
    for (which, modifiers) in [(PointerButton::Middle, Modifiers::NONE), (PointerButton::Primary, Modifiers::SHIFT)] {
        let before = harness.state().view.camera;
        drag(&mut harness, (which, modifiers), [at, at + vec2(20.0, 10.0)]);
        let after = harness.state().view.camera;
        assert!(after != before && after.side() == before.side(), "{which:?}");
    }
    harness.hover_at(at);
    harness.step();
    harness.key_press(egui::Key::R);
    harness.run_steps(2);
    assert_eq!(harness.state().view.camera, Camera::default());
}

#[test]
fn a_click_finds_the_surface_under_it_and_a_letter_turns_to_its_side() {
    needs_gpu!();
    let mut harness = window();
    // From the front the patient's right, and the red ball, is on the left.
    for quick in [false, true] {
        click(&mut harness, PANE.lerp_inside(vec2(0.33, 0.5)), quick);
        let hit = harness.state().hit.expect("the ball is there");
        let voxel = hit.voxel(|voxel| Some(label(voxel)), &harness.state().grid, [1; 3]).expect("a voxel of it");
        assert_eq!((hit.label, label(voxel)), (1, 1));
        assert!(voxel[1] > 15, "its front: {voxel:?}");
        click(&mut harness, PANE.lerp_inside(vec2(0.5, 0.1)), quick);
        assert_eq!(harness.state().hit, None, "beside all surfaces");
    }
    assert!(!harness.state().maximise);
    // The letters stand around the lower left corner: seen from the front, R on the left of it.
    let compass = PANE.left_bottom() + vec2(6.0 + 46.0, -6.0 - 46.0);
    for (way, side) in [(vec2(-34.0, 0.0), 'R'), (vec2(0.0, -34.0), 'S')] {
        harness.state_mut().view.camera.look_from('A');
        harness.step();
        click(&mut harness, compass + way, false);
        assert_eq!(harness.state().view.camera.side(), side);
    }
    assert_eq!(harness.state().hit, None);
    let at = PANE.center();
    for pressed in [true, false, true, false] {
        harness.event(Event::PointerMoved(at));
        harness.event(button(at, PointerButton::Primary, pressed, Modifiers::NONE));
        harness.step();
    }
    assert!(harness.state().maximise, "two clicks show it alone");
}
