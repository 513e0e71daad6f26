//! How the panel looks in its states, and that it is whole in small windows.

use std::path::PathBuf;

use eframe::egui::{Key, Role, Vec2, vec2};
use egui_kittest::SnapshotResults;
use egui_kittest::kittest::Queryable as _;

use super::{Window, click, demo_case, open_file, panel, shades, until, with_run, write};
use crate::gui::ThemeChoice;
use crate::gui::testing::needs_gpu;
use crate::gui::viewer::ViewerPanel;
use crate::gui::viewer::views::Arrangement;
use crate::gui::widgets::slice::Plane;

/// A path that is the same on every machine; nothing is there.
const NOWHERE: &str = "/data/abdomen/case_0007.nii.gz";

fn with_recent(theme: ThemeChoice) -> Window {
    let mut harness = panel(theme);
    harness.state_mut().workspace.settings.recent_volumes = vec![PathBuf::from(NOWHERE)];
    harness.run_steps(3);
    harness
}

fn compared() -> Window {
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 2);
    click(&mut harness, "Compare");
    until(&mut harness, "the methods", ViewerPanel::is_settled);
    assert_eq!(super::case(&harness).layers.len(), 3);
    harness.key_press(Key::E);
    harness
}

fn alone() -> Window {
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 1);
    harness.state_mut().segmentation.views.arrangement = Arrangement::Alone(Plane::Sagittal);
    harness
}

#[test]
fn the_panel_in_its_states() {
    needs_gpu!();
    let run = || with_run(ThemeChoice::Light, 2).0;
    let states: [(&str, Window, Vec2, Option<Key>); 6] = [
        ("viewer_empty_dark", with_recent(ThemeChoice::Dark), vec2(1440.0, 900.0), None),
        ("viewer_case_dark", demo_case(ThemeChoice::Dark), vec2(1440.0, 900.0), Some(Key::Period)),
        ("viewer_prediction_light", run(), vec2(1100.0, 700.0), Some(Key::Period)),
        ("viewer_compared_dark", compared(), vec2(1100.0, 700.0), Some(Key::Period)),
        ("viewer_alone_dark", alone(), vec2(1100.0, 700.0), Some(Key::X)),
        ("viewer_smallest_light", run(), vec2(900.0, 600.0), None),
    ];
    let mut results = SnapshotResults::new();
    for (name, mut harness, size, key) in states {
        harness.set_size(size);
        harness.run_steps(2);
        key.into_iter().for_each(|key| harness.key_press(key));
        harness.run_steps(4);
        harness.snapshot(name);
        results.extend_harness(&mut harness);
    }
}

#[test]
fn small_windows_and_large_letters_keep_room_for_everything() {
    needs_gpu!();
    // The smallest window, and 1600 x 1000 pixels at 200 %.
    for size in [vec2(900.0, 600.0), vec2(800.0, 500.0)] {
        for theme in [ThemeChoice::Dark, ThemeChoice::Light] {
            let (mut harness, _, _folder) = with_run(theme, 2);
            harness.set_size(size);
            harness.run_steps(4);
            let panes = &harness.state().segmentation.views.panes;
            assert!(panes.iter().all(|pane| pane.rect.height() > 0.2 * size.y && pane.rect.width() > 0.2 * size.x), "{panes:?}");
            harness.get_by_label("Show Anterior");
            let outside =
                |rect: eframe::egui::Rect| rect.left() < 0.0 || rect.right() > size.x || rect.top() < 0.0 || rect.bottom() > size.y;
            for role in [Role::Button, Role::CheckBox, Role::Slider, Role::ComboBox, Role::SpinButton] {
                for node in harness.query_all_by_role(role) {
                    assert!(!outside(node.rect()), "{node:?} is beyond the window of {size:?}");
                }
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
    needs_gpu!();
    let mut harness = with_recent(ThemeChoice::Light);
    harness.get_by_label("case_0007.nii.gz").click();
    until(&mut harness, "the refusal", |panel| panel.failed.is_some());
    harness.get_by_label_contains(NOWHERE);
    harness.snapshot("viewer_failed_light");

    // One that is there but is cut short, and then mended.
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.nii");
    std::fs::write(&broken, [0_u8; 400]).unwrap();
    super::drop_files(&mut harness, &[&broken]);
    until(&mut harness, "the refusal", |panel| panel.failed.as_ref().is_some_and(|(_, cause)| cause.contains("broken.nii")));
    harness.get_by_label_contains("Convert it");
    write(&broken, ([4, 5, 6], [1.0; 3]), shades);
    harness.get_by_label("Try again").click();
    until(&mut harness, "the mended file", ViewerPanel::is_settled);
    open_file(&mut harness, &broken);
}
