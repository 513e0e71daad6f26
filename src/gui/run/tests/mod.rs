//! The panel in its telling states, in both lights, and how it answers.

mod choosing;
mod interaction;
mod real_worker;
mod snapshots;
mod synthetic;

use std::path::Path;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::dataset::OpenData;
use super::draft::Draft;
use super::estimate::Estimate;
use super::setup::Setup;
use crate::config::RunConfig;
use crate::device::DeviceChoice;
use crate::gui::testing::{FakeWorker, fake_worker};
use crate::gui::{App, Background, FollowedJob, OpenRun};
use crate::protocol::{RunFolder, RunState};
use crate::worker::AvailableDevice;

/// A run of which a fake worker tells.
fn at_work(name: &str, config: &RunConfig, state: RunState) -> (OpenRun, FakeWorker) {
    let (handle, worker) = fake_worker();
    let run = OpenRun::at_work(folder(name), config.clone(), FollowedJob::going_on(handle, state));
    (run, worker)
}

/// A run that was read from a folder which is the same on every machine.
fn replayed(name: &str, config: &RunConfig, state: RunState) -> OpenRun {
    let mut run = OpenRun::replayed(folder(name), config.clone(), state);
    run.report = Some(run.folder.report_path());
    run
}

fn folder(name: &str) -> RunFolder {
    RunFolder::new(Path::new("/data/runs").join(name))
}

/// Devices that are the same on every machine.
fn devices() -> Vec<AvailableDevice> {
    let device = |choice, name: &str, software| AvailableDevice { choice, name: name.to_owned(), software };
    vec![
        device(DeviceChoice::Auto, "Automatic: Radeon 780M", false),
        device(DeviceChoice::Cpu, "CPU: Ryzen 7 7840U", false),
        device(DeviceChoice::GpuIndex(0), "Radeon 780M (Vulkan)", false),
        device(DeviceChoice::GpuIndex(1), "llvmpipe (Vulkan)", true),
    ]
}

fn setup(draft: Draft, data: OpenData, estimate: Estimate) -> Setup {
    Setup::with(draft, data, estimate, Background::Done((devices(), None)))
}

/// Draws frames until a text is there.
fn wait_for(harness: &mut Harness<'_, App>, text: &str) {
    wait_until(harness, text, |harness| harness.query_by_label_contains(text).is_some());
}

/// Draws frames until something holds.
fn wait_until(harness: &mut Harness<'_, App>, what: &str, holds: impl Fn(&Harness<'_, App>) -> bool) {
    let began = Instant::now();
    while !holds(harness) {
        assert!(began.elapsed() < Duration::from_secs(60), "{what:?} never came; troubles: {:?}", harness.state().workspace.troubles);
        std::thread::sleep(Duration::from_millis(10));
        harness.step();
    }
}

/// Clicks what has a name.
fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(2);
}
