//! The shader is sound, and draws what the reference draws.

use std::mem::offset_of;

use eframe::egui_wgpu::{RenderState, Renderer, RendererOptions};
use eframe::{
    egui::{self, Color32, Rect, pos2, vec2},
    wgpu,
};
use egui_kittest::Harness;
use egui_kittest::wgpu::WgpuTestRenderer;

use super::reference::{HostScene, Picture, draw_on_host};
use super::{Phantom, gpu};
use crate::edit::ClassVolume;
use crate::geometry::{VoxelBox, ravel, unravel};
use crate::gui::Convention;
use crate::gui::testing::needs_gpu;
use crate::gui::widgets::slice::framing::MARGIN;
use crate::gui::widgets::slice::texture::Upload;
use crate::gui::widgets::slice::uniforms::Uniforms;
use crate::gui::widgets::slice::{
    Cursor, Framing, LabelColours, Plane, PlaneGeometry, Scene, SliceSettings, SliceView, Style, TokenOverlay, VolumeTexture, WindowLevel,
};
use crate::volume::Grid;

/// Difference of a channel, of 255, between two ways to round the same number.
const ROUNDING: u8 = 1;
/// Encoding to sRGB and back adds another.
const SRGB_ROUNDING: u8 = 2;
/// Where a view lies in the frame, in points: not at its corner, and with a part of a pixel at some scales.
const PANE: Rect = Rect { min: pos2(13.0, 7.0), max: pos2(233.0, 184.0) };

#[test]
fn naga_accepts_the_shader_and_finds_what_the_program_asks_for() {
    let source = include_str!("../../../../../shaders/slice.wgsl");
    let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
    validator.validate(&module).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let names: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["cover", "gamma_target", "linear_target"]);
    let (_, view) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("View")).expect("the uniform block");
    let naga::TypeInner::Struct { members, span } = &view.inner else { panic!("View is a struct") };
    assert_eq!(*span as usize, size_of::<Uniforms>());
    let offset = |name: &str| members.iter().find(|member| member.name.as_deref() == Some(name)).expect(name).offset as usize;
    assert_eq!(
        ["flags", "ramp", "labels"].map(offset),
        [offset_of!(Uniforms, flags), offset_of!(Uniforms, ramp), offset_of!(Uniforms, labels)]
    );
}

/// What is compared.
struct Drawing {
    phantom: Phantom,
    plane: Plane,
    framing: Framing,
    convention: Convention,
    truth: bool,
    heat: Option<(Vec<f32>, [usize; 3])>,
    token: Option<[usize; 3]>,
    pixels_per_point: f32,
    /// Longest side of a texture.
    limit: usize,
    /// The labels of a box are sent later than the others.
    patched: bool,
}

/// The slice that is drawn.
const SLICE: usize = 7;

impl Drawing {
    fn of(plane: Plane) -> Self {
        Self {
            phantom: Phantom::new(),
            plane,
            framing: Framing::default(),
            convention: Convention::Radiological,
            truth: false,
            heat: None,
            token: None,
            pixels_per_point: 1.0,
            limit: 2048,
            patched: false,
        }
    }

    fn settings(mut self, change: impl FnOnce(&mut SliceSettings)) -> Self {
        change(&mut self.phantom.settings);
        self
    }

    /// With voxels that are not finite, or nearly not.
    fn broken(mut self) -> Self {
        for (index, value) in self.phantom.image.iter_mut().enumerate() {
            match index % 29 {
                3 | 4 => *value = f32::NAN,
                11 => *value = f32::INFINITY,
                17 => *value = f32::NEG_INFINITY,
                23 => *value = f32::MAX,
                _ => {}
            }
        }
        self
    }

