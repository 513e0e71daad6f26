//! How the panel answers to a user, and to a worker that is made up.

use std::path::Path;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::View;
use super::super::results::Results;
use super::snapshots::{demo_data, demo_draft, planned};
use super::synthetic::{Until, config, records, run};
use super::{at_work, click, replayed, wait_for, wait_until};
use crate::config::Preset;
use crate::gui::testing::{fake_worker, has_gpu, window};
use crate::gui::{App, FollowedJob, OpenRun, ThemeChoice};
use crate::protocol::{Command, Event, Outcome, RunFolder};

#[test]
fn buttons_send_their_commands_in_order() {
    if !has_gpu() {
        return;
    }
    let (run, worker) = at_work("demo", &config("demo"), run("demo", Until::Pretraining, 0.0));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(run));
    harness.run_steps(3);
    click(&mut harness, "Pause");
    assert!(harness.state().workspace.shown().unwrap().job.is_paused());
    click(&mut harness, "Save");
    let stage = harness.state().workspace.shown().unwrap().state().stages.last().unwrap().stage.clone();
    worker.tell(80.0, Event::Checkpoint { stage, step: 241, path: "checkpoints/last".to_owned(), best: false });
    wait_for(&mut harness, "last saved: Pre-train simtrot_w at step 241");
    click(&mut harness, "Resume");
    assert!(!harness.state().workspace.shown().unwrap().job.is_paused());
    click(&mut harness, "Stop");
    harness.run_steps(2);
    assert_eq!(worker.commands(), [Command::Pause, Command::Save, Command::Resume, Command::Stop]);
    // Once it is asked to stop, nothing more is sent.
    click(&mut harness, "Save");
    assert_eq!(worker.commands(), []);
    // A worker that goes without a word is joined, and what it returned is shown.
    drop(worker);
    wait_until(&mut harness, "the end", |harness| harness.state().workspace.at_work().is_none());
    assert_eq!(harness.state().workspace.shown().unwrap().state().outcome, Some(Outcome::Completed));
    assert!(harness.query_by_label("Pause").is_none());
}

#[test]
fn what_a_worker_tells_arrives_and_its_failure_is_shown() {
    if !has_gpu() {
        return;
    }
    let (run, worker) = at_work("demo", &config("demo"), Default::default());
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(run));
    let told = records("demo", Until::Failure, 0.0);
    let teller = std::thread::spawn(move || told.into_iter().for_each(|record| worker.tell(record.secs, record.event)));
    wait_for(&mut harness, "the device was lost");
    teller.join().unwrap();
    harness.get_by_label("The run failed: the program or the device");
    let state = harness.state().workspace.shown().unwrap().state().clone();
    assert_eq!(state, super::synthetic::run("demo", Until::Failure, 0.0));
}

#[test]
fn the_scores_shown_are_those_of_report_and_summary() {
    let (config, state) = (config("demo"), run("demo", Until::End, 0.0));
    let results = Results::new(&config, &state);
    let folder = tempfile::tempdir().unwrap();
    let report = crate::report::old::write(&RunFolder::new(folder.path()), &config, &state).unwrap();
    let report = std::fs::read_to_string(report).unwrap();
    let summary = crate::protocol::Summary::new(&config, &state);
    assert_eq!(results.scores.len(), 2);
    for line in &results.scores {
        let means = &summary.test[&line.arm];
        assert_eq!(line.dice, format!("{:.3}", means.dice_mean.unwrap()));
        assert_eq!(line.hd95, format!("{:.2}", means.hd95_mean.unwrap()));
        for number in line.by_label.iter().chain([&line.dice, &line.hd95]) {
            assert!(report.contains(&format!(">{number}<")) || report.contains(&format!("{number} ")), "{number} of {}", line.arm);
        }
    }
}

