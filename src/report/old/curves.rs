//! How training went: loss and its parts, learning rate, gradient norm, throughput, validation.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::palette::ArmTones;
use super::plot::{Line, Plot, Stroke};
use crate::protocol::{RunState, StageKind, StageState, StepNumbers};
use crate::wording::{count, duration};

/// Kinds of stages with optimiser steps.
const TRAININGS: [(StageKind, &str); 2] = [(StageKind::Pretrain, "Pre-training"), (StageKind::Finetune, "Fine-tuning")];

/// Reads a number off a step.
type Value = Box<dyn Fn(&StepNumbers) -> Option<f64>>;

/// A quantity of a step over the steps.
struct Quantity {
    title: String,
    axis: String,
    value: Value,
    /// Whether the values scatter, so that their running mean is what is read.
    noisy: bool,
}

/// The whole section.
pub(super) fn section(state: &RunState, tones: &ArmTones<'_>) -> Markup {
    let trained = TRAININGS.iter().any(|(kind, _)| state.stages_of(*kind).any(|stage| !stage.steps.is_empty()));
    html! {
        section id="training" {
            h2 { "Training" }
            @if trained {
                p.note { "Bold: running mean over a thirtieth of the steps. Faint: every step" (merged(state)) "." }
                @for (kind, title) in TRAININGS { (trainings(state, tones, kind, title)) }
            } @else {
                p.absent { "No optimiser step was taken in this run." }
            }
            (times(state))
        }
    }
}

/// Which trainings are so long that several steps are one point.
fn merged(state: &RunState) -> String {
    let long = state.stages.iter().filter(|stage| stage.steps.group_size() > 1);
    long.map(|stage| format!("; of {}, all but the newest steps as means of {} each", stage.stage, stage.steps.group_size())).collect()
}

fn trainings(state: &RunState, tones: &ArmTones<'_>, kind: StageKind, title: &str) -> Markup {
    let stages: Vec<&StageState> = state.stages_of(kind).filter(|stage| !stage.steps.is_empty()).collect();
    if stages.is_empty() {
        return html! {};
    }
    let validated = stages.iter().any(|stage| !stage.validations.is_empty());
    html! {
        h3 { (title) }
        p.key { @for stage in &stages { span { (tones.swatch(&stage.stage.arm)) (name(stage)) } } }
        div.plots {
            @for quantity in quantities(&stages) { (plot(&quantity, &stages, tones).figure()) }
            @if validated { (validation(&stages, tones).figure()) }
        }
    }
}

fn name(stage: &StageState) -> String {
    if stage.stage.arm.is_empty() { stage.stage.to_string() } else { stage.stage.arm.clone() }
}

fn quantities(stages: &[&StageState]) -> Vec<Quantity> {
    let quantity = |title: &str, axis: &str, noisy, value: fn(&StepNumbers) -> f64| Quantity {
        title: title.to_owned(),
        axis: axis.to_owned(),
        value: Box::new(move |step| Some(value(step))),
        noisy,
    };
    let parts: BTreeSet<&String> = stages.iter().flat_map(|stage| stage.steps.iter().flat_map(|step| step.parts.keys())).collect();
    let parts = parts.into_iter().cloned().map(|part| Quantity {
        title: format!("Recorded with the loss: {}", part.replace('_', " ")),
        axis: part.replace('_', " "),
        value: Box::new(move |step| step.parts.get(&part).copied()),
        noisy: true,
    });
    let mut quantities = vec![quantity("Loss", "loss", true, |step| step.loss)];
    quantities.extend(parts);
    quantities.extend([
        quantity("Learning rate", "learning rate", false, |step| step.lr),
        quantity("Gradient norm before clipping", "L2 norm", true, |step| step.grad_norm),
        quantity("Throughput", "volumes per second", true, |step| step.volumes_per_sec),
    ]);
    quantities
}

fn plot(quantity: &Quantity, stages: &[&StageState], tones: &ArmTones<'_>) -> Plot {
    let lines = stages.iter().flat_map(|stage| {
        let tone = tones.tone(&stage.stage.arm);
        let points: Vec<_> = stage.steps.iter().filter_map(|step| Some((step.step as f64, (quantity.value)(step)?))).collect();
        if quantity.noisy { Line::noisy(&points, tone).to_vec() } else { vec![Line { points, tone, stroke: Stroke::Bold }] }
    });
    // Faint lines first: no running mean is hidden behind another arm's noise.
    let (faint, bold): (Vec<_>, Vec<_>) = lines.partition(|line| line.stroke == Stroke::Faint);
    Plot {
        title: quantity.title.clone(),
        x: "optimiser step".to_owned(),
        y: quantity.axis.clone(),
        lines: faint.into_iter().chain(bold).collect(),
        ..Plot::default()
    }
}

fn validation(stages: &[&StageState], tones: &ArmTones<'_>) -> Plot {
    let line = |stage: &&StageState| Line {
        points: stage.validations.iter().map(|(step, dice)| (*step as f64, *dice)).collect(),
        tone: tones.tone(&stage.stage.arm),
        stroke: Stroke::Bold,
    };
    Plot {
        title: "Mean Dice of the validation cases".to_owned(),
        x: "optimiser step".to_owned(),
        y: "Dice".to_owned(),
        lines: stages.iter().map(line).collect(),
        ..Plot::default()
    }
}

fn times(state: &RunState) -> Markup {
    if state.stages.is_empty() {
        return html! {};
    }
    let resident = |stage: &StageState| stage.steps.iter().filter_map(|step| step.resident_mib).reduce(f64::max);
    html! {
        details {
            summary { "Time of each stage" }
            div.scroll { table.words {
                thead { tr { th { "Stage" } th { "Done" } th { "Time" } th { "Most memory" } } }
                tbody { @for stage in &state.stages { tr {
                    th scope="row" { (stage.stage) }
                    td { (stage.done) " of " (stage.total) @if stage.done_before > 0 { ", " (stage.done_before) " of them before the run was resumed" } }
                    td { @match stage.secs { Some(secs) => (duration(secs)), None => "not finished" } }
                    td { @if let Some(mib) = resident(stage) { (format!("{mib:.0} MiB")) } @else { (crate::wording::NOTHING) } }
                } } }
            } }
            p.note { (count(state.stages.len(), "stage")) ", " (duration(state.secs)) " in all." }
        }
    }
}
