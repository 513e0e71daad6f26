//! How far a run has come: a bar for each stage, what is still to come, time left.

use std::time::Duration;

use eframe::egui::{Align, Layout, RichText, Ui, vec2};

use super::card;
use crate::gui::{OpenRun, Palette};
use crate::protocol::{Outcome, RunState, Stage, StageKind, StageState};
use crate::wording::{count, duration, sentence, time_left};

/// Room for the names: as much as the longest needs, within bounds.
const NAMES: std::ops::RangeInclusive<f32> = 90.0..=220.0;
const LETTER: f32 = 7.2;
const DONE: f32 = 84.0;
const TIME: f32 = 96.0;
const ROW_HEIGHT: f32 = 18.0;
const BAR_HEIGHT: f32 = 8.0;
/// A worker that tells nothing for longer is spoken of.
const LONG_SILENCE: Duration = Duration::from_secs(20);

/// A bar for each stage.
pub(super) fn show(ui: &mut Ui, run: &OpenRun) {
    let (state, running) = (run.state(), run.job.is_running() || run.job.is_watched());
    ui.horizontal(|ui| {
        card::title(ui, "Progress");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| card::note(ui, standing(state, running)));
    });
    if let Some(silence) = run.job.silence().filter(|silence| *silence > LONG_SILENCE && !run.job.is_paused()) {
        // Measuring tokens or segmenting a large case takes its time; that must not look like a standstill.
        card::note(ui, format!("The worker computes; its last word came {} ago.", duration(silence.as_secs_f64())));
    }
    if state.stages.is_empty() && running {
        card::note(ui, "Opening the dataset and the device.");
    }
    let coming = if running { run.stages.to_come(state) } else { Vec::new() };
    if running && !state.stages.is_empty() {
        card::note(ui, format!("{}.", sentence(&time_left(&run.stages.time_left(state)))));
    }
    let names = state.stages.iter().map(|stage| &stage.stage).chain(coming.iter().map(|(stage, _)| stage));
    let letters = names.map(|stage| title(stage).chars().count()).max().unwrap_or_default();
    let width = (letters as f32 * LETTER).clamp(*NAMES.start(), *NAMES.end());
    for stage in &state.stages {
        bar(ui, width, stage, (state.secs, running));
    }
    for (stage, units) in coming {
        let unit = if stage.kind == StageKind::Test { "case" } else { "step" };
        let text = units.map_or_else(String::new, |units| count(units, unit));
        line(ui, (&title(&stage), width), 0.0, (&text, ""), true);
    }
}

/// `stopped after 4 min 10 s, in pretrain simtrot_w at 200 of 400`.
pub(super) fn standing(state: &RunState, running: bool) -> String {
    let after = duration(state.secs);
    let place = state.stages.iter().rev().find(|stage| stage.secs.is_none());
    let place = place.map_or_else(String::new, |stage| format!(", in {} at {} of {}", stage.stage, stage.done, stage.total));
    match &state.outcome {
        Some(Outcome::Completed) => format!("completed in {after}"),
        Some(Outcome::Stopped) => format!("stopped after {after}{place}"),
        Some(Outcome::Failed { .. }) => format!("failed after {after}{place}"),
        None if running => format!("{after} so far{place}"),
        None => format!("interrupted after {after}{place}"),
    }
}

/// A stage's name as a reader says it.
pub(super) fn title(stage: &Stage) -> String {
    let kind = match stage.kind {
        StageKind::Prepare => "Prepare volumes",
        StageKind::Pretrain => "Pre-train",
        StageKind::Finetune => "Fine-tune",
        StageKind::Test => "Test",
        StageKind::Infer => "Segment",
        StageKind::Probe => "Probe tokens",
        StageKind::MaskRatios => "Mask ratios",
    };
    if stage.arm.is_empty() { kind.to_owned() } else { format!("{kind} {}", stage.arm) }
}

fn bar(ui: &mut Ui, width: f32, stage: &StageState, (now_secs, running): (f64, bool)) {
    let share = if stage.total == 0 { 1.0 } else { stage.done as f32 / stage.total as f32 };
    let done = format!("{} of {}", stage.done, stage.total);
    let time = match (stage.secs, stage.eta_secs(now_secs)) {
        (Some(secs), _) => duration(secs),
        (None, _) if !running => "not finished".to_owned(),
        (None, Some(left)) => format!("{} left", duration(left)),
        (None, None) => String::new(),
    };
    line(ui, (&title(&stage.stage), width), share, (&done, &time), false);
}

fn line(ui: &mut Ui, (name, room): (&str, f32), share: f32, (done, time): (&str, &str), faint: bool) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.set_height(ROW_HEIGHT);
        let quiet = |text: &str| card::quiet(ui, text);
        let [name_text, done, time] =
            if faint { [name, done, time].map(quiet) } else { [RichText::new(name), RichText::new(done), quiet(time)] };
        let cell = |ui: &mut Ui, width: f32, layout: Layout, content: RichText| {
            ui.allocate_ui_with_layout(vec2(width, ROW_HEIGHT), layout, |ui| {
                ui.set_min_width(width);
                card::one_line(ui, content);
            });
        };
        cell(ui, room, Layout::left_to_right(Align::Center), name_text);
        let spacing = 3.0 * ui.spacing().item_spacing.x;
        let width = (ui.available_width() - DONE - TIME - spacing).max(60.0);
        let colour = if share >= 1.0 { palette.good().gamma_multiply(0.75) } else { palette.series(0) };
        card::bar(ui, vec2(width, BAR_HEIGHT), share, colour, name);
        let right = Layout::right_to_left(Align::Center);
        cell(ui, DONE, right, done);
        cell(ui, TIME, right, time);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, Record};

    #[test]
    fn how_a_run_stands_is_told_in_a_line() {
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut state = RunState::default();
        state.apply(&Record { secs: 1.0, event: Event::StageStarted { stage: stage.clone(), total: 10, done: 0 } });
        state.apply(&Record { secs: 8.0, event: Event::Progress { stage, done: 4, total: 10 } });
        assert_eq!(standing(&state, true), "8.0 s so far, in pretrain at 4 of 10");
        assert_eq!(standing(&state, false), "interrupted after 8.0 s, in pretrain at 4 of 10");
        state.apply(&Record { secs: 9.0, event: Event::Finished { outcome: Outcome::Stopped } });
        assert_eq!(standing(&state, false), "stopped after 9.0 s, in pretrain at 4 of 10");
    }
}
