//! What is chosen in the grid, in full: settings, times, scores, why it failed and what to do.

use eframe::egui::{Align, Button, Grid, Label, Layout, RichText, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2};

use super::super::widgets::card;
use super::super::{Palette, Panel};
use super::opened::OpenExperiment;
use super::standing::Standing;
use crate::metrics::collapse::THRESHOLDS;
use crate::protocol::StageKind;
use crate::wording::{count, distance, duration, or_nothing, share};

/// What the details are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A cell of the grid.
    Cell(usize),
    /// A stage: a pre-training.
    Stage(usize),
}

/// What the details ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A stage's run is to be looked at.
    Look { stage: usize, panel: Panel },
    /// Put the details away.
    Close,
}

/// Draws the details.
pub(super) fn show(ui: &mut Ui, open: &OpenExperiment, chosen: Chosen) -> Option<Request> {
    let mut request = None;
    ScrollArea::vertical().id_salt("details").auto_shrink([false, false]).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - ui.spacing().scroll.bar_width);
        card::card(ui, |ui| {
            ui.horizontal(|ui| {
                card::title(ui, if matches!(chosen, Chosen::Cell(_)) { "Cell" } else { "Pre-training" });
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let close = ui.add(Button::new(RichText::new("x").small()).frame(false));
                    close.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Close the details"));
                    if close.on_hover_text("Close the details").clicked() {
                        request = Some(Request::Close);
                    }
                });
            });
            match chosen {
                Chosen::Cell(index) => place(ui, open, index),
                Chosen::Stage(stage) => {
                    let known = open.board.pretrainings.iter().find(|(known, _)| *known == stage);
                    ui.strong(known.map_or("", |(_, title)| title.as_str()));
                    let cells = open.experiment.cells_of(stage).count();
                    card::note(ui, format!("{} of the grid start from it.", count(cells, "cell")));
                }
            }
        });
        let stages = match chosen {
            Chosen::Stage(stage) => vec![stage],
            Chosen::Cell(index) => {
                let cell = &open.experiment.cells[index];
                [cell.finetuned].into_iter().chain(cell.pretrained).collect()
            }
        };
        for stage in stages {
            ui.add_space(6.0);
            request = block(ui, open, stage).or(request.take());
        }
    });
    request
}

/// Where a cell lies in the grid, and what that sets.
fn place(ui: &mut Ui, open: &OpenExperiment, index: usize) {
    let experiment = &open.experiment;
    let cell = &experiment.cells[index];
    Grid::new("place of the cell").num_columns(2).striped(false).spacing([12.0, 4.0]).show(ui, |ui| {
        for (axis, known) in experiment.config.axes.iter().enumerate() {
            ui.label(card::quiet(ui, &known.name));
            ui.add(Label::new(RichText::new(experiment.level(cell, axis)).strong()).wrap());
            ui.end_row();
        }
        ui.label(card::quiet(ui, "arm"));
        ui.add(Label::new(RichText::new(&experiment.arms()[cell.arm].name).strong()).wrap());
        ui.end_row();
    });
    let levels = cell.point.iter().enumerate().flat_map(|(axis, &level)| &experiment.levels[axis][level].set);
    let settings: Vec<&String> = levels.chain(&experiment.arms()[cell.arm].set).collect();
    if !settings.is_empty() {
        ui.add_space(4.0);
        card::note(ui, "Settings that differ from the experiment's base");
        for setting in settings {
            ui.add(Label::new(RichText::new(setting).monospace().small()).wrap());
        }
    }
}

/// A stage: how it stands, what it found, where to look at it.
fn block(ui: &mut Ui, open: &OpenExperiment, stage: usize) -> Option<Request> {
    let plan = &open.experiment.trainings[stage];
    let standing = open.stage_standing(stage);
    let is_pretraining = plan.kind == StageKind::Pretrain;
    card::card(ui, |ui| {
        card::title(ui, if is_pretraining { "Pre-training" } else { "Fine-tuning and test" });
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), Sense::hover());
            standing.sign(ui, rect.center(), 5.5);
            let palette = Palette::of(ui);
            let word = match &standing {
                Standing::Done(_) => "done".to_owned(),
                other => other.word(),
            };
            ui.label(RichText::new(word).strong().color(standing.colour(palette)));
            let known = open.look.as_ref().and_then(|look| look.stages.get(stage));
            if let Some(known) = known.filter(|known| known.secs > 0.0) {
                ui.label(card::quiet(ui, duration(known.secs)));
            }
            let steps = if is_pretraining { plan.config.pretrain.steps } else { plan.config.finetune.steps };
            ui.label(card::quiet(ui, count(steps, "step")));
        });
        if let Standing::Failed(cause) = &standing {
            ui.add(Label::new(RichText::new(cause).color(Palette::of(ui).bad())).wrap());
            card::note(ui, "Put right what is named above, then let the experiment go on: it is tried again, and what is done stays.");
        }
        if is_pretraining {
            collapse(ui, open, stage);
        } else {
            scores(ui, open, stage);
        }
        looks(ui, open, stage, &standing)
    })
}

