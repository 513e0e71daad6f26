//! What is chosen in the grid, in full: settings, times, scores, why it failed and what to do.

use eframe::egui::{Label, RichText, Sense, Ui, vec2};

use super::request::Request;
use super::status::Status;
use crate::experiment::Experiment;
use crate::gui::widgets::{Cell, Column, Table, Width, card};
use crate::gui::{OpenRun, Palette};
use crate::metrics::collapse::{Judgement, THRESHOLDS};
use crate::protocol::{ArmScores, StageKind};
use crate::results::settings::departures;
use crate::wording::{count, distance, duration, or_nothing, share};

/// What the details are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A cell of the grid.
    Cell(usize),
    /// A pre-training.
    Training(usize),
}

impl Chosen {
    /// Its place in the grid; of a pre-training the first that it serves.
    pub(super) fn point(self, experiment: &Experiment) -> Option<Vec<usize>> {
        let cell = match self {
            Self::Cell(index) => experiment.cells.get(index),
            Self::Training(training) => experiment.cells_of(training).next(),
        };
        cell.map(|cell| cell.point.clone())
    }

    /// The trainings behind it, the newest first.
    pub(super) fn trainings(self, open: &OpenRun) -> Vec<usize> {
        match self {
            Self::Training(training) => vec![training],
            Self::Cell(index) => {
                let cell = &open.experiment.cells[index];
                [cell.finetuned].into_iter().chain(cell.pretrained).collect()
            }
        }
    }
}

/// Draws the details.
pub(super) fn show(ui: &mut Ui, open: &OpenRun, chosen: Chosen) -> Option<Request> {
    card::column(ui, "details", |ui| {
        let mut request = None;
        card::card(ui, |ui| {
            let title = if matches!(chosen, Chosen::Cell(_)) { "Cell" } else { "Pre-training" };
            let close = |ui: &mut Ui| card::close_button(ui, "Close the details", "Close the details");
            request = card::sides(ui, |ui| card::title(ui, title), close).then_some(Request::CloseDetails);
            match chosen {
                Chosen::Cell(index) => place(ui, open, index),
                Chosen::Training(training) => {
                    ui.strong(open.title(training));
                    let cells = open.experiment.cells_of(training).count();
                    card::note(ui, format!("{} of the grid start from it.", count(cells, "cell")));
                }
            }
        });
        for training in chosen.trainings(open) {
            ui.add_space(6.0);
            request = card::card(ui, |ui| block(ui, open, training)).or(request.take());
        }
        request
    })
}

/// Where a cell lies in the grid, and what that sets.
fn place(ui: &mut Ui, open: &OpenRun, index: usize) {
    let experiment = &open.experiment;
    let cell = &experiment.cells[index];
    let levels = experiment.config.axes.iter().enumerate().map(|(axis, known)| (known.name.as_str(), experiment.level(cell, axis)));
    for (axis, level) in levels.chain([("arm", experiment.arms()[cell.arm].name.as_str())]) {
        ui.horizontal(|ui| {
            ui.label(card::quiet(ui, axis));
            card::one_line(ui, RichText::new(level).strong());
        });
    }
    let settings = departures(experiment.config.base(), &experiment.trainings[cell.finetuned].config);
    if !settings.is_empty() {
        ui.add_space(4.0);
        card::note(ui, "Settings that differ from the experiment's base");
        for setting in settings {
            ui.add(Label::new(RichText::new(setting).small()).wrap());
        }
    }
}

