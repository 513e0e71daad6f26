//! How the panel answers to a user, and to a worker that is made up.

use std::path::Path;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::status::Status;
use super::super::{Tab, View};
use super::fixture;
use super::{click, set_up, wait_for, wait_until, with_devices};
use crate::experiment::synthetic::{self, Until};
use crate::experiment::{ExperimentEvent, ExperimentFolder, ExperimentState, Finish};
use crate::gui::testing::{FakeExperiment, needs_gpu, window};
use crate::gui::{App, OpenRun, Panel, ThemeChoice};
use crate::protocol::{Command, Event, Outcome, Record, RunFolder, StepNumbers};

/// A window on a grid of which nothing is done, and the worker that will be called.
fn untouched(folder: &Path) -> (Harness<'static, App>, FakeExperiment) {
    let mut worker = None;
    let folder = ExperimentFolder::new(folder);
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        with_devices(app);
        let experiment = synthetic::experiment();
        let state = ExperimentState::new(&experiment);
        app.workspace.put(OpenRun::replayed(experiment, folder, state));
        worker = Some(FakeExperiment::play(&mut app.workspace));
    });
    harness.run_steps(3);
    (harness, worker.unwrap())
}

fn start(harness: &mut Harness<'_, App>) {
    click(harness, "Start");
    wait_until(harness, "the worker", |harness| harness.query_by_label("Stop").is_some() && !shown(harness).is_starting());
}

fn shown<'a>(harness: &'a Harness<'_, App>) -> &'a OpenRun {
    harness.state().workspace.shown().expect("an experiment is open")
}

fn finished(stopped: bool) -> ExperimentEvent {
    ExperimentEvent::Finished(Finish { stopped, ..Finish::default() })
}

#[test]
fn an_experiment_is_started_followed_saved_paused_and_stopped() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let (mut harness, worker) = untouched(folder.path());
    start(&mut harness);
    let experiment = shown(&harness).experiment.clone();
    let plan = &experiment.trainings[0];
    let record = |event| ExperimentEvent::Record { training: 0, record: Box::new(Record { secs: 1.0, event }) };
    worker.tell(ExperimentEvent::Began { training: 0, state: None });
    worker.tell(record(Event::StageStarted { stage: plan.stage(), total: 400, done: 0 }));
    worker.tell(record(Event::Step { stage: plan.stage(), numbers: StepNumbers { step: 100, ..StepNumbers::default() } }));
    harness.run_steps(2);
    assert_eq!(Status::of_training(shown(&harness), 0), Status::Running("train", 0.25));
    // A cell that starts from it waits for it, and says so.
    let waiting = experiment.cells.iter().position(|cell| cell.pretrained == Some(0)).unwrap();
    assert_eq!(Status::of_cell(shown(&harness), waiting), Status::Before(0.25));
    click(&mut harness, "Pause");
    assert!(shown(&harness).is_paused());
    click(&mut harness, "Save");
    worker.tell(record(Event::Checkpoint { stage: plan.stage(), step: 101, path: "checkpoints/last".to_owned(), best: false }));
    wait_for(&mut harness, "at step 101");
    click(&mut harness, "Resume");
    click(&mut harness, "Stop");
    harness.run_steps(2);
    assert_eq!(worker.commands(), [Command::Pause, Command::Save, Command::Resume, Command::Stop]);
    // Once it is asked to stop, nothing more is sent.
    click(&mut harness, "Save");
    assert_eq!(worker.commands(), []);
    assert!(harness.state().workspace.is_at_work(), "it is at work until it has saved");
    worker.tell(ExperimentEvent::Ended { training: 0, outcome: Outcome::Stopped });
    worker.tell(finished(true));
    wait_until(&mut harness, "the end", |harness| !harness.state().workspace.is_at_work());
    wait_until(&mut harness, "the report", |harness| shown(harness).report.as_ref().is_some_and(|report| report.is_file()));
}

#[test]
fn a_worker_that_is_gone_is_a_failure_and_its_work_can_be_resumed() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let (mut harness, worker) = untouched(folder.path());
    start(&mut harness);
    worker.tell(ExperimentEvent::Began { training: 0, state: None });
    let message = "the device was lost".to_owned();
    worker.tell(ExperimentEvent::Ended { training: 0, outcome: Outcome::Failed { message: message.clone(), bad_input: false } });
    wait_until(&mut harness, "the failure", |harness| shown(harness).known.failures[0].as_ref() == Some(&message));
    drop(worker);
    wait_until(&mut harness, "the end", |harness| !harness.state().workspace.is_at_work());
}

