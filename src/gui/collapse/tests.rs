//! The panel as a user sees it, on encoders that are known.

use std::sync::Arc;
use std::time::Duration;

use eframe::egui::{self, Pos2, pos2};
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotResults};

use super::synthetic::{Kind, config, preview, records, stage, state};
use super::*;
use crate::gui::testing::{fake_worker, has_gpu, window};
use crate::gui::{App, FollowedJob, ThemeChoice};
use crate::protocol::{Event, Preview, Record, RunFolder};

const THEMES: [(ThemeChoice, &str); 2] = [(ThemeChoice::Dark, "dark"), (ThemeChoice::Light, "light")];

/// A replayed run whose first arm went one way, with its tokens; the second, if asked for, is healthy.
fn run(kind: Kind, two_arms: bool) -> OpenRun {
    let arms = [("plain", kind), ("simtrot_w", Kind::Healthy)];
    let mut run = OpenRun::replayed(RunFolder::new("runs/hippocampus"), config(), state(&arms[..if two_arms { 2 } else { 1 }]));
    run.tokens.insert(stage("plain"), Arc::new(preview(kind, 400)));
    if two_arms {
        run.tokens.insert(stage("simtrot_w"), Arc::new(preview(Kind::Healthy, 400)));
    }
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
    for _ in 0..500 {
        harness.step();
        if !harness.state().collapse.tokens.is_making() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    harness.run_steps(3);
}

fn click(harness: &mut Harness<'static, App>, at: Pos2) {
    harness.hover_at(at);
    harness.step();
    for pressed in [true, false] {
        let button = egui::PointerButton::Primary;
        harness.event(egui::Event::PointerButton { pos: at, button, pressed, modifiers: egui::Modifiers::NONE });
        harness.step();
    }
    harness.event(egui::Event::PointerGone);
    harness.run_steps(3);
}

fn choose(harness: &mut Harness<'static, App>, volume: usize, token: usize) {
    let panel = &mut harness.state_mut().collapse;
    let (_, seen) = panel.tokens.maps().expect("the maps are made");
    let seen = seen.clone();
    panel.tokens.chosen = Some(Chosen { volume, token });
    panel.tokens.patch.look_at(Chosen { volume, token }, &seen);
    harness.run_steps(3);
}

#[test]
fn the_panel_in_its_telling_states() {
    if !has_gpu() {
        return;
    }
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
        harness.state_mut().collapse.tokens.scatter.by = scatter::ColourBy::Volume;
        harness.run_steps(3);
        harness.snapshot(format!("collapse_replayed_{name}"));
        results.extend_harness(&mut harness);
    }
}

#[test]
fn the_panel_fits_a_small_window() {
    if !has_gpu() {
        return;
    }
    let mut harness = opened(ThemeChoice::Dark, run(Kind::PartlyBound, true));
    harness.set_size(vec2(1100.0, 700.0));
    harness.run_steps(3);
    harness.snapshot("collapse_small_dark");
}

#[test]
fn a_headline_says_in_a_word_what_the_numbers_mean() {
    if !has_gpu() {
        return;
    }
    for (kind, word, hint) in [
        (Kind::Healthy, "Healthy", "Go on"),
        (Kind::PartlyBound, "Partly position-bound", "turn rotation on (pretrain"),
        (Kind::Collapsed, "Collapsed", "turn rotation on (pretrain"),
    ] {
        let harness = opened(ThemeChoice::Dark, run(kind, false));
        harness.get_by_label(word);
        harness.get_by_label_contains(hint);
    }
    let mut run = run(Kind::Healthy, false);
    let broken = crate::protocol::CollapsePair { projected: Some(Default::default()), encoder: Default::default() };
    run.job.state.apply(&Record { secs: 99.0, event: Event::Probe { stage: stage("plain"), step: 450, collapse: Box::new(broken) } });
    opened(ThemeChoice::Dark, run).get_by_label("Not a number");
}

#[test]
fn a_run_without_numbers_says_why() {
    if !has_gpu() {
        return;
    }
    let say = |events: Vec<Event>, words: &str| {
        let mut state = RunState::default();
        events.into_iter().for_each(|event| state.apply(&Record { secs: 0.0, event }));
        let harness = opened(ThemeChoice::Dark, OpenRun::replayed(RunFolder::new("runs/none"), config(), state));
        harness.get_by_label_contains(words);
    };
    let finetune = Stage { kind: StageKind::Finetune, arm: String::new() };
    say(vec![Event::StageStarted { stage: finetune, total: 10, done: 0 }], "fine-tunes only");
    say(vec![Event::StageStarted { stage: stage(""), total: 10, done: 0 }], "ended before tokens were measured");
    let text = "collapse is not measured: fewer than two cases are held out".to_owned();
    say(vec![Event::Notice { severity: crate::protocol::Severity::Warning, text }], "fewer than two cases");
}

