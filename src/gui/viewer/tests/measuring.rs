//! Rulers and circles by the mouse, and the table of labels on the clipboard and in a file.

use std::time::Duration;

use eframe::egui::{Key, Modifiers, OutputCommand, Pos2, vec2};
use egui_kittest::kittest::Queryable as _;

use super::opening::{GRID, with_image};
use super::{Window, case, click, demo_case, drag, drop_files, middle, open_file, panel, press, until, wheel, write};
use crate::geometry::{all_grids, unravel};
use crate::gui::ThemeChoice;
use crate::gui::testing::needs_gpu;
use crate::gui::viewer::ViewerPanel;
use crate::gui::viewer::digits::length;
use crate::gui::viewer::label_export::LabelExport;
use crate::gui::viewer::picture::{Options, Shot};
use crate::gui::viewer::tool::Tool;
use crate::gui::widgets::slice::PlaneGeometry;
use crate::volume::nifti::write_volume;
use crate::volume::{SourceHeader, Volume};

/// RAS+ mm of a point of the screen over a pane.
fn patient_mm(harness: &Window, pane: usize, point: Pos2) -> [f64; 3] {
    let app = harness.state();
    let pane = &app.segmentation.views.panes[pane];
    let grid = case(harness).grid();
    let geometry = PlaneGeometry::new(grid, pane.plane, app.workspace.settings.convention);
    let [width, height] = [pane.rect.width(), pane.rect.height()].map(f64::from);
    let placement = pane.framing.placement(&geometry, [width, height], 6.0);
    let [x, y] = [point.x - pane.rect.left(), point.y - pane.rect.top()].map(f64::from);
    let slice = case(harness).cursor.voxel[geometry.through];
    let [d, h, w] = geometry.voxel(slice, placement.at([x, y]));
    grid.world_mm([w, h, d])
}

fn apart_mm(harness: &Window, pane: usize, [from, to]: [Pos2; 2]) -> f64 {
    let (a, b) = (patient_mm(harness, pane, from), patient_mm(harness, pane, to));
    ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)).sqrt()
}

/// What the rulers on the screen say.
fn rulers(harness: &Window) -> usize {
    harness.query_all_by_label_contains("Ruler, ").count()
}

#[test]
fn a_drag_makes_a_ruler_whose_ends_can_be_dragged_and_that_is_deleted_where_it_is_seen() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    click(&mut harness, "Ruler");
    let cursor = case(&harness).cursor;
    let from = middle(&harness, 0) - vec2(60.0, 40.0);
    let (to, other) = (from + vec2(90.0, 30.0), from + vec2(40.0, 80.0));
    drag(&mut harness, from, to, Modifiers::NONE);
    harness.get_by_label(&format!("Ruler, {}", length(apart_mm(&harness, 0, [from, to]))));
    assert_eq!(case(&harness).cursor, cursor, "the crosshair stays where it is");
    drag(&mut harness, to, other, Modifiers::NONE);
    harness.get_by_label(&format!("Ruler, {}", length(apart_mm(&harness, 0, [from, other]))));
    assert_eq!(rulers(&harness), 1, "the end was dragged, and nothing new drawn");
    // Only on its own slice, and deleted only where it is seen.
    wheel(&mut harness, from, 1.0, Modifiers::NONE);
    assert_ne!(case(&harness).cursor, cursor);
    assert_eq!(rulers(&harness), 0);
    press(&mut harness, Key::Delete);
    wheel(&mut harness, from, -1.0, Modifiers::NONE);
    assert_eq!(rulers(&harness), 1, "it was not seen, and is still there");
    press(&mut harness, Key::Delete);
    assert_eq!(rulers(&harness), 0);
    // The key puts the tool back, and the button moves the crosshair again; Escape does the same.
    press(&mut harness, Key::U);
    assert_eq!(harness.state().segmentation.views.tool, Tool::Look);
    drag(&mut harness, from, to, Modifiers::NONE);
    assert_ne!(case(&harness).cursor, cursor);
    assert_eq!(rulers(&harness), 0);
    press(&mut harness, Key::Q);
    assert_eq!(harness.state().segmentation.views.tool, Tool::Circle);
    press(&mut harness, Key::Escape);
    assert_eq!(harness.state().segmentation.views.tool, Tool::Look);
}