#[test]
fn a_closed_run_leaves_the_desk_and_the_comparison() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        for name in ["first", "second"] {
            app.workspace.put(replayed(name, &config(name), run(name, Until::End, 0.0)));
        }
    });
    harness.run_steps(3);
    harness.get_by_label("first").click();
    harness.run_steps(2);
    wait_for(&mut harness, "Runs side by side");
    click(&mut harness, "Close first");
    let app = harness.state();
    assert_eq!((app.workspace.runs.len(), app.workspace.shown, app.run.compared.len()), (1, 0, 0));
    assert_eq!(app.workspace.shown().unwrap().state().name, "second");
}

#[test]
fn what_fits_is_taken_over_by_a_click() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        let mut draft = demo_draft();
        draft.choose_network(Preset::NnformerSynapse);
        let estimate = planned(&draft, &app.workspace.device, 3_120);
        app.run.setup = Some(super::setup(draft, demo_data(), estimate));
        app.run.view = View::Cases;
    });
    harness.run_steps(3);
    harness.get_by_label("Use what fits: fine-tuning").scroll_to_me();
    harness.run_steps(10);
    click(&mut harness, "Use what fits: fine-tuning");
    let config = harness.state().run.setup.as_ref().unwrap().draft.config();
    assert_eq!((config.finetune.batch, config.finetune.accumulate), (1, 2));
    assert_eq!((config.pretrain.batch, config.pretrain.accumulate), (2, 1));
}

#[test]
fn a_dropped_run_is_replayed_and_a_broken_one_is_told() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = RunFolder::new(folder.path().join("kept"));
    kept.create(false).unwrap();
    kept.write("config.ron", config("kept").resolved().to_ron().as_bytes()).unwrap();
    let lines: Vec<String> = records("kept", Until::End, 0.0).iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
    kept.write("events.jsonl", lines.concat().as_bytes()).unwrap();
    let mut harness = window(ThemeChoice::Dark, |_, _| {});
    let drop_in = |harness: &mut Harness<'_, App>, path: &Path| {
        let ctx = harness.ctx.clone();
        let app = harness.state_mut();
        app.run.take_dropped(&ctx, &[path.to_owned()], &mut app.workspace);
    };
    drop_in(&mut harness, kept.root());
    wait_for(&mut harness, "Scores on the test cases");
    assert_eq!(*harness.state().workspace.shown().unwrap().state(), kept.replay().unwrap());
    // Dice of simtrot_w, as the summary has it.
    let summary = crate::protocol::Summary::new(&config("kept"), &kept.replay().unwrap());
    let dice = format!("{:.3}", summary.test["simtrot_w"].dice_mean.unwrap());
    harness.get_by_label(&dice);

    kept.write("events.jsonl", format!("{}{{no event}}\n{}", lines[0], lines[1]).as_bytes()).unwrap();
    drop_in(&mut harness, kept.root());
    let told = |harness: &Harness<'_, App>| {
        let run = harness.state().workspace.shown().unwrap();
        run.state().notices.iter().any(|(_, text)| text.contains("line 2"))
    };
    wait_until(&mut harness, "a notice of that run", told);
}

#[test]
fn a_run_of_another_program_is_shown_live_and_asked_to_stop() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = RunFolder::new(folder.path().join("kept"));
    let lock = kept.create(false).unwrap();
    kept.write("config.ron", config("kept").resolved().to_ron().as_bytes()).unwrap();
    let lines: Vec<String> = records("kept", Until::End, 0.0).iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    std::fs::write(kept.events_path(), before.concat()).unwrap();
    let place = kept.root().to_owned();
    let mut harness = window(ThemeChoice::Dark, move |ctx, app| app.workspace.open_run(ctx, &place));
    wait_for(&mut harness, "Ask it to stop");
    assert!(harness.query_all_by_label_contains("at work in another program").count() > 0);
    assert_eq!(*harness.state().workspace.shown().unwrap().state(), kept.replay().unwrap());
    assert!(!harness.state().workspace.is_at_work(), "this window's own worker is free");
    click(&mut harness, "Ask it to stop");
    wait_until(&mut harness, "the request", |_| lock.stop_requested());
    std::fs::write(kept.events_path(), lines.concat()).unwrap();
    assert!(!after.is_empty());
    wait_until(&mut harness, "the end", |harness| harness.state().workspace.shown().unwrap().state().outcome.is_some());
    assert_eq!(*harness.state().workspace.shown().unwrap().state(), kept.replay().unwrap());
    assert!(!kept.report_path().exists(), "the other program writes its report");
}

