//! What the panel looks like.

use std::collections::BTreeMap;
use std::path::PathBuf;

use eframe::egui::vec2;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotResults};

use super::super::View;
use super::super::dataset::OpenData;
use super::super::draft::Draft;
use super::super::estimate::Estimate;
use super::super::setup::Setup;
use super::super::template::Template;
use super::synthetic::{Until, config, run};
use super::{at_work, replayed, setup, wait_for};
use crate::config::{DataSource, Preset};
use crate::gui::testing::{has_gpu, window};
use crate::gui::{App, ThemeChoice};
use crate::plan::plan;
use crate::volume::Problem;
use crate::volume::check::{CaseRow, CheckReport, ImageSummary};
use crate::volume::{Dataset, Fault, check};

const MIB: u64 = 1 << 20;

/// A snapshot in each light. Everything beside the window must have arrived when `settle` returns.
fn in_both_lights(name: &str, arrange: impl Fn(&mut App) + Clone + 'static, settle: impl Fn(&mut Harness<'_, App>)) {
    if !has_gpu() {
        return;
    }
    let mut results = SnapshotResults::new();
    for (theme, word) in [(ThemeChoice::Dark, "dark"), (ThemeChoice::Light, "light")] {
        let arrange = arrange.clone();
        let mut harness = window(theme, |_, app| arrange(app));
        harness.run_steps(3);
        settle(&mut harness);
        harness.run_steps(2);
        harness.snapshot(format!("run_{name}_{word}"));
        results.extend_harness(&mut harness);
    }
}

/// The least window that is looked at.
fn small(harness: &mut Harness<'_, App>) {
    harness.set_size(vec2(1100.0, 700.0));
    harness.run_steps(3);
}

pub(super) fn demo_draft() -> Draft {
    let mut draft = Draft::new(Template::Demo, None).unwrap();
    draft.parent = PathBuf::from("/data/runs");
    draft
}

pub(super) fn demo_data() -> OpenData {
    let dataset = Dataset::open(&DataSource::Demo).unwrap();
    OpenData::checked(DataSource::Demo, Ok(check::inspect(&dataset, Default::default(), &|_, _| {})))
}

/// A plan on a machine that is the same everywhere.
pub(super) fn planned(draft: &Draft, device: &crate::device::DeviceChoice, free_mib: u64) -> Estimate {
    let mut plan = plan(draft.config(), &crate::device::DeviceChoice::Cpu).unwrap();
    plan.device = "Ryzen 7 7840U".to_owned();
    plan.free_bytes = Some(free_mib * MIB);
    for step in [&mut plan.pretrain, &mut plan.finetune] {
        step.fits = step.bytes <= free_mib * MIB;
        let crop_size = step.crop_size;
        step.instead = (!step.fits).then_some(crate::plan::Smaller { batch: 1, accumulate: 2, crop_size });
    }
    Estimate::known(draft, device, Ok(plan))
}

fn demo_setup(app: &App) -> Setup {
    let draft = demo_draft();
    let estimate = planned(&draft, &app.workspace.device, 11_240);
    setup(draft, demo_data(), estimate)
}

#[test]
fn the_first_screen_offers_three_ways_to_begin() {
    let arrange = |app: &mut App| {
        app.workspace.settings.recent_datasets = ["/data/Task04_Hippocampus", "/data/btcv/dataset.json"].map(PathBuf::from).to_vec();
        app.workspace.settings.recent_runs = ["/data/runs/hippocampus_simtrot_w", "/data/runs/demo"].map(PathBuf::from).to_vec();
    };
    in_both_lights("empty", arrange, |_| {});
}

pub(super) fn troubled() -> CheckReport {
    let labels = BTreeMap::from([(0, "background".to_owned()), (1, "liver".to_owned()), (2, "tumour".to_owned())]);
    let root = PathBuf::from("/data/Task03_Liver");
    let rows = (0..131).map(|index| {
        let name = format!("liver_{index}");
        let shape = [75 + index * 7 % 400, 512, 512];
        let spacing_mm = [[5.0, 1.0, 2.5][index % 3], 0.703 + 0.01 * (index % 9) as f64, 0.703 + 0.01 * (index % 9) as f64];
        let image = ImageSummary { shape, spacing_mm, axes: "RAS".to_owned(), intensity: vec![[-1024.0, -48.0, 312.0]] };
        let labels = BTreeMap::from([(0, 60_000_000), (1, 2_400_000 + index as u64 * 1313), (2, 31_000 + index as u64 * 77)]);
        let notes = if index % 13 == 0 { vec!["oblique, 4 degrees from the patient's axes".to_owned()] } else { Vec::new() };
        CaseRow { name, image: (index != 3).then_some(image), labels: (index % 8 != 7).then_some(labels), notes }
    });
    let problem =
        |index: usize, file: &str, fault: Fault| Problem { case: Some(format!("liver_{index}")), error: fault.at(&root.join(file)) };
    let other = root.join("imagesTr/liver_9.nii.gz");
    let problems = vec![
        problem(3, "imagesTr/liver_3.nii.gz", Fault::Gzip { read: 4_194_304, cause: "unexpected end of file".to_owned() }),
        problem(9, "labelsTr/liver_9.nii.gz", Fault::Shape { found: [138, 512, 512], expected: [139, 512, 512], other }),
        problem(12, "labelsTr/liver_12.nii.gz", Fault::UnknownLabel { found: vec![255], known: vec![0, 1, 2] }),
    ];
    let mut report = CheckReport {
        name: "Liver".to_owned(),
        channels: vec!["CT".to_owned()],
        labels,
        rows: rows.collect(),
        problems,
        notes: Vec::new(),
        equal_images: Vec::new(),
    };
    report.rows.sort_by(|a, b| a.name.cmp(&b.name));
    report
}

