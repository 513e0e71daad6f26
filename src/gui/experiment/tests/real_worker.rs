//! The panel and the real worker, on data of seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::setup::{Form, Setup, Template, Work};
use super::{View, click, set_up, wait_for, wait_until, with_devices};
use crate::config::{
    Arm, ArmsConfig, DataSource, ModelConfig, NnFormerConfig, OptimiserConfig, PretextTask, Rotate, RunConfig, SplitConfig, SyntheticConfig,
};
use crate::experiment::ExperimentFolder;
use crate::gui::testing::{needs_gpu, window};
use crate::gui::{App, OpenRun, ThemeChoice};

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
        ..NnFormerConfig::default()
    });
    (config.pretrain.crop_size, config.finetune.crop_size) = ([16; 3], [16; 3]);
    (config.pretrain.steps, config.finetune.steps) = (1, 2);
    config.finetune.optimiser = OptimiserConfig::adam_w(1e-5);
    config.probe.label_volumes = vec![2];
    (config.probe.crops, config.evaluate.bootstrap) = (1, 100);
    config.arms = ArmsConfig {
        pretrain: vec![Arm { name: "simtrot_w".to_owned(), ..Arm::default() }],
        finetune: vec![
            Arm { name: "simtrot_w".to_owned(), from: Some("simtrot_w".to_owned()), ..Arm::default() },
            Arm { name: "scratch".to_owned(), ..Arm::default() },
        ],
    };
    config
}

/// A window that is about to start a tiny run in `parent`.
fn about_to_start(parent: &Path, config: &RunConfig, work: Work) -> Harness<'static, App> {
    let file = parent.join("tiny.ron");
    std::fs::write(&file, config.to_ron()).unwrap();
    let mut form = Form::new(Template::File(file), None).unwrap();
    (form.parent, form.work) = (parent.to_owned(), work);
    let mut harness = window(ThemeChoice::Dark, move |ctx, app| {
        with_devices(app);
        app.experiment.setup = Some(Setup::new(ctx, form));
        app.experiment.view = View::Cases;
    });
    wait_until(&mut harness, "the check of the cases", |harness| set_up(harness).data.report().is_some());
    harness.run_steps(3);
    harness
}

fn shown<'a>(harness: &'a Harness<'_, App>) -> Option<&'a OpenRun> {
    harness.state().workspace.shown()
}

/// Steps done in the training that was begun last.
fn done(harness: &Harness<'_, App>) -> usize {
    shown(harness).and_then(|open| open.trainings().next_back()?.run.stages.last()).map_or(0, |stage| stage.done)
}

fn wait_for_end(harness: &mut Harness<'_, App>) {
    wait_until(harness, "the end", |harness| {
        !harness.state().workspace.is_at_work() && shown(harness).is_some_and(|open| open.report.is_some() && !open.is_writing())
    });
}

#[test]
fn a_slider_changes_the_training_that_is_started() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let mut harness = about_to_start(folder.path(), &tiny("sliders"), Work::Pretrain);
    let slider = harness.get_all_by_label("Mask ratio").find(|node| node.value().is_some()).expect("a slider");
    slider.set_value_accesskit(0.4);
    harness.run_steps(2);
    click(&mut harness, "In plane");
    click(&mut harness, "Start");
    wait_for_end(&mut harness);
    let started = shown(&harness).unwrap();
    let config = &started.experiment.trainings[0].config;
    assert_eq!((config.pretrain.mask_ratio, config.pretrain.task, config.pretrain.rotate), (0.4, PretextTask::Simtrot, Rotate::InPlane));
    assert_eq!(started.experiment.trainings.len(), 1);
    let kept = ExperimentFolder::new(folder.path().join("sliders")).read().unwrap();
    assert_eq!(kept.trainings, started.experiment.trainings);
}