#[test]
fn a_worker_that_panics_is_shown_as_a_failure() {
    if !has_gpu() {
        return;
    }
    let (mut handle, worker) = fake_worker();
    handle.join = std::thread::spawn(|| panic!("a fault of the program, made for this test"));
    let run = OpenRun::at_work(super::folder("demo"), config("demo"), FollowedJob::new(handle));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(run));
    harness.run_steps(2);
    drop(worker);
    wait_for(&mut harness, "The run failed: the program or the device");
    harness.get_by_label_contains("what was saved is intact: resume the run");
    // The run has a name although no worker told one.
    assert!(harness.query_all_by_label("demo").count() > 0);
}

#[test]
fn another_run_is_set_up_like_the_one_that_is_shown() {
    if !has_gpu() {
        return;
    }
    let mut config = config("demo");
    config.pretrain.mask_ratio = 0.35;
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(replayed("demo", &config, run("demo", Until::End, 0.0))));
    harness.run_steps(3);
    click(&mut harness, "New run");
    let draft = &harness.state().run.setup.as_ref().unwrap().draft;
    assert_eq!((draft.config().name.as_str(), draft.config().pretrain.mask_ratio), ("demo_2", 0.35));
    assert_eq!(draft.folder(), super::folder("demo_2"));
    click(&mut harness, "Hide set-up");
    assert!(harness.query_by_label("Weight w").is_none());
}

#[test]
fn files_over_the_window_are_welcomed() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, _| {});
    harness.run_steps(2);
    let plain = harness.render().unwrap();
    harness.input_mut().hovered_files.push(eframe::egui::HoveredFile::default());
    harness.run_steps(2);
    assert!(harness.render().unwrap() != plain, "the window says that a drop is welcome");
}

#[test]
fn opening_the_run_at_work_does_not_let_its_worker_go() {
    if !has_gpu() {
        return;
    }
    let (run, worker) = at_work("demo", &config("demo"), run("demo", Until::Pretraining, 0.0));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(run));
    let ctx = harness.ctx.clone();
    let state = super::synthetic::run("demo", Until::End, 0.0);
    harness.state_mut().workspace.open_run(&ctx, super::folder("demo").root());
    harness.state_mut().workspace.put(replayed("demo", &config("demo"), state));
    harness.run_steps(3);
    assert!(harness.state().workspace.at_work().is_some() && harness.state().workspace.runs.len() == 1);
    click(&mut harness, "Stop");
    assert_eq!(worker.commands(), [Command::Stop]);
}

#[test]
fn a_run_of_another_program_is_watched_and_can_be_asked_to_stop() {
    if !has_gpu() {
        return;
    }
    let (handle, worker) = fake_worker();
    let state = run("demo", Until::Pretraining, 0.0);
    let watched = OpenRun::at_work(super::folder("demo"), config("demo"), FollowedJob::watching(handle, state));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.workspace.put(watched));
    harness.run_steps(3);
    assert!(harness.query_all_by_label("at work in another program").count() > 0);
    assert!(harness.query_by_label("Pause").is_none() && harness.query_by_label("Resume run").is_none(), "it is only looked at");
    assert!(!harness.state().workspace.is_at_work(), "this window may work on something else");
    let before = harness.state().workspace.shown().unwrap().state().stages.last().unwrap().done;
    let stage = harness.state().workspace.shown().unwrap().state().stages.last().unwrap().stage.clone();
    let numbers = crate::protocol::StepNumbers { step: before + 1, ..Default::default() };
    worker.tell(90.0, Event::Step { stage, numbers });
    wait_until(&mut harness, "the next step", |harness| {
        harness.state().workspace.shown().unwrap().state().stages.last().unwrap().done > before
    });
    click(&mut harness, "Ask it to stop");
    harness.run_steps(2);
    assert_eq!(worker.commands(), [Command::Stop]);
}
