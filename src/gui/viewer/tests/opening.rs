//! What opening does to what is open: nothing, until the new volume is there; and what dropped files are taken for.

use eframe::egui::{Event, Key, Modifiers, PointerButton, vec2};
use egui_kittest::kittest::Queryable as _;

use super::{case, demo_case, drop_files, labelled, middle, open_file, panel, settled, shades, until, wheel, with_run, write};
use crate::config::DataSource;
use crate::gui::ThemeChoice;
use crate::gui::slice::Plane;
use crate::gui::testing::has_gpu;
use crate::gui::viewer::layer::Kind;
use crate::gui::viewer::readout;
use crate::gui::viewer::views::Arrangement;
use crate::volume::demo;

const GRID: ([usize; 3], [f64; 3]) = ([6, 8, 10], [3.0, 1.0, 1.0]);

#[test]
fn an_opening_that_fails_leaves_the_volume_its_labels_and_the_toolbar() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("image.nii"), GRID, shades);
    write(&at("labels.nii"), GRID, |[d, ..]| if d > 2 { 4.0 } else { 0.0 });
    std::fs::write(at("broken.nii"), [0_u8; 400]).unwrap();
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    drop_files(&mut harness, &[&at("labels.nii")]);
    until(&mut harness, "the labels", |panel| settled(panel) && panel.views.shown.as_deref() == Some("labels"));

    drop_files(&mut harness, &[&at("broken.nii")]);
    until(&mut harness, "the refusal", |panel| settled(panel) && panel.notice.is_some());
    harness.get_by_label_contains("broken.nii");
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.segmentation.open_files(&ctx, (&[at("gone.nii")], vec![at("labels.nii")]), &app.workspace);
    until(&mut harness, "the other refusal", |panel| panel.failed.is_some());
    assert_eq!((case(&harness).title.as_str(), case(&harness).layers.len()), ("image", 1));
    harness.get_by_label_contains("gone was not opened: ");
    harness.get_by_label("Compare");
    harness.get_by_label("Presets");

    // What was a wrong path may be right later, with the labels that were to lie over it.
    std::fs::copy(at("image.nii"), at("gone.nii")).unwrap();
    harness.get_by_label("Try again").click();
    until(&mut harness, "the other volume", |panel| panel.open.as_ref().is_some_and(|case| case.title == "gone") && settled(panel));
    assert_eq!(case(&harness).layers.len(), 1);
    assert!(harness.query_by_label_contains("was not opened").is_none());
}

#[test]
fn a_folder_that_is_no_dataset_leaves_the_list_as_it_is() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dataset.json"), "{").unwrap();
    let mut harness = demo_case(ThemeChoice::Dark);
    let cases = harness.state().segmentation.list.dataset().unwrap().cases.len();
    drop_files(&mut harness, &[folder.path()]);
    until(&mut harness, "the refusal", |panel| panel.notice.is_some());
    harness.get_by_label_contains("The dataset was not opened: ");
    let ctx = harness.ctx.clone();
    harness.state_mut().segmentation.list.list(&ctx, DataSource::Dataset("/nowhere/at/all".into()));
    until(&mut harness, "the other refusal", |panel| panel.notice.as_ref().is_some_and(|notice| notice.contains("/nowhere/at/all")));
    assert_eq!(harness.state().segmentation.list.dataset().unwrap().cases.len(), cases);
    assert!(case(&harness).listed);
}

