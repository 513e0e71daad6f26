//! How the panel answers: to a fake worker, and to the real one on tiny data.

use std::path::Path;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::View;
use super::super::dataset::OpenData;
use super::super::draft::{Draft, Work};
use super::super::recipe::Recipe;
use super::super::results::Results;
use super::super::setup::Setup;
use super::made_up::{Until, config, records, run};
use super::snapshots::{demo_data, demo_draft, planned};
use super::{at_work, devices, replayed, wait_for, wait_until};
use crate::config::{
    Arm, ArmsConfig, DataSource, ModelConfig, NnFormerConfig, Preset, PretextTask, RunConfig, SplitConfig, SyntheticConfig,
};
use crate::gui::testing::{fake_worker, has_gpu, window};
use crate::gui::{App, Background, FollowedJob, OpenRun, ThemeChoice};
use crate::protocol::{Command, Outcome, RunFolder};

/// A run of seconds: a few steps of a tiny network on made-up volumes.
fn tiny(name: &str) -> RunConfig {
    let mut config = RunConfig { name: name.to_owned(), ..RunConfig::default() };
    config.data.source = DataSource::Synthetic(SyntheticConfig { cases: 6, shape: [16; 3], ..SyntheticConfig::default() });
    config.data.split = SplitConfig::HoldOut { test: 0.5, validation: 0.0 };
    config.model = ModelConfig::Nnformer(NnFormerConfig {
        embed_dim: 8,
        depths: vec![1, 1],
        num_heads: vec![1, 2],
        window_size: vec![2, 2],
        ..NnFormerConfig::small()
    });
    (config.pretrain.crop_size, config.finetune.crop_size) = ([16; 3], [16; 3]);
    (config.pretrain.steps, config.finetune.steps) = (4, 2);
    config.probe.label_volumes = vec![2];
    (config.probe.crops, config.evaluate.bootstrap) = (1, 100);
    config.arms = ArmsConfig {
        pretrain: vec![Arm { name: "simtrot_w".to_owned(), ..Arm::default() }],
        finetune: vec![Arm { name: "simtrot_w".to_owned(), from: Some("simtrot_w".to_owned()), ..Arm::default() }],
    };
    config
}

/// A window that is about to start a tiny run in `parent`.
fn about_to_start(parent: &Path, config: &RunConfig, work: Work) -> Harness<'static, App> {
    let file = parent.join("tiny.ron");
    std::fs::write(&file, config.to_ron()).unwrap();
    let mut draft = Draft::new(Recipe::File(file), None).unwrap();
    (draft.parent, draft.work) = (parent.to_owned(), work);
    let mut harness = window(ThemeChoice::Dark, move |ctx, app| {
        let data = OpenData::open(ctx, draft.config().data.source.clone());
        app.run.setup = Some(Setup::with(draft, data, Default::default(), Background::Done((devices(), None))));
        app.run.view = View::Cases;
    });
    harness.run_steps(3);
    harness
}

fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(2);
}

/// Steps done in the stage under way.
fn done(harness: &Harness<'_, App>) -> usize {
    harness.state().desk.shown().unwrap().state().stages.last().unwrap().done
}

fn wait_for_end(harness: &mut Harness<'_, App>) {
    wait_until(harness, "the run's end", |harness| {
        let desk = &harness.state().desk;
        desk.at_work().is_none() && desk.shown().is_some_and(|run| run.report.is_some())
    });
}

#[test]
fn buttons_send_their_commands_in_order() {
    if !has_gpu() {
        return;
    }
    let (run, worker) = at_work("demo", &config("demo"), run("demo", Until::Pretraining, 0.0));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.desk.put(run));
    harness.run_steps(3);
    click(&mut harness, "Pause");
    assert!(harness.state().desk.shown().unwrap().job.is_paused());
    click(&mut harness, "Save");
    click(&mut harness, "Resume");
    assert!(!harness.state().desk.shown().unwrap().job.is_paused());
    click(&mut harness, "Stop");
    harness.run_steps(2);
    assert_eq!(worker.commands(), [Command::Pause, Command::Save, Command::Resume, Command::Stop]);
    // Once it is asked to stop, nothing more is sent.
    click(&mut harness, "Save");
    assert_eq!(worker.commands(), []);
    // A worker that goes without a word is joined, and what it returned is shown.
    drop(worker);
    wait_until(&mut harness, "the end", |harness| harness.state().desk.at_work().is_none());
    assert_eq!(harness.state().desk.shown().unwrap().state().outcome, Some(Outcome::Completed));
    assert!(harness.query_by_label("Pause").is_none());
}

