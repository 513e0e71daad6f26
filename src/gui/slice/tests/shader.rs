//! The shader is sound, and draws what the host draws.

use eframe::egui::{Rect, pos2, vec2};
use eframe::egui_wgpu::{RenderState, Renderer, RendererOptions};
use eframe::{egui, wgpu};
use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};

use super::Phantom;
use crate::gui::slice::input::Pane;
use crate::gui::slice::view::MARGIN;
use crate::gui::slice::{
    Cursor, Framing, HeatTexture, HostScene, ImageTexture, LabelColours, LabelTexture, Picture, Plane, PlaneGeometry, Scene, SliceSettings,
    SliceView, TokenOverlay, WindowLevel, draw_on_cpu,
};
use crate::gui::testing::has_gpu;
use crate::gui::{Convention, KeyMap};
use crate::volume::Grid;

/// Difference of a channel, of 255, between two ways to round the same number.
const ROUNDING: u8 = 1;
/// Encoding to sRGB and back adds another.
const SRGB_ROUNDING: u8 = 2;
/// Where a view lies in the frame, in points: not at its corner, and with a part of a pixel at some scales.
const PLACE: Rect = Rect { min: pos2(13.0, 7.0), max: pos2(233.0, 184.0) };

#[test]
fn naga_accepts_the_shader_and_finds_what_the_program_asks_for() {
    let source = include_str!("../../../../shaders/slice.wgsl");
    let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
    validator.validate(&module).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let names: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["cover", "gamma_target", "linear_target"]);
    let (_, view) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("View")).expect("the uniform block");
    let naga::TypeInner::Struct { members, span } = &view.inner else { panic!("View is a struct") };
    assert_eq!(*span as usize, size_of::<crate::gui::slice::look::Look>());
    let offset = |name: &str| members.iter().find(|member| member.name.as_deref() == Some(name)).expect(name).offset as usize;
    assert_eq!(offset("flags"), std::mem::offset_of!(crate::gui::slice::look::Look, flags));
    assert_eq!(offset("ramp"), std::mem::offset_of!(crate::gui::slice::look::Look, ramp));
    assert_eq!(offset("labels"), std::mem::offset_of!(crate::gui::slice::look::Look, labels));
}

/// What is compared.
struct Drawing {
    phantom: Phantom,
    plane: Plane,
    slice: usize,
    framing: Framing,
    convention: Convention,
    truth: bool,
    heat: Option<(Vec<f32>, [usize; 3])>,
    token: Option<[usize; 3]>,
    pixels_per_point: f32,
    /// Longest side of a texture.
    limit: usize,
}

impl Drawing {
    fn of(plane: Plane) -> Self {
        Self {
            phantom: Phantom::new(),
            plane,
            slice: 7,
            framing: Framing::default(),
            convention: Convention::Radiological,
            truth: false,
            heat: None,
            token: None,
            pixels_per_point: 1.0,
            limit: 2048,
        }
    }

    fn settings(mut self, change: impl FnOnce(&mut SliceSettings)) -> Self {
        change(&mut self.phantom.settings);
        self
    }

    /// Pixels of the host, then of the GPU.
    fn both(&self, gpu: RenderState) -> (Vec<[u8; 3]>, Vec<[u8; 3]>) {
        let [x, y, right, bottom] =
            [PLACE.min.x, PLACE.min.y, PLACE.max.x, PLACE.max.y].map(|points| (points * self.pixels_per_point).round() as usize);
        let pixels = [right - x, bottom - y];
        let (width, frame) = self.on_gpu(gpu);
        let on_gpu = (y..bottom).flat_map(|row| (x..right).map(move |column| 4 * (row * width + column)));
        let on_gpu = on_gpu.map(|byte| {
            assert_eq!(frame[byte + 3], 255, "a slice is opaque");
            [frame[byte], frame[byte + 1], frame[byte + 2]]
        });
        let phantom = &self.phantom;
        let scene = HostScene {
            grid: &phantom.grid,
            image: &phantom.image,
            labels: Some(&phantom.labels),
            truth: self.truth.then_some(phantom.truth.as_slice()),
            heat: self.heat.as_ref().map(|(values, grid)| (values.as_slice(), *grid)),
            token: self.token,
            window: phantom.window,
            colours: &phantom.colours,
            settings: &phantom.settings,
            convention: self.convention,
        };
        let picture = Picture {
            plane: self.plane,
            slice: self.slice,
            pixels,
            framing: self.framing,
            margin: MARGIN * f64::from(self.pixels_per_point),
            pixels_per_point: self.pixels_per_point,
        };
        let on_host = draw_on_cpu(&scene, &picture).pixels.iter().map(|colour| [colour.r(), colour.g(), colour.b()]).collect();
        (on_host, on_gpu.collect())
    }

