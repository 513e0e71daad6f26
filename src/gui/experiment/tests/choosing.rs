//! Choosing data, runs and settings: what is wrong is said, and what is open stays open.

use std::path::Path;

use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::super::overview::{Entry, RunList};
use super::super::request::Request;
use super::super::setup::Template;
use super::{View, click, form, put_demo, put_set_up, set_up, troubled, wait_for, wait_until};
use crate::config::{DataSource, Preset};
use crate::device::DeviceChoice;
use crate::gui::testing::{needs_gpu, window};
use crate::gui::{App, ThemeChoice};
use crate::volume::check::CheckReport;
use crate::volume::{Fault, Problem};

fn drop_in(harness: &mut Harness<'_, App>, path: &Path) {
    let ctx = harness.ctx.clone();
    harness.state_mut().experiment.take_dropped(&ctx, &[path.to_owned()]);
}

fn can_start(harness: &Harness<'_, App>) -> bool {
    !harness.get_by_label("Start").accesskit_node().is_disabled()
}

#[test]
fn a_wrong_folder_or_file_is_named_and_what_is_open_stays_open() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("empty")).unwrap();
    std::fs::create_dir_all(at("old/arms")).unwrap();
    for (name, text) in [
        ("broken.ron", "(sead: 1)"),
        ("elsewhere.ron", "(name: \"elsewhere\", data: (source: dataset(\"nowhere/at/all\")))"),
        ("old/config.ron", "()"),
    ] {
        std::fs::write(at(name), text).unwrap();
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| put_demo(app));
    harness.run_steps(3);
    for (name, word) in [("empty", "neither dataset.json nor imagesTr"), ("broken.ron", "sead"), ("old", "older")] {
        drop_in(&mut harness, &at(name));
        wait_until(&mut harness, word, |harness| harness.state().workspace.troubles.iter().any(|(_, trouble)| trouble.contains(word)));
        let setup = set_up(&harness);
        assert_eq!((setup.data.source(), setup.form.template()), (&DataSource::Demo, &Template::Demo), "{name}");
        assert!(can_start(&harness), "what is open can be started as before");
    }
    assert!(harness.state().workspace.settings.recent_datasets.is_empty(), "what could not be opened is not remembered");
    // Settings whose dataset is not there are used; the data stay.
    drop_in(&mut harness, &at("elsewhere.ron"));
    wait_until(&mut harness, "its settings", |harness| set_up(harness).form.config().name == "elsewhere");
    assert_eq!(set_up(&harness).data.source(), &DataSource::Demo);
    assert!(harness.state().workspace.troubles.iter().any(|(_, trouble)| trouble.contains("nowhere")));
}

#[test]
fn start_waits_for_the_check_and_until_the_cases_that_cannot_be_used_are_left_out() {
    needs_gpu!();
    let source = DataSource::Dataset("/data/Task03_Liver".into());
    for report in [None, Some(troubled())] {
        let checked = report.is_some();
        let source = source.clone();
        let mut harness = window(ThemeChoice::Dark, move |_, app| put_set_up(app, form(Template::Demo), (source, report), 11_240));
        harness.run_steps(3);
        assert!(!can_start(&harness));
        if !checked {
            harness.get_by_label("The cases are being checked");
            continue;
        }
        harness.get_by_label_contains("3 cases cannot be used");
        click(&mut harness, "Go on without 3 unusable cases");
        assert!(can_start(&harness) && set_up(&harness).form.config().data.skip_bad);
    }
}

