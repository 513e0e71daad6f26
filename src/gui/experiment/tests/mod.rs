//! The panel in its telling states, in both lights, and how it answers.

mod interaction;
mod snapshots;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::ExperimentPanel;
use super::look::{Look, Reader};
use super::opened::{OpenExperiment, Opened};
use crate::device::DeviceChoice;
use crate::experiment::{Experiment, ExperimentFolder, ExperimentState, synthetic};
use crate::experiment::{ExperimentEvent, Finish};
use crate::gui::Background;
use crate::protocol::Command;
use crate::worker::{AvailableDevice, ExperimentHandle};
use synthetic::Until;

/// A made-up experiment on the panel, in a folder that is called the same on every machine.
fn put(panel: &mut ExperimentPanel, experiment: Experiment, until: Option<Until>) {
    let place = tempfile::tempdir().unwrap();
    let real = ExperimentFolder::new(place.path());
    let state = match until {
        Some(until) => synthetic::state(&experiment, until, &real),
        None => ExperimentState::of(vec![None; experiment.trainings.len()]),
    };
    let look = Look::new(&experiment, &state, &real, true);
    let folder = ExperimentFolder::new("/data/experiments/hippocampus_labels");
    let mut open = OpenExperiment::new(Opened { experiment, folder });
    (open.look, open.reader) = (Some(look), Reader::known(state));
    panel.open = Some(open);
    let device = |choice, name: &str| AvailableDevice { choice, name: name.to_owned(), software: false };
    let devices = vec![device(DeviceChoice::Auto, "Automatic: Radeon 780M"), device(DeviceChoice::Cpu, "CPU: Ryzen 7 7840U")];
    panel.devices = Some(Background::Done((devices, None)));
}

/// The worker's side of an experiment whose events a test makes up.
struct FakeExperiment {
    events: SyncSender<ExperimentEvent>,
    commands: Receiver<Command>,
    /// Stages at once, as the worker was asked.
    asked: Arc<Mutex<Option<usize>>>,
}

/// The next experiment that the panel starts does what a test says.
fn fake(panel: &mut ExperimentPanel) -> FakeExperiment {
    let (events, received) = sync_channel(4096);
    let (sent, commands) = sync_channel(16);
    let handle =
        ExperimentHandle { events: received, previews: sync_channel(1).1, commands: sent, join: std::thread::spawn(Finish::default) };
    let waiting = Mutex::new(Some(handle));
    let asked = Arc::new(Mutex::new(None));
    let told = asked.clone();
    panel.starter = Arc::new(move |job, _| {
        *told.lock().unwrap() = Some(job.at_once);
        Ok(waiting.lock().unwrap().take().expect("it is started once"))
    });
    FakeExperiment { events, commands, asked }
}