#[test]
fn the_real_worker_pauses_stops_and_resumes_and_its_folder_shows_the_same_numbers() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny("whole");
    config.pretrain.steps = 100_000;
    let mut harness = about_to_start(folder.path(), &config, Work::Compare);
    click(&mut harness, "Start");
    wait_until(&mut harness, "a step", |harness| done(harness) > 1);
    click(&mut harness, "Pause");
    // What was under way arrives; then nothing does, though a step lasts milliseconds.
    let (began, mut seen) = (Instant::now(), (done(&harness), Instant::now()));
    while seen.1.elapsed() < Duration::from_millis(500) {
        assert!(began.elapsed() < Duration::from_secs(30), "a paused run goes on stepping");
        std::thread::sleep(Duration::from_millis(10));
        harness.step();
        if done(&harness) != seen.0 {
            seen = (done(&harness), Instant::now());
        }
    }
    click(&mut harness, "Resume");
    wait_until(&mut harness, "a step after the pause", |harness| done(harness) > seen.0);
    click(&mut harness, "Stop");
    wait_for_end(&mut harness);
    click(&mut harness, "Resume run");
    let before = done(&harness);
    wait_until(&mut harness, "another step", |harness| done(harness) > before);
    click(&mut harness, "Stop");
    wait_for_end(&mut harness);
    // A window of its own that opens the folder shows what this one does.
    let place = folder.path().join("whole");
    let mut other = window(ThemeChoice::Light, move |ctx, app| app.workspace.open_run(ctx, &place, false));
    wait_for(&mut other, "incomplete");
    let same = |harness: &Harness<'_, App>, other: &Harness<'_, App>| {
        let (here, there) = (shown(harness).unwrap(), shown(other).unwrap());
        here.known.runs == there.known.runs && here.experiment.config == there.experiment.config
    };
    wait_until(&mut harness, "the same numbers", |harness| same(harness, &other));
}

#[test]
fn a_run_that_is_there_is_never_replaced_unasked() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let mut harness = about_to_start(folder.path(), &tiny("twice"), Work::Pretrain);
    click(&mut harness, "Start");
    wait_for_end(&mut harness);
    let kept = ExperimentFolder::new(folder.path().join("twice"));
    let events = kept.training(&kept.read().unwrap().trainings[0]).events_path();
    let before = std::fs::read(&events).unwrap();
    click(&mut harness, "Start");
    wait_for(&mut harness, "A run named twice is already there");
    harness.run_steps(4);
    click(&mut harness, "Replace it ...");
    wait_for(&mut harness, "Delete the run that is there?");
    // A question of another size lays itself out first.
    harness.run_steps(4);
    click(&mut harness, "Back");
    harness.run_steps(4);
    click(&mut harness, "Cancel");
    assert_eq!(std::fs::read(&events).unwrap(), before);
    assert!(!harness.state().workspace.is_at_work());
    click(&mut harness, "Start");
    wait_for(&mut harness, "Start as twice_2");
    harness.run_steps(4);
    click(&mut harness, "Start as twice_2");
    wait_until(&mut harness, "the other run", |harness| harness.state().workspace.runs.len() == 2);
    wait_for_end(&mut harness);
    assert!(folder.path().join("twice_2/config.ron").is_file());
    assert_eq!(std::fs::read(&events).unwrap(), before);
    // Other people's files are left alone.
    let foreign = folder.path().join("thesis");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    harness.state_mut().experiment.setup.as_mut().unwrap().form.set("name", "thesis");
    harness.run_steps(2);
    click(&mut harness, "Start");
    wait_until(&mut harness, "a trouble", |harness| !harness.state().workspace.troubles.is_empty());
    assert!(harness.state().workspace.troubles[0].1.contains("no experiment of simtrot"));
    assert!(foreign.join("thesis.txt").is_file());
}

#[test]
fn the_plan_follows_the_settings() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let mut harness = about_to_start(folder.path(), &tiny("plan"), Work::Pretrain);
    let needed = |harness: &Harness<'_, App>| {
        let line = harness.query_by_label_contains(" MiB");
        line.and_then(|line| line.value()).and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
    };
    wait_until(&mut harness, "a plan", |harness| needed(harness).is_some());
    let small = needed(&harness).unwrap();
    harness.state_mut().experiment.setup.as_mut().unwrap().form.set("pretrain.batch", 64);
    wait_until(&mut harness, "another plan", |harness| needed(harness).is_some_and(|more| more > 10.0 * small));
}
