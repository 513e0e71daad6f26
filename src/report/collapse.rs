//! Representation collapse: the numbers of every encoder beside the references, over the steps, the spectrum, and maps of the tokens.

use maud::{Markup, html};

use super::colours::{swatch, tone};
use super::plot::{Line, Plot, Stroke};
use super::view::View;
use super::{table, token_maps};
use crate::metrics::collapse::{Collapse, THRESHOLDS};
use crate::palette::{REFERENCE, SERIES};
use crate::protocol::{CollapsePair, StageKind};
use crate::results::curves::averaged;
use crate::results::{Pretraining, REFERENCES, TokenMetric, Tokens};
use crate::wording::count;

/// Encoders that stand side by side, each number explained in its row; of more, each is a row.
const MOST_COLUMNS: usize = 9;
/// What the table of rank correlations holds.
pub(super) const FORETELLING: &str = "Spearman's rank correlation of each number with the mean Dice, over pre-trainings that were fine-tuned alike: \
    1 where a higher number always went with a higher Dice, -1 where with a lower one. With a few pre-trainings it says little: compare it \
    with what unrelated numbers exceed once in twenty, and with how well one seed's or fold's Dice foretells another's.";
/// Numbers over the steps.
const OVER_STEPS: [&str; 4] = ["eta2_turned", "eta2", "index_lock", "anatomy_lock"];

/// The whole section.
pub(super) fn section(view: &View) -> Markup {
    let measured = !view.results.encoders().is_empty();
    html! {
        section id="tokens" {
            h2 { "Representation collapse" }
            @if !measured {
                @for sentence in view.results.collapse_sentences() { p.absent { (sentence) } }
            } @else {
                p {
                    "Does a token say what is there, or only where it lies in the array? Measured on held-out volumes without augmentation, cropped \
                    at random offsets; means over " (view.results.names.repeat) "s. Read every number beside the untrained encoder, a constant and a \
                    noise input. Anatomy is aligned across patients, so that plain eta2 and gap stay above zero in healthy encoders."
                }
                (tables(view))
                p.note { (THRESHOLDS) }
                (foretelling(view))
                (over_steps(view))
                (spectrum(view))
            }
            (token_maps::of_pretrainings(view))
        }
    }
}

/// The tokens that all encoders have come first; the others are there where they were measured.
fn tables(view: &View) -> Markup {
    let shared = view.results.tokens;
    let other = if shared == Tokens::Projected { Tokens::Encoder } else { Tokens::Projected };
    let wide = view.results.encoders().len() <= MOST_COLUMNS;
    let shown = |tokens| {
        let table = view.results.encoders_table(tokens);
        if wide { table::html(&table.transposed(), "measures", None) } else { table::html(&table, "results", None) }
    };
    let measured = view.results.encoders().iter().any(|(_, pair)| other.numbers(pair).is_some());
    html! {
        h3 { (shared.title()) }
        p.note { (shared.meaning()) }
        (shown(shared))
        @if measured { details { summary { (other.title()) ": " (other.meaning()) } (shown(other)) } }
    }
}

/// Which numbers go with the Dice, where there are enough pre-trainings to say so.
fn foretelling(view: &View) -> Markup {
    let table = view.results.foretelling_table();
    html! { @if !table.rows.is_empty() {
        h3 { "Which number foretells the Dice?" }
        p.note { (FORETELLING) }
        (table::html(&table, "results", None))
    } }
}

/// Pre-trainings that fit into one plot, with their colours.
pub(super) fn drawn<'a>(view: &'a View) -> impl Iterator<Item = (usize, &'a Pretraining)> {
    view.results
        .pretrainings
        .iter()
        .filter(|own| own.trainings.iter().any(|&training| view.state.runs[training].is_some()))
        .take(SERIES.len())
        .enumerate()
}

