//! The page: the question, what the experiment shows, then the sections in the order in which a clinician asks.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::view::View;
use super::{curves, figures, pictures, sheets};
use crate::experiment::Tally;
use crate::metrics::collapse::THRESHOLDS;
use crate::report::{palette, scores};
use crate::wording::{count, duration, list};

/// The style sheet but for colours of data.
const STYLE: &str = include_str!("../report.css");

/// Sections with the words that lead to them.
const SECTIONS: [(&str, &str); 7] = [
    ("results", "Results"),
    ("differences", "Differences"),
    ("figures", "Figures"),
    ("tokens", "Tokens"),
    ("training", "Learning curves"),
    ("cases", "Cases"),
    ("settings", "Settings"),
];

/// More sentences than this are folded away behind their summary.
const MOST_SENTENCES: usize = 12;

/// The whole page.
pub(super) fn page(view: &View) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "simtrot: " (view.experiment.config.name) }
                style { (PreEscaped(STYLE)) (PreEscaped(palette::css())) }
            }
            body.experiment {
                (headline(view))
                main {
                    (results(view))
                    (differences(view))
                    section id="figures" {
                        h2 { "Figures" }
                        (figures::along_axes(view))
                        (figures::collapse_against_dice(view))
                        @if !view.results.groups.iter().any(|group| group.dice.is_some()) {
                            p.absent { "Nothing was scored yet, so there is nothing to draw." }
                        }
                    }
                    (tokens(view))
                    section id="training" {
                        h2 { "Learning curves" }
                        (curves::pretraining(view))
                        (curves::finetuning(view))
                        @if view.state.runs.iter().all(Option::is_none) { p.absent { "No optimiser step was taken yet." } }
                    }
                    section id="cases" {
                        h2 { "Cases: best, median, worst" }
                        (pictures::cases(view))
                    }
                    (settings(view))
                }
                footer { "Written by simtrot " (env!("CARGO_PKG_VERSION")) ". A research tool: not for diagnosis or treatment." }
            }
        }
    }
}

fn headline(view: &View) -> Markup {
    let config = &view.experiment.config;
    let sentences = view.results.sentences();
    let missing = view.results.missing(view.experiment);
    html! {
        header {
            h1 { @if config.title.is_empty() { "Experiment " (config.name) } @else { (config.title) } }
            p.sub { (made(view)) }
            nav { @for (id, words) in SECTIONS { a href={ "#" (id) } { (words) } } }
            div.findings.failed[view.results.tally.failed > 0] {
                h2 { "What it shows" }
                @if let Some(summary) = view.results.summary() { p { (summary) } }
                @if sentences.len() > MOST_SENTENCES {
                    details { summary { "Each comparison in a sentence" } @for sentence in &sentences { p { (sentence) } } }
                } @else {
                    @for sentence in &sentences { p { (sentence) } }
                }
                h2 { "Is the representation collapsed?" }
                @for sentence in view.results.collapse_sentences(view.experiment) { p { (sentence) } }
                @if !missing.is_empty() {
                    h2 { "What is missing" }
                    @for sentence in &missing { p.caveat { (sentence) } }
                    @for (stage, cause) in &view.results.failures { p { strong { (view.experiment.stages[*stage].name) } " failed: " (cause) } }
                }
                p.caveat { (view.results.caveat(view.experiment)) }
            }
        }
    }
}

/// `Experiment labels: 40 of 40 trainings in 2 h 05 min of computing, on ...`.
fn made(view: &View) -> String {
    let Tally { done, .. } = view.results.tally;
    let made_with = view.made_with();
    let on = if made_with.is_empty() { String::new() } else { format!(" on {}", list(&made_with)) };
    let all = count(view.experiment.stages.len(), "training");
    format!("Experiment {}: {done} of {all}, {} of computing{on}", view.experiment.config.name, duration(view.secs()))
}

