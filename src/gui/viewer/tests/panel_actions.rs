//! What mouse, keys and buttons do.

use eframe::egui::{Event, Key, Modifiers, vec2};
use egui_kittest::kittest::Queryable as _;

use super::{case, case_mut, demo_case, drag, labelled, middle, mistaken, panel, settled, until, wheel, with_run};
use crate::gui::slice::{Difference, Plane, WindowLevel};
use crate::gui::testing::has_gpu;
use crate::gui::viewer::layer::{Kind, Reading};
use crate::gui::viewer::readout;
use crate::gui::viewer::shot::{Options, Shot};
use crate::gui::viewer::views::Arrangement;
use crate::gui::{Convention, ThemeChoice};
use crate::volume::nifti::{self, write_labels};
use crate::volume::{VolumeSource, demo};

#[test]
fn wheel_and_drag_move_the_crosshair_and_the_window() {
    if !has_gpu() {
        return;
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    let before = case(&harness).cursor.voxel;
    let at = middle(&harness, 0);
    wheel(&mut harness, at, 2.0, Modifiers::NONE);
    let [d, h, w] = case(&harness).cursor.voxel;
    assert_eq!((d, [h, w]), (before[0] + 2, [before[1], before[2]]), "two notches are two slices towards the head");

    let auto = case(&harness).window();
    drag(&mut harness, at, at + vec2(80.0, 0.0), Modifiers::CTRL);
    let wider = case(&harness).window();
    assert!(wider.width() > 1.3 * auto.width() && (wider.level() - auto.level()).abs() < 0.01 * auto.width(), "{auto:?} {wider:?}");
    harness.key_press(Key::W);
    harness.run_steps(2);
    assert_eq!(case(&harness).window(), auto, "and the key takes it back");

    // In the axial view (the first) a drag to the lower right goes to the patient's left and back.
    drag(&mut harness, at, at + vec2(40.0, 40.0), Modifiers::NONE);
    let [_, there_h, there_w] = case(&harness).cursor.voxel;
    assert!(there_w < w && there_h < h, "{there_h} {there_w} from {h} {w}");
    // With Shift no button is needed.
    harness.event_modifiers(Event::PointerMoved(at), Modifiers::SHIFT);
    harness.run_steps(1);
    harness.event_modifiers(Event::PointerMoved(at - vec2(30.0, 0.0)), Modifiers::SHIFT);
    harness.run_steps(2);
    let follows = harness.state().segmentation.views.hovered;
    assert_eq!(Some(case(&harness).cursor.voxel), follows);
    assert!(case(&harness).cursor.voxel[2] > there_w);
    harness.key_press(Key::C);
    harness.run_steps(2);
    assert_eq!(harness.state().workspace.settings.convention, Convention::Neurological);
    harness.get_by_label("Neurological");
}

#[test]
fn views_of_all_methods_share_crosshair_zoom_and_window() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 1);
    harness.get_by_label("Compare").click();
    harness.run_steps(2);
    until(&mut harness, "the methods", settled);
    assert_eq!(harness.state().segmentation.views.panes.len(), 3);
    let second = middle(&harness, 1);
    wheel(&mut harness, second, 3.0, Modifiers::CTRL);
    let framings: Vec<_> = harness.state().segmentation.views.panes.iter().map(|pane| pane.framing).collect();
    assert!(framings[0].zoom > 1.4 && framings.iter().all(|framing| *framing == framings[0]), "{framings:?}");

    let third = middle(&harness, 2) + vec2(20.0, -30.0);
    harness.drag_at(third);
    harness.step();
    harness.drop_at(third);
    harness.run_steps(2);
    harness.hover_at(third);
    harness.run_steps(2);
    let hovered = harness.state().segmentation.views.hovered.expect("the pointer is over the third view");
    assert_eq!(case(&harness).cursor.voxel, hovered);
    // The same place of the first view is the same voxel.
    let views = &harness.state().segmentation.views;
    let across = third + (views.panes[0].rect.min - views.panes[2].rect.min);
    harness.hover_at(across);
    harness.run_steps(2);
    assert_eq!(harness.state().segmentation.views.hovered, Some(hovered));
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("simtrot_w"), "the table tells of the view clicked last");
    let text = readout::text(case(&harness), hovered);
    for part in ["truth: ", "scratch: ", "simtrot_w: ", "MRI ", " mm", "voxel i"] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[test]
