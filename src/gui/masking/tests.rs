//! The panel on the demo's cases, with synthetic curves and one that the worker computes.

use eframe::egui;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotResults};

use super::*;
use crate::config::{Arm, RunConfig, SyntheticConfig};
use crate::device::DeviceChoice;
use crate::gui::testing::{THEMES, click_at, fake_worker, needs_gpu, small_windows, wait_until, window};
use crate::gui::{App, FollowedJob, OpenRun, Panel, Settings, ThemeChoice};
use crate::metrics::score::CaseScore;
use crate::protocol::{Command, Event, MaskPoint, Outcome, Record, RunFolder, RunState};
use crate::worker::{Job, TrainingJob, spawn};

/// Draws until the case is there.
fn settle(harness: &mut Harness<'static, App>) {
    harness.step();
    wait_until(harness, "the case", |harness| {
        let panel = &harness.state().mask_ratio;
        panel.source.is_settled(panel.wanted)
    });
    harness.run_steps(3);
}

fn opened(theme: ThemeChoice, arrange: impl FnOnce(&mut App)) -> Harness<'static, App> {
    let mut harness = window(theme, |_, app| {
        app.workspace.settings.panel = Panel::MaskRatio;
        arrange(app);
    });
    settle(&mut harness);
    harness
}

fn demo_config(mask_ratio: f64) -> RunConfig {
    let mut config = RunConfig::from_ron(include_str!("../../../configs/demo.ron"), "demo.ron").unwrap();
    config.pretrain.mask_ratio = mask_ratio;
    config.arms.pretrain = vec![Arm { name: "simtrot_w".to_owned(), ..Arm::default() }];
    config.arms.finetune = vec![Arm { name: "simtrot_w".to_owned(), from: Some("simtrot_w".to_owned()), ..Arm::default() }];
    config
}

/// A run with a checkpoint and a test Dice.
fn run(name: &str, mask_ratio: f64, dice: f64) -> OpenRun {
    let mut state = RunState::default();
    let stage = |kind| Stage { kind, arm: "simtrot_w".to_owned() };
    let score = CaseScore {
        case: "a".to_owned(),
        region: "anterior".to_owned(),
        dice: Some(dice),
        hd95: Some(2.0),
        truth_voxels: 900,
        predicted_voxels: 880,
        missing_in_one: false,
    };
    for event in [
        Event::Started { schema: 1, name: name.to_owned(), environment: Default::default(), classes: Vec::new() },
        Event::StageStarted { stage: stage(StageKind::Pretrain), total: 400, done: 0 },
        Event::Checkpoint { stage: stage(StageKind::Pretrain), step: 400, path: "checkpoints/last".to_owned(), best: false },
        Event::StageStarted { stage: stage(StageKind::Test), total: 1, done: 0 },
        Event::Scored { stage: stage(StageKind::Test), case: "a".to_owned(), scores: vec![score] },
        Event::Finished { outcome: Outcome::Completed },
    ] {
        state.apply(&Record { secs: 1.0, event });
    }
    OpenRun::of_record(format!("runs/{name}"), demo_config(mask_ratio), state)
}

/// A curve as a worker might send it, `draws` of it done.
fn points(draws: usize) -> Vec<MaskPoint> {
    let wave = |draw: usize, step: usize| ((draw * 7 + step * 3) as f64).sin();
    (0..draws)
        .flat_map(|draw| (0..20).map(move |step| (draw, step)))
        .map(|(draw, step)| {
            let mask_ratio = step as f64 / 20.0;
            MaskPoint {
                mask_ratio,
                draw,
                loss: 3.6 + 0.9 * mask_ratio.powi(2) + 0.06 * wave(draw, step),
                positive_similarity: Some(0.95 - 0.5 * mask_ratio.powi(2) + 0.03 * wave(draw, step)),
                gap: Some(0.1 + 0.3 * mask_ratio.powi(3) + 0.015 * wave(draw, step)),
                rankme: Some(24.0 - 9.0 * mask_ratio + 1.5 * wave(draw, step)),
            }
        })
        .collect()
}

