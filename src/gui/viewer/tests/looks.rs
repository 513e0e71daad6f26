//! How the panel looks in its telling states.

use std::path::PathBuf;

use eframe::egui::{Key, vec2};
use egui_kittest::kittest::Queryable as _;

use super::{case, demo_case, panel, settled, until, with_run};
use crate::gui::ThemeChoice;
use crate::gui::slice::Plane;
use crate::gui::testing::has_gpu;
use crate::gui::viewer::views::Arrangement;

#[test]
fn an_empty_panel_says_what_to_do_first() {
    if !has_gpu() {
        return;
    }
    let mut harness = panel(ThemeChoice::Dark);
    harness.state_mut().workspace.settings.recent_volumes = vec![PathBuf::from("/data/abdomen/case_0007.nii.gz")];
    harness.run_steps(3);
    harness.snapshot("segmentation_empty_dark");
}

#[test]
fn a_case_with_its_truth_in_the_dark() {
    if !has_gpu() {
        return;
    }
    let mut harness = demo_case(ThemeChoice::Dark);
    harness.key_press(Key::Period);
    harness.run_steps(3);
    harness.snapshot("segmentation_case_dark");
}

#[test]
fn a_prediction_in_the_light_in_a_small_window() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, _folder) = with_run(ThemeChoice::Light, 2);
    harness.set_size(vec2(1100.0, 700.0));
    harness.key_press(Key::Period);
    harness.run_steps(4);
    harness.snapshot("segmentation_prediction_light");
}

#[test]
fn methods_side_by_side_with_their_differences() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 2);
    harness.set_size(vec2(1100.0, 700.0));
    harness.get_by_label("Compare").click();
    harness.run_steps(2);
    until(&mut harness, "the methods", settled);
    harness.key_press(Key::E);
    harness.key_press(Key::Period);
    harness.run_steps(3);
    assert_eq!(case(&harness).layers.len(), 3);
    harness.snapshot("segmentation_compared_dark");
}

#[test]
fn one_view_alone() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 1);
    harness.set_size(vec2(1100.0, 700.0));
    harness.state_mut().segmentation.views.arrangement = Arrangement::Alone(Plane::Sagittal);
    harness.key_press(Key::X);
    harness.run_steps(4);
    harness.snapshot("segmentation_alone_dark");
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A path that is the same on every machine; nothing is there.
    let file = PathBuf::from("/data/abdomen/case_0007.nii.gz");
    let mut harness = panel(ThemeChoice::Light);
    harness.state_mut().workspace.settings.recent_volumes = vec![file];
    harness.run_steps(2);
    harness.get_by_label("case_0007.nii.gz").click();
    until(&mut harness, "the refusal", |panel| panel.failed.is_some());
    harness.get_by_label_contains("/data/abdomen/case_0007.nii.gz");
    harness.snapshot("segmentation_failed_light");

    // One that is there but is cut short, and then mended.
    let broken = folder.path().join("broken.nii");
    std::fs::write(&broken, [0_u8; 400]).unwrap();
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.segmentation.take_dropped(&ctx, std::slice::from_ref(&broken), &app.workspace);
    until(&mut harness, "the refusal", |panel| panel.failed.as_ref().is_some_and(|failed| failed.cause.contains("broken.nii")));
    harness.get_by_label_contains("Convert it");
    std::fs::write(&broken, crate::volume::nifti::to_bytes(&small(), &crate::volume::SourceHeader::for_grid(&small().grid))).unwrap();
    harness.get_by_label("Try again").click();
    until(&mut harness, "the mended file", settled);
}

fn small() -> crate::volume::Volume {
    let grid = crate::volume::Grid::axis_aligned([4, 5, 6], [1.0; 3]);
    crate::volume::Volume { channels: 1, voxels: (0..grid.len()).map(|voxel| voxel as f32).collect(), grid }
}

#[test]
fn the_smallest_window_keeps_room_for_the_slices() {
    if !has_gpu() {
        return;
    }
    let (mut harness, _, _folder) = with_run(ThemeChoice::Light, 2);
    harness.set_size(vec2(900.0, 560.0));
    harness.run_steps(4);
    harness.snapshot("segmentation_smallest_light");
    let panes = &harness.state().segmentation.views.panes;
    assert!(panes.iter().all(|pane| pane.rect.height() > 150.0), "{panes:?}");
    harness.get_by_label("Show Posterior");
}
