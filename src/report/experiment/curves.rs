//! Learning curves of an experiment: means over repeats, a line for each pre-training and for each arm of a point.

use maud::{Markup, html};

use super::figures::{fitting, key, swatch};
use super::view::View;
use crate::metrics::collapse::Collapse;
use crate::palette::SERIES;
use crate::protocol::{RunState, StageKind, StageState};
use crate::report::plot::{Line, Plot, Stroke, smoothed};
use crate::results::{Group, Pretraining};

/// Points kept of a line: an experiment's page holds many.
const MOST_POINTS: usize = 120;

/// A number over the steps of a training.
type Course = Vec<(f64, f64)>;

/// A title, and the number of a measurement that a plot shows.
type Probed = (&'static str, fn(&Collapse) -> Option<f64>);

/// Collapse numbers over the steps.
const PROBED: [Probed; 3] = [
    ("eta2 of turned volumes: low is healthy", |c| c.eta2_turned),
    ("index lock: low is healthy", |c| c.index_lock),
    ("anatomy lock: high is healthy", |c| c.anatomy_lock),
];

/// Pre-trainings: loss, and collapse numbers over the steps.
pub(super) fn pretraining(view: &View) -> Markup {
    let mut all = view.results.pretrainings(view.experiment);
    all.retain(|own| !view.records(&own.stages).is_empty());
    let (shown, left_out) = fitting(&all);
    let loss = |own: &Pretraining| averaged(&view.records(&own.stages), StageKind::Pretrain, losses);
    let plots: Vec<Plot> = std::iter::once(("Loss (running mean)", courses(shown, loss), None))
        .chain(PROBED.map(|(title, value)| {
            let course = |own: &Pretraining| averaged(&view.records(&own.stages), StageKind::Pretrain, |stage| probes(view, stage, value));
            (title, courses(shown, course), Some((0.0, 1.0)))
        }))
        .map(|(title, lines, covers)| plot(title, if covers.is_some() { view.results.tokens() } else { "loss" }, lines, covers))
        .collect();
    html! { @if plots.iter().any(|plot| !plot.lines.is_empty()) {
        h3 { "Pre-training" }
        p.key { @for (index, own) in shown.iter().enumerate() { span { (swatch(index)) (own.name) } } }
        div.plots { @for plot in &plots { (plot.figure()) } }
        p.note {
            "Means over " (view.results.repeat) "s. Losses of different pretext tasks do not compare; nor does the loss show a collapse: it is as low collapsed as cured."
            @if left_out > 0 { " " (left_out) " more pre-trainings are not drawn here; each opens in the window as a run of its own." }
        }
    } }
}

/// Fine-tunings: a plot of the loss for each point of the grid, and of validation Dice where there is one.
pub(super) fn finetuning(view: &View) -> Markup {
    let plots: Vec<Plot> = view.results.points().iter().flat_map(|levels| at_point(view, levels)).collect();
    html! { @if !plots.is_empty() {
        h3 { "Fine-tuning" }
        (key(view))
        div.plots { @for plot in &plots { (plot.figure()) } }
        p.note { "Training loss, running mean, averaged over " (view.results.repeat) "s: what a network makes of its own labelled cases, not of new ones." }
    } }
}

fn at_point(view: &View, levels: &[usize]) -> Vec<Plot> {
    let place = view.results.place(view.experiment, levels);
    let title = |what: &str| if place.is_empty() { what.to_owned() } else { format!("{what}: {place}") };
    let groups: Vec<&Group> = view.results.groups.iter().filter(|group| group.levels == levels).collect();
    // A point whose own trainings have not begun shows what others show already.
    let begun = |group: &&Group| view.cells(group).iter().any(|cell| view.state.runs[cell.finetuned].is_some());
    if groups.iter().filter(|group| begun(group)).all(|group| group.same_as.is_some()) {
        return Vec::new();
    }
    let lines = |number: fn(&StageState) -> Course| -> Vec<Line> {
        let line = |group: &&Group| {
            let stages: Vec<usize> = view.cells(group).iter().map(|cell| cell.finetuned).collect();
            let points = averaged(&view.records(&stages), StageKind::Finetune, number);
            Line { points, tone: SERIES[group.arm % SERIES.len()], stroke: Stroke::Bold }
        };
        groups.iter().map(line).filter(|line| !line.points.is_empty()).collect()
    };
    let loss = plot(&title("Loss"), "loss", lines(losses), None);
    let validation = plot(&title("Dice of the validation cases"), "Dice", lines(validations), None);
    [loss, validation].into_iter().filter(|plot| !plot.lines.is_empty()).collect()
}

fn plot(title: &str, y: &str, lines: Vec<Line>, covers: Option<(f64, f64)>) -> Plot {
    Plot { title: title.to_owned(), x: "optimiser step".to_owned(), y: y.to_owned(), lines, covers, ..Plot::default() }
}

/// A line for each pre-training that has a course.
fn courses(shown: &[Pretraining], course: impl Fn(&Pretraining) -> Course) -> Vec<Line> {
    let line = |(index, own): (usize, &Pretraining)| Line { points: course(own), tone: SERIES[index], stroke: Stroke::Bold };
    shown.iter().enumerate().map(line).filter(|line| !line.points.is_empty()).collect()
}

fn losses(stage: &StageState) -> Course {
    let points: Course = stage.steps.iter().map(|step| (step.step as f64, step.loss)).filter(|(_, loss)| loss.is_finite()).collect();
    smoothed(&points, MOST_POINTS)
}

fn validations(stage: &StageState) -> Course {
    stage.validations.iter().map(|(step, dice)| (*step as f64, *dice)).collect()
}

fn probes(view: &View, stage: &StageState, value: fn(&Collapse) -> Option<f64>) -> Course {
    stage.probes.iter().filter_map(|(step, pair)| Some((*step as f64, value(view.results.seen(pair))?))).collect()
}

/// The mean over runs of what each has at the same step; steps that not all of them have are left out.
fn averaged(runs: &[&RunState], kind: StageKind, course: impl Fn(&StageState) -> Course) -> Course {
    let own: Vec<Course> = runs.iter().filter_map(|run| run.stages_of(kind).next()).map(course).filter(|own| !own.is_empty()).collect();
    let Some((first, others)) = own.split_first() else { return Vec::new() };
    let at = |course: &Course, x: f64| course.iter().find(|point| point.0 == x).map(|point| point.1);
    let mean = |&(x, y): &(f64, f64)| {
        let rest: Option<Vec<f64>> = others.iter().map(|other| at(other, x)).collect();
        let rest = rest?;
        Some((x, (y + rest.iter().sum::<f64>()) / (rest.len() + 1) as f64))
    };
    first.iter().filter_map(mean).collect()
}
