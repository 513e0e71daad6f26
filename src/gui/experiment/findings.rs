//! What the experiment shows so far: the conclusions in words, the numbers behind them, and Dice along each axis that counts.

use std::borrow::Cow;

use eframe::egui::{Label, RichText, Ui};
use egui_plot::{LineStyle, MarkerShape, PlotPoint};

use super::details::verdict;
use super::request::Request;
use crate::gui::widgets::{Axis, Chart, LegendEntry, Series, SeriesKind, card, legend};
use crate::gui::{OpenRun, Palette};
use crate::metrics::Metric;
use crate::results::{self, ExperimentResults, PerAxis};

/// Height of a plot along an axis, and its least width, in points.
const PLOT: (f32, f32) = (200.0, 340.0);
/// Verdicts that stand by themselves; of more, sentences say which have which.
const VERDICTS: usize = 4;

/// The conclusions in words, and the verdicts, whose tokens can be asked for.
pub(super) fn conclusions(ui: &mut Ui, open: &OpenRun) -> Option<Request> {
    let Some(results) = open.look.as_ref().map(|look| &look.results) else {
        card::note(ui, "The experiment is being read.");
        return None;
    };
    let sentence = |ui: &mut Ui, text: RichText| drop(ui.add(Label::new(text).wrap()));
    card::title(ui, "What it shows");
    results.headline().into_iter().for_each(|text| sentence(ui, text.into()));
    let further = results.further();
    if !further.is_empty() {
        ui.collapsing("Each comparison in words", |ui| further.into_iter().for_each(|text| sentence(ui, text.into())));
    }
    let mut asked = None;
    if !results.pretrainings.is_empty() {
        ui.add_space(4.0);
        let button =
            |ui: &mut Ui| ui.button("Open Collapse").on_hover_text("The numbers, maps and time lines behind the verdict").clicked();
        asked = card::sides(ui, |ui| card::title(ui, "Representation"), button).then_some(Request::Collapse);
        let judged = || results.pretrainings.iter().filter_map(|own| Some((own, own.judgement(results.tokens)?)));
        if results.pretrainings.len() <= VERDICTS && judged().next().is_some() {
            judged().for_each(|(own, judgement)| verdict(ui, &own.name, &judgement));
        } else {
            results.collapse_sentences().into_iter().for_each(|text| sentence(ui, text.into()));
        }
    }
    ui.add_space(4.0);
    let caution = Palette::of(ui).caution();
    results.missing().into_iter().chain([results.caveat()]).for_each(|text| sentence(ui, RichText::new(text).small().color(caution)));
    asked
}

/// A card for each axis whose levels are numbers: a line for each arm, with the spread of its repeats.
pub(super) fn per_axis(ui: &mut Ui, results: &ExperimentResults) {
    let palette = Palette::of(ui);
    for axis in results.counting_axes() {
        card::card(ui, |ui| {
            card::title(ui, &format!("Per {}", results.names.axes[axis].name));
            let entry = |(arm, own): (usize, &'_ results::ArmNames)| (own.name.clone(), palette.series(arm));
            let arms: Vec<_> = results.names.arms.iter().enumerate().map(entry).collect();
            let entries = arms.iter().map(|(name, colour)| LegendEntry { name, colour: *colour, style: LineStyle::Solid, hidden: false });
            legend(ui, &entries.collect::<Vec<_>>(), false);
            let lines = results.per_axis(axis).into_iter();
            let plots: Vec<(PerAxis, Metric)> = lines.flat_map(|lines| Metric::ALL.map(|metric| (lines.clone(), metric))).collect();
            let columns = ((ui.available_width() / PLOT.1) as usize).clamp(1, plots.len().clamp(1, 4));
            for row in plots.chunks(columns) {
                ui.columns(columns, |columns| {
                    for (column, (lines, metric)) in columns.iter_mut().zip(row) {
                        plot(column, results, lines, *metric);
                    }
                });
            }
            let (evidence, repeat) = (results.evidence(), results.names.repeat);
            card::note(ui, format!("Means over {evidence}; upright lines: standard deviation over {repeat}s. Levels at equal distances."));
        });
        ui.add_space(6.0);
    }
}

fn plot(ui: &mut Ui, results: &ExperimentResults, lines: &PerAxis, metric: Metric) {
    let palette = Palette::of(ui);
    let measured = results.metric_title(metric);
    let axis = &results.names.axes[lines.axis];
    let title = match lines.fixed.as_str() {
        "" => format!("{measured} per {}", axis.name),
        fixed => format!("{measured} per {}: {fixed}", axis.name),
    };
    let meaning = format!("Mean {measured} of each arm at each level of {}", axis.name);
    let mut series = Vec::new();
    for line in &lines.lines {
        let (name, colour, points) = (results.names.arms[line.arm].name.as_str(), palette.series(line.arm), line.of(metric));
        let at = |shift: f64| {
            points.iter().map(|(x, own)| PlotPoint::new(*x, own.mean + shift * own.reach().unwrap_or(0.0))).collect::<Vec<_>>()
        };
        let make = |points, kind| Series { name: name.into(), colour, points: Cow::Owned(points), kind };
        series.push(make(at(-1.0), SeriesKind::Bars(Cow::Owned(at(1.0)))));
        series.push(make(at(0.0), SeriesKind::Line(LineStyle::Solid)));
        series.push(make(at(0.0), SeriesKind::Marks(MarkerShape::Circle, 4.0)));
    }
    Chart::new(title, meaning, PLOT.0, [Axis::names(&axis.name, axis.levels.clone()), Axis::new("")]).series(series).show(ui);
}
