//! Dice and HD95: a row for each group, the paired differences from training from scratch, and every case.

use maud::{Markup, html};

use super::strip::Scale;
use super::table::{self, Drawings};
use super::view::View;
use crate::metrics::{Interval, Metric};
use crate::results::Group;
use crate::results::table::{Cell, Column, Columns};
use crate::volume::natural;
use crate::wording::{distance, or_nothing, share, signed_share};

/// Groups of which every case is shown; more are too wide to be read.
const MOST_GROUPS: usize = 12;

/// The sections of scores and of differences.
pub(super) fn sections(view: &View) -> Markup {
    let (groups, comparisons) = (view.results.groups_table(), view.results.comparisons_table());
    html! {
        section id="results" {
            h2 { "Segmentation of the " (view.results.names.subject) "s" }
            @if view.results.groups.iter().all(|group| group.dice.is_none()) {
                p.absent { "No " (view.results.names.subject) " was scored yet, so there is no Dice and no HD95." }
            }
            @if !groups.rows.is_empty() { (table::html(&groups, "results", repeats_drawn(view).as_ref())) p.note { (explained(view)) } }
            (every_case(view))
        }
        section id="differences" {
            h2 { "Differences from training from scratch" }
            @if comparisons.rows.is_empty() {
                p.absent { "There is nothing to compare yet: a pre-trained arm and one from scratch have to be done." }
            } @else {
                (table::html(&comparisons, "results", intervals_drawn(view).as_ref()))
                p.note { (differences_explained(view)) }
            }
        }
    }
}

/// Dice of each group's repeats on one scale; none where nothing is repeated.
fn repeats_drawn(view: &View) -> Option<Drawings> {
    view.results.groups.iter().find(|group| group.repeats.len() > 1)?;
    let dice = |group: &Group| group.repeats.iter().filter_map(|repeat| repeat.dice).collect::<Vec<f64>>();
    let scale = Scale::covering(view.results.rows().flat_map(|(_, group)| dice(group)))?;
    let row = |group: &Group| group.dice.map_or_else(|| html! {}, |mean| scale.dots(mean.mean, &dice(group), group.arm));
    let rows = view.results.known_rows().map(|(_, group)| row(group)).collect();
    Some(Drawings { behind: view.results.metric_title(Metric::Dice), scale: scale.drawn(share), rows })
}

/// Dice differences beside zero.
fn intervals_drawn(view: &View) -> Option<Drawings> {
    let shown: Vec<(usize, [f64; 3])> = view
        .results
        .shown()
        .filter_map(|own| Some((view.results.groups[own.group].arm, own.dice.as_ref()?.interval)))
        // Of one case a dot without a line.
        .map(|(arm, Interval { mean, ends, .. })| {
            let [low, high] = ends.unwrap_or([mean; 2]);
            (arm, [low, mean, high])
        })
        .collect();
    let scale = Scale::covering(shown.iter().flat_map(|(_, ends)| ends.iter().copied()).chain([0.0]))?;
    let rows = shown.iter().map(|(arm, ends)| scale.interval(*ends, *arm)).collect();
    Some(Drawings { behind: "Dice difference".to_owned(), scale: scale.drawn(signed_share), rows })
}

/// How the table of groups is to be read.
pub(super) fn explained(view: &View) -> String {
    let results = &view.results;
    let (base, repeat) = (view.base(), results.names.repeat);
    let absent = match results.groups.iter().map(|group| group.absent).max().unwrap_or(0) {
        0 => "No label was absent from both truth and prediction.".to_owned(),
        pairs => format!("Labels absent from both truth and prediction (at most {pairs} in an arm) are left out of every mean."),
    };
    let tokens = if results.is_one_point() {
        String::new()
    } else {
        format!(
            " Numbers of tokens are of the {}, means over {repeat}s; from scratch: those of the untrained encoder.",
            results.tokens.name()
        )
    };
    format!(
        "Means over {}: over the labels of a case first, then over its {repeat}s, then over cases. Brackets: 95 % interval, cases resampled {} \
         times (seed {}), which takes two cases. ±: standard deviation of the {repeat}s' own means (of two, half their range). HD95: {}. Missing in one: labels that \
         only truth or only the prediction has, over all {repeat}s; they count as Dice 0 and as the volume's diagonal. {absent}{tokens}",
        results.evidence(),
        base.evaluate.bootstrap,
        base.seed,
        base.evaluate.hd95_convention.sentence(),
    )
}

/// How the table of differences is to be read.
pub(super) fn differences_explained(view: &View) -> String {
    let (base, repeat) = (view.base(), view.results.names.repeat);
    format!(
        "Each case is its own control: the same case under both arms in the same {repeat}, averaged over {repeat}s; brackets: 95 % percentile \
         interval over {} resamples of the cases (seed {}), which takes two cases. Better or worse only where the interval excludes zero and every one of several \
         {repeat}s agrees. A pre-trained arm is held against its from-scratch control, trained by the same settings, and against the strongest \
         from scratch on the same labelled cases, which the table itself picked; an arm from scratch against the first one.",
        base.evaluate.bootstrap, base.seed
    )
}

/// Mean Dice and HD95 of each case, a column for each group.
fn every_case(view: &View) -> Markup {
    let groups: Vec<&Group> = view.results.rows().map(|(_, group)| group).filter(|group| group.done() > 0).collect();
    if groups.is_empty() || groups.len() > MOST_GROUPS {
        return html! { @if !groups.is_empty() { p.note { "The scores of every case stand in each training's metrics.csv." } } };
    }
    let mut cases: Vec<&str> = groups.iter().flat_map(|group| group.by_case(Metric::Dice).into_keys()).collect();
    cases.sort_by(|a, b| natural(a, b));
    cases.dedup();
    let mut table = Columns::over(&cases);
    table.add(Column::words("case"), |case| Cell::text(*case));
    for group in groups {
        let [dice, hd95] = Metric::ALL.map(|metric| group.by_case(metric));
        table.add(Column::numbers(&group.title), |case| {
            Cell::text(or_nothing(dice.get(case).copied(), share)).note(or_nothing(hd95.get(case).copied(), distance))
        });
    }
    html! { details { summary { "Every case: mean Dice, and HD95 below it" } (table::html(&table.table, "results", None)) } }
}