fn labels_are_hidden_shown_alone_and_walked_through() {
    if !has_gpu() {
        return;
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    let visible = |harness: &super::Window| [1, 2].map(|class| case(harness).colours.get(class).visible);
    harness.get_by_label("Show Anterior").click();
    harness.run_steps(2);
    assert_eq!(visible(&harness), [false, true]);
    harness.get_by_label("Only Anterior").click();
    harness.run_steps(2);
    assert_eq!(visible(&harness), [true, false]);
    harness.get_by_label("Only Anterior").click();
    harness.run_steps(2);
    assert_eq!(visible(&harness), [true, true]);

    let inside = |harness: &super::Window| {
        let case = case(harness);
        case.class_at(case.truth().unwrap(), case.cursor.voxel)
    };
    harness.get_by_label("Go to Posterior").click();
    harness.run_steps(2);
    assert_eq!(inside(&harness), Some(2));
    harness.key_press(Key::Period);
    harness.run_steps(2);
    assert_eq!(inside(&harness), Some(1), "after the last label comes the first");
    harness.key_press(Key::Comma);
    harness.run_steps(2);
    assert_eq!(inside(&harness), Some(2));

    let slices = |harness: &super::Window| harness.state().workspace.settings.slices.clone();
    for (key, get) in [
        (Key::S, (|s| s.shown) as fn(&crate::gui::slice::SliceSettings) -> bool),
        (Key::F, |s| s.fill),
        (Key::O, |s| s.outline),
        (Key::E, |s| s.difference),
        (Key::I, |s| s.linear),
    ] {
        let before = get(&slices(&harness));
        harness.key_press(key);
        harness.run_steps(2);
        assert_ne!(get(&slices(&harness)), before, "{key:?}");
    }
    let opacity = slices(&harness).opacity;
    harness.key_press(Key::D);
    harness.run_steps(2);
    assert!(slices(&harness).opacity > opacity);
}

#[test]
fn the_list_is_sorted_worst_first_and_stepped_through() {
    if !has_gpu() {
        return;
    }
    let (mut harness, names, _folder) = with_run(ThemeChoice::Dark, 0);
    harness.get_by_label("Worst first").click();
    harness.run_steps(2);
    // The open case is the best of the three: before it comes the second.
    harness.key_press(Key::P);
    until(&mut harness, "the case before", settled);
    assert_eq!(case(&harness).title, names[1]);
    let first = harness.get_by_label_contains(&format!("{}, Dice 0.500", names[2])).rect().top();
    let second = harness.get_by_label_contains(&format!("{}, Dice 0.700", names[1])).rect().top();
    assert!(first < second);
    harness.get_by_label("Sort by Case").click();
    harness.run_steps(2);
    harness.get_by_label("Sort by HD95").click();
    harness.run_steps(2);
    let tops: Vec<f32> = (0..3).map(|index| harness.get_by_label_contains(&format!("{}, Dice", names[index])).rect().top()).collect();
    assert!(tops[2] < tops[1] && tops[1] < tops[0], "largest distance first: {tops:?}");
}

#[test]
fn the_strip_leads_to_the_worst_slice() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 1);
    until(&mut harness, "the count", |panel| panel.strip.worst().is_some());
    harness.key_press(Key::X);
    harness.run_steps(2);
    let open = case(&harness);
    let slice = open.cursor.voxel[0];
    let layer = open.layers.iter().find(|layer| layer.title == "scratch").unwrap();
    let dice = |slice| layer.agreement().unwrap().slice(0, slice, |_| true);
    let all: Vec<f64> = (0..open.ground.scan.volume.grid.shape[0]).filter_map(dice).collect();
    assert_eq!(dice(slice), all.iter().copied().reduce(f64::min));
    let truth = open.class_at(open.truth().unwrap(), open.cursor.voxel);
    assert_ne!(open.class_at(layer, open.cursor.voxel), truth, "the crosshair is on an error");
    harness.key_press(Key::N);
    until(&mut harness, "a case without predictions", |panel| settled(panel) && panel.strip.worst().is_none());
}

#[test]
fn a_view_becomes_a_picture_of_any_size() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, folder) = with_run(ThemeChoice::Dark, 1);
    harness.key_press(Key::E);
    harness.run_steps(3);
    let app = harness.state();
    let panel = &app.segmentation;
    let shot = |options| Shot::new(case(&harness), &panel.views, &app.workspace.settings, options).unwrap();
    let plain = Options { pane: Some(0), scale: 1, letters: false, crosshair: false };
    let file = folder.path().join("view.png");
    shot(plain).save(&file).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&file).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let pane = panel.views.panes[0].rect;
    assert_eq!([frame.width, frame.height], [pane.width().round() as u32, pane.height().round() as u32]);
    let missed = Difference::Missed.colour();
    let outlined = pixels.chunks_exact(3).filter(|rgb| **rgb == missed.to_array()[..3]).count();
    assert!(outlined > 20, "{outlined} pixels outline what was missed");

    let twice = shot(Options { scale: 2, ..plain }).draw();
    assert_eq!(twice.size, [2 * frame.width as usize, 2 * frame.height as usize]);
    let lettered = shot(Options { letters: true, ..plain }).draw();
    let bare = shot(plain).draw();
    let changed = lettered.pixels.iter().zip(&bare.pixels).filter(|(a, b)| a != b).count();
    assert!(changed > 100 && changed < bare.pixels.len() / 20, "{changed} pixels are letters");
    let crossed = shot(Options { crosshair: true, ..plain }).draw();
    assert_ne!(crossed.pixels, bare.pixels);
    let whole = shot(Options::default()).draw();
    assert!(whole.size[0] > 2 * twice.size[0] - 10, "all views are wider than one");

    let nowhere = folder.path().join("view.png/impossible.png");
    assert!(shot(plain).save(&nowhere).unwrap_err().contains("impossible.png"));
}

