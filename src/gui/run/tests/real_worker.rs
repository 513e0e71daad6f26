//! The panel and the real worker, on data of seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::View;
use super::super::dataset::OpenData;
use super::super::draft::{Draft, Work};
use super::super::setup::Setup;
use super::super::template::Template;
use super::{click, devices, wait_for, wait_until};
use crate::config::{Arm, ArmsConfig, DataSource, ModelConfig, NnFormerConfig, PretextTask, RunConfig, SplitConfig, SyntheticConfig};
use crate::gui::testing::{has_gpu, window};
use crate::gui::{App, Background, ThemeChoice};
use crate::protocol::{Outcome, RunFolder};

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
    let mut draft = Draft::new(Template::File(file), None).unwrap();
    (draft.parent, draft.work) = (parent.to_owned(), work);
    let mut harness = window(ThemeChoice::Dark, move |ctx, app| {
        let data = OpenData::open(ctx, draft.config().data.source.clone());
        app.run.setup = Some(Setup::with(draft, data, Default::default(), Background::Done((devices(), None))));
        app.run.view = View::Cases;
    });
    wait_until(&mut harness, "the check of the cases", |harness| harness.state().run.setup.as_ref().unwrap().data.report().is_some());
    harness.run_steps(3);
    harness
}

/// Steps done in the stage under way.
fn done(harness: &Harness<'_, App>) -> usize {
    harness.state().workspace.shown().unwrap().state().stages.last().unwrap().done
}

fn wait_for_end(harness: &mut Harness<'_, App>) {
    wait_until(harness, "the run's end", |harness| {
        let workspace = &harness.state().workspace;
        workspace.at_work().is_none() && workspace.shown().is_some_and(|run| run.report.is_some())
    });
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
    let started = &harness.state().workspace.shown().unwrap().config;
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
        harness.state().workspace.shown().is_some_and(|run| run.state().stages.iter().any(|stage| stage.steps.len() > 1))
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
    assert_eq!(harness.state().workspace.shown().unwrap().state().outcome, Some(Outcome::Stopped));

    let kept = RunFolder::new(folder.path().join("whole"));
    let stopped = kept.replay().unwrap();
    assert_eq!(stopped, *harness.state().workspace.shown().unwrap().state());
    click(&mut harness, "Resume run");
    let before = done(&harness);
    wait_until(&mut harness, "another step", |harness| done(harness) > before);
    click(&mut harness, "Stop");
    wait_for_end(&mut harness);
    assert!(kept.replay().unwrap().stages_of(crate::protocol::StageKind::Pretrain).next().unwrap().done > before);

    // A window of its own that opens the folder shows what this one does.
    let place = kept.root().to_owned();
    let mut other = window(ThemeChoice::Light, move |ctx, app| app.workspace.open_run(ctx, &place));
    wait_for(&mut other, "Settings as new run");
    let (here, there) = (harness.state().workspace.shown().unwrap(), other.state().workspace.shown().unwrap());
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
    assert!(harness.state().workspace.at_work().is_none());

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
    harness.state_mut().run.setup.as_mut().unwrap().draft.set("name", "thesis");
    harness.run_steps(2);
    click(&mut harness, "Start");
    wait_until(&mut harness, "a trouble", |harness| !harness.state().workspace.troubles.is_empty());
    assert!(harness.state().workspace.troubles[0].1.contains("no run of simtrot"));
    assert!(foreign.join("thesis.txt").is_file());
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
