//! The window's frame: panels, keys, troubles, the question before it closes.

use eframe::egui::{Key, ViewportCommand, ViewportEvent};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::*;
use crate::experiment::{ExperimentEvent, ExperimentFolder, Finish, synthetic};
use crate::gui::testing::{FakeExperiment, SIZE, click, needs_gpu, wait_for, wait_until, window};
use crate::gui::{Action, OpenRun};
use crate::protocol::Command;

/// A window on an experiment that a test plays, in a folder of its own.
fn at_work() -> (Harness<'static, App>, FakeExperiment, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = None;
    let place = ExperimentFolder::new(folder.path());
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        worker = Some(FakeExperiment::play(&mut app.workspace));
        let open = OpenRun::new(synthetic::experiment(), place);
        let job = open.job(1);
        app.workspace.start(open, job);
    });
    wait_until(&mut harness, "the start", |harness| harness.state().workspace.at_work().is_some_and(|open| !open.is_starting()));
    (harness, worker.unwrap(), folder)
}

fn ask_to_close(harness: &mut Harness<'_, App>) {
    let id = harness.ctx.viewport_id();
    harness.input_mut().viewports.entry(id).or_default().events.push(ViewportEvent::Close);
    harness.run_steps(2);
}

fn commanded(harness: &Harness<'_, App>, command: &ViewportCommand) -> bool {
    harness.output().viewport_output.values().any(|output| output.commands.contains(command))
}

#[test]
fn a_window_with_a_running_job_asks_before_it_closes() {
    needs_gpu!();
    let (mut harness, worker, _folder) = at_work();
    harness.run_steps(2);
    let id = harness.ctx.viewport_id();
    harness.input_mut().viewports.entry(id).or_default().events.push(ViewportEvent::Close);
    harness.step();
    assert!(commanded(&harness, &ViewportCommand::CancelClose), "the window stays");
    harness.run_steps(2);
    harness.get_by_label_contains("hippocampus_labels is still at work");
    click(&mut harness, "Cancel");
    assert!(harness.query_by_label("Cancel").is_none() && worker.commands().is_empty());

    ask_to_close(&mut harness);
    click(&mut harness, "Stop and save");
    assert_eq!(worker.commands(), [Command::Stop]);
    worker.tell(ExperimentEvent::Finished(Finish::default()));
    wait_until(&mut harness, "closing, once the job has stopped", |harness| commanded(harness, &ViewportCommand::Close));
}

#[test]
fn a_job_goes_on_without_its_window_when_the_user_says_so() {
    needs_gpu!();
    let (mut harness, worker, _folder) = at_work();
    let (sender, left) = std::sync::mpsc::sync_channel(1);
    harness.state_mut().hand_over_to(sender);
    harness.run_steps(2);
    ask_to_close(&mut harness);
    click(&mut harness, "Keep running without a window");
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    let (left, _) = left.try_recv().unwrap();
    let Some(Left { handle, job }) = left else { panic!("the experiment is handed over") };
    assert_eq!(job.experiment.config.name, "hippocampus_labels");
    assert!(worker.commands().is_empty(), "nobody asked it to stop");
    worker.tell(ExperimentEvent::Finished(Finish::default()));
    assert!(handle.events.recv().is_ok());
}

#[test]
fn keys_are_listed_and_can_be_changed() {
    needs_gpu!();
    // The runs folder shows through beside the list: one that is the same on every machine.
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.settings.runs_folder = Some("/data/runs".into()));
    harness.key_press(Key::Questionmark);
    harness.run_steps(3);
    harness.get_by_label("Keys and mouse");
    for action in Action::all() {
        let lowest = harness.get_all_by_label(action.title()).map(|node| node.rect().bottom()).fold(0.0, f32::max);
        // The list ends 50 points above the window's foot; what lies lower has to be scrolled to.
        assert!(lowest < SIZE[1] - 50.0, "{} lies at {lowest}", action.title());
    }
    harness.snapshot("window_keys_dark");
    harness.get_all_by_label("R").next().expect("the key of the fitted view").click();
    harness.run_steps(2);
    harness.key_press(Key::Z);
    harness.run_steps(2);
    assert_eq!(harness.state().workspace.settings.keys.key(Action::ResetView), Key::Z);
    assert!(harness.query_by_label_contains("was taken by").is_none());
    click(&mut harness, "Z");
    harness.key_press(Key::M);
    harness.run_steps(2);
    harness.get_by_label_contains("M was taken by \"Show one view alone, or all\", which is now on Z");
    click(&mut harness, "Back to the defaults");
    assert_eq!(harness.state().workspace.settings.keys.key(Action::ResetView), Key::R);
    harness.key_press(Key::Escape);
    harness.run_steps(3);
    assert!(harness.query_by_label("Keys and mouse").is_none(), "Escape closes it");
}

#[test]
fn a_trouble_stays_at_the_foot_until_it_is_dismissed() {
    needs_gpu!();
    let mut harness = window(ThemeChoice::Light, |ctx, app| {
        app.workspace.open_run(ctx, std::path::Path::new("/nowhere/at/all"), false);
    });
    wait_for(&mut harness, "/nowhere/at/all");
    click(&mut harness, "Dismiss");
    assert!(harness.state().workspace.troubles.is_empty());
}