#[test]
fn label_maps_of_no_case_are_left_out_by_the_same_tick() {
    needs_gpu!();
    let stray = |name: &str| Problem { case: None, error: Fault::SeveralSeriesLabelled("T1_1, T1_2".to_owned()).at(Path::new(name)) };
    for (cases, text) in [(true, "Go on without 3 unusable cases and 2 files of no case"), (false, "Go on without 2 files of no case")] {
        let report = troubled();
        let found = if cases { report.problems } else { Vec::new() };
        let problems = found.into_iter().chain(["BERT.nii.gz", "t1.nii.gz"].map(stray)).collect();
        let report = CheckReport { problems, ..troubled() };
        let source = DataSource::Dataset("/data/Task03_Liver".into());
        let mut harness = window(ThemeChoice::Dark, move |_, app| put_set_up(app, form(Template::Demo), (source, Some(report)), 11_240));
        harness.run_steps(3);
        assert_eq!(can_start(&harness), !cases, "files of no case alone are said and not used, as by `simtrot run`");
        click(&mut harness, text);
        assert!(can_start(&harness) && set_up(&harness).form.config().data.skip_bad);
    }
}

#[test]
fn settings_are_planned_from_the_cases_and_say_why_or_what_is_wrong() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        app.workspace.device = DeviceChoice::Cpu;
        put_demo(app);
    });
    harness.run_steps(3);
    plan(&mut harness);
    wait_until(&mut harness, "the plan", |harness| matches!(set_up(harness).form.template(), Template::Planned(_)));
    let config = set_up(&harness).form.config();
    assert_eq!((&config.data.source, config.data.preprocess.spacing_mm), (&DataSource::Demo, Some([1.0; 3])));
    harness.get_by_label("Why these settings").scroll_to_me();
    harness.run_steps(10);
    click(&mut harness, "Why these settings");
    harness.run_steps(10);
    harness.get_by_label_contains("data.preprocess.spacing_mm: ");

    let nowhere = DataSource::Dataset("/nowhere/at/all".into());
    let mut harness = window(ThemeChoice::Dark, move |_, app| put_set_up(app, form(Template::Demo), (nowhere, None), 11_240));
    harness.run_steps(3);
    plan(&mut harness);
    wait_until(&mut harness, "the failure", |harness| harness.query_by_label_contains("/nowhere/at/all").is_some());
    assert_eq!(set_up(&harness).form.template(), &Template::Demo, "the settings stay as they are");
}

/// A fifth of a second measures the smallest steps alone; a second and a half is too little for any training on them.
#[test]
fn a_time_is_planned_for_by_measured_steps_and_one_that_is_none_is_said_to_be() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        app.workspace.device = DeviceChoice::Cpu;
        put_demo(app);
    });
    harness.run_steps(3);
    plan(&mut harness);
    wait_until(&mut harness, "the plan", |harness| matches!(set_up(harness).form.template(), Template::Planned(_)));
    type_time(&mut harness, "1.5");
    harness.get_by_label_contains("no amount of time");
    assert!(harness.get_by_label("Plan anew").accesskit_node().is_disabled());
    type_time(&mut harness, "s");
    let before = set_up(&harness).form.config().clone();
    click(&mut harness, "Plan anew");
    wait_until(&mut harness, "the refusal", |harness| harness.query_by_label_contains("1.5 s are too few").is_some());
    harness.get_by_label_contains("measured on");
    assert_eq!(set_up(&harness).form.config(), &before, "the settings stay as they are");
}

fn type_time(harness: &mut Harness<'_, App>, text: &str) {
    harness.get_by_role_and_label(Role::TextInput, "Time for all").scroll_to_me();
    harness.run_steps(10);
    harness.get_by_role_and_label(Role::TextInput, "Time for all").focus();
    harness.run_steps(1);
    harness.get_by_role_and_label(Role::TextInput, "Time for all").type_text(text);
    harness.run_steps(3);
}

fn plan(harness: &mut Harness<'_, App>) {
    let ctx = harness.ctx.clone();
    let App { experiment, workspace, .. } = harness.state_mut();
    experiment.execute(&ctx, Some(Request::Plan), workspace);
}

#[test]
fn what_fits_is_applied_by_a_click() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        let mut form = form(Template::Demo);
        form.choose_network(Preset::NnformerSynapse);
        put_set_up(app, form, (DataSource::Demo, None), 3_120);
    });
    harness.run_steps(3);
    harness.get_by_label("Use what fits: fine-tuning").scroll_to_me();
    harness.run_steps(10);
    click(&mut harness, "Use what fits: fine-tuning");
    let config = set_up(&harness).form.config();
    assert_eq!((config.finetune.batch, config.finetune.accumulate), (1, 2));
    assert_eq!((config.pretrain.batch, config.pretrain.accumulate), (2, 1));
}

