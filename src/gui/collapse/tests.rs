//! The panel as a user sees it, on encoders that are known.

use std::sync::Arc;

use eframe::egui::{Pos2, pos2};
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotResults};

use super::heat_map::Chosen;
use super::synthetic::{Kind, config, preview, records, stage, state};
use super::*;
use crate::gui::testing::{THEMES, click_at, needs_gpu, save_by_menu, small_windows, wait_until, window};
use crate::gui::{App, ThemeChoice};
use crate::protocol::{CollapsePair, Event, Record, RunState, Severity};

/// A replayed run whose first arm went one way, with its tokens; the second, if asked for, is healthy.
fn run(kind: Kind, two_arms: bool) -> OpenRun {
    let arms = [("plain", kind), ("simtrot_w", Kind::Healthy)];
    let arms = &arms[..if two_arms { 2 } else { 1 }];
    let mut run = OpenRun::of_record("runs/hippocampus", config(), state(arms));
    run.tokens.extend(arms.iter().map(|&(arm, kind)| (stage(arm), Arc::new(preview(kind, 400)))));
    run
}

fn opened(theme: ThemeChoice, run: OpenRun) -> Harness<'static, App> {
    let mut harness = window(theme, |_, app| {
        app.workspace.settings.panel = Panel::Collapse;
        app.workspace.put(run);
    });
    settle(&mut harness);
    harness
}

/// Draws until no map is being made.
fn settle(harness: &mut Harness<'static, App>) {
    harness.step();
    wait_until(harness, "the maps", |harness| harness.state().collapse.maps.making.is_none());
    harness.run_steps(3);
}

fn choose(harness: &mut Harness<'static, App>, volume: usize, token: usize) {
    let maps = &mut harness.state_mut().collapse.maps;
    let seen = maps.get().expect("the maps are made").1.clone();
    maps.chosen = Some(Chosen { volume, token });
    maps.patch.look_at(Chosen { volume, token }, &seen);
    harness.run_steps(3);
}

#[test]
fn the_panel_in_its_states() {
    needs_gpu!();
    let mut results = SnapshotResults::new();
    for (theme, name) in THEMES {
        let mut harness = window(theme, |_, app| app.workspace.settings.panel = Panel::Collapse);
        harness.run_steps(3);
        harness.snapshot(format!("collapse_empty_{name}"));
        results.extend_harness(&mut harness);
        for (kind, title) in [(Kind::Healthy, "healthy"), (Kind::PartlyBound, "partly_bound"), (Kind::Collapsed, "collapsed")] {
            let mut harness = opened(theme, run(kind, false));
            choose(&mut harness, 1, 22);
            harness.snapshot(format!("collapse_{title}_{name}"));
            results.extend_harness(&mut harness);
        }
        let mut harness = opened(theme, run(Kind::Collapsed, true));
        harness.state_mut().collapse.maps.scatter.by = scatter::ColourBy::Volume;
        harness.run_steps(3);
        harness.snapshot(format!("collapse_replayed_{name}"));
        results.extend_harness(&mut harness);
    }
}

#[test]
fn the_panel_fits_small_windows() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, run(Kind::PartlyBound, true));
    small_windows(&mut harness, "collapse");
}

#[test]
fn numbers_that_are_none_are_said_to_be() {
    needs_gpu!();
    let mut run = run(Kind::Healthy, false);
    let broken = CollapsePair { projected: Some(Default::default()), encoder: Default::default() };
    run.state_mut().apply(&Record { secs: 99.0, event: Event::Probe { stage: stage("plain"), step: 450, collapse: Box::new(broken) } });
    opened(ThemeChoice::Dark, run).get_by_label("Not a number");
}

#[test]
fn a_run_without_numbers_says_why() {
    needs_gpu!();
    let begins = |stage| Event::StageStarted { stage, total: 10, done: 0 };
    let finetune = Stage { kind: StageKind::Finetune, arm: String::new() };
    let text = "collapse is not measured: fewer than two cases are held out".to_owned();
    for (event, words) in [
        (begins(finetune), "fine-tunes only"),
        (begins(stage("")), "ended before tokens were measured"),
        (Event::Notice { severity: Severity::Warning, text }, "fewer than two cases"),
    ] {
        let mut state = RunState::default();
        state.apply(&Record { secs: 0.0, event });
        let run = OpenRun::of_record("runs/none", config(), state);
        opened(ThemeChoice::Dark, run).get_by_label_contains(words);
    }
}