#[test]
fn what_a_worker_tells_arrives_and_its_failure_is_shown() {
    if !has_gpu() {
        return;
    }
    let (run, worker) = at_work("demo", &config("demo"), Default::default());
    let mut harness = window(ThemeChoice::Dark, |_, app| app.desk.put(run));
    let told = records("demo", Until::Failure, 0.0);
    let teller = std::thread::spawn(move || told.into_iter().for_each(|record| worker.tell(record.secs, record.event)));
    wait_for(&mut harness, "the device was lost");
    teller.join().unwrap();
    harness.get_by_label("The run failed: the program or the device");
    let state = harness.state().desk.shown().unwrap().state().clone();
    assert_eq!(state, super::made_up::run("demo", Until::Failure, 0.0));
}

#[test]
fn a_slider_changes_the_run_that_is_started() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny("sliders");
    config.pretrain.steps = 1;
    let mut harness = about_to_start(folder.path(), &config, Work::Pretrain);
    let slider = harness.get_all_by_label("Mask ratio").find(|node| node.value().is_some()).expect("a slider");
    slider.set_value_accesskit(0.4);
    harness.run_steps(2);
    click(&mut harness, "In plane");
    click(&mut harness, "Start");
    wait_for_end(&mut harness);
    let started = &harness.state().desk.shown().unwrap().config;
    assert_eq!((started.pretrain.mask_ratio, started.pretrain.task), (0.4, PretextTask::Simtrot));
    let kept = RunFolder::new(folder.path().join("sliders"));
    assert_eq!(kept.config().unwrap(), started.resolved());
    assert_eq!(kept.config().unwrap().pretrain.rotate, crate::config::Rotate::InPlane);
}

#[test]
fn the_real_worker_pauses_stops_resumes_and_its_replay_shows_the_same_numbers() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny("whole");
    config.pretrain.steps = 100_000;
    let mut harness = about_to_start(folder.path(), &config, Work::Compare);
    click(&mut harness, "Start");
    wait_until(&mut harness, "a step", |harness| {
        harness.state().desk.shown().is_some_and(|run| run.state().stages.iter().any(|stage| stage.steps.len() > 1))
    });
    click(&mut harness, "Pause");
    // What was under way arrives; then nothing does, though a step takes milliseconds.
    let (began, mut seen) = (Instant::now(), (done(&harness), Instant::now()));
    while seen.1.elapsed() < Duration::from_millis(500) {
        assert!(began.elapsed() < Duration::from_secs(30), "a paused run goes on stepping");
        std::thread::sleep(Duration::from_millis(10));
        harness.step();
        if done(&harness) != seen.0 {
            seen = (done(&harness), Instant::now());
        }
    }
    let paused_at = seen.0;
    click(&mut harness, "Resume");
    wait_until(&mut harness, "a step after the pause", |harness| done(harness) > paused_at);
    click(&mut harness, "Stop");
    wait_for_end(&mut harness);
    assert_eq!(harness.state().desk.shown().unwrap().state().outcome, Some(Outcome::Stopped));

    let kept = RunFolder::new(folder.path().join("whole"));
    let stopped = kept.replay().unwrap();
    assert_eq!(stopped, *harness.state().desk.shown().unwrap().state());
    click(&mut harness, "Resume run");
    let before = done(&harness);
    wait_until(&mut harness, "another step", |harness| done(harness) > before);
    click(&mut harness, "Stop");
    wait_for_end(&mut harness);
    assert!(kept.replay().unwrap().stages_of(crate::protocol::StageKind::Pretrain).next().unwrap().done > before);

    // A window of its own that opens the folder shows what this one does.
    let place = kept.root().to_owned();
    let mut other = window(ThemeChoice::Light, move |ctx, app| app.desk.open_run(ctx, &place));
    wait_for(&mut other, "Settings as new run");
    let (here, there) = (harness.state().desk.shown().unwrap(), other.state().desk.shown().unwrap());
    assert_eq!((here.state(), &here.config.resolved()), (there.state(), &there.config));
    assert_eq!(there.state(), &kept.replay().unwrap());
}

