//! Figures of a grid: Dice and HD95 along each axis that counts (figures 5 and 6 of the paper), and collapse numbers against Dice.

use maud::{Markup, html};

use super::colours::{swatch, tone};
use super::plot::{Line, Plot, Stroke};
use super::view::View;
use crate::metrics::Metric;
use crate::results::{PerAxis, Purpose, TokenMetric};

/// The section; nothing of an experiment of one point, whose table shows it all.
pub(super) fn section(view: &View) -> Markup {
    if view.results.is_one_point() {
        return html! {};
    }
    html! {
        section id="figures" {
            h2 { "Figures" }
            (along_axes(view))
            (collapse_against_dice(view))
            @if view.results.groups.iter().all(|group| group.dice.is_none()) {
                p.absent { "Nothing was scored yet, so there is nothing to draw." }
            }
        }
    }
}

/// Arms in their colours.
pub(super) fn key(view: &View) -> Markup {
    html! { p.key { @for (arm, own) in view.results.names.arms.iter().enumerate() { span { (swatch(arm)) (own.name) } } } }
}

/// A pair of plots for each axis whose levels are numbers, and each combination of the other axes' levels.
fn along_axes(view: &View) -> Markup {
    let results = &view.results;
    html! { @for axis in results.counting_axes() {
        h3 { "Along " (results.names.axes[axis].name) }
        (key(view))
        @for along in results.per_axis(axis) {
            div.plots { @for metric in Metric::ALL { (plot_along(view, &along, metric).figure()) } }
        }
        p.note {
            "Mean over " (results.evidence()) "; upright lines: standard deviation over " (results.names.repeat)
            "s (of two, half their range). Levels at equal distances."
        }
    } }
}

/// A line for each arm over the levels of an axis.
fn plot_along(view: &View, along: &PerAxis, metric: Metric) -> Plot {
    let axis = &view.results.names.axes[along.axis];
    let mut lines = Vec::new();
    for line in &along.lines {
        let tone = tone(line.arm);
        let points = line.of(metric);
        for (x, spread) in &points {
            if let Some(reach) = spread.reach() {
                lines.push(Line { points: vec![(*x, spread.mean - reach), (*x, spread.mean + reach)], tone, stroke: Stroke::Thin });
            }
        }
        lines.push(Line { points: points.iter().map(|(x, spread)| (*x, spread.mean)).collect(), tone, stroke: Stroke::Marked });
    }
    let name = view.results.metric_title(metric);
    Plot {
        title: if along.fixed.is_empty() { name.clone() } else { format!("{name}: {}", along.fixed) },
        x: axis.name.clone(),
        levels: axis.levels.clone(),
        y: name,
        lines,
        ..Plot::default()
    }
}

/// Each group's tokens against its Dice: do better tokens segment better?
fn collapse_against_dice(view: &View) -> Markup {
    let results = &view.results;
    let metrics = results.token_metrics();
    let most = results.probed().last().map(|most| format!("label_probe_r2_{most}"));
    let wanted = metrics.iter().filter(|metric| metric.purpose == Purpose::Verdict || Some(&metric.key) == most.as_ref());
    let plots: Vec<Plot> = wanted.map(|metric| against_dice(view, metric)).collect();
    html! { @if plots.iter().any(|plot| !plot.lines.is_empty()) {
        h3 { "Collapse numbers against Dice" }
        (key(view))
        div.plots { @for plot in &plots { (plot.figure()) } }
        p.note {
            "A dot for each group: means over " (results.evidence()) ", numbers of the " (results.tokens.name()) " (label probe: of frozen encoder \
            tokens). From scratch: the untrained encoder's tokens. Groups with other labels or another network differ in Dice for reasons of \
            their own."
        }
    } }
}

fn against_dice(view: &View, metric: &TokenMetric) -> Plot {
    let of_arm = |arm: usize| {
        let groups = view.results.rows().filter(|(_, group)| group.arm == arm);
        let value = |pair| metric.of(view.results.tokens, pair);
        let points = groups.filter_map(|(_, group)| Some((value(group.collapse.as_ref()?)?, group.dice?.mean)));
        Line { points: points.collect(), tone: tone(arm), stroke: Stroke::Dots }
    };
    let lines: Vec<Line> = (0..view.results.names.arms.len()).map(of_arm).filter(|line| !line.points.is_empty()).collect();
    let title = format!("{}: {}", metric.name, metric.healthy);
    Plot { title, x: metric.name.clone(), y: "Dice".to_owned(), lines, ..Plot::default() }
}
