//! Correcting labels: strokes, undo, saving, what a crash leaves, and the questions before a correction is lost.

use std::path::{Path, PathBuf};

use eframe::egui::{Event, Key, Modifiers, PointerButton, Pos2, Role, vec2};
use egui_kittest::kittest::Queryable as _;

use super::opening::GRID;
use super::{Window, case, case_mut, click, drag, drop_files, middle, open_file, panel, press, shades, until, wheel, write};
use crate::geometry::unravel;
use crate::gui::ThemeChoice;
use crate::gui::testing::{needs_gpu, wait_until};
use crate::gui::viewer::ViewerPanel;
use crate::gui::viewer::layer::{Kind, Layer};
use crate::gui::viewer::views::Arrangement;
use crate::gui::widgets::slice::Plane;
use crate::volume::nifti::{self, write_volume};
use crate::volume::{Grid, SourceHeader, Volume, VolumeSource};

/// A folder with `image.nii`, and `labels.nii` of label 4 in the slices above the third.
pub(super) fn folder() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let at = move |name: &str| root.join(name);
    write(&at("image.nii"), GRID, shades);
    write(&at("other.nii"), GRID, shades);
    write(&at("labels.nii"), GRID, |[d, ..]| if d > 2 { 4.0 } else { 0.0 });
    (folder, at)
}

/// A window on the image with its labels, and a brush of 3 mm in the hand that can paint.
pub(super) fn correcting(at: &impl Fn(&str) -> PathBuf) -> Window {
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    drop_files(&mut harness, &[&at("labels.nii")]);
    until(&mut harness, "the labels", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    take_brush(&mut harness);
    case_mut(&mut harness).notices.clear();
    harness.state_mut().segmentation.editing.brush.width_mm = 3.0;
    harness
}

fn take_brush(harness: &mut Window) {
    harness.run_steps(2);
    press(harness, Key::Num4);
    until(harness, "the brush", |panel| panel.is_settled() && panel.views.brush.is_some());
}

fn settle(harness: &mut Window) {
    until(harness, "counts and files", ViewerPanel::is_settled);
}

/// The classes of the corrected labels.
pub(super) fn corrected(harness: &Window) -> Vec<u8> {
    let layer = case(harness).of_kind(Kind::Corrected).expect("a correction is there");
    layer.labels().unwrap().classes.slices().collect::<Vec<_>>().concat()
}

/// The classes of the labels that are corrected.
fn original(harness: &Window) -> Vec<u8> {
    case(harness).layers[0].labels().unwrap().classes.slices().collect::<Vec<_>>().concat()
}

/// A point of the first view inside a voxel near its middle.
pub(super) fn inside(harness: &Window) -> Pos2 {
    middle(harness, 0) + vec2(4.0, 4.0)
}

/// Moves the pointer to a point of the first view; the voxel there.
fn hover(harness: &mut Window, point: Pos2) -> [usize; 3] {
    harness.hover_at(point);
    harness.run_steps(2);
    harness.state().segmentation.views.hovered.expect("a voxel lies there")
}

/// Presses and releases a button at a point.
pub(super) fn dab(harness: &mut Window, point: Pos2, button: PointerButton) {
    harness.hover_at(point);
    harness.step();
    for pressed in [true, false] {
        harness.event(Event::PointerButton { pos: point, button, pressed, modifiers: Modifiers::NONE });
        harness.step();
    }
    settle(harness);
}

pub(super) fn undo(harness: &mut Window, key: Key) {
    harness.key_press_modifiers(Modifiers::COMMAND, key);
    settle(harness);
}

pub(super) fn journals(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".simtrot-edit")).count()
}

/// Waits until the journal is there: it is written on a thread of its own.
pub(super) fn journal_is_there(harness: &mut Window, folder: &Path) {
    wait_until(harness, "the journal", |_| journals(folder) == 1);
}

/// The label values of a file.
pub(super) fn values(file: &Path) -> Vec<f32> {
    nifti::read(file).unwrap().volume.voxels
}

