//! A window without a screen, for tests: drawn by the software adapter where there is one.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use eframe::egui;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use egui_kittest::{Harness, SnapshotOptions};

use super::{App, Settings, ThemeChoice};
use crate::device::DeviceChoice;
use crate::experiment::{ExperimentEvent, ExperimentFolder, Finish, synthetic};
use crate::protocol::{Command, Event, Outcome, Preview, Record};
use crate::worker::{ExperimentHandle, ExperimentJob, RunHandle};

/// Share of a pixel's largest difference that still counts as equal, in dify's measure: drivers round colours differently.
const THRESHOLD: f32 = 2.0;
/// Pixels of a snapshot that may differ by more: antialiased edges.
const FAILED_PIXELS: usize = 200;

/// Size of the window in tests.
pub(super) const SIZE: [f32; 2] = [1440.0, 900.0];

/// Whether there is an adapter to draw with. Without one a test returns early; it fails instead where `SIMTROT_REQUIRE_GPU=1`.
pub(super) fn has_gpu() -> bool {
    let found = std::panic::catch_unwind(|| drop(create_render_state(default_wgpu_setup(), Default::default()))).is_ok();
    if !found {
        assert!(std::env::var("SIMTROT_REQUIRE_GPU").as_deref() != Ok("1"), "no adapter draws the window, and SIMTROT_REQUIRE_GPU=1");
        println!("skipped: no adapter draws the window");
    }
    found
}

/// Ends a test where there is no adapter to draw with.
macro_rules! needs_gpu {
    () => {
        if !crate::gui::testing::has_gpu() {
            return;
        }
    };
}
pub(super) use needs_gpu;

/// A window in one light, on `arrange`d content.
pub(super) fn window(theme: ThemeChoice, arrange: impl FnOnce(&egui::Context, &mut App)) -> Harness<'static, App> {
    let gpu = create_render_state(default_wgpu_setup(), egui_wgpu_options());
    let renderer = WgpuTestRenderer::from_render_state(gpu.clone());
    let ctx = egui::Context::default();
    let settings = Settings { theme, ..Settings::default() };
    let mut app = App::new(&ctx, settings, Some(gpu), DeviceChoice::Cpu);
    arrange(&ctx, &mut app);
    let options = SnapshotOptions::new().threshold(THRESHOLD).max_failed_pixels(FAILED_PIXELS);
    Harness::builder()
        .with_size(SIZE)
        .with_max_steps(40)
        .with_options(options)
        .with_context_setup(super::theme::install)
        .renderer(renderer)
        .build_ui_state(|ui, app: &mut App| app.show(ui), app)
}

fn egui_wgpu_options() -> eframe::egui_wgpu::RendererOptions {
    eframe::egui_wgpu::RendererOptions::PREDICTABLE
}

/// Both themes, and what their snapshots are called.
pub(super) const THEMES: [(ThemeChoice, &str); 2] = [(ThemeChoice::Dark, "dark"), (ThemeChoice::Light, "light")];

/// Sees that a panel fits a window of 900x600, and one of 1600 pixels at 200 %: snapshots of both.
pub(super) fn small_windows(harness: &mut Harness<'static, App>, panel: &str) {
    harness.set_size(egui::vec2(900.0, 600.0));
    harness.run_steps(4);
    harness.snapshot(format!("{panel}_small_dark"));
    // 1600x1120 pixels, two of them a point.
    let id = harness.ctx.viewport_id();
    harness.input_mut().viewports.entry(id).or_default().native_pixels_per_point = Some(2.0);
    harness.set_size(egui::vec2(800.0, 560.0));
    harness.run_steps(4);
    harness.snapshot(format!("{panel}_double_dark"));
}

/// Presses and releases the mouse at a point.
pub(super) fn click_at(harness: &mut Harness<'static, App>, pos: egui::Pos2) {
    harness.hover_at(pos);
    harness.step();
    for pressed in [true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
        harness.event(egui::Event::PointerButton { pos, button, pressed, modifiers });
        harness.step();
    }
    harness.event(egui::Event::PointerGone);
    harness.run_steps(3);
}

