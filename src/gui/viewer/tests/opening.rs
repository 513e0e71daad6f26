//! What opening does to what is open: nothing, until the new volume is there; and what dropped files are taken for.

use std::path::{Path, PathBuf};

use eframe::egui::{Event, Key, Modifiers, Role};
use egui_kittest::kittest::Queryable as _;

use super::{
    Window, case, click, demo_case, drop_files, labelled, middle, mistaken, open_file, panel, press, shades, until, wheel, with_run, write,
};
use crate::config::DataSource;
use crate::gui::ThemeChoice;
use crate::gui::testing::needs_gpu;
use crate::gui::viewer::layer::Kind;
use crate::gui::viewer::views::Arrangement;
use crate::gui::viewer::{ViewerPanel, readout};
use crate::gui::widgets::slice::Plane;
use crate::palette;
use crate::volume::demo;
use crate::volume::nifti::write_labels;

pub(super) const GRID: ([usize; 3], [f64; 3]) = ([6, 8, 10], [3.0, 1.0, 1.0]);

/// A window with `image.nii` of a folder open; the folder has `labels.nii` of the same grid and `broken.nii` as well.
pub(super) fn with_image() -> (Window, tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let at = move |name: &str| root.join(name);
    write(&at("image.nii"), GRID, shades);
    write(&at("labels.nii"), GRID, |[d, ..]| if d > 2 { 4.0 } else { 0.0 });
    std::fs::write(at("broken.nii"), [0_u8; 400]).unwrap();
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    (harness, folder, at)
}

/// Drops a label map, and waits until it is one of `layers`.
fn lay_over(harness: &mut Window, file: &Path, layers: usize) {
    drop_files(harness, &[file]);
    until(harness, "the labels", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == layers));
    harness.run_steps(2);
}

fn open_is(harness: &Window, title: &str, layers: usize) {
    assert_eq!((case(harness).request.title.as_str(), case(harness).layers.len()), (title, layers));
}

#[test]
fn an_opening_that_fails_leaves_the_volume_its_labels_and_the_toolbar() {
    needs_gpu!();
    let (mut harness, folder, at) = with_image();
    lay_over(&mut harness, &at("labels.nii"), 1);
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("labels"));
    drop_files(&mut harness, &[&at("broken.nii")]);
    until(&mut harness, "the refusal", |panel| panel.is_settled() && panel.notice.is_some());
    harness.get_by_label_contains("broken.nii");
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.segmentation.open_files(&ctx, (&[at("gone.nii")], vec![at("labels.nii")]), &app.workspace);
    until(&mut harness, "the other refusal", |panel| panel.failed.is_some());
    open_is(&harness, "image", 1);
    harness.get_by_label_contains("gone was not opened: ");
    harness.get_by_label("Compare");
    harness.get_by_label("Presets");
    // A folder that is no dataset, and one that is not there.
    let list = |panel: &ViewerPanel| panel.notice.clone().filter(|notice| notice.starts_with("The dataset was not opened: "));
    std::fs::write(folder.path().join("dataset.json"), "{").unwrap();
    drop_files(&mut harness, &[folder.path()]);
    until(&mut harness, "the refusal", |panel| list(panel).is_some());
    harness.state_mut().segmentation.list.list(&ctx, DataSource::Dataset("/nowhere/at/all".into()));
    until(&mut harness, "the other refusal", |panel| list(panel).is_some_and(|notice| notice.contains("/nowhere/at/all")));
    assert!(!harness.state().segmentation.list.is_there());
    // Escape closes what is said of it, one after the other.
    press(&mut harness, Key::Escape);
    assert!(harness.state().segmentation.notice.is_none() && harness.state().segmentation.failed.is_some());

    // What was a wrong path may be right later, with the labels that were to lie over it.
    std::fs::copy(at("image.nii"), at("gone.nii")).unwrap();
    harness.get_by_label("Try again").click();
    until(&mut harness, "the other volume", |panel| {
        panel.open.as_ref().is_some_and(|case| case.request.title == "gone") && panel.is_settled()
    });
    open_is(&harness, "gone", 1);
    assert!(harness.query_by_label_contains("was not opened").is_none());
}

/// Answers a dialog that asks for a path.
fn type_path(harness: &mut Window, path: &str) {
    let field = harness.query_all_by_role(Role::TextInput).last().expect("the dialog's field");
    field.focus();
    field.type_text(path);
    harness.run_steps(2);
    press(harness, Key::Enter);
}