#[test]
fn the_panel_in_its_states() {
    needs_gpu!();
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let mut harness = opened(theme, |_| {});
        harness.snapshot(format!("mask_demo_{name}"));
        results.extend_harness(&mut harness);

        let (handle, worker) = fake_worker();
        let mut harness = opened(theme, |app| {
            app.workspace.put(run("half_masked", 0.5, 0.83));
            app.workspace.put(run("demo", 0.75, 0.861));
            app.mask_ratio.ratio = Some(0.4);
            app.mask_ratio.sweep.job = Some(FollowedJob::new(handle));
            app.mask_ratio.sweep.about = "runs/demo/arms/pretrain_simtrot_w/checkpoints/last".to_owned();
        });
        let stage = Stage { kind: StageKind::MaskRatios, arm: String::new() };
        worker.tell(0.0, Event::StageStarted { stage: stage.clone(), total: 60, done: 0 });
        for (done, point) in points(3).into_iter().take(47).enumerate() {
            worker.tell(1.0, Event::MaskPoint { stage: stage.clone(), point });
            worker.tell(1.0, Event::Progress { stage: stage.clone(), done: done + 1, total: 60 });
        }
        harness.run_steps(4);
        harness.snapshot(format!("mask_curve_{name}"));
        results.extend_harness(&mut harness);

        let mut harness = opened(theme, |app| app.mask_ratio.data = Some(DataSource::Dataset("nowhere/dataset.json".into())));
        harness.snapshot(format!("mask_unreadable_{name}"));
        results.extend_harness(&mut harness);
    }
}

#[test]
fn the_panel_fits_small_windows_also_with_a_task_of_one_view() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, |app| {
        let mut run = run("simmim", 0.6, 0.8);
        run.config.pretrain.task = crate::config::PretextTask::Simmim;
        app.workspace.put(run);
    });
    harness.get_by_label("No second view");
    small_windows(&mut harness, "mask");
}

#[test]
fn panes_are_linked_and_one_can_be_shown_alone() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, |_| {});
    let rotated = harness.get_by_label_contains("rotated slice").rect();
    let before = harness.state().mask_ratio.panes.cursor.voxel;
    click_at(&mut harness, rotated.center() + egui::vec2(60.0, -70.0));
    let after = harness.state().mask_ratio.panes.cursor.voxel;
    let moved = (0..3).filter(|&axis| before[axis] != after[axis]).count();
    assert_eq!(moved, 2, "a click on the rotated view moves the crosshair of all: {before:?} {after:?}");

    // The press that placed the crosshair is no part of a double click; the clock of a harness runs too fast for one over several frames.
    harness.run_steps(10);
    harness.hover_at(rotated.center());
    harness.step();
    for pressed in [true, false, true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
        harness.input_mut().events.push(egui::Event::PointerButton { pos: rotated.center(), button, pressed, modifiers });
    }
    harness.run_steps(3);
    assert_eq!(harness.state().mask_ratio.panes.alone, Some(2));
    assert!(harness.query_by_label("Original").is_none());
}

#[test]
fn the_slider_masks_cells_and_another_draw_shows_others() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, |_| {});
    assert_eq!(harness.state().mask_ratio.panes.masked(), 48, "the demo masks 0.75 of 64 cells");
    let slider = harness.get_by_role(egui::accesskit::Role::Slider).rect();
    let at = egui::pos2(slider.left() + slider.width() * 0.1, slider.center().y);
    click_at(&mut harness, at);
    let ratio = harness.state().mask_ratio.ratio.unwrap();
    let masked = harness.state().mask_ratio.panes.masked();
    assert!(ratio < 0.3 && masked == (ratio * 64.0).floor() as usize, "{ratio}: {masked}");
    harness.get_by_label_contains(&format!("{masked} of 64 cells"));

    let before = harness.state().mask_ratio.source.drawn().unwrap().clone();
    harness.get_by_label("Another draw").click();
    settle(&mut harness);
    let after = harness.state().mask_ratio.source.drawn().unwrap().clone();
    assert!(after.draw == before.draw + 1 && after.original != before.original);
    assert_eq!(harness.state().mask_ratio.panes.masked(), masked, "the ratio stays");
}

#[test]
fn the_curve_can_be_stopped_and_says_why_it_failed() {
    needs_gpu!();
    let (handle, worker) = fake_worker();
    let mut harness = opened(ThemeChoice::Dark, |app| {
        app.workspace.put(run("demo", 0.75, 0.86));
        app.mask_ratio.sweep.job = Some(FollowedJob::new(handle));
    });
    harness.get_by_label("Stop the curve").click();
    harness.run_steps(3);
    assert_eq!(worker.commands(), [Command::Stop]);
    let message = "runs/demo/checkpoints/last: no checkpoint there".to_owned();
    worker.tell(1.0, Event::Finished { outcome: Outcome::Failed { message, bad_input: true } });
    harness.run_steps(3);
    harness.get_by_label_contains("no checkpoint there");
    harness.get_by_label("Compute the curve");
}