#[test]
fn a_token_chosen_in_a_map_is_marked_in_all() {
    if !has_gpu() {
        return;
    }
    let mut harness = opened(ThemeChoice::Dark, run(Kind::Healthy, false));
    assert_eq!(harness.state().collapse.tokens.chosen, None);
    // The heat map: 64 rows and columns; row 22 is place D1 H1 W2.
    let map = harness.get_by_label("How alike places are across volumes: rows and columns are token places").rect();
    click(&mut harness, pos2(map.left() + map.width() * 0.7, map.top() + map.height() * 22.5 / 64.0));
    let panel = &harness.state().collapse;
    assert_eq!(panel.tokens.chosen, Some(Chosen { volume: 0, token: 22 }));
    assert_eq!(panel.tokens.patch.shown_at(), (0, [12, 12, 20]), "the crosshair stands in the middle of its patch");
    harness.get_by_label_contains("Place D1 H1 W2 of");

    // The map of tokens: what is clicked is the token nearest to the pointer.
    let map = harness.get_by_label("Tokens in the plane in which they spread most").rect();
    click(&mut harness, map.center() + vec2(12.0, -8.0));
    let chosen = harness.state().collapse.tokens.chosen;
    assert!(chosen.is_some() && chosen != Some(Chosen { volume: 0, token: 22 }), "{chosen:?}");
    assert_eq!(harness.state().collapse.tokens.patch.shown_at().0, chosen.unwrap().volume);

    // A place on a slice chooses its token.
    let slice = harness.get_by_label_contains("axial slice").rect();
    click(&mut harness, slice.center() + vec2(-20.0, 30.0));
    let after = harness.state().collapse.tokens.chosen;
    assert!(after.is_some() && after != chosen, "{after:?}");
}

#[test]
fn stages_and_places_can_be_chosen() {
    if !has_gpu() {
        return;
    }
    let mut harness = opened(ThemeChoice::Dark, run(Kind::Collapsed, true));
    harness.get_by_label("Healthy");
    harness.get_by_role_and_label(egui::accesskit::Role::Button, "plain").click();
    settle(&mut harness);
    harness.get_by_label("Collapsed");
    let seen = harness.state().collapse.tokens.maps().map(|(maps, _)| maps.range());
    harness.get_by_label("Encoder tokens").click();
    settle(&mut harness);
    assert_ne!(harness.state().collapse.tokens.maps().map(|(maps, _)| maps.range()), seen, "the maps are of the encoder's tokens");

    let mut alone = run(Kind::Healthy, false);
    let stage = &mut alone.job.state.stages[0];
    let probes = std::mem::take(&mut stage.probes);
    probes.iter().for_each(|(step, pair)| stage.probes.push((*step, crate::protocol::CollapsePair { projected: None, ..pair.clone() })));
    let mut harness = opened(ThemeChoice::Dark, alone);
    harness.get_by_label("Projected tokens").click();
    harness.run_steps(2);
    assert_eq!(harness.state().collapse.place, None, "a task without projector offers the encoder's tokens alone");
}

#[test]
fn numbers_and_maps_arrive_while_a_run_is_at_work() {
    if !has_gpu() {
        return;
    }
    let (handle, worker) = fake_worker();
    let mut harness = window(ThemeChoice::Dark, |_, app| {
        app.workspace.settings.panel = Panel::Collapse;
        app.workspace.put(OpenRun::at_work(RunFolder::new("runs/live"), config(), FollowedJob::new(handle)));
    });
    harness.run_steps(2);
    harness.get_by_label("Nothing measured yet");
    let events = records(&[("plain", Kind::Collapsed)]);
    let probes: Vec<usize> = (0..events.len()).filter(|&index| matches!(events[index], Event::Probe { .. })).collect();
    for event in &events[..=probes[0]] {
        worker.tell(0.0, event.clone());
    }
    harness.run_steps(3);
    harness.get_by_label("Not trained yet");
    assert!(harness.query_all_by_label_contains("They come with the next measurement").count() > 0);
    for event in &events[probes[0] + 1..=probes[probes.len() - 1]] {
        worker.tell(1.0, event.clone());
    }
    worker.previews.send(Preview::Tokens(Arc::new(preview(Kind::Collapsed, 400)))).unwrap();
    settle(&mut harness);
    harness.get_by_label("Collapsed");
    assert!(harness.state().collapse.tokens.maps().is_some());
}

#[test]
fn made_up_encoders_are_what_they_are_called() {
    for (kind, word) in [(Kind::Healthy, "Healthy"), (Kind::PartlyBound, "PartlyBound"), (Kind::Collapsed, "Collapsed")] {
        let state = state(&[("plain", kind)]);
        let stage = &state.stages[0];
        for place in Place::ALL {
            let [now, untrained] = [stage.last_probe(), stage.untrained_probe()].map(|pair| place.numbers(pair.unwrap()).unwrap());
            let judged = crate::metrics::collapse::verdict(now, untrained).unwrap();
            if place == Place::Projected {
                assert_eq!(format!("{:?}", judged.verdict), word, "{now:?}");
            }
        }
    }
}