#[test]
fn dropped_label_maps_lie_over_the_image_they_belong_to() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dataset = demo::dataset();
    let names = labelled(&dataset);
    let mut files = Vec::new();
    for name in &names[..2] {
        let loaded = dataset.load(dataset.case(name).unwrap(), Default::default()).unwrap();
        let file = folder.path().join(format!("{name}_mine.nii.gz"));
        write_labels(&file, &mistaken(&loaded.label.unwrap(), 1, false), &loaded.image.header).unwrap();
        files.push(file);
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    let drop = |harness: &mut super::Window, file: &std::path::Path| {
        let ctx = harness.ctx.clone();
        let app = harness.state_mut();
        app.segmentation.take_dropped(&ctx, &[file.to_owned()], &app.workspace);
    };
    drop(&mut harness, &files[0]);
    until(&mut harness, "the labels", |panel| panel.open.as_ref().is_some_and(|case| case.layers.len() == 2) && settled(panel));
    let layer = &case(&harness).layers[1];
    assert!(matches!((&layer.reading, layer.kind), (Reading::Ready(_), Kind::File)));
    assert_eq!(case(&harness).classes.name(1), "Anterior", "the dataset's names hold for the file's values");
    assert!(layer.agreement().unwrap().whole(1).unwrap() < 1.0);

    // Another image's labels are of another grid: shown where they are in the patient, and said to be.
    drop(&mut harness, &files[1]);
    until(&mut harness, "the other labels", |panel| panel.open.as_ref().is_some_and(|case| case.layers.len() == 3) && settled(panel));
    assert_eq!(case(&harness).title, names[0]);
    harness.get_by_label_contains("Shown resampled to the nearest voxel from its own grid of ");
    drop(&mut harness, &folder.path().join("notes.txt"));
    harness.run_steps(2);
    harness.get_by_label_contains("is neither a NIfTI file");

    std::fs::write(folder.path().join("config.ron"), "()").unwrap();
    drop(&mut harness, folder.path());
    harness.run_steps(2);
    harness.get_by_label("Open the run");
    harness.get_by_label("Segment this volume with it");
}

#[test]
fn double_clicks_and_the_key_show_a_view_alone_and_all_again() {
    if !has_gpu() {
        return;
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    harness.hover_at(middle(&harness, 1));
    harness.run_steps(2);
    harness.key_press(Key::M);
    harness.run_steps(2);
    assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::Alone(Plane::Coronal));
    assert_eq!(harness.state().segmentation.views.panes.len(), 1);
    harness.hover_at(middle(&harness, 0));
    harness.run_steps(2);
    harness.key_press(Key::M);
    harness.run_steps(2);
    assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::All);
}

#[test]
fn channels_keep_windows_of_their_own() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dataset = demo::dataset();
    let scan = dataset.cases[0].images[0].read().unwrap();
    let mut volume = scan.volume.clone();
    volume.channels = 2;
    volume.voxels.extend(scan.volume.voxels.iter().map(|value| 1000.0 - value));
    let file = folder.path().join("two.nii");
    nifti::write_volume(&file, &volume, &scan.header).unwrap();
    let mut harness = panel(ThemeChoice::Dark);
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.segmentation.take_dropped(&ctx, &[file], &app.workspace);
    until(&mut harness, "the image", settled);
    assert_eq!(case(&harness).channels.len(), 2);
    assert_eq!(case(&harness).intensities([1, 2, 3]).count(), 2);
    case_mut(&mut harness).set_window(Some(WindowLevel { low: 5.0, high: 6.0 }));
    case_mut(&mut harness).channel = 1;
    until(&mut harness, "the second channel", settled);
    assert!(case(&harness).window().width() > 100.0);
    case_mut(&mut harness).channel = 0;
    harness.run_steps(2);
    assert_eq!(case(&harness).window(), WindowLevel { low: 5.0, high: 6.0 });
    harness.get_by_label_contains("no labels");
    assert!(matches!(dataset.cases[0].images[0], VolumeSource::Embedded { .. }));
}