    /// Width and RGBA bytes of a frame with the view in it.
    fn on_gpu(&self, gpu: RenderState) -> (usize, Vec<u8>) {
        let shape = self.phantom.grid.shape;
        let image = ImageTexture::upload_within(&gpu, &self.phantom.image, shape, self.limit);
        assert_eq!(image.notice().is_some(), self.limit < 2048);
        let labels = LabelTexture::upload_within(&gpu, &self.phantom.labels, shape, self.limit);
        let truth = LabelTexture::upload_within(&gpu, &self.phantom.truth, shape, self.limit);
        let heat = self.heat.as_ref().map(|(values, grid)| HeatTexture::upload(&gpu, values, *grid));
        let mut view = SliceView::default();
        view.framing = self.framing;
        let keys = KeyMap::default();
        let mut harness = Harness::builder()
            .with_size(vec2(250.0, 200.0))
            .with_pixels_per_point(self.pixels_per_point)
            .renderer(WgpuTestRenderer::from_render_state(gpu))
            .build_ui(|ui: &mut egui::Ui| {
                let scene = Scene {
                    grid: &self.phantom.grid,
                    image: &image,
                    labels: Some(&labels),
                    truth: self.truth.then_some(&truth),
                    heat: heat.as_ref(),
                    tokens: self.token.map(|cell| TokenOverlay { cell, marked: &[] }),
                    window: self.phantom.window,
                    colours: &self.phantom.colours,
                    settings: &self.phantom.settings,
                    convention: self.convention,
                    keys: &keys,
                };
                let geometry = PlaneGeometry::new(&self.phantom.grid, self.plane, self.convention);
                let mut cursor = Cursor::default();
                cursor.voxel[geometry.through] = self.slice;
                view.paint(ui, &scene, &Pane { geometry: &geometry, rect: PLACE, pixels_per_point: ui.pixels_per_point() }, cursor);
            });
        let frame = harness.render().expect("the frame is drawn");
        (frame.width() as usize, frame.into_raw())
    }
}

fn gpu() -> RenderState {
    create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE)
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
    let different = host.iter().zip(&device).filter(|&pair| differs(pair)).count();
    let first = host.iter().zip(&device).position(differs);
    assert_eq!(different, 0, "{what}: {different} of {} pixels, first {:?}", host.len(), first.map(|at| (at, host[at], device[at])));
    let mut tones = host;
    tones.sort_unstable();
    tones.dedup();
    assert!(tones.len() > 4, "{what}: a picture of {} tones compares nothing", tones.len());
}

#[test]
fn the_gpu_draws_what_the_host_draws() {
    if !has_gpu() {
        return;
    }
    let zoomed = Framing { zoom: 3.3, centre: Some([6.2, 7.7]) };
    let heat = || Some(([0.0, 0.2, f32::NAN, 0.4, 0.6, 0.8, 1.0, 0.5, 0.1, 0.3, 0.7, 0.9].to_vec(), [2, 3, 2]));
    let nothing = |settings: &mut SliceSettings| settings.shown = false;
    let mut hidden = Drawing::of(Plane::Coronal);
    hidden.phantom.colours.set_visible(2, false);
    let broken = |plane| {
        let mut drawing = Drawing::of(plane).settings(nothing);
        for (index, value) in drawing.phantom.image.iter_mut().enumerate() {
            match index % 29 {
                3 | 4 => *value = f32::NAN,
                11 => *value = f32::INFINITY,
                17 => *value = f32::NEG_INFINITY,
                23 => *value = f32::MAX,
                _ => {}
            }
        }
        drawing
    };
    let drawings = [
        ("linear", Drawing::of(Plane::Axial).settings(nothing)),
        ("linear, coronal, zoomed", Drawing { framing: zoomed, ..Drawing::of(Plane::Coronal).settings(nothing) }),
        ("linear, small", Drawing { framing: Framing { zoom: 0.14, centre: None }, ..Drawing::of(Plane::Axial).settings(nothing) }),
        ("linear, tiny", Drawing { framing: Framing { zoom: 0.05, centre: None }, ..Drawing::of(Plane::Coronal).settings(nothing) }),
        ("nearest", Drawing::of(Plane::Sagittal).settings(|settings| (settings.shown, settings.linear) = (false, false))),
        ("nearest, zoomed", Drawing { framing: zoomed, ..Drawing::of(Plane::Axial).settings(|settings| settings.linear = false) }),
        ("fill", Drawing::of(Plane::Axial).settings(|settings| settings.outline = false)),
        ("outline", Drawing::of(Plane::Sagittal).settings(|settings| (settings.fill, settings.outline_width) = (false, 2.5))),
        ("fill and outline, neurological", Drawing { convention: Convention::Neurological, ..Drawing::of(Plane::Coronal) }),
        (
            "fill and outline, zoomed, 1.5 pixels a point",
            Drawing { framing: zoomed, pixels_per_point: 1.5, ..Drawing::of(Plane::Sagittal) },
        ),
        ("a hidden label", hidden),
        ("difference", Drawing { truth: true, ..Drawing::of(Plane::Axial).settings(|settings| settings.difference = true) }),
        ("truth without difference", Drawing { truth: true, ..Drawing::of(Plane::Coronal) }),
        ("voxels that are not finite", broken(Plane::Axial)),
        ("voxels that are not finite, zoomed", Drawing { framing: zoomed, ..broken(Plane::Sagittal) }),
        ("voxels that are not finite, small", Drawing { framing: Framing { zoom: 0.14, centre: None }, ..broken(Plane::Coronal) }),
        ("voxels that are not finite, nearest", broken(Plane::Axial).settings(|settings| settings.linear = false)),
        ("heat", Drawing { heat: heat(), ..Drawing::of(Plane::Axial).settings(nothing) }),
        ("heat in the tokens' cells", Drawing { heat: heat(), token: Some([7, 9, 12]), ..Drawing::of(Plane::Sagittal) }),
        ("heat under labels, coronal", Drawing { heat: heat(), framing: zoomed, ..Drawing::of(Plane::Coronal) }),
    ];
    for (what, drawing) in drawings {
        compare(what, &drawing, gpu(), ROUNDING);
    }
}