#[test]
fn what_is_asked_about_an_image_is_answered_before_the_next_one_takes_its_place() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    write(&at("other.nii"), GRID, shades);
    click(&mut harness, "Open");
    click(&mut harness, "Labels for this volume...");
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.segmentation.open_files(&ctx, (&[at("other.nii")], Vec::new()), &app.workspace);
    // Longer than it takes to read.
    for _ in 0..100 {
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    open_is(&harness, "image", 0);
    type_path(&mut harness, &at("labels.nii").display().to_string());
    until(&mut harness, "the other image", |panel| {
        panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.request.title == "other")
    });
    open_is(&harness, "other", 0);
}

#[test]
fn paths_are_asked_for_with_a_field_that_says_what_does_not_fit() {
    needs_gpu!();
    let (mut harness, folder, at) = with_image();
    let answer = |harness: &mut Window, [menu, entry]: [&str; 2], path: &str| {
        click(harness, menu);
        click(harness, entry);
        type_path(harness, path);
    };
    answer(&mut harness, ["Open", "Labels for this volume..."], &at("labels.nii").display().to_string());
    until(&mut harness, "the labels", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    answer(&mut harness, ["Segment", "Choose a checkpoint..."], &folder.path().display().to_string());
    for _ in 0..200 {
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    harness.get_by_label_contains("is not the folder of a run or of a checkpoint");
    press(&mut harness, Key::Escape);
    assert!(harness.state().segmentation.dialog.is_none());
    open_is(&harness, "image", 1);
}

#[test]
fn keys_do_not_reach_the_slices_behind_a_dialog() {
    needs_gpu!();
    let (mut harness, _folder, _) = with_image();
    let linear = |harness: &Window| harness.state().workspace.settings.slices.linear;
    click(&mut harness, "Picture...");
    press(&mut harness, Key::I);
    assert!(!linear(&harness), "the key was obeyed behind the dialog");
    press(&mut harness, Key::Escape);
    open_is(&harness, "image", 0);
    press(&mut harness, Key::I);
    assert!(linear(&harness), "it is obeyed once the dialog is closed");
}

#[test]
fn notices_go_with_the_volume_that_they_are_about() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    let broken = |[d, h, w]: [usize; 3]| match (d, h, w) {
        (1, 2, 3..=6) => f32::NAN,
        (2, 2, 3) => f32::INFINITY,
        (2, 2, 4) => f32::NEG_INFINITY,
        at => shades(at.into()),
    };
    write(&at("nan.nii"), GRID, broken);
    open_file(&mut harness, &at("nan.nii"));
    harness.get_by_label_contains("NaN (4) or infinite (2)");
    let text = |voxel| readout::text(case(&harness), voxel);
    let said = [[1, 2, 3], [2, 2, 3], [2, 2, 4]].map(text);
    assert!(said[0].contains("intensity NaN") && said[1].contains("intensity inf") && said[2].contains("intensity -inf"), "{said:?}");
    let window = case(&harness).window();
    assert!((0.5..60.5).contains(&window.low) && window.high <= 69.0 && window.width() > 40.0, "{window:?}");
    lay_over(&mut harness, &at("labels.nii"), 1);
    harness.get_by_label_contains("labels.nii was taken for a label map");
    open_file(&mut harness, &at("image.nii"));
    for text in ["taken for a label map", "NaN ("] {
        assert!(harness.query_by_label_contains(text).is_none(), "{text} was said of the volume before");
    }
}

#[test]
fn a_label_map_of_another_grid_lies_where_it_is_in_the_patient() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    // Half as fine: 3 x 4 x 5 voxels of 6 x 2 x 2 mm, of which two carry label 7 and one, in the corner, label 2.
    let coarse = |[d, h, w]: [usize; 3]| match (d, h, w) {
        (1, 1, 2 | 3) => 7.0,
        (0, 0, 0) => 2.0,
        _ => 0.0,
    };
    write(&at("coarse.nii"), ([3, 4, 5], [6.0, 2.0, 2.0]), coarse);
    lay_over(&mut harness, &at("coarse.nii"), 1);
    let open = case(&harness);
    assert_eq!((open.request.title.as_str(), open.layers[0].kind), ("image", Kind::File));
    let value = |voxel| open.class_at(&open.layers[0], voxel).map(|class| open.classes.value(class));
    // A voxel of the image at 6, 2, 4 mm from the first: voxel 2, 2, 4 of the image and 1, 1, 2 of the map.
    assert_eq!([[2, 2, 4], [2, 2, 6], [0, 0, 0], [4, 2, 4]].map(value), [Some(7), Some(7), Some(2), Some(0)]);
    // Two voxels of 24 cubic millimetres; on the image's grid they would be others.
    let own = open.layers[0].labels().unwrap().own.as_ref().unwrap();
    assert_eq!((own.volume(7).0, (own.volume(7).1 * 1000.0).round()), (2, 48.0));
    harness.get_by_label_contains("Shown resampled to the nearest voxel from its own grid of 5 x 4 x 3 voxels of 2 x 2 x 6 mm, stored RAS");
    harness.get_by_label_contains("taken for a label map");

    // A file that is no label map is not laid over, and what is shown stays.
    let ctx = harness.ctx.clone();
    harness.state_mut().segmentation.open.as_mut().unwrap().add_file(&ctx, at("image.nii"));
    until(&mut harness, "the refusal", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    harness.get_by_label_contains("image does not lie over the image: ");
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("coarse"));
}

