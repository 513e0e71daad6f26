//! What a frame of the window costs: the CPU time of its thread while a training has all other cores.
//!
//! `simtrot bench --only window_frame` opens the window off screen on the adapter that it would use, starts the demo's training in it
//! on the processor, drops a 512x512x300 volume with its labels on it, and turns the wheel over a view in every frame. Counted is
//! what the window's thread does for a frame, from the input to the commands that it hands to the GPU: polling the training, egui's
//! pass with everything that the panel shows, tessellation, the views' preparation, encoding. `--only paint_frame` drags a brush of 20 mm
//! in depth over the labels instead: painting, undo's record and the way of the changed box to the GPU are in it as well.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use eframe::egui::{self, Event, Modifiers, MouseWheelUnit, PointerButton, Pos2, RawInput, Rect, TouchPhase, pos2, vec2};
use eframe::egui_wgpu::{RenderState, RendererOptions};
use eframe::wgpu;

use super::widgets::offscreen;
use super::{App, OpenRun, Opening, Panel, Settings, open};
use crate::bench::Timing;
use crate::config::{ExperimentConfig, RunConfig, Training};
use crate::device::{DeviceChoice, memory};
use crate::experiment::{Experiment, ExperimentFolder};
use crate::volume::nifti::{SourceHeader, write_labels, write_volume};
use crate::volume::{Grid, LabelMap, Volume};
use crate::worker::ExperimentJob;

/// The names they are asked for by: a frame that scrolls, and one that paints.
pub const PIECES: [&str; 2] = ["window_frame", "paint_frame"];
/// D,H,W of the volume.
const SHAPE: [usize; 3] = [300, 512, 512];
/// Labels besides background.
const LABELS: usize = 13;
/// Size of the window in pixels.
const PIXELS: [u32; 2] = [1440, 900];
/// Where the pointer is: over the first of the three views.
const POINTER: Pos2 = pos2(300.0, 350.0);
/// Frames of one of the caller's runs.
const FRAMES: usize = 60;
/// Frames of one stroke.
const STROKE: usize = 30;
/// Times that the brush is widened: from 10 mm to about 20, in steps of voxels of 0.8 mm.
const BRUSH_STEPS: usize = 10;
/// Longest wait for the volume to be read, or for the training's first step.
const POLL_INTERVAL: Duration = Duration::from_secs(300);
/// Time between frames: the training has the cores meanwhile, as with a user who scrolls.
const PAUSE: Duration = Duration::from_millis(16);

/// Times `runs` times sixty frames that scroll.
///
/// # Errors
/// No adapter that could draw a window, a folder that holds no volume of this size, a training that does not start.
pub fn window_frame(runs: usize) -> anyhow::Result<Timing> {
    measure(runs, |window, frames| {
        let from = window.app.segmentation.crosshair();
        let times = window.frames(frames, |frame| vec![Event::PointerMoved(POINTER), wheel(frame)]);
        ensure!(from != window.app.segmentation.crosshair(), "the wheel scrolled nothing: the view is not where it was expected");
        Ok(times)
    })
}

/// Times `runs` times sixty frames that paint.
///
/// # Errors
/// As [`window_frame`]; and a brush that paints nothing.
pub fn paint_frame(runs: usize) -> anyhow::Result<Timing> {
    measure(runs, |window, frames| {
        window.app.segmentation.take_brush();
        window.until("the labels were not copied", |app| app.segmentation.is_settled() && app.segmentation.brush().0)?;
        // In depth, and as wide as 20 mm.
        let key = |key| Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: Modifiers::NONE };
        window.frame(
            [Event::PointerMoved(POINTER), key(egui::Key::V)].into_iter().chain((0..BRUSH_STEPS).map(|_| key(egui::Key::Plus))).collect(),
        );
        let times = window.frames(frames, stroke);
        let painted = window.app.segmentation.brush().1;
        ensure!(painted > 0, "the brush painted nothing: the view is not where it was expected");
        eprintln!("{painted} strokes can be undone");
        Ok(times)
    })
}