    fn tokens(&self) -> Option<TokenOverlay<'_>> {
        self.token.map(TokenOverlay::new)
    }

    /// Pixels of the host, then of the GPU.
    fn both(&self, gpu: RenderState) -> (Vec<[u8; 3]>, Vec<[u8; 3]>) {
        let [x, y, right, bottom] =
            [PANE.min.x, PANE.min.y, PANE.max.x, PANE.max.y].map(|points| (points * self.pixels_per_point).round() as usize);
        let (width, frame) = self.on_gpu(gpu);
        let on_gpu = (y..bottom).flat_map(|row| (x..right).map(move |column| 4 * (row * width + column)));
        let on_gpu = on_gpu.map(|byte| {
            assert_eq!(frame[byte + 3], 255, "a slice is opaque");
            [frame[byte], frame[byte + 1], frame[byte + 2]]
        });
        let phantom = &self.phantom;
        let scene = HostScene {
            labels: Some(&phantom.labels),
            truth: self.truth.then_some(phantom.truth.as_slice()),
            heat: self.heat.as_ref().map(|(values, grid)| (values.as_slice(), *grid)),
            tokens: self.tokens(),
            ..HostScene::new(&phantom.grid, &phantom.image, phantom.style(self.convention))
        };
        let picture = Picture {
            framing: self.framing,
            margin: MARGIN * f64::from(self.pixels_per_point),
            pixels_per_point: self.pixels_per_point,
            ..Picture::of(self.plane, SLICE, [right - x, bottom - y])
        };
        let on_host = draw_on_host(&scene, &picture).pixels.iter().map(|colour| [colour.r(), colour.g(), colour.b()]).collect();
        (on_host, on_gpu.collect())
    }

    fn labels(&self, upload: &Upload<'_>) -> VolumeTexture {
        let phantom = &self.phantom;
        if !self.patched {
            return upload.labels(&phantom.labels);
        }
        let changed = VoxelBox { start: [3, 4, 2], end: [11, 21, 17] };
        let mut before = phantom.labels.clone();
        let inside = |voxel: [usize; 3]| changed.ranges().iter().zip(voxel).all(|(range, at)| range.contains(&at));
        before.iter_mut().enumerate().filter(|(index, _)| inside(unravel(*index, phantom.grid.shape))).for_each(|(_, class)| *class ^= 3);
        assert_ne!(before, phantom.labels);
        let sent = upload.labels(&before);
        sent.update_labels(upload.gpu, &ClassVolume::new(&phantom.labels, phantom.grid.shape), &changed);
        sent
    }

    /// Width and RGBA bytes of a frame with the view in it.
    fn on_gpu(&self, gpu: RenderState) -> (usize, Vec<u8>) {
        let phantom = &self.phantom;
        let upload = Upload { limit: self.limit, ..Upload::new(&gpu, phantom.grid.shape) };
        let image = upload.image(&phantom.image);
        assert_eq!(image.notice().is_some(), self.limit < 2048);
        let (labels, truth) = (self.labels(&upload), upload.labels(&phantom.truth));
        let heat = self.heat.as_ref().map(|(values, grid)| VolumeTexture::heat(&gpu, values, *grid));
        let view = SliceView { framing: self.framing, ..SliceView::default() };
        let mut harness = Harness::builder()
            .with_size(vec2(250.0, 200.0))
            .with_pixels_per_point(self.pixels_per_point)
            .renderer(WgpuTestRenderer::from_render_state(gpu))
            .build_ui(|ui: &mut egui::Ui| {
                let scene = Scene {
                    labels: Some(&labels),
                    truth: self.truth.then_some(&truth),
                    heat: heat.as_ref(),
                    tokens: self.tokens(),
                    ..Scene::new(&phantom.grid, &image, phantom.style(self.convention))
                };
                let geometry = PlaneGeometry::new(&phantom.grid, self.plane, self.convention);
                let mut cursor = Cursor::default();
                cursor.voxel[geometry.through] = SLICE;
                view.paint(ui, &scene, &view.pane(ui, &geometry, PANE), cursor);
            });
        let frame = harness.render().expect("the frame is drawn");
        (frame.width() as usize, frame.into_raw())
    }
}