#[test]
fn a_target_that_encodes_to_srgb_gets_the_same_picture() {
    if !has_gpu() {
        return;
    }
    compare("sRGB target", &Drawing::of(Plane::Axial), srgb_gpu(), SRGB_ROUNDING);
}

#[test]
fn a_volume_beyond_the_limit_is_drawn_in_blocks() {
    if !has_gpu() {
        return;
    }
    // 14 x 24 x 19 within 10: blocks of 2 x 3 x 2 voxels.
    let reduced = Drawing { limit: 10, ..Drawing::of(Plane::Axial).settings(|settings| settings.linear = false) };
    let mut whole = Drawing { limit: 10, ..Drawing::of(Plane::Axial).settings(|settings| settings.linear = false) };
    let (shape, step) = (reduced.phantom.grid.shape, [2, 3, 2]);
    let at = |[d, h, w]: [usize; 3]| (d * shape[1] + h) * shape[2] + w;
    for index in 0..reduced.phantom.image.len() {
        let voxel = crate::geometry::unravel(index, shape);
        let range = |axis: usize| {
            let first = voxel[axis] / step[axis] * step[axis];
            first..(first + step[axis]).min(shape[axis])
        };
        let block: Vec<usize> = range(0).flat_map(|d| range(1).flat_map(move |h| range(2).map(move |w| at([d, h, w])))).collect();
        let sum: f32 = block.iter().map(|&voxel| reduced.phantom.image[voxel]).sum();
        whole.phantom.image[index] = sum / block.len() as f32;
        let middle = at([0, 1, 2].map(|axis| range(axis).start + range(axis).len() / 2));
        whole.phantom.labels[index] = reduced.phantom.labels[middle];
    }
    let (_, device) = reduced.both(gpu());
    let (host, _) = whole.both(gpu());
    let most = host.iter().zip(&device).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max()).max();
    assert!(most <= Some(Some(ROUNDING)), "{most:?}");
}

#[test]
fn a_voxel_that_is_not_finite_is_marked_as_a_whole_and_darkens_no_neighbour() {
    let grid = Grid::axis_aligned([1, 3, 3], [1.0; 3]);
    let (mut image, settings) = ([50.0; 9], SliceSettings::default());
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        image[4] = broken;
        let scene = HostScene {
            grid: &grid,
            image: &image,
            labels: None,
            truth: None,
            heat: None,
            token: None,
            window: WindowLevel { low: 0.0, high: 100.0 },
            colours: &LabelColours::default(),
            settings: &settings,
            convention: Convention::Radiological,
        };
        let framing = Framing::default();
        let drawn =
            draw_on_cpu(&scene, &Picture { plane: Plane::Axial, slice: 0, pixels: [30; 2], framing, margin: 0.0, pixels_per_point: 1.0 });
        let marked = crate::gui::theme::colour(crate::palette::NOT_FINITE);
        for (index, pixel) in drawn.pixels.iter().enumerate() {
            let inside = [index % 30, index / 30].iter().all(|at| (10..20).contains(at));
            let expected = if inside { marked } else { egui::Color32::from_gray(128) };
            assert_eq!(*pixel, expected, "pixel {index} beside {broken}");
        }
    }
}

#[test]
fn a_pixel_that_covers_several_voxels_shows_their_mean() {
    let grid = Grid::axis_aligned([1, 32, 32], [1.0; 3]);
    let stripes: Vec<f32> = (0..grid.len()).map(|voxel| (voxel % 2) as f32).collect();
    let drawn = |linear: bool| {
        let settings = SliceSettings { linear, ..SliceSettings::default() };
        let scene = HostScene {
            grid: &grid,
            image: &stripes,
            labels: None,
            truth: None,
            heat: None,
            token: None,
            window: WindowLevel { low: 0.0, high: 1.0 },
            colours: &LabelColours::default(),
            settings: &settings,
            convention: Convention::Radiological,
        };
        let framing = Framing::default();
        draw_on_cpu(&scene, &Picture { plane: Plane::Axial, slice: 0, pixels: [16; 2], framing, margin: 0.0, pixels_per_point: 1.0 })
    };
    assert!(drawn(true).pixels.iter().all(|pixel| pixel.r().abs_diff(128) <= ROUNDING));
    assert!(drawn(false).pixels.iter().all(|pixel| [0, 255].contains(&pixel.r())));
}