fn results(view: &View) -> Markup {
    let evaluate = &view.experiment.config.base().evaluate;
    html! {
        section id="results" {
            h2 { "Results on the " (view.experiment.subject()) "s" }
            (sheets::results(view).html("results"))
            p.note {
                "Means over " (view.evidence()) ": over the labels of a case first, then over its " (view.results.repeat) "s, then over cases. ±: standard deviation of the "
                (view.results.repeat) "s' own means (of two, half their range). Drawn: the mean, and a dot for each " (view.results.repeat) ". HD95: "
                (scores::convention(evaluate)) ", in " (view.unit()) ". One-sided: labels that only truth or only the prediction has, over all "
                (view.results.repeat) "s; they count as Dice 0 and as the volume's diagonal. Numbers of tokens are of the " (view.results.tokens())
                " and means over " (view.results.repeat) "s; from scratch: those of the untrained encoder. Label probe: R² on held-out volumes of a linear map from frozen encoder tokens to the labels' "
                "shares, fitted on n labelled volumes."
            }
        }
    }
}

fn differences(view: &View) -> Markup {
    let sheet = sheets::differences(view);
    html! {
        section id="differences" {
            h2 { "Differences from training from scratch" }
            @if sheet.rows.is_empty() {
                p.absent { "There is nothing to compare yet: a pre-trained arm and one from scratch have to be done." }
            } @else {
                (sheet.html("results"))
                p.note {
                    "Each case is its own control: the same case under both arms in the same " (view.results.repeat) ", averaged over " (view.results.repeat)
                    "s; brackets: 95 % percentile interval over " (view.experiment.config.base().evaluate.bootstrap) " resamples of the cases (seed " (view.experiment.config.base().seed)
                    "). Better or worse only where the interval excludes zero and every " (view.results.repeat) " agrees. Every arm is held against its twin, trained by the same "
                    "settings from scratch, and against the strongest from scratch on the same labelled cases, which the table itself picked."
                }
            }
        }
    }
}

fn tokens(view: &View) -> Markup {
    let sheet = sheets::tokens(view);
    html! {
        section id="tokens" {
            h2 { "Tokens" }
            @if sheet.rows.is_empty() {
                p.absent { "Tokens were not measured yet." }
            } @else {
                (sheet.html("results"))
                p.note {
                    "Held-out crops at random offsets, " (view.results.tokens()) ", means over " (view.results.repeat) "s. eta2 turned: share of token variance that the array index explains after each "
                    "volume was turned its own way (1 = collapsed). Index and anatomy lock: cosine of a reflected volume's tokens with the original's at the same index, and at the same "
                    "anatomy. Anatomy is aligned across patients, so plain eta2 and gap stay above zero in healthy encoders; RankMe is for looking, not for judging. "
                    (THRESHOLDS)
                }
            }
            (pictures::token_maps(view))
        }
    }
}

fn settings(view: &View) -> Markup {
    html! {
        section id="settings" {
            h2 { "Settings" }
            p { "What is not stated in it is a default. Each training is a run of its own in the experiment's folder, with every value in its " code { "config.ron" } "." }
            details { summary { "experiment.ron" } pre { (view.experiment.config.to_ron()) } }
            h3 { "Sources" }
            ul {
                li {
                    "Method: Hu, Zeng, Wu, Li, Shi: Enhancing 3D Transformer Segmentation Model for Medical Image with Token-level "
                    "Representation Learning (SimTROT), arXiv:2408.05889."
                }
                @for source in sources(view) { li { (source) } }
            }
        }
    }
}

/// Networks and pretext tasks of the experiment, each with its source once.
fn sources(view: &View) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for stage in &view.experiment.stages {
        let network = format!("Network: {}", stage.config.model.backbone().source());
        let task = (stage.kind == crate::protocol::StageKind::Pretrain).then(|| stage.config.pretrain.task.source()).flatten();
        for source in std::iter::once(network).chain(task.map(|task| format!("Pretext task: {task}"))) {
            if !found.contains(&source) {
                found.push(source);
            }
        }
    }
    found
}