/// The same device with a target that encodes to sRGB itself.
fn srgb_gpu() -> RenderState {
    let mut gpu = gpu();
    gpu.target_format = wgpu::TextureFormat::Rgba8UnormSrgb;
    *gpu.renderer.write() = Renderer::new(&gpu.device, gpu.target_format, RendererOptions::PREDICTABLE);
    gpu
}

fn compare(what: &str, drawing: &Drawing, gpu: RenderState, tolerance: u8) {
    let (host, device) = drawing.both(gpu);
    assert_eq!(host.len(), device.len());
    let differs = |(a, b): (&[u8; 3], &[u8; 3])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > tolerance);
    let different: Vec<usize> = (0..host.len()).filter(|&at| differs((&host[at], &device[at]))).collect();
    let first = different.first().map(|&at| (at, host[at], device[at]));
    assert!(different.is_empty(), "{what}: {} of {} pixels, first {first:?}", different.len(), host.len());
    let tones: std::collections::BTreeSet<_> = host.into_iter().collect();
    assert!(tones.len() > 4, "{what}: a picture of {} tones compares nothing", tones.len());
}

#[test]
fn the_gpu_draws_what_the_reference_draws() {
    needs_gpu!();
    let (axial, coronal, sagittal) = (|| Drawing::of(Plane::Axial), || Drawing::of(Plane::Coronal), || Drawing::of(Plane::Sagittal));
    let zoomed = Framing { zoom: 3.3, centre: Some([6.2, 7.7]) };
    let small = |zoom| Framing { zoom, centre: None };
    let heat = || Some(([0.0, 0.2, f32::NAN, 0.4, 0.6, 0.8, 1.0, 0.5, 0.1, 0.3, 0.7, 0.9].to_vec(), [2, 3, 2]));
    let nothing = |settings: &mut SliceSettings| settings.shown = false;
    let nearest = |settings: &mut SliceSettings| settings.linear = false;
    let mut hidden = coronal();
    hidden.phantom.colours.set_visible(2, false);
    let drawings = [
        ("linear", axial().settings(nothing)),
        ("linear, coronal, zoomed", Drawing { framing: zoomed, ..coronal().settings(nothing) }),
        ("linear, small", Drawing { framing: small(0.14), ..axial().settings(nothing) }),
        ("linear, tiny", Drawing { framing: small(0.05), ..coronal().settings(nothing) }),
        ("nearest", sagittal().settings(nothing).settings(nearest)),
        ("nearest, zoomed", Drawing { framing: zoomed, ..axial().settings(nearest) }),
        ("fill", axial().settings(|settings| settings.outline = false)),
        ("outline", sagittal().settings(|settings| (settings.fill, settings.outline_width) = (false, 2.5))),
        ("fill and outline, neurological", Drawing { convention: Convention::Neurological, ..coronal() }),
        ("fill and outline, zoomed, 1.5 pixels a point", Drawing { framing: zoomed, pixels_per_point: 1.5, ..sagittal() }),
        ("a hidden label", hidden),
        ("difference", Drawing { truth: true, ..axial().settings(|settings| settings.difference = true) }),
        ("truth without difference", Drawing { truth: true, ..coronal() }),
        ("voxels that are not finite", axial().settings(nothing).broken()),
        ("voxels that are not finite, zoomed", Drawing { framing: zoomed, ..sagittal().settings(nothing).broken() }),
        ("voxels that are not finite, small", Drawing { framing: small(0.14), ..coronal().settings(nothing).broken() }),
        ("voxels that are not finite, nearest", axial().settings(nothing).settings(nearest).broken()),
        ("heat", Drawing { heat: heat(), ..axial().settings(nothing) }),
        ("heat in the tokens' cells", Drawing { heat: heat(), token: Some([7, 9, 12]), ..sagittal().settings(nothing) }),
        ("labels sent again in a box", Drawing { patched: true, ..axial() }),
        ("labels sent again in a box, sagittal", Drawing { patched: true, framing: zoomed, ..sagittal() }),
        ("heat under labels, coronal", Drawing { heat: heat(), framing: zoomed, ..coronal() }),
    ];
    for (what, drawing) in drawings {
        compare(what, &drawing, gpu(), ROUNDING);
    }
    compare("a target that encodes to sRGB", &axial(), srgb_gpu(), SRGB_ROUNDING);
}