fn scores(ui: &mut Ui, open: &OpenExperiment, stage: usize) {
    let Some(scores) = open.look.as_ref().and_then(|look| look.stages.get(stage)?.scores.as_ref()) else { return };
    ui.add_space(2.0);
    Grid::new(("scores", stage)).num_columns(3).striped(true).spacing([18.0, 4.0]).show(ui, |ui| {
        for title in ["", "Dice", &format!("HD95, {}", scores.unit.word())] {
            ui.label(card::quiet(ui, title).small());
        }
        ui.end_row();
        let regions = scores.dice.keys().map(|region| (region.as_str(), scores.dice.get(region), scores.hd95.get(region)));
        let mean = [("mean", scores.dice_mean.as_ref(), scores.hd95_mean.as_ref())];
        for (region, dice, hd95) in regions.chain(mean) {
            let strong = |text: String| if region == "mean" { RichText::new(text).strong() } else { RichText::new(text) };
            ui.label(strong(region.to_owned()));
            ui.label(strong(or_nothing(dice.copied(), share)).monospace());
            ui.label(strong(or_nothing(hd95.copied(), distance)).monospace());
            ui.end_row();
        }
    });
    let missing_in_one =
        if scores.missing_in_one > 0 { format!(", {} missed or invented", count(scores.missing_in_one, "label")) } else { String::new() };
    card::note(ui, format!("Means over {}{missing_in_one}.", count(scores.cases, "test case")));
}

fn collapse(ui: &mut Ui, open: &OpenExperiment, stage: usize) {
    let Some(known) = open.look.as_ref().and_then(|look| look.stages.get(stage)) else { return };
    if let Some((eta2, untrained)) = known.eta2_turned {
        let untrained = untrained.map_or_else(String::new, |untrained| format!(", untrained {}", share(untrained)));
        ui.label(format!("eta2 (turned) {}{untrained}", share(eta2)));
    }
    if let Some(judgement) = &known.judgement {
        let palette = Palette::of(ui);
        let colour = palette.verdict(judgement.verdict);
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(judgement.verdict.word()).strong().color(colour)).on_hover_text(THRESHOLDS);
            ui.label(&judgement.sentence);
        });
    }
}

/// Buttons that lead to the run itself.
fn looks(ui: &mut Ui, open: &OpenExperiment, stage: usize, standing: &Standing) -> Option<Request> {
    let mut request = None;
    // A run that somebody writes to must not be resumed from another panel.
    let reason = match standing {
        Standing::Waiting => Some("There is nothing to look at before it begins"),
        Standing::Running(..) => Some("It can be looked at when the training has ended"),
        _ => None,
    };
    let has_record = open.look.as_ref().and_then(|look| look.stages.get(stage)).is_some_and(|known| known.part.is_some());
    let reason = reason.or((!has_record).then_some("It ended before it had a record"));
    ui.add_enabled_ui(reason.is_none(), |ui| {
        ui.horizontal(|ui| {
            let mut button = |ui: &mut Ui, word: &str, hint: &str, panel: Panel| {
                if ui.button(word).on_hover_text(hint).on_disabled_hover_text(reason.unwrap_or_default()).clicked() {
                    request = Some(Request::Look { stage, panel });
                }
            };
            button(ui, "Open run", "Its curves, settings and scores in the Run panel", Panel::Run);
            if open.experiment.trainings[stage].kind == StageKind::Pretrain {
                button(ui, "Look at collapse", "Its tokens, maps and time lines in the Collapse panel", Panel::Collapse);
            }
        });
    });
    request
}