#[test]
fn notices_go_with_the_volume_that_they_are_about() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let broken = |[d, h, w]: [usize; 3]| match (d, h, w) {
        (1, 2, 3..=6) => f32::NAN,
        (2, 2, 3) => f32::INFINITY,
        (2, 2, 4) => f32::NEG_INFINITY,
        at => shades(at.into()),
    };
    write(&at("nan.nii"), GRID, broken);
    write(&at("image.nii"), GRID, shades);
    write(&at("labels.nii"), GRID, |[d, ..]| if d > 2 { 4.0 } else { 0.0 });
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("nan.nii"));
    harness.get_by_label_contains("NaN (4) or infinite (2)");
    let text = |voxel| readout::text(case(&harness), voxel);
    let said = [[1, 2, 3], [2, 2, 3], [2, 2, 4]].map(text);
    assert!(said[0].contains("intensity NaN") && said[1].contains("intensity inf") && said[2].contains("intensity -inf"), "{said:?}");
    let window = case(&harness).window();
    assert!((0.5..60.5).contains(&window.low) && window.high <= 69.0 && window.width() > 40.0, "{window:?}");
    drop_files(&mut harness, &[&at("labels.nii")]);
    until(&mut harness, "the labels", |panel| settled(panel) && panel.views.shown.is_some());
    harness.get_by_label_contains("labels.nii was taken for a label map");

    open_file(&mut harness, &at("image.nii"));
    for text in ["taken for a label map", "NaN ("] {
        assert!(harness.query_by_label_contains(text).is_none(), "{text} was said of the volume before");
    }
}

#[test]
fn a_label_map_of_another_grid_lies_where_it_is_in_the_patient() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("image.nii"), GRID, shades);
    // Half as fine: 3 x 4 x 5 voxels of 6 x 2 x 2 mm, of which two carry label 7 and one, in the corner, label 2.
    let coarse = |[d, h, w]: [usize; 3]| match (d, h, w) {
        (1, 1, 2 | 3) => 7.0,
        (0, 0, 0) => 2.0,
        _ => 0.0,
    };
    write(&at("coarse.nii"), ([3, 4, 5], [6.0, 2.0, 2.0]), coarse);
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    drop_files(&mut harness, &[&at("coarse.nii")]);
    until(&mut harness, "the labels", |panel| settled(panel) && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    let open = case(&harness);
    assert_eq!((open.title.as_str(), open.layers[0].kind), ("image", Kind::File));
    let value = |voxel| open.class_at(&open.layers[0], voxel).map(|class| open.classes.value(class));
    // A voxel of the image at 6, 2, 4 mm from the first: voxel 2, 2, 4 of the image and 1, 1, 2 of the map.
    assert_eq!([[2, 2, 4], [2, 2, 6], [0, 0, 0], [4, 2, 4]].map(value), [Some(7), Some(7), Some(2), Some(0)]);
    harness.get_by_label_contains("Shown resampled to the nearest voxel from its own grid of 5 x 4 x 3 voxels of 2 x 2 x 6 mm, stored RAS");
    // Two voxels of 24 cubic millimetres; on the image's grid they would be others.
    harness.get_by_label("volume of label 7: 0.05");

    // One that lies elsewhere says so; a file that is no label map is not laid over, and what is shown stays.
    harness.get_by_label_contains("taken for a label map");
    let ctx = harness.ctx.clone();
    harness.state_mut().segmentation.open.as_mut().unwrap().add_file(&ctx, at("image.nii"));
    until(&mut harness, "the refusal", |panel| settled(panel) && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    harness.get_by_label_contains("image does not lie over the image: ");
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("coarse"));
}

#[test]
fn what_may_be_an_image_or_a_label_map_is_asked() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("image.nii"), GRID, shades);
    write(&at("empty.nii"), GRID, |_| 0.0);
    write(&at("other.nii"), GRID, |at| shades(at) * 2.0);
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    let ask = |harness: &mut super::Window, answer: &[&str]| {
        drop_files(harness, &[&at("empty.nii")]);
        until(harness, "the question", |panel| panel.doubt.is_some());
        harness.get_by_label("Image or label map?");
        for label in answer {
            harness.get_by_label(label).click();
            harness.run_steps(2);
        }
        until(harness, "the answer's effect", settled);
    };
    ask(&mut harness, &["Cancel"]);
    assert_eq!((case(&harness).title.as_str(), case(&harness).layers.len()), ("image", 0));
    let open = |harness: &mut super::Window| {
        let buttons: Vec<_> = harness.get_all_by_label("Open").collect();
        buttons.last().expect("the question's button").click();
        harness.run_steps(2);
        until(harness, "the answer's effect", settled);
    };
    ask(&mut harness, &[]);
    open(&mut harness);
    assert_eq!((case(&harness).title.as_str(), case(&harness).layers.len()), ("image", 1));
    ask(&mut harness, &["Image"]);
    open(&mut harness);
    assert_eq!((case(&harness).title.as_str(), case(&harness).layers.len()), ("empty", 0));
    // An image that is plainly one needs no question.
    open_file(&mut harness, &at("other.nii"));
}

