//! Dice and HD95: a row for each arm, and the paired differences against the reference.

use maud::{Markup, html};

use super::arms::{self, Arm, Measure, Origin};
use super::palette::ArmTones;
use crate::config::{EvaluateConfig, Hd95Convention, RunConfig};
use crate::metrics::summary::Interval;
use crate::volume::natural;
use crate::wording::{NOTHING, difference as signed, distance, list, or_nothing, share};

/// `mm` or `voxels`.
pub(crate) fn unit(config: &EvaluateConfig) -> &'static str {
    config.distance_unit.word()
}

/// The convention of HD95 in words.
pub(super) fn convention(config: &EvaluateConfig) -> &'static str {
    match config.hd95_convention {
        Hd95Convention::Pooled => "95th percentile of the pooled surface distances, as nnU-Net and medpy compute it",
        Hd95Convention::DirectedMax => "the larger of the two directed 95th percentiles, as MONAI computes it",
    }
}

/// The whole section.
pub(super) fn section(config: &RunConfig, arms: &[Arm<'_>], tones: &ArmTones<'_>) -> Markup {
    html! {
        section id="scores" {
            h2 { "Segmentation of the test cases" }
            @if arms.is_empty() {
                p.absent { "No test case was scored, so there is no Dice and no HD95." }
            } @else {
                (table(config, arms, tones))
                (differences(config, arms))
                (by_case(arms))
            }
        }
    }
}

fn table(config: &RunConfig, arms: &[Arm<'_>], tones: &ArmTones<'_>) -> Markup {
    let labels = arms::labels(arms);
    let best = arms::best(arms).map(|arm| arm.name);
    let unit = arms::unit(arms);
    html! {
        div.scroll { table {
            thead {
                tr {
                    th rowspan="2" { "Arm" }
                    th colspan=(labels.len() + 1) scope="colgroup" { "Dice, 0 to 1 (high is good)" }
                    th colspan="1" scope="colgroup" { "HD95" @if let Some(unit) = unit { ", " (unit.word()) } " (low is good)" }
                    th rowspan="2" { "Cases" }
                    th rowspan="2" { "One-sided" }
                }
                tr {
                    th { "mean [95 % interval]" }
                    @for label in &labels { th { (label) } }
                    th { "mean [95 % interval]" }
                }
            }
            tbody { @for arm in arms {
                tr.best[best == Some(arm.name) && arms.len() > 1] {
                    th scope="row" { (tones.swatch(arm.folder)) (arm.name) small { (start(config, arm)) } }
                    td.wide { strong { (or_nothing(arm.means.dice_mean, share)) } " " (bounds(arms::interval(config, arm, Measure::Dice), share)) }
                    @for label in &labels { td { (or_nothing(arm.means.dice.get(*label).copied(), share)) } }
                    td.wide { (arms::hd95(arm, unit)) " " (bounds(arms::interval(config, arm, Measure::Hd95), distance)) }
                    td { (arm.means.cases) }
                    td { (arm.means.missing_in_one) }
                }
            } }
        } }
        p.note {
            "Mean over labels within a case, then over cases; the interval resamples the cases (" (config.evaluate.bootstrap)
            " times, seed " (config.seed) "). HD95: " (convention(&config.evaluate)) ". One-sided: labels that only truth or only the "
            "prediction has; they count as Dice 0 and as the volume's diagonal. " (absent(arms))
        }
    }
}

/// Where an arm started and what it changes.
fn start(config: &RunConfig, arm: &Arm<'_>) -> String {
    let start = match &arm.origin {
        Origin::Scratch => "from scratch".to_owned(),
        Origin::Pretrained(from) => format!("{}: {from}", arms::pretrained(config, from)),
        Origin::Unknown => "trained elsewhere".to_owned(),
    };
    if arm.set.is_empty() { start } else { format!("{start}; {}", list(arm.set)) }
}

fn bounds(interval: Option<Interval>, word: fn(f64) -> String) -> Markup {
    html! { @if let Some(interval) = interval { span.interval { "[" (word(interval.low)) ", " (word(interval.high)) "]" } } }
}

/// How many pairs no score could be given for.
fn absent(arms: &[Arm<'_>]) -> String {
    let pairs = arms.iter().map(|arm| arm.cases.values().flatten().filter(|score| score.dice.is_none()).count()).max().unwrap_or(0);
    match pairs {
        0 => "No label was absent from both truth and prediction.".to_owned(),
        _ => format!("Labels absent from both truth and prediction (at most {pairs} in an arm) are left out of every mean."),
    }
}

fn differences(config: &RunConfig, arms: &[Arm<'_>]) -> Markup {
    let Some(reference) = arms::reference(arms).filter(|_| arms.len() > 1) else { return html! {} };
    let rows = |measure: Measure| {
        let alike = |arm: &&Arm<'_>| measure == Measure::Dice || arm.means.unit == reference.means.unit;
        let others = arms.iter().filter(|arm| arm.name != reference.name).filter(alike);
        html! { @for arm in others { @if let Some(difference) = arms::difference(config, arm, reference, measure) {
            @let [mean, low, high] = signed(&difference.interval, measure);
            tr {
                th scope="row" { (arm.name) " − " (reference.name) }
                td { @if measure == Measure::Dice { "Dice" } @else { "HD95, " (arm.means.unit.word()) } }
                td { strong { (mean) } }
                td { span.interval { "[" (low) ", " (high) "]" } }
                td { @if !difference.excludes_zero() { "includes zero" } @else if measure.improves(difference.interval.mean) { "better" } @else { "worse" } }
                td { (difference.better) " / " (difference.worse) " of " (difference.interval.cases) }
            }
        } } }
    };
    html! {
        h3 { "Paired differences against " (reference.name) }
        div.scroll { table {
            thead { tr { th { "Arms" } th { "Measure" } th { "Mean difference" } th { "95 % interval" } th { "Reading" } th { "Cases better / worse" } } }
            tbody { (rows(Measure::Dice)) (rows(Measure::Hd95)) }
        } }
        p.note { "Each case is its own control: the same case under both arms, differences resampled over cases." }
    }
}

fn by_case(arms: &[Arm<'_>]) -> Markup {
    let mut cases: Vec<&String> = arms.iter().flat_map(|arm| arm.cases.keys()).collect();
    cases.sort_by(|a, b| natural(a, b));
    cases.dedup();
    let cell = |arm: &Arm<'_>, case: &String, measure: Measure, word| {
        arm.cases.get(case).map_or_else(|| NOTHING.to_owned(), |scores| or_nothing(measure.of_case(scores), word))
    };
    html! {
        details {
            summary { "Every case: mean Dice, and HD95 behind it" }
            div.scroll { table {
                thead { tr { th { "Case" } @for arm in arms { th { (arm.name) } } } }
                tbody { @for case in cases { tr {
                    th scope="row" { (case) }
                    @for arm in arms { td { (cell(arm, case, Measure::Dice, share)) " " span.interval { (cell(arm, case, Measure::Hd95, distance)) } } }
                } } }
            } }
        }
    }
}