#[test]
fn a_checked_dataset_shows_every_case_and_what_is_wrong() {
    let arrange = |app: &mut App| {
        let source = DataSource::Dataset(PathBuf::from("/data/Task03_Liver"));
        let mut draft = Draft::new(Template::Defaults, Some(source.clone())).unwrap();
        draft.parent = PathBuf::from("/data/runs");
        draft.learn(&troubled());
        // What the plan says does not depend on the dataset's files here.
        let mut planned_on = draft.clone();
        planned_on.take_source(DataSource::Demo);
        let mut answer = plan(planned_on.config(), &crate::device::DeviceChoice::Cpu).unwrap();
        (answer.device, answer.free_bytes) = ("Ryzen 7 7840U".to_owned(), Some(11_240 * MIB));
        let estimate = Estimate::known(&draft, &app.workspace.device, Ok(answer));
        app.run.setup = Some(setup(draft, OpenData::checked(source, Ok(troubled())), estimate));
        app.run.view = View::Cases;
    };
    in_both_lights("checked", arrange, small);
}

#[test]
fn settings_show_what_they_need() {
    let fits = |app: &mut App| {
        app.run.setup = Some(demo_setup(app));
        app.run.view = View::Cases;
    };
    in_both_lights("fits", fits, small);
}

#[test]
fn what_does_not_fit_is_told_with_what_would() {
    let does_not = |app: &mut App| {
        let mut draft = demo_draft();
        draft.choose_network(Preset::NnformerSynapse);
        let estimate = planned(&draft, &app.workspace.device, 3_120);
        app.run.setup = Some(setup(draft, demo_data(), estimate));
        app.run.view = View::Cases;
    };
    in_both_lights("too_large", does_not, |harness| {
        small(harness);
        harness.get_by_label("Use what fits: fine-tuning").scroll_to_me();
        harness.run_steps(8);
    });
}

fn working(app: &mut App) {
    app.run.setup = Some(demo_setup(app));
    let (run, worker) = at_work("demo", &config("demo"), run("demo", Until::Pretraining, 0.0));
    app.workspace.put(run);
    // The worker goes on living, and tells nothing more.
    std::mem::forget(worker);
}

#[test]
fn a_run_at_work_shows_progress_curves_and_what_is_to_come() {
    in_both_lights("running", working, |harness| wait_for(harness, "Open Collapse"));
}

#[test]
fn a_paused_run_says_so() {
    let paused = |app: &mut App| {
        working(app);
        app.workspace.at_work_mut().unwrap().job.pause();
    };
    in_both_lights("paused", paused, |harness| {
        wait_for(harness, "Open Collapse");
        small(harness);
    });
}

#[test]
fn a_failed_run_says_why_and_what_to_do() {
    let arrange = |app: &mut App| {
        app.run.setup = Some(demo_setup(app));
        app.workspace.put(replayed("demo", &config("demo"), run("demo", Until::Failure, 0.0)));
    };
    in_both_lights("failed", arrange, |harness| {
        wait_for(harness, "Scores on the test cases");
        small(harness);
    });
}

#[test]
fn a_finished_run_shows_its_numbers() {
    let arrange = |app: &mut App| app.workspace.put(replayed("demo", &config("demo"), run("demo", Until::End, 0.0)));
    in_both_lights("replayed", arrange, |harness| wait_for(harness, "Scores on the test cases"));
}

#[test]
fn two_runs_lie_over_one_another() {
    let arrange = |app: &mut App| {
        app.workspace.put(replayed("seed_1", &config("seed_1"), run("seed_1", Until::End, 1.0)));
        app.workspace.put(replayed("seed_0", &config("seed_0"), run("seed_0", Until::End, 0.0)));
        app.run.compared = app.workspace.runs.iter().map(|run| run.folder.root().to_owned()).collect();
    };
    in_both_lights("compared", arrange, |harness| {
        wait_for(harness, "Scores on the test cases");
        for _ in 0..50 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            harness.step();
        }
    });
}

#[test]
fn a_run_that_is_there_is_asked_about() {
    let arrange = |app: &mut App| {
        let mut setup = demo_setup(app);
        setup.starting = super::super::start::Starting::asking(config("demo"), run("demo", Until::Failure, 0.0), "demo_2");
        app.run.setup = Some(setup);
        app.run.view = View::Cases;
    };
    in_both_lights("question", arrange, small);
}