/// Their names in their colours, and the dashed reference.
pub(super) fn key(view: &View, reference: bool) -> Markup {
    html! {
        p.key {
            @for (series, own) in drawn(view) { span { (swatch(series)) (own.name) } }
            @if reference { span { span.swatch.dashed {} (REFERENCES[0]) } }
        }
    }
}

/// How many more there are.
pub(super) fn left_out(view: &View) -> Markup {
    let number = view.results.pretrainings.len() - drawn(view).count();
    html! { @if number > 0 { p.note { "Not drawn, or not begun: " (count(number, "pre-training")) ". Each training opens in the window." } } }
}

/// The untrained encoder of the first pre-training.
fn untrained<'a>(view: &'a View) -> Option<&'a CollapsePair> {
    view.results.pretrainings.first()?.untrained()
}

fn over_steps(view: &View) -> Markup {
    let tokens = view.results.tokens;
    let metrics = view.results.token_metrics();
    let plot = |metric: &TokenMetric| {
        let line = |(series, own): (usize, &Pretraining)| {
            let stages = view.stages(own.trainings.iter().copied(), StageKind::Pretrain);
            let points = stages.iter().map(|stage| {
                stage.probes.iter().filter_map(|(step, pair)| Some((*step as f64, metric.of(tokens, pair)?))).collect::<Vec<_>>()
            });
            Line {
                points: averaged(&points.filter(|points| !points.is_empty()).collect::<Vec<_>>()),
                tone: tone(series),
                stroke: Stroke::Bold,
            }
        };
        let mut lines: Vec<Line> = drawn(view).map(line).collect();
        let last = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
        if let Some(value) = untrained(view).and_then(|pair| metric.of(tokens, pair)).filter(|_| last > 0.0) {
            lines.insert(0, Line { points: vec![(0.0, value), (last, value)], tone: REFERENCE, stroke: Stroke::Dashed });
        }
        Plot {
            title: format!("{}: {}", metric.name, metric.healthy),
            x: "optimiser step".to_owned(),
            y: tokens.name().to_owned(),
            lines,
            covers: Some((0.0, 1.0)),
            ..Plot::default()
        }
    };
    let plots = OVER_STEPS.iter().filter_map(|key| metrics.iter().find(|metric| metric.key == *key)).map(plot);
    html! {
        h3 { "Over the steps of pre-training" }
        (key(view, untrained(view).is_some()))
        div.plots { @for plot in plots { (plot.figure()) } }
        (left_out(view))
    }
}

fn spectrum(view: &View) -> Markup {
    let values = |collapse: &Collapse| {
        let largest = collapse.spectrum.iter().copied().fold(0.0, f64::max);
        collapse.spectrum.iter().enumerate().map(|(index, value)| (index as f64 + 1.0, value / largest)).collect::<Vec<_>>()
    };
    let plot = |tokens: Tokens| {
        let line = |pair: &CollapsePair, tone, stroke| Some(Line { points: values(tokens.numbers(pair)?), tone, stroke });
        let reference = untrained(view).and_then(|pair| line(pair, REFERENCE, Stroke::Dashed));
        let own = drawn(view).filter_map(|(series, own)| line(own.collapse.as_ref()?, tone(series), Stroke::Bold));
        Plot {
            title: tokens.title().to_owned(),
            x: "singular value, largest first".to_owned(),
            y: "size, largest = 1".to_owned(),
            lines: reference.into_iter().chain(own).filter(|line| !line.points.is_empty()).collect(),
            log: true,
            ..Plot::default()
        }
    };
    let plots: Vec<Plot> = Tokens::ALL.map(plot).into_iter().filter(|plot| !plot.lines.is_empty()).collect();
    html! { @if !plots.is_empty() {
        h3 { "Singular values of the tokens" }
        (key(view, untrained(view).is_some()))
        div.plots { @for plot in &plots { (plot.figure()) } }
        p.note { "A steep fall means few directions in use. A positional collapse does not show here." }
    } }
}
