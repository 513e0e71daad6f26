//! How training went: loss and its parts, learning rate, gradient norm, throughput, validation; and how long each training took.

use maud::{Markup, html};

use super::colours::tone;
use super::plot::{Line, Plot, Stroke};
use super::view::View;
use super::{collapse, figures, table};
use crate::protocol::{StageKind, StageState};
use crate::results::Group;
use crate::results::curves::{Quantity, averaged, smoothed};
use crate::results::table::{Cell, Column, Columns};
use crate::wording::{duration, or_nothing};

/// Points kept of a mean over repeats: an experiment's page holds many lines.
const MOST_POINTS: usize = 120;

/// A training over its repeats, and the index of its colour.
struct Series<'a> {
    colour: usize,
    stages: Vec<&'a StageState>,
}

/// The whole section.
pub(super) fn section(view: &View) -> Markup {
    let trained = view.runs().any(|(_, run)| run.stages.iter().any(|stage| !stage.steps.is_empty()));
    html! {
        section id="training" {
            h2 { "Learning curves" }
            @if trained {
                p.note { "Bold: running mean over a thirtieth of the steps, averaged over " (view.results.names.repeat) "s. Faint, where there is one: every step" (merged(view)) "." }
                (pretraining(view))
                (finetuning(view))
            } @else {
                p.absent { "No optimiser step was taken yet." }
            }
            (times(view))
        }
    }
}

/// Which trainings are so long that several steps are one point.
fn merged(view: &View) -> String {
    let parts = view.runs().flat_map(|(training, run)| run.stages.iter().map(move |stage| (training, stage.steps.group_size())));
    let long = parts.filter(|(_, size)| *size > 1);
    long.map(|(training, size)| format!("; of {}, all but the newest steps as means of {size} each", view.title(training))).collect()
}

fn pretraining(view: &View) -> Markup {
    let series = collapse::drawn(view)
        .map(|(colour, own)| Series { colour, stages: view.stages(own.trainings.iter().copied(), StageKind::Pretrain) });
    let series: Vec<Series> = series.filter(|own| own.stages.iter().any(|stage| !stage.steps.is_empty())).collect();
    if series.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Pre-training" }
        (collapse::key(view, false))
        (plots(&series, "", view.results.is_one_point()))
        (collapse::left_out(view))
        p.note { "Losses of different pretext tasks do not compare; nor does the loss show a collapse: it is as low collapsed as cured." }
    }
}

/// Plots of all quantities for one point; of a grid, loss and validation for each of its points.
fn finetuning(view: &View) -> Markup {
    let points = view.results.points();
    let drawn: Vec<(String, Vec<Series>)> =
        points.iter().map(|levels| (view.results.names.point(levels), at_point(view, levels))).collect();
    html! { @if drawn.iter().any(|(_, series)| !series.is_empty()) {
        h3 { "Fine-tuning" }
        (figures::key(view))
        @for (point, series) in &drawn { @if !series.is_empty() { (plots(series, point, view.results.is_one_point())) } }
        p.note { "The loss is what a network makes of its own labelled cases, not of new ones." }
    } }
}

fn at_point<'a>(view: &View<'a>, levels: &[usize]) -> Vec<Series<'a>> {
    let groups: Vec<&Group> = view.results.groups.iter().filter(|group| group.levels == levels).collect();
    let stages = |group: &Group| view.stages(group.repeats.iter().map(|repeat| repeat.training), StageKind::Finetune);
    // A point whose own trainings have not begun shows what others show already.
    if groups.iter().filter(|group| !stages(group).is_empty()).all(|group| group.same_as.is_some()) {
        return Vec::new();
    }
    groups.into_iter().map(|group| Series { colour: group.arm, stages: stages(group) }).filter(|own| !own.stages.is_empty()).collect()
}

/// A plot for each quantity; of a grid, what is looked at seldom is folded away or left out.
fn plots(series: &[Series], point: &str, all: bool) -> Markup {
    let recorded = Quantity::recorded(series.iter().flat_map(|own| own.stages.iter().copied()));
    let (first, others): (Vec<_>, Vec<_>) =
        recorded.into_iter().partition(|quantity| all || matches!(quantity, Quantity::Loss | Quantity::Validation));
    let figure = |quantity: &Quantity| plot(quantity, series, point).figure();
    html! {
        div.plots { @for quantity in &first { (figure(quantity)) } }
        @if !others.is_empty() && point.is_empty() {
            details { summary { "Other quantities over the steps" } div.plots { @for quantity in &others { (figure(quantity)) } } }
        }
    }
}

fn plot(quantity: &Quantity, series: &[Series], point: &str) -> Plot {
    // Faint lines first: no running mean is hidden behind another's noise.
    let (faint, bold): (Vec<Line>, Vec<Line>) =
        series.iter().flat_map(|own| lines(quantity, own)).partition(|line| line.stroke == Stroke::Faint);
    let title = if point.is_empty() { quantity.title() } else { format!("{}: {point}", quantity.title()) };
    let lines = faint.into_iter().chain(bold).collect();
    Plot { title, x: "optimiser step".to_owned(), y: quantity.title(), lines, ..Plot::default() }
}

fn lines(quantity: &Quantity, series: &Series) -> Vec<Line> {
    let tone = tone(series.colour);
    let points: Vec<Vec<(f64, f64)>> =
        series.stages.iter().map(|stage| quantity.points(stage)).filter(|points| !points.is_empty()).collect();
    match points.as_slice() {
        [only] if quantity.is_noisy() => Line::noisy(only, tone).to_vec(),
        several => {
            let smooth = |points: &Vec<(f64, f64)>| if quantity.is_noisy() { smoothed(points, MOST_POINTS) } else { points.clone() };
            let points = averaged(&several.iter().map(smooth).collect::<Vec<_>>());
            vec![Line { points, tone, stroke: Stroke::Bold }]
        }
    }
}

/// How long each part of each training took.
fn times(view: &View) -> Markup {
    let resident = |stage: &StageState| stage.steps.iter().filter_map(|step| step.resident_mib).reduce(f64::max);
    let rows = view.runs().flat_map(|(training, run)| run.stages.iter().map(move |stage| (training, stage)));
    let rows: Vec<(usize, &StageState)> = rows.collect();
    let mut table = Columns::over(&rows);
    table.add(Column::words("training"), |&(training, _)| Cell::text(view.title(training)));
    table.add(Column::words("part"), |(_, stage)| Cell::text(stage.stage.to_string()));
    table.add(Column::words("done"), |(_, StageState { done, total, done_before, .. })| {
        let resumed = if *done_before > 0 { format!(", {done_before} of them before it was resumed") } else { String::new() };
        Cell::text(format!("{done} of {total}{resumed}"))
    });
    table.add(Column::words("time"), |(_, stage)| Cell::text(stage.secs.map_or_else(|| "not finished".to_owned(), duration)));
    table.add(Column::words("most memory"), |(_, stage)| Cell::text(or_nothing(resident(stage), |mib| format!("{mib:.0} MiB"))));
    html! { @if !rows.is_empty() {
        details { summary { "Time of each training" } (table::html(&table.table, "results", None)) }
        p.note { (duration(view.results.secs)) " of computing in all." }
    } }
}
