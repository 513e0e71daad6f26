//! Colours, names and order of labels.

use eframe::egui::{Color32, Event, Modifiers, PointerButton};
use egui_kittest::kittest::Queryable as _;

use super::{case, drop_files, open_file, panel, settled, shades, until, write};
use crate::gui::ThemeChoice;
use crate::gui::testing::has_gpu;
use crate::gui::viewer::shot::{Options, Shot};
use crate::palette;

const GRID: ([usize; 3], [f64; 3]) = ([6, 8, 30], [1.0; 3]);
/// Label numbers whose order as text is another.
const NUMBERS: [u16; 4] = [100, 9, 2, 300];

/// A window with an image, and label maps of these numbers over it, in patches.
fn with_labels(folder: &std::path::Path, maps: &[&[u16]]) -> super::Window {
    write(&folder.join("image.nii"), GRID, shades);
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &folder.join("image.nii"));
    for (index, numbers) in maps.iter().enumerate() {
        let file = folder.join(format!("map{index}.nii"));
        write(&file, GRID, |[_, _, w]| numbers.get(w / 6).copied().map_or(0.0, f32::from));
        drop_files(&mut harness, &[&file]);
        until(&mut harness, "the labels", |panel| settled(panel) && panel.open.as_ref().is_some_and(|case| case.layers.len() == index + 1));
        harness.run_steps(2);
    }
    harness
}

fn colour_of(harness: &super::Window, number: u32) -> Color32 {
    let case = case(harness);
    let class = case.classes.in_order().into_iter().find(|&class| case.classes.value(class) == number).expect("the label is there");
    case.colours.get(class).colour
}

fn usual(number: u32) -> Color32 {
    crate::gui::theme::colour(palette::label(number))
}

#[test]
fn a_label_has_the_colour_of_its_number_in_every_map_and_the_table_is_in_their_order() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let harness = with_labels(folder.path(), &[&NUMBERS, &[300, 7]]);
    for number in [2, 7, 9, 100, 300] {
        assert_eq!(colour_of(&harness, number), usual(number), "label {number}");
    }
    let top = |number: u32| harness.get_by_label(&format!("Show label {number}")).rect().top();
    let tops = [2, 7, 9, 100, 300].map(top);
    assert!(tops.is_sorted(), "{tops:?}");
}

#[test]
fn a_chosen_colour_goes_into_the_settings_and_into_pictures_and_can_be_taken_back() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut harness = with_labels(folder.path(), &[&NUMBERS]);
    let green = [1, 200, 3];
    harness.state_mut().workspace.settings.label_colours.insert(300, green);
    harness.run_steps(2);
    let [r, g, b] = green;
    assert_eq!(colour_of(&harness, 300), Color32::from_rgb(r, g, b));
    let shot = Shot::new(case(&harness), &harness.state().segmentation.views, &harness.state().workspace.settings, Options::default());
    let drawn = shot.unwrap().draw();
    assert!(drawn.pixels.iter().filter(|pixel| **pixel == Color32::from_rgb(r, g, b)).count() > 20, "outlines and legend are green");

    // egui's colour picker has a sign for copying that egui's own fonts lack.
    harness.ctx.set_missing_glyph_policy(eframe::egui::MissingGlyphPolicy::Tofu);
    let pos = harness.get_by_label("Show label 300").rect().center();
    harness.hover_at(pos);
    for pressed in [true, false] {
        harness.event(Event::PointerButton { pos, button: PointerButton::Secondary, pressed, modifiers: Modifiers::NONE });
    }
    harness.run_steps(3);
    harness.get_by_label("Back to its usual colour").click();
    harness.run_steps(2);
    assert_eq!(colour_of(&harness, 300), usual(300));
    assert!(harness.state().workspace.settings.label_colours.is_empty());
}

#[test]
fn names_and_colours_come_from_the_table_beside_the_data() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let snap = "# ITK-SnAP Label Description File\n    0 0 0 0 0 0 0 \"Clear Label\"\n  300 10 20 30 1 1 1 \"Left kidney\"\n";
    std::fs::write(folder.path().join("map0.label"), snap).unwrap();
    let mut harness = with_labels(folder.path(), &[&NUMBERS]);
    assert_eq!(colour_of(&harness, 300), Color32::from_rgb(10, 20, 30));
    assert_eq!(colour_of(&harness, 9), usual(9), "what the table does not list keeps its colour");
    harness.get_by_label("Show Left kidney");
    harness.get_by_label_contains("map0.label");
    // The user's word goes before the table's.
    harness.state_mut().workspace.settings.label_colours.insert(300, [9, 9, 90]);
    harness.run_steps(2);
    assert_eq!(colour_of(&harness, 300), Color32::from_rgb(9, 9, 90));
    // A table that cannot be understood is told of, and nothing is taken from it.
    std::fs::write(folder.path().join("map1.ctbl"), "300 kidney red green blue\n").unwrap();
    write(&folder.path().join("map1.nii"), GRID, |[_, _, w]| if w < 9 { 9.0 } else { 0.0 });
    drop_files(&mut harness, &[&folder.path().join("map1.nii")]);
    until(&mut harness, "the labels", |panel| settled(panel) && panel.open.as_ref().is_some_and(|case| case.layers.len() == 2));
    harness.run_steps(2);
    harness.get_by_label_contains("map1.ctbl is not used: line 1");
}
