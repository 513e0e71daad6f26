//! Pictures of the views, looked at by eye once and kept.

use eframe::egui::{self, Rect, pos2, vec2};
use egui_kittest::wgpu::WgpuTestRenderer;
use egui_kittest::{Harness, SnapshotOptions};

use super::gpu;
use crate::gui::testing::needs_gpu;
use crate::gui::widgets::slice::texture::Upload;
use crate::gui::widgets::slice::{
    Cursor, LabelColours, Plane, Scene, SliceSettings, SliceView, Style, TokenOverlay, VolumeTexture, WindowLevel,
};
use crate::gui::{Convention, KeyMap, theme};
use crate::volume::demo;

#[test]
fn three_views_of_a_demo_case() {
    needs_gpu!();
    let gpu = gpu();
    let dataset = demo::dataset();
    let case = dataset.cases.iter().find(|case| case.label.is_some()).expect("a case with labels");
    let loaded = dataset.load(case, Default::default()).expect("an embedded case");
    let (volume, truth) = (loaded.image.volume, loaded.label.expect("labels"));
    let shape = volume.grid.shape;
    let image = VolumeTexture::image(&gpu, &volume.voxels, shape);
    let coarse = Upload { limit: 24, ..Upload::new(&gpu, shape) }.image(&volume.voxels);
    let classes: Vec<u8> = truth.voxels.iter().map(|&label| label as u8).collect();
    // A prediction that lies two voxels aside.
    let aside: Vec<u8> = (0..classes.len()).map(|voxel| classes[(voxel + 2) % classes.len()]).collect();
    let (labels, right) = (VolumeTexture::labels(&gpu, &aside, shape), VolumeTexture::labels(&gpu, &classes, shape));
    let cells = shape.map(|voxels| voxels.div_ceil(8));
    let heat: Vec<f32> = (0..cells.iter().product()).map(|cell| if cell % 7 == 3 { f32::NAN } else { (cell % 10) as f32 / 9.0 }).collect();
    let heat = VolumeTexture::heat(&gpu, &heat, cells);
    let (colours, keys, window) = (LabelColours::default(), KeyMap::default(), WindowLevel::auto(&volume.voxels));
    let plain = SliceSettings::default();
    let difference = SliceSettings { difference: true, outline: false, opacity: 0.7, ..SliceSettings::default() };
    let mut views: [SliceView; 6] = std::array::from_fn(|_| SliceView::default());
    views[4].framing.zoom = 2.5;
    let centre = [0, 1, 2].map(|axis| mean_index(&classes, shape, axis));
    let mut cursor = Cursor { voxel: centre };
    let marked = [centre.map(|index| index / 8)];
    let mut harness = Harness::builder()
        .with_size(vec2(540.0, 360.0))
        .with_options(SnapshotOptions::new().threshold(2.0).max_failed_pixels(200))
        .with_context_setup(theme::install)
        .renderer(WgpuTestRenderer::from_render_state(gpu))
        .build_ui(|ui| {
            for (index, view) in views.iter_mut().enumerate() {
                let lower = index >= 3;
                let settings = if lower && index != 5 { &difference } else { &plain };
                let convention = if lower { Convention::Neurological } else { Convention::Radiological };
                let scene = Scene {
                    labels: Some(&labels),
                    truth: lower.then_some(&right),
                    heat: (index == 5).then_some(&heat),
                    tokens: (index == 5).then_some(TokenOverlay { marked: &marked, ..TokenOverlay::new([8; 3]) }),
                    ..Scene::new(
                        &volume.grid,
                        if index == 1 { &coarse } else { &image },
                        Style { window, colours: &colours, settings, convention },
                    )
                };
                let rect = Rect::from_min_size(pos2(180.0 * (index % 3) as f32, 180.0 * (index / 3) as f32), vec2(178.0, 178.0));
                let mut child = ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(index));
                view.show(&mut child, Plane::ALL[index % 3], &scene, (&mut cursor, &keys));
            }
        });
    harness.run_steps(2);
    harness.snapshot("slices_demo");
}

/// Mean index along an axis of voxels that have a label.
fn mean_index(classes: &[u8], shape: [usize; 3], axis: usize) -> usize {
    let labelled = classes.iter().enumerate().filter(|&(_, &class)| class != 0);
    let (sum, count) = labelled.fold((0, 0), |(sum, count), (voxel, _)| (sum + crate::geometry::unravel(voxel, shape)[axis], count + 1));
    sum / count
}