#[test]
fn a_run_that_is_there_is_never_replaced_unasked() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny("twice");
    config.pretrain.steps = 1;
    let mut harness = about_to_start(folder.path(), &config, Work::Pretrain);
    click(&mut harness, "Start");
    wait_for_end(&mut harness);
    let events = folder.path().join("twice/events.jsonl");
    let before = std::fs::read(&events).unwrap();
    click(&mut harness, "Start");
    wait_for(&mut harness, "A run named twice is already there");
    harness.run_steps(4);
    assert!(harness.query_by_label("Resume it").is_some());
    click(&mut harness, "Replace it ...");
    wait_for(&mut harness, "Delete the run that is there?");
    // A question of another size takes its place first.
    harness.run_steps(4);
    click(&mut harness, "Back");
    harness.run_steps(4);
    click(&mut harness, "Cancel");
    assert_eq!(std::fs::read(&events).unwrap(), before);
    assert!(harness.state().desk.at_work().is_none());

    click(&mut harness, "Start");
    wait_for(&mut harness, "Start as twice_2");
    harness.run_steps(4);
    click(&mut harness, "Start as twice_2");
    wait_until(&mut harness, "the other run", |harness| harness.state().desk.runs.len() == 2);
    wait_for_end(&mut harness);
    assert!(folder.path().join("twice_2/config.ron").is_file());
    assert_eq!(std::fs::read(&events).unwrap(), before);

    // Other people's files are left alone.
    let foreign = folder.path().join("thesis");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    harness.state_mut().run.setup.as_mut().unwrap().draft.set("name", "thesis");
    harness.run_steps(2);
    click(&mut harness, "Start");
    wait_until(&mut harness, "a trouble", |harness| !harness.state().desk.troubles.is_empty());
    assert!(harness.state().desk.troubles[0].1.contains("no run of simtrot"));
    assert!(foreign.join("thesis.txt").is_file());
}

#[test]
fn the_scores_shown_are_those_of_report_and_summary() {
    let (config, state) = (config("demo"), run("demo", Until::End, 0.0));
    let results = Results::new(&config, &state);
    let folder = tempfile::tempdir().unwrap();
    let report = crate::report::write(&RunFolder::new(folder.path()), &config, &state).unwrap();
    let report = std::fs::read_to_string(report).unwrap();
    let summary = crate::protocol::Summary::new(&state);
    assert_eq!(results.scores.len(), 2);
    for line in &results.scores {
        let means = &summary.test[&line.arm];
        assert_eq!(line.dice, format!("{:.3}", means.dice_mean.unwrap()));
        assert_eq!(line.hd95, format!("{:.2}", means.hd95_mm_mean.unwrap()));
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
            app.desk.put(replayed(name, &config(name), run(name, Until::End, 0.0)));
        }
    });
    harness.run_steps(3);
    harness.get_by_label("first").click();
    harness.run_steps(2);
    wait_for(&mut harness, "Runs side by side");
    click(&mut harness, "Close first");
    let app = harness.state();
    assert_eq!((app.desk.runs.len(), app.desk.shown, app.run.compared.len()), (1, 0, 0));
    assert_eq!(app.desk.shown().unwrap().state().name, "second");
}

#[test]
fn what_fits_is_taken_over_by_a_click() {
    if !has_gpu() {
        return;
    }
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        let mut draft = demo_draft();
        draft.choose_network(Preset::NnformerSynapse);
        let estimate = planned(&draft, &app.desk.device, 3_120);
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
fn the_plan_follows_the_settings() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut harness = about_to_start(folder.path(), &tiny("plan"), Work::Pretrain);
    let needed = |harness: &Harness<'_, App>| {
        let line = harness.query_by_label_contains(" MiB");
        line.and_then(|line| line.value()).map(|text| text.split_whitespace().next().unwrap().parse::<f64>().unwrap())
    };
    wait_until(&mut harness, "a plan", |harness| needed(harness).is_some());
    let small = needed(&harness).unwrap();
    harness.state_mut().run.setup.as_mut().unwrap().draft.set("pretrain.batch", 64);
    wait_until(&mut harness, "another plan", |harness| needed(harness).is_some_and(|more| more > 10.0 * small));
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
        app.run.take_dropped(&ctx, &[path.to_owned()], &mut app.desk);
    };
    drop_in(&mut harness, kept.root());
    wait_for(&mut harness, "Scores on the test cases");
    assert_eq!(*harness.state().desk.shown().unwrap().state(), kept.replay().unwrap());
    // Dice of simtrot_w, as the summary has it.
    let summary = crate::protocol::Summary::new(&kept.replay().unwrap());
    let dice = format!("{:.3}", summary.test["simtrot_w"].dice_mean.unwrap());
    harness.get_by_label(&dice);

    kept.write("events.jsonl", b"{no event}\n{}\n").unwrap();
    drop_in(&mut harness, kept.root());
    wait_until(&mut harness, "a trouble", |harness| !harness.state().desk.troubles.is_empty());
    assert!(harness.state().desk.troubles[0].1.contains("events.jsonl: line 1"));
}

#[test]
fn a_worker_that_panics_is_shown_as_a_failure() {
    if !has_gpu() {
        return;
    }
    let (mut handle, worker) = fake_worker();
    handle.join = std::thread::spawn(|| panic!("a fault of the program, made for this test"));
    let run = OpenRun::at_work(super::folder("demo"), config("demo"), FollowedJob::new(handle));
    let mut harness = window(ThemeChoice::Dark, |_, app| app.desk.put(run));
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
    let mut harness = window(ThemeChoice::Dark, |_, app| app.desk.put(replayed("demo", &config, run("demo", Until::End, 0.0))));
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
