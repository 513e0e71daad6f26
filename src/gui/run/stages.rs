//! How far a run has come: a bar for each stage, what is still to come, time left.

use eframe::egui::{Align, Layout, RichText, Ui, vec2};

use super::card;
use crate::config::RunConfig;
use crate::gui::{OpenRun, Palette};
use crate::protocol::{Outcome, RunState, Stage, StageKind, StageState};
use crate::report::wording::{count, duration};

const NAME: f32 = 150.0;
const DONE: f32 = 84.0;
const TIME: f32 = 96.0;
const ROW_HEIGHT: f32 = 18.0;
const BAR_HEIGHT: f32 = 8.0;

/// A stage that has not begun: what it does, and its steps where the settings tell.
struct ToCome {
    stage: Stage,
    steps: Option<usize>,
}

/// A bar for each stage.
pub(super) fn show(ui: &mut Ui, run: &OpenRun) {
    let (config, state, running) = (&run.config, run.state(), run.job.is_running());
    ui.horizontal(|ui| {
        card::title(ui, "Progress");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| card::note(ui, standing(state, running)));
    });
    if state.stages.is_empty() && running {
        card::note(ui, "Opening the dataset and the device.");
    }
    for stage in &state.stages {
        bar(ui, stage, state, running);
    }
    if running {
        for ToCome { stage, steps } in to_come(config, state) {
            let text = steps.map_or_else(String::new, |steps| count(steps, "step"));
            line(ui, &title(&stage), 0.0, (&text, ""), true);
        }
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

fn bar(ui: &mut Ui, stage: &StageState, state: &RunState, running: bool) {
    let share = if stage.total == 0 { 1.0 } else { stage.done as f32 / stage.total as f32 };
    let done = format!("{} of {}", stage.done, stage.total);
    let time = match (stage.secs, stage.eta_secs(state.secs)) {
        (Some(secs), _) => duration(secs),
        (None, _) if !running => "not finished".to_owned(),
        (None, Some(left)) => format!("{} left", duration(left)),
        (None, None) => String::new(),
    };
    line(ui, &title(&stage.stage), share, (&done, &time), false);
}

fn line(ui: &mut Ui, name: &str, share: f32, (done, time): (&str, &str), faint: bool) {
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
        cell(ui, NAME, Layout::left_to_right(Align::Center), name_text);
        let spacing = 3.0 * ui.spacing().item_spacing.x;
        let width = (ui.available_width() - DONE - TIME - spacing).max(60.0);
        let colour = if share >= 1.0 { palette.good().gamma_multiply(0.75) } else { palette.series(0) };
        card::bar(ui, vec2(width, BAR_HEIGHT), share, colour, name);
        let right = Layout::right_to_left(Align::Center);
        cell(ui, DONE, right, done);
        cell(ui, TIME, right, time);
    });
}

/// The stages of a comparison that have not begun.
fn to_come(config: &RunConfig, state: &RunState) -> Vec<ToCome> {
    let compares = state.stages.iter().any(|stage| !stage.stage.arm.is_empty());
    if !compares {
        return Vec::new();
    }
    let mut coming = Vec::new();
    let steps = |arm, steps: fn(&RunConfig) -> usize| config.with_arm(arm).ok().map(|own| steps(&own));
    for arm in &config.arms.pretrain {
        coming.push(ToCome {
            stage: Stage { kind: StageKind::Pretrain, arm: arm.name.clone() },
            steps: steps(arm, |own| own.pretrain.steps),
        });
    }
    for arm in &config.arms.finetune {
        coming.push(ToCome {
            stage: Stage { kind: StageKind::Finetune, arm: arm.name.clone() },
            steps: steps(arm, |own| own.finetune.steps),
        });
        coming.push(ToCome { stage: Stage { kind: StageKind::Test, arm: arm.name.clone() }, steps: None });
    }
    coming.retain(|coming| state.stage(coming.stage.kind, &coming.stage.arm).is_none());
    coming
}
