//! What mouse, keys and buttons do.

use eframe::egui::{Event, Key, Modifiers, PointerButton, vec2};
use egui_kittest::kittest::Queryable as _;

use super::{Window, case, case_mut, click, demo_case, drag, middle, open_file, panel, press, until, wheel, with_run};
use crate::gui::testing::needs_gpu;
use crate::gui::viewer::picture::{Options, Shot};
use crate::gui::viewer::views::Arrangement;
use crate::gui::viewer::{ViewerPanel, readout};
use crate::gui::widgets::slice::{Difference, Framing, Plane, SliceSettings, WindowLevel};
use crate::gui::{Convention, ThemeChoice};
use crate::volume::{demo, nifti};

fn framings(harness: &Window) -> Vec<Framing> {
    harness.state().segmentation.views.panes.iter().map(|pane| pane.framing).collect()
}

#[test]
fn the_window_is_dragged_and_the_crosshair_follows_the_pointer_with_shift() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    let at = middle(&harness, 0);
    let auto = case(&harness).window();
    drag(&mut harness, at, at + vec2(80.0, 0.0), Modifiers::CTRL);
    let wider = case(&harness).window();
    assert!(wider.width() > 1.3 * auto.width() && (wider.level() - auto.level()).abs() < 0.01 * auto.width(), "{auto:?} {wider:?}");
    press(&mut harness, Key::W);
    assert_eq!(case(&harness).window(), auto, "and the key takes it back");

    // With Shift no button is needed.
    for point in [at, at - vec2(30.0, 0.0)] {
        harness.event_modifiers(Event::PointerMoved(point), Modifiers::SHIFT);
        harness.run_steps(2);
    }
    assert_eq!(Some(case(&harness).cursor.voxel), harness.state().segmentation.views.hovered);
    press(&mut harness, Key::C);
    assert_eq!(harness.state().workspace.settings.convention, Convention::Neurological);
    harness.get_by_label("Neurological");
}

#[test]
fn a_click_within_one_frame_chooses_a_slice_of_the_profile_and_an_end_of_the_window() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    let quick = |harness: &mut Window, at| {
        let button = |pressed| Event::PointerButton { pos: at, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE };
        let away = Event::PointerMoved(middle(harness, 0));
        harness.input_mut().events.extend([Event::PointerMoved(at), button(true), button(false), away]);
        harness.run_steps(2);
    };
    let profile = harness.get_by_label_contains("Slice ").rect();
    let slices = case(&harness).grid().shape[0];
    quick(&mut harness, profile.lerp_inside(vec2(2.5 / slices as f32, 0.5)));
    assert_eq!(case(&harness).cursor.voxel[0], 2);
    let window = case(&harness).window();
    let histogram = harness.get_by_label_contains("Histogram").rect();
    quick(&mut harness, histogram.lerp_inside(vec2(0.6, 0.5)));
    assert!(case(&harness).window().high < window.high && case(&harness).window().low == window.low);
}

#[test]
fn planes_zoom_together_about_the_crosshair_until_they_are_unlinked() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    let zooms = |harness: &Window| framings(harness).iter().map(|framing| framing.zoom).collect::<Vec<_>>();
    let at = middle(&harness, 1) + vec2(30.0, 12.0);
    wheel(&mut harness, at, 3.0, Modifiers::CTRL);
    let linked = zooms(&harness);
    assert!(linked[0] > 1.4 && linked.iter().all(|zoom| *zoom == linked[0]), "{linked:?}");
    // The crosshair is in the middle of the others, and stays there.
    assert!(
        framings(&harness)[0].centre.is_some_and(|[x, y]| (x - 16.5).abs() < 3.0 && (y - 24.0).abs() < 8.0),
        "{:?}",
        framings(&harness)
    );
    press(&mut harness, Key::R);
    assert_eq!(framings(&harness), [Framing::default(); 3]);
    press(&mut harness, Key::L);
    assert!(!harness.state().workspace.settings.slices.linked_zoom);
    wheel(&mut harness, at, 3.0, Modifiers::CTRL);
    let single = zooms(&harness);
    assert!(single[1] > 1.4 && single[0] == 1.0 && single[2] == 1.0, "{single:?}");
    click(&mut harness, "Link zoom");
    wheel(&mut harness, at, 1.0, Modifiers::CTRL);
    let linked = zooms(&harness);
    assert!(linked[0] > 1.7 && linked.iter().all(|zoom| *zoom == linked[0]), "{linked:?}");
}

