//! What a frame of the window costs: the CPU time of its thread while a training has all other cores.
//!
//! `simtrot bench --only window_frame` draws three linked views of a 512x512x300 volume with its labels, off screen on the adapter
//! that a window would use, and turns the wheel over one of them in every frame. Counted is what the window's thread does for a
//! frame, from the input to the commands that it hands to the GPU: egui's pass, tessellation, the views' preparation, encoding.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use eframe::egui::{self, Event, Modifiers, MouseWheelUnit, Pos2, RawInput, Rect, TouchPhase, Ui, pos2, vec2};
use eframe::egui_wgpu::{RenderState, RendererOptions, ScreenDescriptor};
use eframe::wgpu;

use super::slice::{Cursor, ImageTexture, LabelColours, LabelTexture, Plane, Scene, SliceSettings, SliceView, WindowLevel};
use super::{Convention, KeyMap, open, theme};
use crate::bench::Timing;
use crate::config::RunConfig;
use crate::device::{DeviceChoice, memory};
use crate::protocol::{Command, RunFolder};
use crate::volume::Grid;
use crate::worker::{self, Job, RunHandle, Start, Training};

/// The name it is asked for by.
pub const PIECE: &str = "window_frame";
/// D,H,W of the volume.
const SHAPE: [usize; 3] = [300, 512, 512];
/// Labels besides background.
const LABELS: u8 = 13;
/// Size of the window in pixels.
const PIXELS: [u32; 2] = [1440, 900];
/// Frames of one of the caller's runs.
const FRAMES: usize = 60;
/// Longest wait for the training's first step.
const FIRST_STEP: Duration = Duration::from_secs(300);
/// Time between frames: the training has the cores meanwhile, as with a user who scrolls.
const PAUSE: Duration = Duration::from_millis(16);

/// Times `runs` times sixty frames.
///
/// # Errors
/// No adapter that could draw a window, or a training that does not start.
pub fn window_frame(runs: usize) -> anyhow::Result<Timing> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Where the caller has set the number of threads already, that holds.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(cores.saturating_sub(1).max(1)).build_global();
    let mut window = Window::open()?;
    let folder = tempfile::tempdir().context("a folder for the training")?;
    let training = train(&folder.path().join("run"))?;
    let mut times: Vec<f64> = (0..=runs.max(1) * FRAMES)
        .map(|frame| {
            let spent = window.frame(frame);
            std::thread::sleep(PAUSE);
            spent
        })
        .collect();
    let _ = training.commands.send(Command::Stop);
    let steps = training.events.iter().filter(|record| matches!(record.event, crate::protocol::Event::Step { .. })).count();
    drop(training.events);
    let _ = training.join.join();
    eprintln!("{steps} steps of the training on {} of {cores} cores meanwhile", cores.saturating_sub(1).max(1));
    // The first frame makes the pipeline.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(Timing { median_s: times[times.len() / 2], min_s: times[0], peak_rss_mib: memory::peak_mib() })
}

/// Starts the demo's pre-training on the processor and waits until it steps.
fn train(folder: &std::path::Path) -> anyhow::Result<RunHandle> {
    let mut config = RunConfig::from_ron(include_str!("../../configs/demo.ron"), "configs/demo.ron")?;
    config.name = PIECE.to_owned();
    config.pretrain.steps = usize::MAX >> 16;
    let training = Training { config, folder: RunFolder::new(folder), start: Start::Fresh, max_steps: None };
    let handle = worker::spawn(Job::Pretrain(training), DeviceChoice::Cpu);
    let began = Instant::now();
    loop {
        match handle.events.recv_timeout(FIRST_STEP.saturating_sub(began.elapsed())) {
            Ok(record) if matches!(record.event, crate::protocol::Event::Step { .. }) => return Ok(handle),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => bail!("the training made no step in {} s", FIRST_STEP.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("the training ended before its first step"),
        }
    }
}

/// A window without a screen.
struct Window {
    ctx: egui::Context,
    gpu: RenderState,
    target: wgpu::TextureView,
    content: Content,
}

impl Window {
    fn open() -> anyhow::Result<Self> {
        let graphics = open::graphics();
        let instance = pollster::block_on(graphics.wgpu_setup.new_instance());
        let gpu = pollster::block_on(RenderState::create(&graphics, &instance, None, RendererOptions::default()))
            .context("no adapter draws a window here")?;
        eprintln!("drawn by {}", gpu.adapter.get_info().name);
        let target = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("frame"),
            size: wgpu::Extent3d { width: PIXELS[0], height: PIXELS[1], depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: gpu.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        let ctx = egui::Context::default();
        theme::install(&ctx);
        let content = Content::new(&gpu);
        Ok(Self { ctx, target: target.create_view(&wgpu::TextureViewDescriptor::default()), gpu, content })
    }

    /// Draws a frame, and says how many seconds of this thread it took.
    fn frame(&mut self, number: usize) -> f64 {
        let input = input(number);
        let began = thread_seconds();
        let mut output = self.ctx.run_ui(input, |ui| self.content.show(ui));
        let primitives = self.ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point);
        let RenderState { device, queue, .. } = &self.gpu;
        let mut renderer = self.gpu.renderer.write();
        for (id, images) in output.textures_delta.set.drain() {
            images.iter().for_each(|image| renderer.update_texture(device, queue, id, image));
        }
        let screen = ScreenDescriptor { size_in_pixels: PIXELS, pixels_per_point: output.pixels_per_point };
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut commands = renderer.update_buffers(device, queue, &mut encoder, &primitives, &screen);
        let mut pass = encoder
            .begin_render_pass(&wgpu::RenderPassDescriptor {
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &self.target,
                    resolve_target: None,
                    ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
                    depth_slice: None,
                })],
                ..wgpu::RenderPassDescriptor::default()
            })
            .forget_lifetime();
        renderer.render(&mut pass, &primitives, &screen);
        drop(pass);
        commands.push(encoder.finish());
        let submitted = queue.submit(commands);
        for id in output.textures_delta.free.drain() {
            renderer.free_texture(&id);
        }
        let spent = thread_seconds() - began;
        // As a window waits for its surface; not the thread's work.
        let _ = device.poll(wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None });
        spent
    }
}

