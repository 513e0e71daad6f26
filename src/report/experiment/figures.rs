//! Plots of an experiment: Dice and HD95 along each axis that counts (figures 5 and 6 of the paper), and collapse numbers against Dice.

use maud::{Markup, html};

use super::sheets::{MEASURES, title};
use super::view::View;
use crate::metrics::Measure;
use crate::metrics::collapse::Collapse;
use crate::palette::SERIES;
use crate::report::plot::{Line, Plot, Stroke};
use crate::results::{AlongAxis, ExperimentResults, Group};

/// Lines of a plot that are told apart; more are said to be left out.
const MOST_LINES: usize = SERIES.len();

/// Reads a number of a group's tokens.
type Value<'a> = Box<dyn Fn(&Group) -> Option<f64> + 'a>;

/// Arms in their colours.
pub(super) fn key(view: &View) -> Markup {
    html! { p.key { @for (arm, own) in view.experiment.arms().iter().enumerate() { span { (swatch(arm)) (own.name) } } } }
}

/// A dash in the colour of a series.
pub(super) fn swatch(index: usize) -> Markup {
    html! { span.swatch style={ "background:var(--series-" (index % SERIES.len()) ")" } {} }
}

/// A pair of plots for each axis whose levels are numbers, and each combination of the other axes' levels.
pub(super) fn along_axes(view: &View) -> Markup {
    let results = &view.results;
    html! { @for place in results.counting_axes(view.experiment) {
        h3 { "Along " (view.experiment.config.axes[results.axes[place]].name) }
        (key(view))
        @for along in results.along(view.experiment, place) {
            div.plots { @for measure in MEASURES { (plot_along(view, &along, measure).figure()) } }
        }
        p.note {
            "Mean over " (view.evidence()) "; upright lines: standard deviation over " (results.repeat) "s (of two, their range). Levels at equal distances."
        }
    } }
}

/// A line for each arm over the levels of an axis.
fn plot_along(view: &View, along: &AlongAxis, measure: Measure) -> Plot {
    let axis = view.results.axes[along.place];
    let mut lines = Vec::new();
    for course in &along.courses {
        let tone = SERIES[course.arm % SERIES.len()];
        let points = course.of(measure);
        for (x, spread) in &points {
            if let Some(reach) = spread.reach() {
                lines.push(Line { points: vec![(*x, spread.mean - reach), (*x, spread.mean + reach)], tone, stroke: Stroke::Thin });
            }
        }
        lines.push(Line { points: points.iter().map(|(x, spread)| (*x, spread.mean)).collect(), tone, stroke: Stroke::Marked });
    }
    let name = title(view, measure);
    Plot {
        title: if along.fixed.is_empty() { name.clone() } else { format!("{name}: {}", along.fixed) },
        x: view.experiment.config.axes[axis].name.clone(),
        levels: view.experiment.levels[axis].iter().map(|level| level.name.clone()).collect(),
        y: name,
        lines,
        ..Plot::default()
    }
}

/// Each group's tokens against its Dice: do better tokens segment better?
pub(super) fn collapse_against_dice(view: &View) -> Markup {
    let results = &view.results;
    let seen = |value: fn(&Collapse) -> Option<f64>| -> Value<'_> { Box::new(move |group| value(results.seen(group.collapse.as_ref()?))) };
    let of = results.tokens();
    let mut numbers: Vec<(String, Value<'_>)> = vec![
        (format!("eta2 of turned volumes, {of} (1 = collapsed)"), seen(|c| c.eta2_turned)),
        (format!("anatomy lock, {of} (high is healthy)"), seen(|c| c.anatomy_lock)),
        (format!("index lock, {of} (1 = collapsed)"), seen(|c| c.index_lock)),
    ];
    if let Some(&most) = results.probed().last() {
        numbers.push((
            format!("label probe R² of frozen encoder tokens, n = {most}"),
            Box::new(move |group| ExperimentResults::label_probe(group, most)),
        ));
    }
    let plots: Vec<Plot> = numbers.iter().map(|(name, value)| against_dice(view, name, value)).collect();
    html! { @if plots.iter().any(|plot| !plot.lines.is_empty()) {
        h3 { "Collapse numbers against Dice" }
        (key(view))
        div.plots { @for plot in &plots { (plot.figure()) } }
        p.note {
            "A dot for each group: means over " (view.evidence()) ". From scratch: the untrained encoder's tokens. Groups with other labels or another "
            "network differ in Dice for reasons of their own."
        }
    } }
}

fn against_dice(view: &View, name: &str, value: &Value<'_>) -> Plot {
    let of_arm = |arm: usize| {
        let groups = view.results.rows().filter(|(_, group)| group.arm == arm);
        let points = groups.filter_map(|(_, group)| Some((value(group)?, group.dice?.mean)));
        Line { points: points.collect(), tone: SERIES[arm % SERIES.len()], stroke: Stroke::Dots }
    };
    let lines: Vec<Line> = (0..view.experiment.arms().len()).map(of_arm).filter(|line| !line.points.is_empty()).collect();
    Plot { title: name.to_owned(), x: name.to_owned(), y: "Dice".to_owned(), lines, ..Plot::default() }
}

/// What of a list fits into one plot, and how many do not.
pub(super) fn fitting<T>(list: &[T]) -> (&[T], usize) {
    let kept = list.len().min(MOST_LINES);
    (&list[..kept], list.len() - kept)
}
