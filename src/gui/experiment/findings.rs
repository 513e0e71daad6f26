//! What the experiment shows so far, live: the conclusions in words, the numbers behind them, and Dice along each axis that counts.

use eframe::egui::{self, Align, Label, Layout, RichText, ScrollArea, Ui, vec2};
use egui_extras::{Column, TableBuilder};

use super::super::Palette;
use super::super::widgets::card;
use super::along;
use super::opened::OpenExperiment;
use crate::metrics::Measure;
use crate::results::{ExperimentResults, Reading, spread};
use crate::wording::{or_nothing, share};

const ROW_HEIGHT: f32 = 26.0;
const LETTER: f32 = 7.4;
const LEVEL: std::ops::RangeInclusive<f32> = 64.0..=220.0;
const NUMBER: f32 = 104.0;

/// Draws all of it, below one another.
pub(super) fn show(ui: &mut Ui, open: &OpenExperiment) {
    let Some(look) = &open.look else {
        card::note(ui, "The experiment is being read.");
        return;
    };
    let results = &look.results;
    ScrollArea::vertical().id_salt("findings").auto_shrink([false, false]).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - ui.spacing().scroll.bar_width);
        card::card(ui, |ui| conclusions(ui, results));
        ui.add_space(6.0);
        if results.groups.iter().any(|group| group.dice.is_some()) {
            along::show(ui, &open.experiment, results);
        }
        if results.concluding().next().is_some() {
            card::card(ui, |ui| comparisons(ui, results));
            ui.add_space(6.0);
        }
        if results.groups.iter().any(|group| group.dice.is_some() || group.collapse.is_some()) {
            card::card(ui, |ui| table(ui, open, results));
        }
    });
}

fn conclusions(ui: &mut Ui, results: &ExperimentResults) {
    let palette = Palette::of(ui);
    card::title(ui, "What it shows");
    if let Some(summary) = results.summary() {
        ui.add(Label::new(RichText::new(summary).strong()).wrap());
    }
    if results.concluding().next().is_none() {
        for sentence in results.sentences() {
            ui.add(Label::new(sentence).wrap());
        }
    }
    ui.add_space(4.0);
    card::title(ui, "Is the representation collapsed?");
    for sentence in results.collapse_sentences() {
        ui.add(Label::new(sentence).wrap());
    }
    ui.add_space(4.0);
    let missing = results.missing();
    for sentence in missing.iter().chain([&results.caveat()]) {
        ui.add(Label::new(RichText::new(sentence).color(palette.caution())).wrap());
    }
}

/// A sentence for each comparison, with a dot in the colour of good or bad news.
fn comparisons(ui: &mut Ui, results: &ExperimentResults) {
    let palette = Palette::of(ui);
    card::title(ui, "Each comparison");
    for comparison in results.concluding() {
        let Some(dice) = &comparison.dice else { continue };
        let colour = match dice.reading() {
            Reading::Better => palette.good(),
            Reading::Worse => palette.bad(),
            Reading::Open | Reading::Split | Reading::Once => ui.visuals().text_color(),
        };
        ui.horizontal_top(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(10.0, 16.0), egui::Sense::hover());
            ui.painter().circle_filled(rect.center(), 3.5, colour);
            ui.add(Label::new(results.sentence(comparison)).wrap());
        });
    }
}

/// A row for each group: the columns that the terminal prints.
fn table(ui: &mut Ui, open: &OpenExperiment, results: &ExperimentResults) {
    let experiment = &open.experiment;
    ui.horizontal(|ui| {
        card::title(ui, "Numbers");
        card::note(
            ui,
            format!(
                "Means over {}; ±: standard deviation over {}s. The report holds every label.",
                results.evidence(),
                results.names.repeat
            ),
        );
    });
    let axes: Vec<&str> = results.names.axes.iter().map(|axis| axis.name.as_str()).collect();
    let rows: Vec<(Vec<String>, usize)> = results.known_rows().map(|(index, group)| (group.level_names.clone(), index)).collect();
    let wide = |place: usize| {
        let names = rows.iter().map(|(names, _)| names[place].chars().count());
        (names.max().unwrap_or(0).max(axes[place].chars().count()) as f32 * LETTER).clamp(*LEVEL.start(), *LEVEL.end())
    };
    let arm = experiment.arms().iter().map(|arm| arm.name.chars().count() as f32 * LETTER).fold(*LEVEL.start(), f32::max);
    let repeats = format!("{}s", results.names.repeat);
    let hd95 = results.measure_title(Measure::Hd95);
    let numbers = ["Dice", &hd95, &repeats, "cases", "eta2 turned", "index lock", "anatomy lock", "label probe"];
    ScrollArea::horizontal().id_salt("numbers across").auto_shrink([false, true]).show(ui, |ui| {
        let mut table = TableBuilder::new(ui)
            .id_salt("numbers")
            .striped(true)
            .vscroll(false)
            .auto_shrink([false, true])
            .cell_layout(Layout::left_to_right(Align::Center));
        for place in 0..axes.len() {
            table = table.column(Column::exact(wide(place)).clip(true));
        }
        table = table.column(Column::exact(arm).clip(true)).columns(Column::exact(NUMBER).clip(true), numbers.len());
        let table = table.header(ROW_HEIGHT, |mut row| {
            for name in axes.iter().copied().chain(["arm"]).chain(numbers) {
                row.col(|ui| {
                    let text = card::quiet(ui, name).small();
                    card::one_line(ui, text);
                });
            }
        });
        table.body(|body| {
            body.rows(ROW_HEIGHT, rows.len(), |mut row| {
                let (levels, index) = &rows[row.index()];
                let group = &results.groups[*index];
                for level in levels.iter().chain([&group.name]) {
                    row.col(|ui| drop(card::one_line(ui, level)));
                }
                let seen = group.collapse.as_ref().map(|pair| results.seen(pair));
                let probe = results.probed().last().and_then(|&most| group.label_probe(most));
                let texts = [
                    spread(group.dice.as_ref(), Measure::Dice),
                    spread(group.hd95.as_ref(), Measure::Hd95),
                    format!("{} of {}", group.done(), group.repeats.len()),
                    group.cases.to_string(),
                    or_nothing(seen.and_then(|seen| seen.eta2_turned), share),
                    or_nothing(seen.and_then(|seen| seen.index_lock), share),
                    or_nothing(seen.and_then(|seen| seen.anatomy_lock), share),
                    or_nothing(probe, share),
                ];
                for (place, text) in texts.into_iter().enumerate() {
                    let text = RichText::new(text).monospace();
                    row.col(|ui| drop(card::one_line(ui, if place == 0 { text.strong() } else { text })));
                }
            });
        });
    });
}