#[test]
fn a_token_chosen_in_a_map_is_marked_in_all() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, run(Kind::Healthy, false));
    assert_eq!(harness.state().collapse.maps.chosen, None);
    let point_of = |harness: &Harness<'_, App>, label: &str, at: fn(egui::Rect) -> Pos2| at(harness.get_by_label_contains(label).rect());
    // The heat map: 64 rows and columns; row 22 is position D1 H1 W2.
    let row =
        point_of(&harness, "How alike positions are", |map| pos2(map.left() + map.width() * 0.7, map.top() + map.height() * 22.5 / 64.0));
    click_at(&mut harness, row);
    let maps = &harness.state().collapse.maps;
    assert_eq!(maps.chosen, Some(Chosen { volume: 0, token: 22 }));
    assert_eq!((maps.patch.volume, maps.patch.cursor.voxel), (0, [12, 12, 20]), "the crosshair stands in the middle of its patch");
    harness.get_by_label_contains("Position D1 H1 W2 of");

    // The map of tokens: the token nearest to the pointer. A slice: the token of the position.
    let mut before = Some(Chosen { volume: 0, token: 22 });
    for (label, at) in [
        ("Tokens in the plane in which", (|map| map.center() + vec2(12.0, -8.0)) as fn(egui::Rect) -> Pos2),
        ("axial slice", |slice| slice.center() + vec2(-20.0, 30.0)),
    ] {
        let at = point_of(&harness, label, at);
        click_at(&mut harness, at);
        let maps = &harness.state().collapse.maps;
        assert!(maps.chosen.is_some() && maps.chosen != before, "{label}: {:?}", maps.chosen);
        assert_eq!(maps.patch.volume, maps.chosen.unwrap().volume);
        before = maps.chosen;
    }
}

#[test]
fn encoders_and_tokens_can_be_chosen() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, run(Kind::Collapsed, true));
    harness.get_by_label("Healthy");
    harness.get_by_role_and_label(egui::accesskit::Role::Button, "plain").click();
    settle(&mut harness);
    harness.get_by_label("Collapsed");
    let range = |harness: &Harness<'_, App>| harness.state().collapse.maps.get().map(|(maps, _)| maps.range());
    let seen = range(&harness);
    harness.get_by_label("Encoder tokens").click();
    settle(&mut harness);
    assert_ne!(range(&harness), seen, "the maps are of the encoder's tokens");

    let mut alone = run(Kind::Healthy, false);
    let stage = &mut alone.state_mut().stages[0];
    let probes = std::mem::take(&mut stage.probes);
    probes.iter().for_each(|(step, pair)| stage.probes.push((*step, CollapsePair { projected: None, ..pair.clone() })));
    let mut harness = opened(ThemeChoice::Dark, alone);
    harness.get_by_label("Projected tokens").click();
    harness.run_steps(2);
    assert_eq!(harness.state().collapse.tokens, None, "a task without projector offers the encoder's tokens alone");
}

#[test]
fn numbers_and_maps_arrive_while_a_run_is_at_work() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, OpenRun::of_record("runs/live", config(), RunState::default()));
    let arrive = |harness: &mut Harness<'static, App>, events: &[Event]| {
        let run = harness.state_mut().workspace.shown_mut().unwrap();
        events.iter().for_each(|event| run.state_mut().apply(&Record { secs: 1.0, event: event.clone() }));
        harness.run_steps(3);
    };
    harness.get_by_label("Nothing measured yet");
    let events = records(&[("plain", Kind::Collapsed)]);
    let probes: Vec<usize> = (0..events.len()).filter(|&index| matches!(events[index], Event::Probe { .. })).collect();
    arrive(&mut harness, &events[..=probes[0]]);
    harness.get_by_label("Not trained yet");
    assert!(harness.query_all_by_label_contains("They come with the next measurement").count() > 0);
    arrive(&mut harness, &events[probes[0] + 1..=probes[probes.len() - 1]]);
    let tokens = Arc::new(preview(Kind::Collapsed, 400));
    harness.state_mut().workspace.shown_mut().unwrap().tokens.insert(stage("plain"), tokens);
    settle(&mut harness);
    harness.get_by_label("Collapsed");
    assert!(harness.state().collapse.maps.get().is_some());
}

#[test]
fn every_plot_and_table_can_be_saved() {
    needs_gpu!();
    let mut harness = opened(ThemeChoice::Dark, run(Kind::Healthy, false));
    let folder = tempfile::tempdir().unwrap();
    for menu in ["Save Numbers", "Save Singular values of the tokens", "Save Are positions alike across volumes?"] {
        let text = String::from_utf8(save_by_menu(&mut harness, (menu, "Save as CSV ..."), folder.path())).unwrap();
        assert!(text.lines().count() > 10 && text.lines().all(|line| line.contains(',')), "{menu}: {text}");
    }
    let picture = save_by_menu(&mut harness, ("Save Map of the tokens", "Save as PNG ..."), folder.path());
    let reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().unwrap();
    assert!(reader.info().width > 150 && reader.info().height > 150, "{:?}", reader.info());
}

#[test]
fn synthetic_encoders_are_what_they_are_called() {
    for (kind, word) in [(Kind::Healthy, "healthy"), (Kind::PartlyBound, "partly position-bound"), (Kind::Collapsed, "collapsed")] {
        let state = state(&[("plain", kind)]);
        let stage = &state.stages[0];
        let [now, untrained] = [stage.last_probe(), stage.untrained_probe()].map(|pair| Tokens::Projected.numbers(pair.unwrap()).unwrap());
        let judged = crate::metrics::collapse::verdict(now, untrained).unwrap();
        assert_eq!(judged.verdict.word(), word, "{now:?}");
    }
}