#[test]
fn a_volume_beyond_the_limit_is_drawn_in_blocks() {
    needs_gpu!();
    // 14 x 24 x 19 within 10: blocks of 2 x 3 x 2 voxels.
    let [reduced, mut whole] =
        [(); 2].map(|()| Drawing { limit: 10, ..Drawing::of(Plane::Axial).settings(|settings| settings.linear = false) });
    let (shape, step) = (reduced.phantom.grid.shape, [2, 3, 2]);
    for index in 0..reduced.phantom.image.len() {
        let voxel = unravel(index, shape);
        let range = |axis: usize| {
            let first = voxel[axis] / step[axis] * step[axis];
            first..(first + step[axis]).min(shape[axis])
        };
        let block: Vec<usize> = range(0).flat_map(|d| range(1).flat_map(move |h| range(2).map(move |w| ravel([d, h, w], shape)))).collect();
        let sum: f32 = block.iter().map(|&voxel| reduced.phantom.image[voxel]).sum();
        whole.phantom.image[index] = sum / block.len() as f32;
        let middle = ravel([0, 1, 2].map(|axis| range(axis).start + range(axis).len() / 2), shape);
        whole.phantom.labels[index] = reduced.phantom.labels[middle];
    }
    let (_, device) = reduced.both(gpu());
    let (_, patched) = Drawing { patched: true, ..reduced }.both(gpu());
    assert_eq!(device, patched, "blocks that a changed voxel stands for are sent again");
    let (host, _) = whole.both(gpu());
    let most = host.iter().zip(&device).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max()).max();
    assert!(most <= Some(Some(ROUNDING)), "{most:?}");
}

/// An axial slice of one layer of voxels, drawn by the reference between black = 0 and white = `high`.
fn layer(image: &[f32], side: usize, pixels: usize, (linear, high): (bool, f32)) -> Vec<Color32> {
    let (grid, settings) = (Grid::axis_aligned([1, side, side], [1.0; 3]), SliceSettings { linear, ..SliceSettings::default() });
    let (window, colours) = (WindowLevel { low: 0.0, high }, LabelColours::default());
    let style = Style { window, colours: &colours, settings: &settings, convention: Convention::Radiological };
    draw_on_host(&HostScene::new(&grid, image, style), &Picture::of(Plane::Axial, 0, [pixels; 2])).pixels
}

#[test]
fn a_voxel_that_is_not_finite_is_marked_as_a_whole_and_darkens_no_neighbour() {
    let mut image = [50.0; 9];
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        image[4] = broken;
        let marked = crate::gui::theme::colour(crate::palette::NOT_FINITE);
        for (index, pixel) in layer(&image, 3, 30, (true, 100.0)).into_iter().enumerate() {
            let inside = [index % 30, index / 30].iter().all(|at| (10..20).contains(at));
            assert_eq!(pixel, if inside { marked } else { Color32::from_gray(128) }, "pixel {index} beside {broken}");
        }
    }
}

#[test]
fn a_pixel_that_covers_several_voxels_shows_their_mean() {
    let stripes: Vec<f32> = (0..32 * 32).map(|voxel| (voxel % 2) as f32).collect();
    assert!(layer(&stripes, 32, 16, (true, 1.0)).iter().all(|pixel| pixel.r().abs_diff(128) <= ROUNDING));
    assert!(layer(&stripes, 32, 16, (false, 1.0)).iter().all(|pixel| [0, 255].contains(&pixel.r())));
}
