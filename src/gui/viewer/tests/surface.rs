//! The surface of the labels beside the slices.

use eframe::egui::{Key, Modifiers, Pos2, vec2};
use egui_kittest::kittest::Queryable as _;

use super::{Window, case, case_mut, click, demo_case, drag, middle, open_file, panel, press, shades, until, wheel, with_run, write};
use crate::geometry::{Grid, unravel};
use crate::gui::ThemeChoice;
use crate::gui::testing::{click_at, needs_gpu};
use crate::gui::viewer::ViewerPanel;
use crate::gui::viewer::picture::{Options, Shot};
use crate::gui::viewer::views::Arrangement;
use crate::volume::nifti::write_labels;
use crate::volume::{LabelMap, SourceHeader};

/// The middle of the surface's pane.
fn on_surface(harness: &Window) -> Pos2 {
    harness.state().segmentation.views.surface.rect.expect("the surface is seen").center()
}

#[test]
fn a_click_on_the_surface_moves_the_crosshair_to_the_voxel_that_is_seen() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    harness.get_by_label("surface of 2 labels, seen from A");
    let before = case(&harness).cursor;
    // The middle of the pane is the middle of the labels; beside a thin structure there may be nothing.
    let at = on_surface(&harness);
    for step in 0..60 {
        let round = step as f32 * 0.7;
        click_at(&mut harness, at + vec2(round.cos(), round.sin()) * (1.5 * step as f32));
        if case(&harness).cursor != before {
            break;
        }
    }
    let open = case(&harness);
    assert_ne!(open.cursor, before, "some point around the middle is on a surface");
    let voxel = open.cursor.voxel;
    let class = open.class_at(&open.layers[0], voxel);
    assert!(class > Some(0), "a labelled voxel");
    let beside = |axis: usize, by: isize| {
        let mut other = voxel;
        other[axis] = other[axis].saturating_add_signed(by);
        open.class_at(&open.layers[0], other) != class
    };
    assert!((0..3).any(|axis| beside(axis, -1) || beside(axis, 1)), "and on its surface: {voxel:?}");
}

#[test]
fn the_surface_is_shown_alone_and_among_the_slices_and_follows_visibility() {
    needs_gpu!();
    let mut harness = demo_case(ThemeChoice::Dark);
    click(&mut harness, "Show Anterior");
    harness.get_by_label("surface of 1 label, seen from A");
    let turned = on_surface(&harness);
    drag(&mut harness, turned - vec2(80.0, 0.0), turned + vec2(80.0, 0.0), Modifiers::NONE);
    harness.get_by_label("surface of 1 label, seen from R");
    for back in [Key::M, Key::Escape] {
        let at = on_surface(&harness);
        harness.hover_at(at);
        harness.run_steps(2);
        press(&mut harness, Key::M);
        let views = &harness.state().segmentation.views;
        assert_eq!((views.arrangement, views.panes.len()), (Arrangement::Surface, 0));
        let at = on_surface(&harness);
        harness.hover_at(at);
        harness.run_steps(2);
        press(&mut harness, back);
        assert_eq!(harness.state().segmentation.views.arrangement, Arrangement::All);
    }
    // The slices do not move when the wheel turns over the surface.
    let (at, cursor) = (on_surface(&harness), case(&harness).cursor);
    wheel(&mut harness, at, 3.0, Modifiers::NONE);
    assert_eq!(case(&harness).cursor, cursor);
    let at = middle(&harness, 0);
    wheel(&mut harness, at, 3.0, Modifiers::NONE);
    assert_ne!(case(&harness).cursor, cursor);
    // In a small window the labels need the fourth pane; the surface is a button away.
    harness.set_size(vec2(900.0, 600.0));
    harness.run_steps(3);
    assert_eq!(harness.state().segmentation.views.surface.rect, None);
    click(&mut harness, "Surface");
    harness.get_by_label("surface of 1 label, seen from R");
}

#[test]
fn the_surface_is_that_of_the_layer_that_is_shown_and_is_pictured() {
    needs_gpu!();
    let (mut harness, _, _folder) = with_run(ThemeChoice::Dark, 2);
    let frame = |harness: &mut Window| {
        harness.remove_cursor();
        harness.run_steps(2);
        let rect = harness.state().segmentation.views.surface.rect.expect("the surface is seen");
        let frame = harness.render().expect("the frame is drawn");
        let rows = rect.top() as u32..rect.bottom() as u32;
        rows.flat_map(|y| (rect.left() as u32..rect.right() as u32).map(move |x| (x, y)))
            .map(|(x, y)| frame.get_pixel(x, y).0)
            .collect::<Vec<_>>()
    };
    let prediction = frame(&mut harness);
    harness.state_mut().segmentation.views.shown = Some("truth".to_owned());
    until(&mut harness, "the truth's surface", ViewerPanel::is_settled);
    let truth = frame(&mut harness);
    let changed = truth.iter().zip(&prediction).filter(|(a, b)| a != b).count();
    assert!(changed * 100 > truth.len(), "{changed} of {} pixels", truth.len());

    let app = harness.state();
    let views = &app.segmentation.views;
    let draw = |pane| {
        let options = Options { pane, scale: 1, letters: false, crosshair: false };
        Shot::new(case(&harness), views, &app.workspace.settings, options).expect("views are drawn").draw().expect("a picture")
    };
    let (surface, whole) = (draw(Some(views.panes.len())), draw(None));
    let rect = views.surface.rect.expect("the surface is seen");
    assert_eq!(surface.size, [rect.width().round() as usize, rect.height().round() as usize]);
    let coloured = |pixel: &&eframe::egui::Color32| pixel.r().abs_diff(pixel.g()).max(pixel.g().abs_diff(pixel.b())) > 40;
    let seen = surface.pixels.iter().filter(coloured).count();
    assert!(seen * 50 > surface.pixels.len(), "{seen} pixels of the surface");
    // The lower right quarter of all views.
    let width = whole.size[0];
    let quarter = (whole.size[1] / 2..whole.size[1]).flat_map(|row| &whole.pixels[row * width + width / 2..(row + 1) * width]);
    assert!(quarter.filter(coloured).count() * 2 > seen);
}

#[test]
fn a_map_of_too_many_faces_is_said_to_be_drawn_in_blocks() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let [image, labels] = ["image.nii", "grains.nii"].map(|name| folder.path().join(name));
    let shape = [48, 96, 96];
    write(&image, (shape, [1.0; 3]), shades);
    // Grains of one voxel that touch in their edges, six faces each.
    let grid = Grid::axis_aligned(shape, [1.0; 3]);
    let voxels = (0..grid.len()).map(|index| u16::from(unravel(index, shape).iter().sum::<usize>() % 2 == 0)).collect();
    let map = LabelMap { grid: grid.clone(), voxels };
    write_labels(&labels, &map, &SourceHeader::for_grid(&grid)).unwrap();
    let mut harness = panel(ThemeChoice::Dark);
    open_file(&mut harness, &image);
    assert_eq!(harness.state().segmentation.views.surface.rect, None, "without labels there is no surface");
    let ctx = harness.ctx.clone();
    case_mut(&mut harness).add_file(&ctx, labels);
    until(&mut harness, "the labels", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.layers.len() == 1));
    until(&mut harness, "the surface", ViewerPanel::is_settled);
    harness.get_by_label_contains("drawn in blocks of ");
}
