//! What the panel does when it is clicked, and when the worker tells.

use std::time::{Duration, Instant};

use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::standing::Standing;
use super::{FakeExperiment, fake, put};
use crate::experiment::synthetic;
use crate::experiment::{ExperimentEvent, Finish};
use crate::gui::testing::{has_gpu, window};
use crate::gui::{App, Panel, ThemeChoice};
use crate::protocol::{Command, Event, Outcome, Record, Stage, StageKind, StepNumbers};

fn untouched() -> (Harness<'static, App>, FakeExperiment) {
    let mut worker = None;
    let harness = window(ThemeChoice::Dark, |_, app| {
        app.workspace.settings.panel = Panel::Experiment;
        put(&mut app.experiment, synthetic::experiment(), None);
        app.experiment.at_once = 2;
        worker = Some(fake(&mut app.experiment));
    });
    (harness, worker.unwrap())
}

fn wait_until(harness: &mut Harness<'_, App>, what: &str, holds: impl Fn(&Harness<'_, App>) -> bool) {
    let began = Instant::now();
    while !holds(harness) {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came; troubles: {:?}", harness.state().workspace.troubles);
        std::thread::sleep(Duration::from_millis(10));
        harness.step();
    }
}

fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(2);
}

fn start(harness: &mut Harness<'_, App>) {
    harness.run_steps(2);
    click(harness, "Start");
    wait_until(harness, "the worker", |harness| harness.query_by_label("Stop").is_some() && harness.state().experiment.status().is_some());
}

#[test]
fn a_experiment_is_started_followed_and_stopped() {
    if !has_gpu() {
        return;
    }
    let (mut harness, worker) = untouched();
    start(&mut harness);
    assert_eq!(*worker.asked.lock().unwrap(), Some(2));
    let open = |harness: &Harness<'_, App>, stage: usize| harness.state().experiment.open.as_ref().unwrap().stage_standing(stage);
    let pretraining = harness.state().experiment.open.as_ref().unwrap().board.pretrainings[0].0;
    let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
    let tell = |event| {
        worker.events.send(ExperimentEvent::Record { training: pretraining, record: Box::new(Record { secs: 1.0, event }) }).unwrap()
    };
    worker.events.send(ExperimentEvent::Began { training: pretraining, state: None }).unwrap();
    tell(Event::StageStarted { stage: stage.clone(), total: 400, done: 0 });
    tell(Event::Step { stage, numbers: StepNumbers { step: 100, ..StepNumbers::default() } });
    harness.run_steps(2);
    assert_eq!(open(&harness, pretraining), Standing::Running("train", 0.25));
    // A cell of the first seed waits for it, and says so.
    let waiting = harness.state().experiment.open.as_ref().unwrap().board.cell(0, 1, 0).unwrap();
    assert_eq!(harness.state().experiment.open.as_ref().unwrap().cell_standing(waiting), Standing::Before(0.25));

    click(&mut harness, "Pause");
    assert_eq!(worker.commands.try_iter().collect::<Vec<_>>(), [Command::Pause]);
    click(&mut harness, "Resume");
    click(&mut harness, "Stop");
    harness.run_steps(2);
    assert_eq!(worker.commands.try_iter().collect::<Vec<_>>(), [Command::Resume, Command::Stop]);
    assert!(harness.state().workspace.is_at_work(), "it is at work until it has saved");
    worker.events.send(ExperimentEvent::Ended { training: pretraining, outcome: Outcome::Stopped }).unwrap();
    worker.events.send(ExperimentEvent::Finished(Finish { stopped: true, ..Finish::default() })).unwrap();
    wait_until(&mut harness, "the end", |harness| !harness.state().workspace.is_at_work());
    harness.run_steps(3);
    harness.get_by_label("Start");
}

#[test]
fn a_click_on_a_cell_tells_its_settings_and_scores() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Light, |_, app| {
        app.workspace.settings.panel = Panel::Experiment;
        put(&mut app.experiment, synthetic::experiment(), Some(synthetic::Until::End));
    });
    harness.run_steps(3);
    harness.get_by_label_contains("label fraction 0.02, seed 1, simtrot_w: ").click();
    harness.run_steps(2);
    harness.get_by_label("data.label_fraction=0.02");
    harness.get_by_label("Fine-tuning and test");
    harness.get_by_label_contains("24 test cases");
    harness.get_all_by_label("Open run").next().expect("the run can be looked at").click();
    harness.run_steps(2);
    assert_eq!(harness.state().workspace.settings.panel, Panel::Run);
}