#[test]
fn an_entropy_map_lies_over_the_image_as_colours_with_their_scale() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    write(&at("entropy/image.nii"), GRID, |[d, h, w]| if (d, h, w) == (3, 4, 5) { 0.75 } else { 0.1 * d as f32 });
    drop_files(&mut harness, &[&at("entropy/image.nii")]);
    until(&mut harness, "the map", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.shown_map().is_some()));
    open_is(&harness, "image", 0);
    let text = readout::text(case(&harness), [3, 4, 5]);
    assert!(text.contains("entropy, nats: 0.7500"), "{text}");
    click(&mut harness, "entropy, nats");
    assert!(case(&harness).map.is_some() && case(&harness).shown_map().is_none(), "hidden, not gone");
    // Of another grid it is refused, and what was there makes way.
    write(&at("entropy/other.nii"), ([3, 4, 5], [6.0, 2.0, 2.0]), |_| 0.5);
    drop_files(&mut harness, &[&at("entropy/other.nii")]);
    until(&mut harness, "the refusal", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.map.is_none()));
    harness.get_by_label_contains("other.nii does not lie over the image: ");
}

#[test]
fn what_may_be_an_image_or_a_label_map_is_asked() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    write(&at("empty.nii"), GRID, |_| 0.0);
    write(&at("other.nii"), GRID, |at| shades(at) * 2.0);
    for (answers, title, layers) in [(vec!["Cancel"], "image", 0), (vec!["Open"], "image", 1), (vec!["Image", "Open"], "empty", 0)] {
        drop_files(&mut harness, &[&at("empty.nii")]);
        until(&mut harness, "the question", |panel| panel.unclear.is_some());
        harness.get_by_label("Image or label map?");
        for label in answers {
            harness.get_all_by_label(label).last().expect("the question's button").click();
            harness.run_steps(2);
        }
        until(&mut harness, "the answer's effect", ViewerPanel::is_settled);
        open_is(&harness, title, layers);
    }
    // An image that is plainly one needs no question.
    open_file(&mut harness, &at("other.nii"));
}

#[test]
fn dropped_things_are_told_apart_and_offered() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = demo::dataset();
    let names = labelled(&dataset);
    for name in &names[..2] {
        let loaded = dataset.load(dataset.case(name).unwrap(), Default::default()).unwrap();
        write_labels(&at(&format!("{name}.nii.gz")), &mistaken(&loaded.label.unwrap(), 1, false), &loaded.image.header).unwrap();
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    lay_over(&mut harness, &at(&format!("{}.nii.gz", names[0])), 2);
    let layer = &case(&harness).layers[1];
    assert_eq!((layer.kind, case(&harness).classes.name(1)), (Kind::File, "Anterior"), "the dataset's names hold for the file's values");
    assert!(layer.agreement().unwrap().whole(1).unwrap() < 1.0);
    // Another image's labels are of another grid: shown where they are in the patient, and said to be.
    lay_over(&mut harness, &at(&format!("{}.nii.gz", names[1])), 3);
    assert_eq!(case(&harness).request.title, names[0]);
    harness.get_by_label_contains("Shown resampled to the nearest voxel from its own grid of ");
    drop_files(&mut harness, &[&at("notes.txt")]);
    harness.run_steps(2);
    harness.get_by_label_contains("is neither a volume");
    std::fs::write(at("config.ron"), "()").unwrap();
    drop_files(&mut harness, &[folder.path()]);
    harness.run_steps(2);
    harness.get_by_label("Open the run");
    harness.get_by_label("Segment this volume with it");
}