/// Saves what a menu names, by the menu's entry, in a folder; returns the file's bytes.
pub(super) fn save_by_menu(harness: &mut Harness<'static, App>, (menu, entry): (&str, &str), folder: &std::path::Path) -> Vec<u8> {
    harness.state_mut().saving.save_in(folder);
    for label in [menu, entry] {
        harness.get_by_label(label).click();
        harness.run_steps(4);
    }
    harness.get_by_label("Save").click();
    let saved = || std::fs::read_dir(folder).expect("the folder is there").next();
    for _ in 0..400 {
        harness.step();
        if harness.query_by_label("Cancel").is_none() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    harness.run_steps(2);
    harness.get_by_label_contains("Saved as");
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    let file = saved().expect("a file is there").expect("it can be read").path();
    let bytes = std::fs::read(&file).expect("it can be read");
    std::fs::remove_file(file).expect("it can be removed");
    bytes
}

/// Draws frames until a text is there.
pub(super) fn wait_for(harness: &mut Harness<'_, App>, text: &str) {
    wait_until(harness, text, |harness| harness.query_all_by_label_contains(text).next().is_some());
}

/// Draws frames until something holds.
pub(super) fn wait_until(harness: &mut Harness<'_, App>, what: &str, holds: impl Fn(&Harness<'_, App>) -> bool) {
    let began = Instant::now();
    while !holds(harness) {
        let workspace = &harness.state().workspace;
        let own: Vec<&String> = workspace.runs.iter().flat_map(|open| &open.troubles).collect();
        assert!(began.elapsed() < Duration::from_secs(60), "{what:?} never came; troubles: {:?} {own:?}", workspace.troubles);
        std::thread::sleep(Duration::from_millis(10));
        harness.step();
    }
}

/// Clicks what has a name.
pub(super) fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(2);
}

/// The worker's side of what a test makes up.
pub(super) struct Fake<E, P> {
    events: SyncSender<E>,
    /// Previews to the window.
    pub(super) previews: SyncSender<P>,
    commands: Receiver<Command>,
}

/// That of a job.
pub(super) type FakeWorker = Fake<Record, Preview>;
/// That of an experiment.
pub(super) type FakeExperiment = Fake<ExperimentEvent, (usize, Preview)>;

impl<E, P> Fake<E, P> {
    /// With the window's ends.
    fn new() -> (Self, Receiver<E>, Receiver<P>, SyncSender<Command>) {
        let ((events, window_events), (previews, window_previews), (window_commands, commands)) =
            (sync_channel(4096), sync_channel(16), sync_channel(16));
        (Self { events, previews, commands }, window_events, window_previews, window_commands)
    }

    /// The commands since the last look.
    pub(super) fn commands(&self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }
}

/// A job that does what a test says.
pub(super) fn fake_worker() -> (RunHandle, FakeWorker) {
    let (worker, events, previews, commands) = Fake::new();
    (RunHandle { events, previews, commands, join: std::thread::spawn(|| Outcome::Completed) }, worker)
}

impl FakeWorker {
    /// Sends an event of a moment.
    pub(super) fn tell(&self, secs: f64, event: Event) {
        self.events.send(Record { secs, event }).expect("the window listens");
    }
}

/// A made-up experiment that does what a test says.
pub(super) fn fake_experiment() -> (ExperimentHandle, ExperimentJob, FakeExperiment) {
    let (worker, events, previews, commands) = Fake::new();
    let handle = ExperimentHandle { events, previews, commands, join: std::thread::spawn(Finish::default) };
    (handle, ExperimentJob::new(synthetic::experiment(), ExperimentFolder::new("/data/runs/hippocampus_labels")), worker)
}

impl FakeExperiment {
    /// The next experiment that the workspace starts is played by this.
    pub(super) fn play(workspace: &mut super::Workspace) -> Self {
        let (handle, _, worker) = fake_experiment();
        let waiting = std::sync::Mutex::new(Some(handle));
        workspace.starter = std::sync::Arc::new(move |_, _| Ok(waiting.lock().unwrap().take().expect("it is started once")));
        worker
    }

    pub(super) fn tell(&self, event: ExperimentEvent) {
        self.events.send(event).expect("the window listens");
    }
}