#[test]
fn a_run_that_pre_trains_by_itself_is_shown_with_its_own_settings() {
    let mut workspace = Workspace::new(Settings::default(), None, DeviceChoice::Cpu);
    let mut run = run("alone", 0.75, 0.8);
    run.config.arms.pretrain = vec![Arm { name: "plain".to_owned(), set: vec!["pretrain.mask_ratio=0.1".to_owned()], ..Arm::default() }];
    run.config.arms.finetune.clear();
    workspace.put(run);
    assert_eq!(Setting::new(&workspace, None, None).config.pretrain.mask_ratio, 0.75);
    let stage = Stage { kind: StageKind::Pretrain, arm: "plain".to_owned() };
    let begins = Event::StageStarted { stage, total: 1, done: 0 };
    workspace.runs[0].state_mut().apply(&Record { secs: 2.0, event: begins });
    assert_eq!(Setting::new(&workspace, None, None).config.pretrain.mask_ratio, 0.1, "an arm's settings where the run compares arms");
}

#[test]
fn dice_appears_where_runs_differ_in_their_mask_ratio() {
    needs_gpu!();
    let harness = opened(ThemeChoice::Dark, |app| app.workspace.put(run("demo", 0.75, 0.86)));
    assert!(harness.state().mask_ratio.sweep.dice.points.is_empty());
    let harness = opened(ThemeChoice::Dark, |app| {
        app.workspace.put(run("half", 0.5, 0.83));
        app.workspace.put(run("demo", 0.75, 0.86));
        let mut other = run("elsewhere", 0.25, 0.9);
        other.config.data.source = DataSource::Synthetic(SyntheticConfig::default());
        app.workspace.runs.push(other);
    });
    let ratios: Vec<f64> = harness.state().mask_ratio.sweep.dice.points.iter().map(|point| point.0).collect();
    assert_eq!(ratios, [0.5, 0.75]);
    harness.get_by_label("Test Dice of open runs");
}

#[test]
fn the_worker_computes_the_curve_of_a_run_s_checkpoint() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "model.preset=nnformer_small",
        "pretrain.crop_size=[16,16,16]",
        "finetune.crop_size=[16,16,16]",
        "pretrain.steps=1",
        "probe.volumes=2",
        "probe.crops=1",
        "probe.label_volumes=[]",
    ];
    let mut config = RunConfig::default().with_overrides(&settings.map(str::to_owned)).unwrap();
    config.data.source = DataSource::Synthetic(SyntheticConfig { cases: 6, shape: [20, 20, 20], channels: 1, labels: 1 });
    config.data.preprocess.spacing_mm = None;
    config.arms = crate::config::ArmsConfig { pretrain: Vec::new(), finetune: Vec::new() };
    let run = RunFolder::new(folder.path().join("tiny"));
    let training = TrainingJob::new(StageKind::Pretrain, config.clone(), run.clone());
    let handle = spawn(Job::Train(Box::new(training)), DeviceChoice::Cpu);
    drop(handle.events);
    assert_eq!(handle.join.join().unwrap(), Outcome::Completed);

    let state = run.replay().unwrap();
    let mut harness = opened(ThemeChoice::Dark, |app| app.workspace.put(OpenRun::of_record(run.root(), config, state)));
    harness.get_by_label("Compute the curve").click();
    wait_until(&mut harness, "points", |harness| harness.state().mask_ratio.sweep.points().len() >= 3);
    harness.get_by_label("Stop the curve").click();
    harness.step();
    wait_until(&mut harness, "the end", |harness| !harness.state().mask_ratio.sweep.job.as_ref().is_some_and(FollowedJob::is_running));
    let outcome = harness.state().mask_ratio.sweep.job.as_ref().unwrap().state.outcome.clone();
    assert!(matches!(outcome, Some(Outcome::Stopped | Outcome::Completed)), "{outcome:?}");
    assert!(harness.state().mask_ratio.sweep.points().iter().all(|point| point.loss.is_finite()));
}