/// A training: how far it is, what it found, where to look at it.
fn block(ui: &mut Ui, open: &OpenRun, training: usize) -> Option<Request> {
    let plan = &open.experiment.trainings[training];
    let status = Status::of_training(open, training);
    let known = open.look.as_ref().and_then(|look| look.results.trainings.get(training));
    let is_pretraining = plan.kind == StageKind::Pretrain;
    card::title(ui, if is_pretraining { "Pre-training" } else { "Fine-tuning and test" });
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
        status.sign(ui, rect.center(), 5.5);
        let [word, _] = status.words();
        let word = if matches!(status, Status::Done(_)) { "done" } else { &word };
        ui.label(RichText::new(word).strong().color(status.colour(Palette::of(ui))));
        if let Some(secs) = known.map(|known| known.secs).filter(|secs| *secs > 0.0) {
            ui.label(card::quiet(ui, duration(secs)));
        }
        let steps = if is_pretraining { plan.config.pretrain.steps } else { plan.config.finetune.steps };
        ui.label(card::quiet(ui, count(steps, "step")));
    });
    if let Status::Failed(cause) = &status {
        ui.add(Label::new(RichText::new(cause).color(Palette::of(ui).bad())).wrap());
        card::note(ui, "Put right what is named above, then let the experiment go on: it is tried again, and what is done stays.");
    }
    if let Some((eta2, untrained)) = known.and_then(|known| known.eta2_turned) {
        let untrained = untrained.map_or_else(String::new, |untrained| format!(", untrained {}", share(untrained)));
        ui.label(format!("eta2 (rotated) {}{untrained}", share(eta2)));
    }
    if let Some(judgement) = known.and_then(|known| known.judgement.as_ref()) {
        verdict(ui, "", judgement);
    }
    if let Some(scores) = known.and_then(|known| known.scores.as_ref()) {
        ui.add_space(2.0);
        scores_table(ui, scores, training);
    }
    let reason = "There is nothing to look at before it begins";
    ui.add_enabled_ui(open.run(training).is_some(), |ui| {
        ui.horizontal(|ui| {
            let mut request = None;
            let curves = ui.button("Curves").on_hover_text("Its curves over the steps");
            if curves.on_disabled_hover_text(reason).clicked() {
                request = Some(Request::Curves);
            }
            if is_pretraining {
                let collapse = ui.button("Look at collapse").on_hover_text("Its tokens, maps and time lines in the Collapse panel");
                if collapse.on_disabled_hover_text(reason).clicked() {
                    request = Some(Request::Collapse);
                }
            }
            request
        })
        .inner
    })
    .inner
}

/// A verdict on the tokens of `name`, and why.
pub(super) fn verdict(ui: &mut Ui, name: &str, judgement: &Judgement) {
    let colour = Palette::of(ui).verdict(judgement.verdict);
    ui.horizontal_wrapped(|ui| {
        if !name.is_empty() {
            ui.strong(name);
        }
        ui.label(RichText::new(judgement.verdict.word()).strong().color(colour)).on_hover_text(THRESHOLDS);
        ui.label(&judgement.sentence);
    });
}

fn scores_table(ui: &mut Ui, scores: &ArmScores, training: usize) {
    let columns = vec![
        Column::new("", "The label or region", Width::Rest(90.0)),
        Column::numbers("Dice", "Mean over the test cases", Width::Exact(64.0)),
        Column::numbers(format!("HD95, {}", scores.unit.word()), "Mean over the test cases", Width::Exact(74.0)),
    ];
    let regions: Vec<&String> = scores.dice.keys().collect();
    ui.push_id(("scores", training), |ui| {
        Table::new("Scores", columns).show(ui, regions.len() + 1, |row, column| {
            let region = regions.get(row);
            let numbers = region.map_or((scores.dice_mean, scores.hd95_mean), |region| {
                (scores.dice.get(*region).copied(), scores.hd95.get(*region).copied())
            });
            let text = match column {
                0 => region.map_or_else(|| "mean".to_owned(), |region| (*region).clone()),
                1 => or_nothing(numbers.0, share),
                _ => or_nothing(numbers.1, distance),
            };
            Cell { strong: region.is_none(), ..text.into() }
        });
    });
    let missing =
        if scores.missing_in_one > 0 { format!(", {} missing in one", count(scores.missing_in_one, "label")) } else { String::new() };
    card::note(ui, format!("Means over {}{missing}.", count(scores.cases, "test case")));
}