#[test]
fn a_volume_of_one_slice_fills_a_pane_and_has_nothing_to_scroll() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    for (name, shape, plane) in [
        ("axial.nii", [1, 8, 10], Some(Plane::Axial)),
        ("coronal.nii", [8, 1, 10], Some(Plane::Coronal)),
        ("sagittal.nii", [8, 10, 1], Some(Plane::Sagittal)),
        ("row.nii", [1, 1, 9], None),
        ("voxel.nii", [1, 1, 1], None),
    ] {
        write(&at(name), (shape, [3.0, 1.0, 2.0]), shades);
        open_file(&mut harness, &at(name));
        let views = &harness.state().segmentation.views;
        let Arrangement::Alone(alone) = views.arrangement else { panic!("{name}: {:?}", views.arrangement) };
        assert!(plane.is_none_or(|plane| alone == plane) && views.panes.len() == 1, "{name}: {alone:?}");
        let before = case(&harness).cursor;
        let at = middle(&harness, 0);
        wheel(&mut harness, at, 3.0, Modifiers::NONE);
        press(&mut harness, Key::PageDown);
        assert_eq!(case(&harness).cursor, before, "{name}");
    }
    write(&at("thick.nii"), ([4, 8, 10], [3.0, 1.0, 2.0]), shades);
    open_file(&mut harness, &at("thick.nii"));
    assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::All, "as it was before");
}

#[test]
fn every_press_for_the_next_case_counts() {
    needs_gpu!();
    let names = labelled(&demo::dataset());
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 0);
    let all: Vec<String> = harness.state().segmentation.list.dataset().unwrap().cases.iter().map(|case| case.name.clone()).collect();
    let first = all.iter().position(|name| *name == names[0]).unwrap();
    let press = |pressed| Event::Key { key: Key::N, physical_key: None, pressed, repeat: false, modifiers: Modifiers::NONE };
    harness.input_mut().events.extend([press(true), press(false), press(true), press(false)]);
    harness.step();
    until(&mut harness, "the case after the next", |panel| {
        panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.request.title == all[first + 2])
    });
}

#[test]
fn labels_have_the_colours_of_the_user_of_a_table_or_of_their_numbers() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    harness.set_size(eframe::egui::vec2(1280.0, 1100.0));
    let wide = ([6, 8, 30], [1.0; 3]);
    write(&at("wide.nii"), wide, shades);
    open_file(&mut harness, &at("wide.nii"));
    // Label numbers whose order as text is another; a table beside the second map.
    let maps: [&[u16]; 3] = [&[100, 9, 2, 300], &[300, 7], &[9]];
    for (index, numbers) in maps.into_iter().enumerate() {
        let patches = |[_, _, w]: [usize; 3]| numbers.get(w / 6).copied().map_or(0.0, f32::from);
        write(&at(&format!("map{index}.nii")), wide, patches);
    }
    let snap = "# ITK-SnAP Label Description File\n    0 0 0 0 0 0 0 \"Clear Label\"\n  300 10 20 30 1 1 1 \"Left kidney\"\n";
    std::fs::write(at("map1.label"), snap).unwrap();
    std::fs::write(at("map2.ctbl"), "300 kidney red green blue\n").unwrap();
    let colour = |harness: &Window, number: u32| {
        let case = case(harness);
        let class = case.classes.in_order().into_iter().find(|&class| case.classes.value(class) == number).expect("the label is there");
        let [r, g, b, _] = case.colours.get(class).colour.to_array();
        [r, g, b].iter().fold(0, |rgb, &part| rgb << 8 | u32::from(part))
    };
    lay_over(&mut harness, &at("map0.nii"), 1);
    assert_eq!([2, 9, 100, 300].map(|number| colour(&harness, number)), [2, 9, 100, 300].map(palette::label));
    lay_over(&mut harness, &at("map1.nii"), 2);
    assert_eq!([7, 300].map(|number| colour(&harness, number)), [palette::label(7), 0x0A_14_1E]);
    harness.get_by_label("Show Left kidney");
    harness.get_by_label_contains("map1.label");
    let tops = ["label 2", "label 7", "label 9", "label 100"].map(|name| harness.get_by_label(&format!("Show {name}")).rect().top());
    assert!(tops.is_sorted(), "{tops:?}");
    // A table that cannot be understood is named, and nothing is taken from it.
    lay_over(&mut harness, &at("map2.nii"), 3);
    harness.get_by_label_contains("map2.ctbl is not used: line 1");

    // The user's choice goes before the table's, and can be taken back.
    harness.state_mut().workspace.settings.label_colours.insert(300, [9, 9, 90]);
    harness.run_steps(2);
    assert_eq!(colour(&harness, 300), 0x09_09_5A);
    // egui's colour picker has a sign for copying that egui's own fonts lack.
    harness.ctx.set_missing_glyph_policy(eframe::egui::MissingGlyphPolicy::Tofu);
    harness.get_by_label("Show Left kidney").click_secondary();
    harness.run_steps(3);
    click(&mut harness, "Back to its usual colour");
    assert_eq!(colour(&harness, 300), 0x0A_14_1E);
    assert!(harness.state().workspace.settings.label_colours.is_empty());
}