/// Opens a case with labels in a window that trains, and times what `drawn` does in it.
fn measure(runs: usize, drawn: impl FnOnce(&mut Window, usize) -> anyhow::Result<Vec<f64>>) -> anyhow::Result<Timing> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let others = cores.saturating_sub(1).max(1);
    // Where the caller has set the number of threads already, that holds.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(others).build_global();
    let folder = tempfile::tempdir().context("a folder for volume and training")?;
    let files = write_case(folder.path())?;
    let mut window = Window::open()?;
    window.drop_files(&files);
    window.until("volume and labels were not read", |app| app.segmentation.is_settled() && app.segmentation.crosshair().is_some())?;
    eprintln!("the volume is open: {:.0} MiB resident", memory::resident_mib().unwrap_or(f64::NAN));
    window.train(&folder.path().join("run"));
    window.until("the training made no step", |app| steps(app) > 0)?;

    let before = steps(&window.app);
    let mut times = drawn(&mut window, runs.max(1) * FRAMES)?;
    eprintln!("{} steps of the training on {others} of {cores} cores meanwhile", steps(&window.app) - before);
    eprintln!("the frames are drawn: {:.0} MiB resident", memory::resident_mib().unwrap_or(f64::NAN));
    window.stop()?;
    times.sort_by(f64::total_cmp);
    let share = |share: f64| 1e3 * times[((times.len() - 1) as f64 * share) as usize];
    eprintln!("95 % of the frames within {:.2} ms, all within {:.2} ms", share(0.95), share(1.0));
    Ok(Timing { median_s: times[times.len() / 2], min_s: times[0], peak_rss_mib: memory::peak_mib() })
}

/// Optimiser steps that the training has made.
fn steps(app: &App) -> usize {
    let stages = app.workspace.runs.iter().flat_map(OpenRun::stages);
    stages.filter(|stage| stage.total == MANY_STEPS).map(|stage| stage.done).sum()
}

/// Steps of a training that does not end by itself.
const MANY_STEPS: usize = 100_000_000;

/// The wheel up through the volume and down again, one slice a frame, not all through it.
fn wheel(frame: usize) -> Event {
    let up = if (frame / (SHAPE[0] / 3)).is_multiple_of(2) { 1.0 } else { -1.0 };
    let source = egui::MouseWheelSource::Wheel;
    Event::MouseWheel { unit: MouseWheelUnit::Line, delta: vec2(0.0, up), phase: TouchPhase::Move, source, modifiers: Modifiers::NONE }
}

/// A drag in circles over the first view, pressed anew every thirty frames.
fn stroke(frame: usize) -> Vec<Event> {
    let at = |frame: usize| POINTER + 60.0 * egui::Vec2::angled(frame as f32 / 5.0);
    let button = |pressed| Event::PointerButton { pos: at(frame), button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE };
    match frame % STROKE {
        0 => vec![Event::PointerMoved(at(frame)), button(true)],
        last if last == STROKE - 1 => vec![Event::PointerMoved(at(frame)), button(false)],
        _ => vec![Event::PointerMoved(at(frame))],
    }
}

/// Writes the image and its labels.
fn write_case(folder: &Path) -> anyhow::Result<[PathBuf; 2]> {
    let grid = Grid::axis_aligned(SHAPE, [1.5, 0.8, 0.8]);
    let header = SourceHeader::for_grid(&grid);
    let files = ["image.nii", "labels.nii"].map(|name| folder.join(name));
    write_volume(&files[0], &Volume { channels: 1, grid: grid.clone(), voxels: image() }, &header)?;
    write_labels(&files[1], &LabelMap { grid, voxels: labels() }, &header)?;
    Ok(files)
}

/// The window without a screen.
struct Window {
    ctx: egui::Context,
    gpu: RenderState,
    target: wgpu::Texture,
    app: App,
    began: Instant,
}

