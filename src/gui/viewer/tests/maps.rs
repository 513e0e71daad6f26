//! Maps of numbers over the image.

use eframe::egui::Role;
use egui_kittest::kittest::Queryable as _;

use super::opening::{GRID, with_image};
use super::{case, drop_files, until};
use crate::geometry::unravel;
use crate::gui::testing::needs_gpu;
use crate::gui::viewer::{ViewerPanel, readout};
use crate::volume::file::write_float32;
use crate::volume::{Grid, SourceHeader, Volume};

#[test]
fn probabilities_lie_over_the_image_one_class_at_a_time() {
    needs_gpu!();
    let (mut harness, _folder, at) = with_image();
    let (shape, spacing_mm) = GRID;
    let grid = Grid::axis_aligned(shape, spacing_mm);
    // Three classes: the last one grows along D, the middle one is a tenth everywhere.
    let of = |channel: usize, [d, ..]: [usize; 3]| match channel {
        0 => 0.9 - 0.1 * d as f32,
        1 => 0.1,
        _ => 0.1 * d as f32,
    };
    let voxels = (0..3).flat_map(|channel| (0..grid.len()).map(move |index| of(channel, unravel(index, shape)))).collect();
    let file = at("probabilities/image.nii");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    write_float32(&file, &Volume { channels: 3, grid: grid.clone(), voxels }, &SourceHeader::for_grid(&grid)).unwrap();
    drop_files(&mut harness, &[&file]);
    until(&mut harness, "the map", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.shown_map().is_some()));
    assert!(case(&harness).layers.is_empty() && case(&harness).channels.len() == 1, "it is neither a label map nor the image");
    let shown = |harness: &super::Window| case(harness).shown_map().map(|map| map.title().to_owned());
    // No label table is known here, and the background is not shown first.
    assert_eq!(shown(&harness).as_deref(), Some("probability of class 1"));
    assert!(readout::text(case(&harness), [4, 1, 2]).contains("probability of class 1: 0.1000"));
    let hint = case(&harness).shown_map().unwrap().hint();
    assert!(hint.starts_with("Colours from 0.00 to 1.00"), "the scale of every class is the same: {hint}");
    harness.get_by_role_and_label(Role::ComboBox, "Map of probability of class 1").click();
    harness.run_steps(4);
    harness.get_by_label("probability of class 2").click();
    until(&mut harness, "the other class", |panel| {
        panel.is_settled() && panel.open.as_ref().and_then(|case| case.shown_map()).is_some_and(|map| map.channel == 2)
    });
    assert_eq!(shown(&harness).as_deref(), Some("probability of class 2"));
    assert!(readout::text(case(&harness), [4, 1, 2]).contains("probability of class 2: 0.4000"));
    harness.get_by_label("Take off").click();
    until(&mut harness, "the bare image", ViewerPanel::is_settled);
    assert!(case(&harness).map.is_none());
}