#[test]
fn a_click_on_a_cell_shows_its_settings_scores_and_curves() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Light, |_, app| super::snapshots::put(app, &synthetic::experiment(), Until::End));
    harness.set_size(eframe::egui::vec2(1280.0, 1400.0));
    harness.run_steps(3);
    harness.get_by_label_contains("label fraction 0.02, seed 1, simtrot_w: ").click();
    harness.run_steps(2);
    harness.get_by_label("data label fraction: 0.02");
    harness.get_by_label("Fine-tuning and test");
    // In the words of `simtrot run`.
    harness.get_by_label_contains("Synthetic CPU (cpu, 8 threads)");
    harness.get_by_label_contains("24 test cases");
    harness.get_all_by_label("Curves").last().unwrap().click();
    harness.run_steps(2);
    assert_eq!(harness.state().experiment.tab, Tab::Curves);
    harness.get_by_label_contains("label fraction 0.02, seed 1, simtrot_w");
    harness.state_mut().experiment.tab = Tab::Grid;
    harness.run_steps(2);
    click(&mut harness, "Look at collapse");
    assert_eq!(harness.state().workspace.settings.panel, Panel::Collapse);
}

#[test]
fn findings_hold_a_sentence_for_each_comparison_and_the_report_is_written() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let mut harness = window(ThemeChoice::Light, move |_, app| {
        super::snapshots::put(app, &synthetic::experiment(), Until::End);
        app.workspace.runs[0].folder = ExperimentFolder::new(place);
    });
    harness.run_steps(3);
    click(&mut harness, "Findings");
    let sentence = shown(&harness).look.as_ref().map(|look| {
        let results = &look.results;
        results.sentence(results.shown().next().unwrap())
    });
    harness.get_by_label("Per label fraction");
    click(&mut harness, "Each comparison in words");
    harness.run_steps(30);
    harness.get_by_label(&sentence.unwrap());
    click(&mut harness, "Write report");
    wait_until(&mut harness, "the report", |harness| !shown(harness).is_writing());
    for name in ["report.html", "report.md"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn a_closed_experiment_leaves_the_workspace_and_the_comparison() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        for name in ["first", "second"] {
            app.workspace.put(fixture::finished(name, 0));
        }
        app.workspace.runs[0].troubles.push("tokens.bin of the first run is torn".to_owned());
    });
    harness.run_steps(3);
    assert!(harness.query_by_label_contains("tokens.bin").is_none(), "it is nothing to the other run");
    harness.get_by_label("first").click();
    harness.run_steps(2);
    wait_for(&mut harness, "Runs side by side");
    click(&mut harness, "Close first");
    let app = harness.state();
    assert_eq!((app.workspace.runs.len(), app.workspace.shown, app.experiment.compared.len()), (1, 0, 0));
    assert_eq!(app.workspace.shown().unwrap().name(), "second");
}

#[test]
fn another_run_is_set_up_like_the_one_that_is_shown() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(fixture::finished("demo", 0)));
    harness.run_steps(3);
    click(&mut harness, "Settings as new run");
    let form = &set_up(&harness).form;
    assert_eq!((form.config().name.as_str(), form.config().pretrain.steps), ("demo_2", 400));
    assert_eq!(form.folder(), fixture::folder("demo_2").root());
    click(&mut harness, "Hide set-up");
    assert!(harness.query_by_label("Weight w").is_none());
}

/// Writes an experiment with some of its records; the lines that were left out of each.
fn write(folder: &ExperimentFolder, share: f64) -> Vec<(RunFolder, String)> {
    let experiment = synthetic::one_point_of("kept", 0);
    drop(folder.begin(&experiment, false).unwrap());
    let write = |training: usize| {
        let run = folder.training(&experiment.trainings[training]);
        let lines: Vec<String> =
            synthetic::records(&experiment, training, 1.0).iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        let (before, _) = lines.split_at((share * lines.len() as f64) as usize);
        run.write("events.jsonl", before.concat().as_bytes()).unwrap();
        (run, lines.concat())
    };
    (0..experiment.trainings.len()).map(write).collect()
}

#[test]
fn a_dropped_experiment_of_another_program_is_followed_and_asked_to_stop() {
    needs_gpu!();
    let place = tempfile::tempdir().unwrap();
    let folder = ExperimentFolder::new(place.path().join("kept"));
    let rest = write(&folder, 0.5);
    let lock = folder.begin(&synthetic::one_point_of("kept", 0), false).unwrap();
    let mut harness = window(ThemeChoice::Dark, |_, _| {});
    let ctx = harness.ctx.clone();
    harness.state_mut().experiment.take_dropped(&ctx, &[folder.root().to_owned()]);
    wait_for(&mut harness, "Ask it to stop");
    assert!(harness.query_all_by_label_contains("at work in another program").next().is_some());
    assert!(!harness.state().workspace.is_at_work(), "this window's own worker is free");
    assert_eq!(shown(&harness).run(0), Some(&rest[0].0.replay().unwrap()));
    click(&mut harness, "Ask it to stop");
    wait_until(&mut harness, "the request", |_| lock.stop_requested());
    for (run, lines) in &rest {
        std::fs::write(run.events_path(), lines).unwrap();
    }
    drop(lock);
    wait_for(&mut harness, "completed");
    let last = rest.len() - 1;
    assert_eq!(shown(&harness).run(last), Some(&rest[last].0.replay().unwrap()));
    assert!(!folder.report_path().exists(), "the other program writes its report");
    assert_eq!(harness.state().experiment.view, View::Open);
}