#[test]
fn measurements_of_an_oblique_volume_are_in_its_picture_and_end_with_its_case() {
    needs_gpu!();
    let (folder, mut harness) = (tempfile::tempdir().unwrap(), panel(ThemeChoice::Dark));
    let at = |name: &str| folder.path().join(name);
    // Tilted and mirrored, with voxels of unequal sides.
    let grid = all_grids([12, 30, 40], [3.1, 0.9, 1.4])[37].clone();
    let shape = grid.shape;
    let voxels = (0..grid.len()).map(|index| super::shades(unravel(index, shape))).collect();
    let volume = Volume { channels: 1, grid: grid.clone(), voxels };
    write_volume(&at("oblique.nii"), &volume, &SourceHeader::for_grid(&grid)).unwrap();
    open_file(&mut harness, &at("oblique.nii"));
    let plain = Options { pane: Some(1), scale: 1, letters: false, crosshair: false };
    let picture = |harness: &Window| {
        let app = harness.state();
        Shot::new(case(harness), &app.segmentation.views, &app.workspace.settings, plain).unwrap().draw().unwrap()
    };
    let bare = picture(&harness);
    let (centre, rim) = (middle(&harness, 1), middle(&harness, 1) + vec2(30.0, 10.0));
    press(&mut harness, Key::Q);
    drag(&mut harness, centre, rim, Modifiers::NONE);
    let area_mm2 = std::f64::consts::PI * apart_mm(&harness, 1, [centre, rim]).powi(2);
    harness.get_by_label_contains(&format!("{area_mm2:.1} mm2, "));
    harness.get_by_label_contains("Circle, mean ");
    press(&mut harness, Key::U);
    let ends = [centre - vec2(80.0, 60.0), centre - vec2(10.0, 75.0)];
    drag(&mut harness, ends[0], ends[1], Modifiers::NONE);
    harness.get_by_label(&format!("Ruler, {}", length(apart_mm(&harness, 1, ends))));
    let measured = picture(&harness);
    let changed = measured.pixels.iter().zip(&bare.pixels).filter(|(a, b)| a != b).count();
    assert!(changed > 300 && changed < bare.pixels.len() / 5, "{changed} pixels");
    press(&mut harness, Key::Delete);
    harness.get_by_label_contains("Circle, mean ");
    assert_eq!(rulers(&harness), 0);
    // A click on the rim selects the circle.
    drag(&mut harness, rim, rim, Modifiers::NONE);
    press(&mut harness, Key::Delete);
    assert_eq!(picture(&harness).pixels, bare.pixels);

    drag(&mut harness, ends[0], ends[1], Modifiers::NONE);
    assert_eq!(rulers(&harness), 1);
    write(&at("next.nii"), (shape, [3.1, 0.9, 1.4]), super::shades);
    open_file(&mut harness, &at("next.nii"));
    assert_eq!((rulers(&harness), harness.state().segmentation.views.tool), (0, Tool::Ruler), "the tool stays in the hand");
}

/// What is put on the clipboard in the next frames.
fn copied(harness: &mut Window) -> String {
    for _ in 0..2000 {
        harness.step();
        let copy = harness.output().platform_output.commands.iter().find_map(|command| match command {
            OutputCommand::CopyText(text) => Some(text.clone()),
            _ => None,
        });
        if let Some(text) = copy {
            return text;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing was copied");
}

#[test]
fn the_volumes_of_all_labels_are_copied_as_a_spreadsheet_takes_them() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    click(&mut harness, "Volumes of the labels");
    harness.get_by_label("Copy volumes").click();
    let text = copied(&mut harness);
    until(&mut harness, "the notice", |panel| panel.notice.is_some());
    harness.get_by_label_contains("The volumes of 2 labels are on the clipboard");
    let open = case(&harness);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0].join(" "), "case labels value name voxels volume_ml channel mean sd note");
    let labels = open.truth_labels().unwrap();
    let image = &open.background.scan.volume.voxels;
    assert_eq!(lines.len(), 3);
    for (line, (class, name)) in lines[1..].iter().zip([(1, "Anterior"), (2, "Posterior")]) {
        let inside = image.iter().zip(labels.classes.slices().flatten()).filter(|&(_, &found)| found == class);
        let values: Vec<f64> = inside.map(|(&value, _)| f64::from(value)).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
        let number = class.to_string();
        assert_eq!(line[..5], [open.request.title.as_str(), "truth", &number, name, &values.len().to_string()]);
        assert_eq!((line[6], line[9]), (open.channels[0].as_str(), ""));
        let ml = count * open.grid().voxel_mm3() / 1000.0;
        for (cell, expected) in [(5, ml), (7, mean), (8, deviation)] {
            let found: f64 = line[cell].parse().unwrap();
            assert!((found - expected).abs() <= 1e-5 * expected, "{name}: {found} for {expected}");
        }
    }
}

#[test]
fn the_volumes_are_saved_as_csv_and_over_no_file_unasked() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    // Half as fine: 3 x 4 x 5 voxels of 6 x 2 x 2 mm, two of them labelled.
    write(&at("coarse.nii"), ([3, 4, 5], GRID.1.map(|mm| 2.0 * mm)), |at| f32::from(u8::from(matches!(at, [1, 1, 2 | 3]))) * 7.0);
    drop_files(&mut harness, &[&at("coarse.nii")]);
    until(&mut harness, "the labels", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    let file = at("image_labels.csv");
    std::fs::write(&file, "made by hand").unwrap();
    click(&mut harness, "Volumes of the labels");
    click(&mut harness, "Save volumes as CSV ...");
    click(&mut harness, "Save");
    harness.get_by_label_contains("is there already. Save once more to replace it.");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "made by hand");
    harness.get_by_label("Save").click();
    until(&mut harness, "the file", |panel| panel.dialog.is_none() && panel.notice.is_some());
    harness.get_by_label_contains("Saved as ");
    let text = std::fs::read_to_string(&file).unwrap();
    let open = case(&harness);
    assert_eq!(text, LabelExport::new(open, &open.layers[0]).unwrap().csv());
    // Volumes of its own grid: two voxels of 24 cubic millimetres.
    let row = text.lines().find(|line| line.starts_with("image,coarse,7,label 7,")).expect("a row for the label");
    assert!(row.starts_with("image,coarse,7,label 7,2,0.048,"), "{row}");
    assert!(row.ends_with("voxels and volume on the label map's own grid; mean and sd over the image's voxels nearest to it"), "{row}");
    until(&mut harness, "the end", ViewerPanel::is_settled);
}