#[test]
fn a_stroke_across_the_edge_of_a_slice_is_undone_and_saved_beside_its_source() {
    needs_gpu!();
    let (folder, at) = folder();
    let mut harness = correcting(&at);
    let source = std::fs::read(at("labels.nii")).unwrap();
    let whole = original(&harness);
    assert_eq!(corrected(&harness), whole);
    assert_eq!(harness.state().segmentation.views.shown.as_deref(), Some("corrected"));
    // From the middle of the slice out of it, and on beyond its edge.
    let from = inside(&harness);
    let [d, h, _] = hover(&mut harness, from);
    let pane = harness.state().segmentation.views.panes[0].rect;
    let crosshair = case(&harness).cursor.voxel;
    click(&mut harness, "Erase");
    drag(&mut harness, from, Pos2::new(pane.right() - 2.0, from.y), Modifiers::NONE);
    settle(&mut harness);
    let erased = corrected(&harness);
    let changed: Vec<[usize; 3]> =
        (0..whole.len()).filter(|&index| erased[index] != whole[index]).map(|index| unravel(index, GRID.0)).collect();
    assert!(changed.iter().all(|&[slice, row, _]| slice == d && row.abs_diff(h) <= 2), "{changed:?}");
    let columns = |column: usize| changed.contains(&[d, h, column]);
    let edge = if columns(0) { 0..=4 } else { 5..=9 };
    assert!(edge.clone().all(columns) && changed.len() >= 10, "{changed:?}");
    assert_eq!((original(&harness), case(&harness).cursor.voxel), (whole.clone(), crosshair), "source and crosshair stay as they are");
    let counted = case(&harness).of_kind(Kind::Corrected).unwrap().labels().unwrap().statistics[1].voxels;
    assert_eq!(counted as usize, erased.iter().filter(|class| **class == 1).count(), "volumes are counted anew");
    journal_is_there(&mut harness, folder.path());

    undo(&mut harness, Key::Z);
    assert_eq!(corrected(&harness), whole);
    undo(&mut harness, Key::Y);
    assert_eq!(corrected(&harness), erased);
    click(&mut harness, "Save correction");
    settle(&mut harness);
    let [line, button] =
        [harness.get_by_label_contains("labels_corrected.nii"), harness.get_by_label("Add to the training set...")].map(|node| node.rect());
    assert!(line.y_range().contains(button.center().y), "what may follow is in the line that says where it is: {button:?} in {line:?}");
    click(&mut harness, "Add to the training set...");
    harness.run_steps(2);
    harness.get_by_label("Choose a dataset ...");
    click(&mut harness, "Cancel");
    let expected = |classes: &[u8]| classes.iter().map(|&class| if class == 1 { 4.0 } else { 0.0 }).collect::<Vec<f32>>();
    assert_eq!(values(&at("labels_corrected.nii")), expected(&erased));
    assert_eq!(std::fs::read(at("labels.nii")).unwrap(), source, "the source is not touched");
    let panel = &harness.state().segmentation;
    let saved = panel.editing.saved.clone().unwrap();
    assert_eq!((saved.case.as_str(), saved.predicted, saved.corrected), ("image", Some(at("labels.nii")), at("labels_corrected.nii")));
    assert!(!panel.would_lose());

    // What is undone after saving is not saved, and goes to a file of its own.
    undo(&mut harness, Key::Z);
    assert_eq!(corrected(&harness), whole);
    assert!(harness.state().segmentation.would_lose());
    click(&mut harness, "Save correction");
    settle(&mut harness);
    assert_eq!(values(&at("labels_corrected_2.nii")), expected(&whole));
    assert_eq!(values(&at("labels_corrected.nii")), expected(&erased), "nothing is saved over it");
    click(&mut harness, "Take off");
    assert!(case(&harness).of_kind(Kind::Corrected).is_none() && journals(folder.path()) == 0);
}

#[test]
fn the_right_button_erases_and_dice_follows() {
    needs_gpu!();
    let (_folder, at) = folder();
    let mut harness = correcting(&at);
    let truth = Layer::new("truth", Kind::Truth, Some(VolumeSource::File(at("labels.nii"))));
    case_mut(&mut harness).layers.insert(0, truth);
    settle(&mut harness);
    let dice = |harness: &Window| case(harness).of_kind(Kind::Corrected).unwrap().agreement().and_then(|agreement| agreement.whole(1));
    assert_eq!(dice(&harness), Some(1.0));
    let point = inside(&harness);
    dab(&mut harness, point, PointerButton::Secondary);
    assert!(dice(&harness).is_some_and(|dice| dice < 1.0), "{:?}", dice(&harness));
    let zoom = harness.state().segmentation.views.panes[0].framing.zoom;
    assert_eq!(zoom, 1.0, "the right button zooms no more");
    dab(&mut harness, point, PointerButton::Primary);
    assert_eq!(dice(&harness), Some(1.0), "and the left one paints the label again");
    // Two dabs in a row are no double click.
    dab(&mut harness, point, PointerButton::Primary);
    assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::All);
}

