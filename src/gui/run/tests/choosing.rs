//! Choosing data, runs and settings: what is wrong is told, and what is open stays open.

use std::path::Path;

use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::super::View;
use super::super::dataset::OpenData;
use super::super::estimate::Estimate;
use super::super::template::Template;
use super::snapshots::{demo_data, demo_draft, planned, troubled};
use super::synthetic::{Until, config, run};
use super::{at_work, click, replayed, wait_for, wait_until};
use crate::config::DataSource;
use crate::gui::testing::{has_gpu, window};
use crate::gui::{App, ThemeChoice};

/// A set-up on the demo, whose check is done.
fn set_up() -> Harness<'static, App> {
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        let draft = demo_draft();
        let estimate = planned(&draft, &app.workspace.device, 11_240);
        app.run.setup = Some(super::setup(draft, demo_data(), estimate));
        app.run.view = View::Cases;
    });
    harness.run_steps(3);
    harness
}

fn drop_in(harness: &mut Harness<'_, App>, path: &Path) {
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.run.take_dropped(&ctx, &[path.to_owned()], &mut app.workspace);
}

fn can_start(harness: &Harness<'_, App>) -> bool {
    !harness.get_by_label("Start").accesskit_node().is_disabled()
}

#[test]
fn a_wrong_folder_or_file_is_told_and_what_is_open_stays_open() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (empty, broken, elsewhere) = (folder.path().join("empty"), folder.path().join("broken.ron"), folder.path().join("elsewhere.ron"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(&broken, "(sead: 1)").unwrap();
    std::fs::write(&elsewhere, "(name: \"elsewhere\", data: (source: dataset(\"nowhere/at/all\")))").unwrap();
    let mut harness = set_up();
    for (path, word) in [(&empty, "neither dataset.json nor imagesTr"), (&broken, "sead")] {
        drop_in(&mut harness, path);
        wait_until(&mut harness, word, |harness| harness.state().workspace.troubles.iter().any(|(_, trouble)| trouble.contains(word)));
        let setup = harness.state().run.setup.as_ref().unwrap();
        assert_eq!((setup.data.source(), setup.draft.template()), (&DataSource::Demo, &Template::Demo), "{}", path.display());
        assert!(can_start(&harness), "what is open can be started as before");
    }
    assert!(harness.state().workspace.settings.recent_datasets.is_empty(), "what could not be opened is not remembered");
    // Settings whose dataset is not there are taken; the data stay.
    drop_in(&mut harness, &elsewhere);
    wait_until(&mut harness, "its settings", |harness| harness.state().run.setup.as_ref().unwrap().draft.config().name == "elsewhere");
    assert_eq!(harness.state().run.setup.as_ref().unwrap().data.source(), &DataSource::Demo);
    assert!(harness.state().workspace.troubles.iter().any(|(_, trouble)| trouble.contains("nowhere")));
}

#[test]
fn start_is_offered_once_the_cases_that_cannot_be_used_are_left_out() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        let (draft, source) = (demo_draft(), DataSource::Dataset("/data/Task03_Liver".into()));
        app.run.setup = Some(super::setup(draft, OpenData::checked(source, Ok(troubled())), Estimate::default()));
        app.run.view = View::Cases;
    });
    harness.run_steps(3);
    assert!(!can_start(&harness));
    harness.get_by_label_contains("3 cases cannot be used");
    click(&mut harness, "Go on without 3 unusable cases");
    assert!(can_start(&harness));
    assert!(harness.state().run.setup.as_ref().unwrap().draft.config().data.skip_bad);
}

#[test]
fn start_waits_for_the_check_of_the_cases() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        let mut data = demo_data();
        data.check_again();
        app.run.setup = Some(super::setup(demo_draft(), data, Estimate::default()));
    });
    harness.run_steps(3);
    assert!(!can_start(&harness));
    harness.get_by_label("The cases are being checked");
}

#[test]
fn a_path_is_typed_where_the_desktop_has_no_dialog() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.nii.gz"), "").unwrap();
    let mut harness = window(ThemeChoice::Dark, |_, _| {});
    harness.run_steps(2);
    let ask = |harness: &mut Harness<'_, App>| {
        harness.get_by_role_and_label(Role::Button, "Open a dataset").click();
        // What opens takes its size first.
        harness.run_steps(4);
    };
    ask(&mut harness);
    let enter = |harness: &mut Harness<'_, App>, text: &str| {
        let field = harness.get_by_role_and_label(Role::TextInput, "Folder of a dataset");
        field.focus();
        harness.run_steps(1);
        harness.get_by_role_and_label(Role::TextInput, "Folder of a dataset").type_text(text);
        harness.run_steps(2);
        click(harness, "Open");
    };
    enter(&mut harness, "/nowhere/at/all");
    harness.get_by_label_contains("/nowhere/at/all is no folder");
    assert!(harness.state().run.setup.is_none());
    // The field is typed into where the cursor stands: the wrong path is taken out first.
    click(&mut harness, "Cancel");
    ask(&mut harness);
    enter(&mut harness, &folder.path().display().to_string());
    wait_until(&mut harness, "the dataset", |harness| harness.state().run.setup.is_some());
    let source = harness.state().run.setup.as_ref().unwrap().data.source().clone();
    assert_eq!(source, DataSource::Folders { images: folder.path().to_owned(), labels: None });
}

#[test]
fn what_could_not_be_read_of_a_run_stands_with_that_run() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        for name in ["first", "second"] {
            app.workspace.put(replayed(name, &config(name), run(name, Until::End, 0.0)));
        }
        app.workspace.runs[0].troubles.push("tokens.bin of the first run is torn".to_owned());
        app.workspace.shown = 0;
    });
    harness.run_steps(3);
    wait_for(&mut harness, "tokens.bin of the first run is torn");
    assert!(harness.state().workspace.troubles.is_empty());
    harness.state_mut().workspace.shown = 1;
    harness.run_steps(3);
    assert!(harness.query_by_label_contains("tokens.bin").is_none(), "it is nothing to the other run");
}

#[test]
fn the_time_left_is_that_of_the_whole_run() {
    if !has_gpu() {
        return;
    }
    let (run, _worker) = at_work("demo", &config("demo"), run("demo", Until::Pretraining, 0.0));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(run));
    harness.run_steps(3);
    harness.get_by_label_contains("left in all; unknown yet: finetune, test");
}
