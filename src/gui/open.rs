//! Opens the window, and tells what was left when it closed.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use eframe::egui::ViewportBuilder;
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup};
use eframe::{NativeOptions, egui, wgpu};

use super::event_loop::run_native;
use super::{App, Settings};
use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::protocol::{RunFolder, RunState};
use crate::worker::{Job, RunHandle, StudyHandle, StudyJob};

/// Size of the window at its first opening, in points.
const FIRST_SIZE: [f32; 2] = [1440.0, 900.0];
/// Below this, controls would hide one another.
const LEAST_SIZE: [f32; 2] = [900.0, 560.0];

/// Drawn from `assets/icon.svg`.
const ICON: &[u8] = include_bytes!("../../assets/icon.png");

/// What the window opens on.
pub enum Opening {
    /// An empty desk.
    Desk,
    /// A job that makes a run.
    Run {
        /// What the worker is to do.
        job: Box<Job>,
        /// Where the run is kept.
        folder: RunFolder,
        /// Its settings.
        config: Box<RunConfig>,
    },
    /// A study to work on.
    Study(Box<StudyJob>),
    /// A volume to look at.
    Volume {
        /// Its file.
        image: PathBuf,
        /// Label maps to lay over it.
        labels: Vec<PathBuf>,
    },
}

/// What goes on although its window was closed.
pub enum Left {
    /// A run.
    Run {
        /// The worker.
        handle: RunHandle,
        /// What is known so far.
        state: Box<RunState>,
        /// Where the run is kept.
        folder: RunFolder,
        /// Its settings.
        config: Box<RunConfig>,
    },
    /// A study.
    Study {
        /// The study at work.
        handle: StudyHandle,
        /// What it works on.
        job: Box<StudyJob>,
    },
}

/// There is nothing to open a window on.
#[derive(Debug, thiserror::Error)]
#[error("no window can be opened ({0}); without a display, add --no-gui")]
pub struct NoWindow(String);

/// Shows the window until it is closed. Returns the job that is to go on without it, and how the run ended that was opened
/// with it.
///
/// # Errors
/// There is no display, or nothing that draws on it.
pub fn open(opening: Opening, device: DeviceChoice) -> Result<(Option<Left>, RunState), NoWindow> {
    display()?;
    let (settings, notice) = Settings::load();
    let size = settings.window_size.unwrap_or(FIRST_SIZE);
    let viewport = ViewportBuilder::default()
        .with_title("simtrot")
        .with_app_id("simtrot")
        .with_inner_size(size)
        .with_min_inner_size(LEAST_SIZE)
        .with_icon(eframe::icon_data::from_png_bytes(ICON).expect("assets/icon.png is a picture"))
        .with_drag_and_drop(true);
    let options = NativeOptions { viewport, wgpu_options: graphics(), persist_window: false, ..NativeOptions::default() };
    let (sender, left): (SyncSender<_>, Receiver<_>) = sync_channel(1);
    let create = move |context: &eframe::CreationContext<'_>| {
        let mut app = App::new(&context.egui_ctx, settings, context.wgpu_render_state.clone(), device);
        app.keep_settings();
        app.hand_over_to(sender);
        if let Some(notice) = notice {
            app.desk.trouble(notice);
        }
        app.begin(&context.egui_ctx, opening);
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    run_native("simtrot", options, Box::new(create)).map_err(|error| NoWindow(error.to_string()))?;
    Ok(left.try_recv().unwrap_or_default())
}

/// The window's own device, with all that its adapter can hold: volumes are large.
pub(super) fn graphics() -> WgpuConfiguration {
    let mut graphics = WgpuConfiguration::default();
    if let WgpuSetup::CreateNew(setup) = &mut graphics.wgpu_setup {
        setup.device_descriptor = std::sync::Arc::new(|adapter| wgpu::DeviceDescriptor {
            label: Some("window"),
            required_limits: adapter.limits(),
            ..wgpu::DeviceDescriptor::default()
        });
    }
    graphics
}

/// On systems where a display is named by the environment, whether one is: the libraries' own message would not say what to do.
fn display() -> Result<(), NoWindow> {
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(all(unix, not(target_os = "macos"))) && !named("DISPLAY") && !named("WAYLAND_DISPLAY") && !named("WAYLAND_SOCKET") {
        return Err(NoWindow("neither DISPLAY nor WAYLAND_DISPLAY is set".to_owned()));
    }
    Ok(())
}

/// Asks the platform to close the window.
pub(super) fn close(ctx: &egui::Context) {
    ctx.send_viewport_cmd(egui::ViewportCommand::Close);
}