impl Window {
    fn open() -> anyhow::Result<Self> {
        let graphics = open::graphics();
        let instance = pollster::block_on(graphics.wgpu_setup.new_instance());
        let gpu = pollster::block_on(RenderState::create(&graphics, &instance, None, RendererOptions::default()))
            .context("no adapter draws a window here")?;
        eprintln!("drawn by {}", gpu.adapter.get_info().name);
        let target = offscreen::target(&gpu, PIXELS);
        let ctx = egui::Context::default();
        let settings = Settings { panel: Panel::Segmentation, ..Settings::default() };
        let app = App::new(&ctx, settings, Some(gpu.clone()), DeviceChoice::Cpu);
        Ok(Self { ctx, gpu, target, app, began: Instant::now() })
    }

    fn drop_files(&mut self, files: &[PathBuf]) {
        let (ctx, workspace) = (self.ctx.clone(), &mut self.app.workspace);
        self.app.segmentation.take_dropped(&ctx, files, workspace);
    }

    /// Starts the demo's pre-training in the window, as a user would.
    fn train(&mut self, folder: &Path) {
        let mut config =
            RunConfig::from_ron(include_str!("../../configs/demo.ron"), "configs/demo.ron").expect("the demo's config is sound");
        config.name = PIECES[0].to_owned();
        config.pretrain.steps = MANY_STEPS;
        let config = ExperimentConfig::of_one_training(Training::Pretrain, config);
        let folder = ExperimentFolder::new(folder);
        let experiment = Experiment::new(config, folder.contents()).expect("the demo's config is sound");
        let job = ExperimentJob::new(experiment, folder);
        self.app.begin(&self.ctx, Opening::Experiment(Box::new(job)));
        self.app.workspace.settings.panel = Panel::Segmentation;
    }

    /// Draws frames until something has happened.
    fn until(&mut self, otherwise: &str, done: impl Fn(&App) -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !done(&self.app) {
            if began.elapsed() > POLL_INTERVAL {
                bail!("{otherwise} in {} s; {:?}", POLL_INTERVAL.as_secs(), self.app.workspace.troubles);
            }
            self.frame(Vec::new());
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Ends the training and waits until its thread has.
    fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(Err(trouble)) = self.app.workspace.at_work_mut().map(OpenRun::stop) {
            bail!(trouble);
        }
        self.until("the training did not stop", |app| app.workspace.at_work().is_none())
    }

    /// Draws frames, each with the events of its number; the seconds that each took of this thread.
    fn frames(&mut self, count: usize, events: impl Fn(usize) -> Vec<Event>) -> Vec<f64> {
        let one = |frame| {
            let spent = self.frame(events(frame));
            std::thread::sleep(PAUSE);
            spent
        };
        (0..count).map(one).collect()
    }

    /// Draws a frame, and says how many seconds of this thread it took.
    fn frame(&mut self, events: Vec<Event>) -> f64 {
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(PIXELS[0] as f32, PIXELS[1] as f32))),
            time: Some(self.began.elapsed().as_secs_f64()),
            events,
            ..RawInput::default()
        };
        let began = thread_seconds();
        let output = self.ctx.run_ui(input, |ui| self.app.show(ui));
        let submitted = offscreen::paint(&self.gpu, &mut self.gpu.renderer.write(), (&self.ctx, output), &self.target, |_| {});
        let spent = thread_seconds() - began;
        // As a window waits for its surface; not the thread's work.
        let _ = self.gpu.device.poll(wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None });
        spent
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
fn labels() -> Vec<u16> {
    let label = |h: usize, w: usize| if h % 48 < 36 && w % 48 < 36 { ((h / 48 + w / 48) % LABELS) as u16 + 1 } else { 0 };
    let plane: Vec<u16> = (0..SHAPE[1]).flat_map(|h| (0..SHAPE[2]).map(move |w| label(h, w))).collect();
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