#[test]
fn findings_hold_a_sentence_for_each_comparison_and_the_report_is_written() {
    if !has_gpu() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().to_owned();
    let mut harness = window(ThemeChoice::Light, move |_, app| {
        app.workspace.settings.panel = Panel::Experiment;
        put(&mut app.experiment, synthetic::experiment(), Some(synthetic::Until::End));
        app.experiment.open.as_mut().unwrap().folder = crate::experiment::ExperimentFolder::new(&kept);
    });
    harness.run_steps(3);
    click(&mut harness, "Findings");
    harness.get_by_label_contains("comparisons with the twin from scratch");
    assert!(harness.get_all_by_label_contains("label fraction 0.01: SimTROT-W (simtrot_w) scores").count() >= 1);
    harness.get_by_label("Along label fraction");
    click(&mut harness, "Report");
    wait_until(&mut harness, "the report", |harness| harness.state().experiment.writing.is_none());
    for name in ["report.html", "report.md", "results.csv", "groups.csv", "comparisons.csv"] {
        assert!(place.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn a_experiment_that_ends_leaves_its_report() {
    if !has_gpu() {
        return;
    }
    let (mut harness, worker) = untouched();
    let place = tempfile::tempdir().unwrap();
    harness.state_mut().experiment.open.as_mut().unwrap().folder = crate::experiment::ExperimentFolder::new(place.path());
    start(&mut harness);
    worker.events.send(ExperimentEvent::Finished(Finish::default())).unwrap();
    wait_until(&mut harness, "the report", |_| place.path().join("report.html").is_file());
}

#[test]
fn the_window_asks_before_it_closes_on_a_experiment_and_hands_it_over() {
    if !has_gpu() {
        return;
    }
    let (mut harness, worker) = untouched();
    start(&mut harness);
    let id = harness.ctx.viewport_id();
    harness.input_mut().viewports.entry(id).or_default().events.push(eframe::egui::ViewportEvent::Close);
    harness.run_steps(2);
    harness.get_by_label_contains("hippocampus_labels is still at work");
    let (sender, left) = std::sync::mpsc::sync_channel(1);
    harness.state_mut().hand_over_to(sender);
    click(&mut harness, "Keep running without a window");
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    let (left, _) = left.try_recv().unwrap();
    let Some(crate::gui::Left::Experiment { handle, job }) = left else { panic!("the experiment is handed over") };
    assert_eq!(job.experiment.config.name, "hippocampus_labels");
    assert!(worker.commands.try_recv().is_err(), "nobody asked it to stop");
    worker.events.send(ExperimentEvent::Finished(Finish::default())).unwrap();
    assert!(handle.events.recv().is_ok());
}

#[test]
fn a_wrong_folder_is_told_and_the_open_experiment_stays() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut harness, _worker) = untouched();
    let name = harness.state().experiment.open.as_ref().unwrap().name().to_owned();
    harness.state_mut().workspace.open_experiment(folder.path().to_owned());
    wait_until(&mut harness, "a trouble", |harness| !harness.state().workspace.troubles.is_empty());
    assert_eq!(harness.state().experiment.open.as_ref().unwrap().name(), name);
    assert!(harness.state().workspace.settings.recent_experiments.is_empty(), "what could not be opened is not remembered");
    // The same by the field that takes a path.
    harness.run_steps(2);
    click(&mut harness, "Open ...");
    // What opens takes its size first.
    harness.run_steps(4);
    click(&mut harness, "An experiment's folder ...");
    wait_until(&mut harness, "the field", |harness| harness.query_by_role_and_label(Role::TextInput, "Folder of an experiment").is_some());
    harness.run_steps(4);
    let field = |harness: &mut Harness<'_, App>| harness.get_by_role_and_label(Role::TextInput, "Folder of an experiment").focus();
    field(&mut harness);
    harness.run_steps(1);
    harness.get_by_role_and_label(Role::TextInput, "Folder of an experiment").type_text(&folder.path().display().to_string());
    harness.run_steps(2);
    click(&mut harness, "Open");
    wait_until(&mut harness, "a message", |harness| harness.query_by_label_contains("neither dataset.json").is_some());
    assert_eq!(harness.state().experiment.open.as_ref().unwrap().name(), name);
}
