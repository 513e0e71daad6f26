//! The panel in its telling states, in both themes and in small windows, and how it answers.

mod choosing;
mod fixture;
mod interaction;
mod real_worker;
mod snapshots;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use egui_kittest::Harness;

use super::View;
use super::setup::{Estimate, Form, OpenData, Setup, Template};
use crate::config::DataSource;
use crate::device::DeviceChoice;
use crate::gui::testing::{click, wait_for, wait_until};
use crate::gui::{App, Background};
use crate::plan::{Smaller, plan};
use crate::protocol::StageKind;
use crate::volume::check::{CaseRow, CheckReport, ImageSummary};
use crate::volume::{Dataset, Fault, Problem, check};
use crate::worker::AvailableDevice;

const MIB: u64 = 1 << 20;

fn set_up<'a>(harness: &'a Harness<'_, App>) -> &'a Setup {
    harness.state().experiment.setup.as_ref().expect("it is set up")
}

/// Devices that are the same on every machine.
fn with_devices(app: &mut App) {
    let device = |choice, name: &str, software| AvailableDevice { choice, name: name.to_owned(), software };
    let devices = vec![
        device(DeviceChoice::Auto, "Automatic: Radeon 780M", false),
        device(DeviceChoice::Cpu, "CPU: Ryzen 7 7840U", false),
        device(DeviceChoice::GpuIndex(1), "llvmpipe (Vulkan)", true),
    ];
    app.experiment.devices = Some(Background::Done((devices, None)));
}

fn form(template: Template) -> Form {
    let mut form = Form::new(template, None).unwrap();
    form.parent = PathBuf::from("/data/runs");
    form
}

/// A set-up whose dataset is checked and whose memory is planned, on a machine that is the same everywhere.
fn put_set_up(app: &mut App, form: Form, (source, report): (DataSource, Option<CheckReport>), free_mib: u64) {
    with_devices(app);
    // What the plan says does not depend on the dataset's files here.
    let mut planned = form.clone();
    planned.take_source(DataSource::Demo);
    let mut answer =
        plan(&[(StageKind::Pretrain, planned.config()), (StageKind::Finetune, planned.config())], &DeviceChoice::Cpu, &[]).unwrap();
    (answer.device, answer.free_bytes) = ("Ryzen 7 7840U".to_owned(), Some(free_mib * MIB));
    for step in &mut answer.steps {
        step.fits = step.bytes <= free_mib * MIB;
        step.instead = (!step.fits).then_some(Smaller { batch: 1, accumulate: 2, crop_size: step.crop_size });
    }
    let estimate = Estimate::known(&form, &app.workspace.device, answer);
    app.experiment.setup = Some(Setup::of(form, OpenData::known(source, report), estimate));
    app.experiment.view = View::Cases;
}

/// The demo, set up.
fn put_demo(app: &mut App) {
    let report = check::inspect(&Dataset::open(&DataSource::Demo).unwrap(), Default::default(), &|_, _| {});
    put_set_up(app, form(Template::Demo), (DataSource::Demo, Some(report)), 11_240);
}

/// The check of a dataset in which three cases cannot be used.
fn troubled() -> CheckReport {
    let root = Path::new("/data/Task03_Liver");
    let row = |index: usize| {
        let shape = [75 + index * 7 % 400, 512, 512];
        let spacing_mm = [[5.0, 1.0, 2.5][index % 3], 0.703 + 0.01 * (index % 9) as f64, 0.703 + 0.01 * (index % 9) as f64];
        let image = ImageSummary { shape, spacing_mm, axes: "RAS".to_owned(), intensity: vec![[-1024.0, -48.0, 312.0]] };
        let labels = BTreeMap::from([(0, 60_000_000), (1, 2_400_000 + index as u64 * 1313), (2, 31_000 + index as u64 * 77)]);
        let notes = if index.is_multiple_of(13) { vec!["oblique, 4 degrees from the patient's axes".to_owned()] } else { Vec::new() };
        CaseRow { name: format!("liver_{index}"), image: (index != 3).then_some(image), labels: (index % 8 != 7).then_some(labels), notes }
    };
    let problem =
        |index: usize, file: &str, fault: Fault| Problem { case: Some(format!("liver_{index}")), error: fault.at(&root.join(file)) };
    let other = root.join("imagesTr/liver_9.nii.gz");
    CheckReport {
        name: "Liver".to_owned(),
        channels: vec!["CT".to_owned()],
        labels: BTreeMap::from([(0, "background".to_owned()), (1, "liver".to_owned()), (2, "tumour".to_owned())]),
        rows: (0..131).map(row).collect(),
        problems: vec![
            problem(3, "imagesTr/liver_3.nii.gz", Fault::Gzip { read: 4_194_304, cause: "unexpected end of file".to_owned() }),
            problem(9, "labelsTr/liver_9.nii.gz", Fault::Shape { found: [138, 512, 512], expected: [139, 512, 512], other }),
            problem(12, "labelsTr/liver_12.nii.gz", Fault::UnknownLabel { found: vec![255], known: vec![0, 1, 2] }),
        ],
        notes: Vec::new(),
        equal_images: Vec::new(),
    }
}