/// The wheel over the first view: up through the volume and down again.
fn input(frame: usize) -> RawInput {
    let up = if frame / SHAPE[0] % 2 == 0 { 1.0 } else { -1.0 };
    let source = egui::MouseWheelSource::Wheel;
    let delta = vec2(0.0, up);
    let wheel = Event::MouseWheel { unit: MouseWheelUnit::Line, delta, phase: TouchPhase::Move, source, modifiers: Modifiers::NONE };
    RawInput {
        screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(PIXELS[0] as f32, PIXELS[1] as f32))),
        time: Some(frame as f64 / 60.0),
        events: vec![Event::PointerMoved(pos2(200.0, 300.0)), wheel],
        ..RawInput::default()
    }
}

/// Three linked views.
struct Content {
    grid: Grid,
    image: ImageTexture,
    labels: LabelTexture,
    colours: LabelColours,
    settings: SliceSettings,
    keys: KeyMap,
    views: [SliceView; 3],
    cursor: Cursor,
}

impl Content {
    fn new(gpu: &RenderState) -> Self {
        let grid = Grid::axis_aligned(SHAPE, [1.5, 0.8, 0.8]);
        let image = ImageTexture::upload(gpu, &image(), SHAPE);
        let labels = LabelTexture::upload(gpu, &labels(), SHAPE);
        let cursor = Cursor { voxel: [0, SHAPE[1] / 2, SHAPE[2] / 2] };
        Self {
            grid,
            image,
            labels,
            colours: LabelColours::default(),
            settings: SliceSettings::default(),
            keys: KeyMap::default(),
            views: std::array::from_fn(|_| SliceView::default()),
            cursor,
        }
    }

    fn show(&mut self, ui: &mut Ui) {
        let width = PIXELS[0] as f32 / 3.0;
        for (index, plane) in Plane::ALL.into_iter().enumerate() {
            let scene = Scene {
                grid: &self.grid,
                image: &self.image,
                labels: Some(&self.labels),
                truth: None,
                heat: None,
                tokens: None,
                window: WindowLevel::around(40.0, 400.0),
                colours: &self.colours,
                settings: &self.settings,
                convention: Convention::Radiological,
                keys: &self.keys,
            };
            let rect = Rect::from_min_size(pos2(width * index as f32, 0.0), vec2(width, PIXELS[1] as f32));
            let mut pane = ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(index));
            self.views[index].show(&mut pane, plane, &scene, &mut self.cursor);
        }
    }
}

/// Intensities like those of a body: rings around its middle axis.
fn image() -> Vec<f32> {
    let squares = |voxels: usize| (0..voxels).map(move |index| (index as f32 / voxels as f32 - 0.5).powi(2)).collect::<Vec<_>>();
    let [deep, high, wide] = SHAPE.map(squares);
    let rows = deep.iter().flat_map(|d| high.iter().map(move |h| d + h));
    rows.flat_map(|row| wide.iter().map(move |w| 1000.0 * (row + w) % 300.0 - 100.0)).collect()
}

/// Columns of boxes.
fn labels() -> Vec<u8> {
    let label = |h: usize, w: usize| if h % 48 < 36 && w % 48 < 36 { ((h / 48 + w / 48) % usize::from(LABELS)) as u8 + 1 } else { 0 };
    let plane: Vec<u8> = (0..SHAPE[1]).flat_map(|h| (0..SHAPE[2]).map(move |w| label(h, w))).collect();
    (0..SHAPE[0]).flat_map(|d| if d % 40 < 30 { plane.clone() } else { vec![0; plane.len()] }).collect()
}

/// CPU seconds of the calling thread; where the system counts none for threads, those of the clock on the wall.
fn thread_seconds() -> f64 {
    #[cfg(unix)]
    if let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID) {
        return Duration::from(time).as_secs_f64();
    }
    static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    BEGAN.elapsed().as_secs_f64()
}