#[test]
fn the_brush_is_round_in_mm_on_an_oblique_grid_of_flat_voxels_and_reaches_into_depth() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let (shape, spacing_mm) = ([9, 24, 20], [3.0, 0.8, 1.1]);
    let mut grid = Grid::axis_aligned(shape, spacing_mm);
    let (sin, cos) = 0.3_f64.sin_cos();
    // Turned about the patient's axis from left to right.
    grid.world_from_voxel = [
        [spacing_mm[2], 0.0, 0.0, -12.0],
        [0.0, cos * spacing_mm[1], -sin * spacing_mm[0], 7.0],
        [0.0, sin * spacing_mm[1], cos * spacing_mm[0], 30.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let file = folder.path().join("oblique.nii");
    let voxels = (0..grid.len()).map(|index| shades(unravel(index, shape))).collect();
    write_volume(&file, &Volume { channels: 1, grid: grid.clone(), voxels }, &SourceHeader::for_grid(&grid)).unwrap();
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &file);
    take_brush(&mut harness);
    // Nothing to paint with yet.
    let point = inside(&harness);
    dab(&mut harness, point, PointerButton::Primary);
    assert!(corrected(&harness).iter().all(|class| *class == 0));
    harness.get_by_label("Painted label choose a label").click();
    harness.run_steps(3);
    click(&mut harness, "New label...");
    harness.run_steps(2);
    let name = harness.query_all_by_role(Role::TextInput).last().expect("the field for the name");
    name.focus();
    name.type_text("cyst");
    harness.run_steps(2);
    press(&mut harness, Key::Enter);
    assert_eq!((case(&harness).classes.name(1), case(&harness).classes.value(1)), ("cyst", 1));

    press(&mut harness, Key::V);
    let radius_mm = 5.0;
    harness.state_mut().segmentation.editing.brush.width_mm = 2.0 * radius_mm;
    let centre = hover(&mut harness, point);
    dab(&mut harness, point, PointerButton::Primary);
    let grid = case(&harness).grid().clone();
    let mm = |[d, h, w]: [usize; 3]| grid.world_mm([w as f64, h as f64, d as f64]);
    let distance = |voxel| mm(voxel).iter().zip(mm(centre)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    // The pointer lies anywhere in its voxel.
    let within = (0.8_f64.powi(2) + 1.1_f64.powi(2)).sqrt() / 2.0;
    let painted = corrected(&harness);
    for (index, &class) in painted.iter().enumerate() {
        let distance = distance(unravel(index, shape));
        assert!(class == 1 || distance > radius_mm - within, "{:?} at {distance} mm is missing", unravel(index, shape));
        assert!(class == 0 || distance < radius_mm + within, "{:?} at {distance} mm is painted", unravel(index, shape));
    }
    let slices = |painted: &[u8]| (0..shape[0]).filter(|d| painted[d * 480..][..480].contains(&1)).count();
    assert_eq!(slices(&painted), 3, "two slices beside at 3 mm each");
    undo(&mut harness, Key::Z);
    press(&mut harness, Key::V);
    dab(&mut harness, point, PointerButton::Primary);
    assert_eq!(slices(&corrected(&harness)), 1);
}

#[test]
fn the_wheel_with_shift_and_keys_change_the_width_and_not_the_slice() {
    needs_gpu!();
    let (_folder, at) = folder();
    let mut harness = correcting(&at);
    let width = |harness: &Window| harness.state().segmentation.editing.brush.width_mm;
    let slice = |harness: &Window| case(harness).cursor.voxel[0];
    let (point, before) = (inside(&harness), slice(&harness));
    wheel(&mut harness, point, 2.0, Modifiers::SHIFT);
    assert_eq!((width(&harness), slice(&harness)), (5.0, before));
    wheel(&mut harness, point, -1.0, Modifiers::SHIFT);
    press(&mut harness, Key::Plus);
    assert_eq!(width(&harness), 5.0);
    (0..9).for_each(|_| press(&mut harness, Key::Minus));
    assert_eq!(width(&harness), 1.0, "no narrower than a voxel");
    wheel(&mut harness, point, 1.0, Modifiers::NONE);
    assert_eq!((width(&harness), slice(&harness).abs_diff(before)), (1.0, 1), "the wheel alone scrolls");
    press(&mut harness, Key::Num1);
    wheel(&mut harness, point, -1.0, Modifiers::SHIFT);
    assert_eq!((width(&harness), slice(&harness)), (1.0, before), "without the brush Shift changes nothing");
    harness.state_mut().segmentation.views.arrangement = Arrangement::Alone(Plane::Coronal);
    harness.run_steps(2);
    let point = inside(&harness);
    let whole = corrected(&harness);
    drag(&mut harness, point, point + vec2(30.0, 0.0), Modifiers::NONE);
    settle(&mut harness);
    assert_eq!(corrected(&harness), whole, "without the brush nothing is painted");
}

#[test]
fn what_may_be_painted_over_and_which_intensities_is_kept() {
    needs_gpu!();
    let (_folder, at) = folder();
    let mut harness = correcting(&at);
    // A slice of background: the intensities of its voxels are 7 d + 3 h + w + 0.5.
    case_mut(&mut harness).cursor.voxel = [1, 4, 5];
    harness.run_steps(2);
    let brush = &mut harness.state_mut().segmentation.editing.brush;
    (brush.width_mm, brush.ranged, brush.range) = (40.0, true, [20.0, 30.0]);
    let point = inside(&harness);
    dab(&mut harness, point, PointerButton::Primary);
    let painted = corrected(&harness);
    for (index, &class) in painted.iter().enumerate() {
        let voxel = unravel(index, GRID.0);
        let expected = voxel[0] > 2 || voxel[0] == 1 && (20.0..=30.0).contains(&shades(voxel));
        assert_eq!(class == 1, expected, "{voxel:?}");
    }
    // Over the background alone nothing of label 4 is lost to another one.
    let class = case_mut(&mut harness).add_label(9, "node", [1, 2, 3]).unwrap();
    let brush = &mut harness.state_mut().segmentation.editing.brush;
    (brush.class, brush.ranged, brush.deep, brush.over) = (class, false, true, crate::edit::Over::Background);
    dab(&mut harness, point, PointerButton::Primary);
    let both = corrected(&harness);
    assert!(both.iter().zip(&painted).all(|(&after, &before)| after == if before == 0 { class } else { before }));
}

#[test]
fn a_gap_between_two_painted_slices_is_filled_as_one_step() {
    needs_gpu!();
    let (_folder, at) = folder();
    let mut harness = correcting(&at);
    let class = case_mut(&mut harness).add_label(9, "node", [1, 2, 3]).unwrap();
    let brush = &mut harness.state_mut().segmentation.editing.brush;
    (brush.class, brush.width_mm) = (class, 4.0);
    click(&mut harness, "Fill between slices");
    settle(&mut harness);
    harness.get_by_label_contains("Nothing was filled: no slice holds this label");
    click(&mut harness, "Dismiss");
    let point = inside(&harness);
    for slice in [0, 4] {
        case_mut(&mut harness).cursor.voxel[0] = slice;
        harness.run_steps(2);
        dab(&mut harness, point, PointerButton::Primary);
    }
    let before = corrected(&harness);
    click(&mut harness, "Fill between slices");
    settle(&mut harness);
    harness.get_by_label_contains("Filled 3 slices between 2 painted ones.");
    let filled = corrected(&harness);
    let of = |classes: &[u8], slice: usize| classes[slice * 80..][..80].iter().map(|&at| at == class).collect::<Vec<_>>();
    assert!((1..4).all(|slice| of(&filled, slice) == of(&before, 0)), "the same shape between two that are the same");
    undo(&mut harness, Key::Z);
    assert_eq!(corrected(&harness), before);
}

#[test]
fn labels_of_another_grid_are_corrected_as_they_are_shown_on_the_images() {
    needs_gpu!();
    let (_folder, at) = folder();
    // Twice as coarse within the slices.
    write(&at("coarse.nii"), ([6, 4, 5], [3.0, 2.0, 2.0]), |[d, ..]| if d > 2 { 4.0 } else { 0.0 });
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &at("image.nii"));
    let ctx = harness.ctx.clone();
    case_mut(&mut harness).add_file(&ctx, at("coarse.nii"));
    until(&mut harness, "the labels", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    take_brush(&mut harness);
    assert_eq!(corrected(&harness), original(&harness));
    assert!(case(&harness).notices.iter().any(|notice| notice.text.contains("coarse lies on a grid of its own")));
    let point = inside(&harness);
    dab(&mut harness, point, PointerButton::Secondary);
    click(&mut harness, "Save correction");
    settle(&mut harness);
    let saved = nifti::read(&at("coarse_corrected.nii")).unwrap().volume;
    assert_eq!(&saved.grid.shape, &GRID.0, "on the image's grid");
}