#[test]
fn views_of_all_methods_share_crosshair_zoom_and_window() {
    needs_gpu!();
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 1);
    click(&mut harness, "Compare");
    until(&mut harness, "the methods", ViewerPanel::is_settled);
    assert_eq!(harness.state().segmentation.views.panes.len(), 3);
    let second = middle(&harness, 1);
    wheel(&mut harness, second, 3.0, Modifiers::CTRL);
    let shared = framings(&harness);
    assert!(shared[0].zoom > 1.4 && shared.iter().all(|framing| *framing == shared[0]), "{shared:?}");

    let third = middle(&harness, 2) + vec2(20.0, -30.0);
    harness.drag_at(third);
    harness.step();
    harness.drop_at(third);
    harness.run_steps(2);
    harness.hover_at(third);
    harness.run_steps(2);
    let hovered = harness.state().segmentation.views.hovered.expect("the pointer is over the third view");
    assert_eq!(case(&harness).cursor.voxel, hovered);
    // The same point of the first view is the same voxel.
    let views = &harness.state().segmentation.views;
    let across = third + (views.panes[0].rect.min - views.panes[2].rect.min);
    harness.hover_at(across);
    harness.run_steps(2);
    assert_eq!(harness.state().segmentation.views.hovered, Some(hovered));
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("simtrot_w"), "the table is of the view clicked last");
    let text = readout::text(case(&harness), hovered);
    for part in ["truth: ", "scratch: ", "simtrot_w: ", "MRI ", " mm", "voxel i"] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[test]
fn labels_are_hidden_shown_alone_and_walked_through() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    for (button, visible) in [
        ("Show Anterior", [false, true]),
        ("Only Anterior", [true, false]),
        ("Only Anterior", [true, true]),
        ("All labels", [false, false]),
        ("All labels", [true, true]),
    ] {
        click(&mut harness, button);
        assert_eq!([1, 2].map(|class| case(&harness).colours.get(class).visible), visible, "{button}");
    }
    let inside = |harness: &Window| case(harness).class_at(&case(harness).layers[0], case(harness).cursor.voxel);
    click(&mut harness, "Go to Posterior");
    assert_eq!(inside(&harness), Some(2));
    for (key, class) in [(Key::Period, 1), (Key::Comma, 2)] {
        press(&mut harness, key);
        assert_eq!(inside(&harness), Some(class), "after the last label comes the first");
    }
    type Switch = (Key, fn(&SliceSettings) -> bool);
    let switches: [Switch; 7] = [
        (Key::S, |s| s.shown),
        (Key::F, |s| s.fill),
        (Key::O, |s| s.outline),
        (Key::E, |s| s.difference),
        (Key::I, |s| s.linear),
        (Key::H, |s| s.crosshair),
        (Key::L, |s| s.linked_zoom),
    ];
    for (key, get) in switches {
        let before = get(&harness.state().workspace.settings.slices);
        press(&mut harness, key);
        assert_ne!(get(&harness.state().workspace.settings.slices), before, "{key:?}");
    }
    let opacity = harness.state().workspace.settings.slices.opacity;
    press(&mut harness, Key::D);
    assert!(harness.state().workspace.settings.slices.opacity > opacity);
}

#[test]
fn the_crosshair_can_be_hidden_by_its_button() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    let lines = |harness: &mut Window| {
        harness.remove_cursor();
        harness.run_steps(2);
        let pane = harness.state().segmentation.views.panes[0].rect;
        let frame = harness.render().expect("the frame is drawn");
        // Along the row of the crosshair, which the slice itself does not fill.
        let y = (pane.top() as u32..pane.bottom() as u32).map(|y| {
            (pane.left() as u32..pane.right() as u32).filter(|&x| frame.get_pixel(x, y).0[..3].iter().all(|&part| part > 150)).count()
        });
        y.max().unwrap_or(0)
    };
    assert!(lines(&mut harness) > 200);
    click(&mut harness, "Crosshair");
    assert!(lines(&mut harness) < 150);
}

#[test]
fn the_list_is_sorted_worst_first_and_stepped_through() {
    needs_gpu!();
    let (mut harness, names, _folder) = with_run(ThemeChoice::Dark, 0);
    let tops = |harness: &Window| [0, 1, 2].map(|index: usize| harness.get_all_by_label(&names[index]).next().expect("a row").rect().top());
    click(&mut harness, "Worst first");
    // The open case is the best of the three: before it comes the second.
    press(&mut harness, Key::P);
    until(&mut harness, "the case before", ViewerPanel::is_settled);
    assert_eq!(case(&harness).request.title, names[1]);
    harness.get_by_label("0.500");
    let [best, second, worst] = tops(&harness);
    assert!(worst < second && second < best);
    click(&mut harness, "Case");
    click(&mut harness, "HD95");
    let [best, second, worst] = tops(&harness);
    assert!(worst < second && second < best, "largest distance first");
}