#[test]
fn a_volume_of_one_slice_fills_a_pane_and_has_nothing_to_scroll() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = |harness: &mut super::Window, name: &str, shape| {
        write(&folder.path().join(name), (shape, [3.0, 1.0, 2.0]), shades);
        open_file(harness, &folder.path().join(name));
    };
    let mut harness = panel(ThemeChoice::Dark);
    for (name, shape, plane) in [
        ("axial.nii", [1, 8, 10], Plane::Axial),
        ("coronal.nii", [8, 1, 10], Plane::Coronal),
        ("sagittal.nii", [8, 10, 1], Plane::Sagittal),
        ("row.nii", [1, 1, 9], Plane::Axial),
        ("voxel.nii", [1, 1, 1], Plane::Axial),
    ] {
        open(&mut harness, name, shape);
        let views = &harness.state().segmentation.views;
        let shown = views.arrangement;
        let through =
            matches!(shown, Arrangement::Alone(alone) if alone == plane || shape.iter().filter(|voxels| **voxels == 1).count() > 1);
        assert!(through && views.panes.len() == 1, "{name}: {shown:?}");
        let before = case(&harness).cursor;
        let at = middle(&harness, 0);
        wheel(&mut harness, at, 3.0, Modifiers::NONE);
        harness.key_press(Key::PageDown);
        harness.run_steps(2);
        assert_eq!(case(&harness).cursor, before, "{name}");
    }
    open(&mut harness, "thick.nii", [4, 8, 10]);
    assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::All, "as it was before");
}

#[test]
fn a_click_within_one_frame_chooses_a_slice_on_the_strip_and_an_end_of_the_window() {
    if !has_gpu() {
        return;
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    let click = |harness: &mut super::Window, at| {
        let button = |pressed| Event::PointerButton { pos: at, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE };
        let away = Event::PointerMoved(middle(harness, 0));
        harness.input_mut().events.extend([Event::PointerMoved(at), button(true), button(false), away]);
        harness.run_steps(2);
    };
    let strip = harness.get_by_label_contains("Slice ").rect();
    let slices = case(&harness).ground.scan.volume.grid.shape[0];
    click(&mut harness, strip.lerp_inside(vec2(2.5 / slices as f32, 0.5)));
    assert_eq!(case(&harness).cursor.voxel[0], 2);
    let window = case(&harness).window();
    let histogram = harness.get_by_label_contains("Histogram").rect();
    click(&mut harness, histogram.lerp_inside(vec2(0.6, 0.5)));
    assert!(case(&harness).window().high < window.high && case(&harness).window().low == window.low);
}

#[test]
fn every_press_for_the_next_case_counts() {
    if !has_gpu() {
        return;
    }
    let names = labelled(&demo::dataset());
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 0);
    let all: Vec<String> = harness.state().segmentation.list.dataset().unwrap().cases.iter().map(|case| case.name.clone()).collect();
    let first = all.iter().position(|name| *name == names[0]).unwrap();
    let press = |pressed| Event::Key { key: Key::N, physical_key: None, pressed, repeat: false, modifiers: Modifiers::NONE };
    harness.input_mut().events.extend([press(true), press(false), press(true), press(false)]);
    harness.step();
    until(&mut harness, "the case after the next", |panel| {
        settled(panel) && panel.open.as_ref().is_some_and(|case| case.title == all[first + 2])
    });
}