#[test]
fn a_path_is_typed_where_the_desktop_has_no_dialog() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.nii.gz"), "").unwrap();
    let mut harness = window(ThemeChoice::Dark, |_, _| {});
    harness.run_steps(2);
    harness.get_by_role_and_label(Role::Button, "Open a dataset").click();
    // What opens takes its size first.
    harness.run_steps(4);
    harness.get_by_role_and_label(Role::TextInput, "Folder of a dataset").focus();
    harness.run_steps(1);
    harness.get_by_role_and_label(Role::TextInput, "Folder of a dataset").type_text(&folder.path().display().to_string());
    harness.run_steps(2);
    click(&mut harness, "Open");
    wait_until(&mut harness, "the dataset", |harness| harness.state().experiment.setup.is_some());
    assert_eq!(set_up(&harness).data.source(), &DataSource::Folders { images: folder.path().to_owned(), labels: None });
}

#[test]
fn a_recent_dataset_of_two_folders_opens_with_its_label_maps() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let [images, labels] = ["images", "labels"].map(|name| folder.path().join(name));
    for folder in [&images, &labels] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("a.nii.gz"), "").unwrap();
    }
    let source = DataSource::Folders { images: images.clone(), labels: Some(labels) };
    let mut harness = window(ThemeChoice::Dark, |_, _| {});
    harness.run_steps(2);
    let ctx = harness.ctx.clone();
    let App { experiment, workspace, .. } = harness.state_mut();
    workspace.settings.remember_dataset(&images, &source);
    experiment.execute(&ctx, Some(Request::Path(images)), workspace);
    wait_until(&mut harness, "the dataset", |harness| harness.state().experiment.setup.is_some());
    assert_eq!(set_up(&harness).data.source(), &source);
}

#[test]
fn runs_are_listed_searched_and_opened_and_published_results_are_shown() {
    needs_gpu!();
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/studies");
    let published =
        std::fs::read_dir(studies).unwrap().flatten().map(|entry| entry.path()).find(|path| super::super::finished::is_at(path)).unwrap();
    let name = published.file_name().unwrap().to_string_lossy().into_owned();
    let entry = published.clone();
    let mut harness = window(ThemeChoice::Dark, move |_, app| {
        put_demo(app);
        let runs = Path::new("/data/runs");
        app.workspace.settings.runs_folder = Some(runs.to_owned());
        let cells = |name: &str| [name, "2026-01-02 12:30", "completed", "Hippocampus", "0.879"].map(str::to_owned);
        let other = Entry { folder: runs.join("other"), cells: cells("other") };
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        app.experiment.list = RunList::known(runs, vec![Entry { folder: entry, cells: cells(&name) }, other]);
        app.experiment.view = View::List;
    });
    harness.run_steps(4);
    harness.get_by_label("other");
    let search = "Only runs with this in their name, state or dataset";
    harness.get_by_role_and_label(Role::TextInput, search).focus();
    harness.run_steps(1);
    harness.get_by_role_and_label(Role::TextInput, search).type_text(&name);
    harness.run_steps(3);
    assert!(harness.query_by_label("other").is_none(), "the search leaves it out");
    harness.get_all_by_label(&name).next().unwrap().click();
    wait_for(&mut harness, "Published results in");
    assert!(harness.state().experiment.finished.is_some());
    click(&mut harness, &format!("Close {name}"));
    assert!(harness.state().experiment.finished.is_none());
}

#[test]
fn files_over_the_window_are_welcomed() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Dark, |_, app| put_demo(app));
    harness.run_steps(2);
    let plain = harness.render().unwrap();
    harness.input_mut().hovered_files.push(eframe::egui::HoveredFile::default());
    harness.run_steps(2);
    assert!(harness.render().unwrap() != plain, "the window says that a drop is welcome");
}
