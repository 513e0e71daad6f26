//! Opens the window, and tells what was left when it closed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use eframe::egui::ViewportBuilder;
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup};
use eframe::{NativeOptions, wgpu};

use super::event_loop::run_native;
use super::outlive::{GoOn, guard, rescue};
use super::{App, Left, Opening, Settings};
use crate::device::DeviceChoice;
use crate::experiment::Tally;

/// Size of the window at its first opening, in points.
const FIRST_SIZE: [f32; 2] = [1440.0, 900.0];
/// Below this, controls would hide one another.
const LEAST_SIZE: [f32; 2] = [900.0, 560.0];

/// Drawn from `assets/icon.svg`.
const ICON: &[u8] = include_bytes!("../../assets/icon.png");

/// There is no window, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum NoWindow {
    /// There is nothing to open one on.
    #[error("no window can be opened ({0}); without a display, add --no-gui")]
    NoDisplay(String),
    /// It is gone, and nothing was at work in it.
    #[error("the window is gone, with its display or with what draws on it; nothing was at work in it")]
    Lost,
}

/// Shows the window until it is closed. Returns the experiment that is to go on without it, and how far the one is that the window was
/// opened on. A job whose window is lost is returned as well; where the loss ends the process, `go_on` goes on with it in between,
/// and its exit code is the program's.
///
/// # Errors
/// There is no display, or nothing that draws on it; or both went away while nothing was at work.
pub fn open(opening: Opening, device: DeviceChoice, go_on: GoOn) -> Result<(Option<Left>, Option<Tally>), NoWindow> {
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
    let (opened, gpu_lost) = (Cell::new(false), Arc::new(AtomicBool::new(false)));
    let create = |context: &eframe::CreationContext<'_>| {
        let mut app = App::new(&context.egui_ctx, settings, context.wgpu_render_state.clone(), device);
        app.keep_settings();
        app.hand_over_to(sender);
        app.leave_with_gpu(&context.egui_ctx, gpu_lost.clone());
        if let Some(notice) = notice {
            app.workspace.trouble(notice);
        }
        app.begin(&context.egui_ctx, opening);
        opened.set(true);
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    guard(go_on);
    keep_panics_short();
    let shown = catch_unwind(AssertUnwindSafe(|| run_native("simtrot", options, Box::new(create))));
    drop(take_hook());
    let rescued = rescue();
    let (left, tally) = left.try_recv().unwrap_or_default();
    match (left.or(rescued), shown) {
        (Some(left), _) => Ok((Some(left), tally)),
        (None, Ok(Ok(()))) if !gpu_lost.load(Ordering::Relaxed) => Ok((None, tally)),
        (None, Ok(Err(error))) if !opened.get() => Err(NoWindow::NoDisplay(error.to_string())),
        (None, _) => Err(NoWindow::Lost),
    }
}

/// The windowing library panics where the display is gone: on this thread only faults of our own are told with their place.
fn keep_panics_short() {
    let (window, told) = (std::thread::current().id(), take_hook());
    set_hook(Box::new(move |panic| {
        let own = panic.location().is_some_and(|place| place.file().starts_with("src"));
        if own || std::thread::current().id() != window {
            told(panic);
        } else {
            tracing::warn!("{panic}");
        }
    }));
}

/// The window's own device, with all that its adapter can hold: volumes are large.
pub(super) fn graphics() -> WgpuConfiguration {
    let mut graphics = WgpuConfiguration::default();
    if let WgpuSetup::CreateNew(setup) = &mut graphics.wgpu_setup {
        setup.device_descriptor = Arc::new(|adapter| wgpu::DeviceDescriptor {
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
        return Err(NoWindow::NoDisplay("neither DISPLAY nor WAYLAND_DISPLAY is set".to_owned()));
    }
    Ok(())
}
