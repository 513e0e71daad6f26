//! The panel in its telling states, in both lights, and how it answers.

mod interaction;
mod snapshots;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::StudyPanel;
use super::look::{Look, Reader};
use super::opened::{OpenStudy, Opened};
use crate::device::DeviceChoice;
use crate::gui::Background;
use crate::protocol::Command;
use crate::study::{Study, StudyFolder, StudyState, Tally, made_up};
use crate::worker::{OfferedDevice, StudyEvent, StudyHandle};
use made_up::Until;

/// A made-up study on the panel, in a folder that is called the same on every machine.
fn put(panel: &mut StudyPanel, study: Study, until: Option<Until>) {
    let place = tempfile::tempdir().unwrap();
    let real = StudyFolder::new(place.path());
    let state = match until {
        Some(until) => made_up::state(&study, until, &real),
        None => StudyState::of(vec![None; study.stages.len()]),
    };
    let look = Look::new(&study, &state, &real, true);
    let folder = StudyFolder::new("/data/studies/hippocampus_labels");
    let mut open = OpenStudy::new(Opened { study, folder });
    (open.look, open.reader) = (Some(look), Reader::known(state));
    panel.open = Some(open);
    let device = |choice, name: &str| OfferedDevice { choice, name: name.to_owned(), software: false };
    let devices = vec![device(DeviceChoice::Auto, "Automatic: Radeon 780M"), device(DeviceChoice::Cpu, "CPU: Ryzen 7 7840U")];
    panel.devices = Some(Background::Done((devices, None)));
}

/// The worker's side of a study whose events a test makes up.
struct FakeStudy {
    events: SyncSender<StudyEvent>,
    commands: Receiver<Command>,
    /// Stages at once, as the worker was asked.
    asked: Arc<Mutex<Option<usize>>>,
}

/// The next study that the panel starts does what a test says.
fn fake(panel: &mut StudyPanel) -> FakeStudy {
    let (events, received) = sync_channel(4096);
    let (sent, commands) = sync_channel(16);
    let handle = StudyHandle { events: received, commands: sent, join: std::thread::spawn(Tally::default) };
    let waiting = Mutex::new(Some(handle));
    let asked = Arc::new(Mutex::new(None));
    let told = asked.clone();
    panel.starter = Arc::new(move |job, _| {
        *told.lock().unwrap() = Some(job.at_once);
        Ok(waiting.lock().unwrap().take().expect("it is started once"))
    });
    FakeStudy { events, commands, asked }
}