#[test]
fn the_profile_leads_to_the_worst_slice() {
    needs_gpu!();
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 1);
    until(&mut harness, "the count", |panel| panel.profile.worst().is_some());
    press(&mut harness, Key::X);
    let open = case(&harness);
    let slice = open.cursor.voxel[0];
    let layer = open.layer(Some("scratch")).unwrap();
    let dice = |slice| layer.agreement().unwrap().slice(0, slice, |_| true);
    assert_eq!(dice(slice), (0..open.grid().shape[0]).filter_map(dice).reduce(f64::min));
    let truth = open.class_at(&open.layers[0], open.cursor.voxel);
    assert_ne!(open.class_at(layer, open.cursor.voxel), truth, "the crosshair is on an error");
    harness.key_press(Key::N);
    until(&mut harness, "a case without predictions", |panel| panel.is_settled() && panel.profile.worst().is_none());
}

#[test]
fn a_view_becomes_a_picture_of_any_size() {
    needs_gpu!();
    let (mut harness, _, folder) = with_run(ThemeChoice::Dark, 1);
    press(&mut harness, Key::E);
    let app = harness.state();
    let panel = &app.segmentation;
    let shot = |options| Shot::new(case(&harness), &panel.views, &app.workspace.settings, options).unwrap();
    let draw = |options| shot(options).draw().unwrap();
    let plain = Options { pane: Some(0), scale: 1, letters: false, crosshair: false };
    let bare = draw(plain);
    let pane = panel.views.panes[0].rect;
    assert_eq!(bare.size, [pane.width().round() as usize, pane.height().round() as usize]);
    let outlined = bare.pixels.iter().filter(|pixel| **pixel == Difference::FalseNegative.colour()).count();
    assert!(outlined > 20, "{outlined} pixels outline what was missed");
    assert_eq!(draw(Options { scale: 2, ..plain }).size, bare.size.map(|pixels| 2 * pixels));
    for (options, most) in [(Options { letters: true, ..plain }, 20), (Options { crosshair: true, ..plain }, 20)] {
        let changed = draw(options).pixels.iter().zip(&bare.pixels).filter(|(a, b)| a != b).count();
        assert!(changed > 100 && changed < bare.pixels.len() / most, "{changed} pixels of {options:?}");
    }
    let whole = draw(Options::default());
    assert!(whole.size[0] > 4 * bare.size[0] - 10, "all views are wider than one");

    let (file, nowhere) = (folder.path().join("view.png"), folder.path().join("view.png/impossible.png"));
    shot(plain).save(&file).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&file).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert!(pixels.chunks_exact(3).zip(&bare.pixels).all(|(rgb, pixel)| *rgb == pixel.to_array()[..3]));
    assert!(shot(plain).save(&nowhere).unwrap_err().contains("impossible.png"));
}

#[test]
fn the_key_shows_a_view_alone_and_it_and_escape_show_all_again() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    for back in [Key::M, Key::Escape] {
        let at = middle(&harness, 1);
        harness.hover_at(at);
        harness.run_steps(2);
        press(&mut harness, Key::M);
        let views = &harness.state().segmentation.views;
        assert_eq!((views.arrangement, views.panes.len()), (Arrangement::Alone(Plane::Coronal), 1));
        let at = middle(&harness, 0);
        harness.hover_at(at);
        harness.run_steps(2);
        press(&mut harness, back);
        assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::All);
    }
}

#[test]
fn channels_keep_windows_of_their_own() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let scan = demo::dataset().cases[0].images[0].read().unwrap();
    let mut volume = scan.volume.clone();
    volume.channels = 2;
    volume.voxels.extend(scan.volume.voxels.iter().map(|value| 1000.0 - value));
    let file = folder.path().join("two.nii");
    nifti::write_volume(&file, &volume, &scan.header).unwrap();
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &file);
    assert_eq!((case(&harness).channels.len(), case(&harness).intensities([1, 2, 3]).count()), (2, 2));
    case_mut(&mut harness).set_window(Some(WindowLevel { low: 5.0, high: 6.0 }));
    case_mut(&mut harness).channel = 1;
    until(&mut harness, "the second channel", ViewerPanel::is_settled);
    assert!(case(&harness).window().width() > 100.0);
    case_mut(&mut harness).channel = 0;
    harness.run_steps(2);
    assert_eq!(case(&harness).window(), WindowLevel { low: 5.0, high: 6.0 });
    harness.get_by_label_contains("no labels");
}
