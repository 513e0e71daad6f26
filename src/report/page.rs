//! The page: what was made and what came out, then the sections in the order in which a clinician asks.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::view::View;
use super::{cases, collapse, colours, curves, figures, scores, settings};

/// The style sheet but for colours of data.
const STYLE: &str = include_str!("report.css");

/// Sections with the words that lead to them.
const SECTIONS: [(&str, &str); 7] = [
    ("results", "Segmentation"),
    ("differences", "Differences"),
    ("figures", "Figures"),
    ("tokens", "Collapse"),
    ("training", "Learning curves"),
    ("cases", "Cases"),
    ("settings", "Settings and sources"),
];

/// The whole page.
pub(super) fn page(view: &View) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "simtrot: " (view.results.names.name) }
                style { (PreEscaped(STYLE)) (PreEscaped(colours::css())) }
            }
            body.grid[!view.results.is_one_point()] {
                (headline(view))
                main {
                    (scores::sections(view))
                    (figures::section(view))
                    (collapse::section(view))
                    (curves::section(view))
                    (cases::section(view))
                    (settings::section(view))
                }
                footer { "Written by simtrot " (crate::VERSION) ". A research tool: not for diagnosis or treatment." }
            }
        }
    }
}

fn headline(view: &View) -> Markup {
    let results = &view.results;
    let (headline, sentences, missing) = (results.headline(), results.sentences(), results.missing());
    let shown = |id: &str| id != "figures" || !results.is_one_point();
    html! {
        header {
            h1 { (results.names.title) }
            p.sub { (results.status()) "." }
            nav { @for (id, words) in SECTIONS { @if shown(id) { a href={ "#" (id) } { (words) } } } }
            div.findings.failed[results.tally.failed > 0] {
                h2 { "Does pre-training help?" }
                @for sentence in &headline { p { (sentence) } }
                @if headline.len() < sentences.len() {
                    details { summary { "Each comparison in a sentence" } @for sentence in &sentences { p { (sentence) } } }
                }
                p.caveat { (results.caveat()) }
                h2 { "Is the representation collapsed?" }
                @for sentence in results.collapse_sentences() { p { (sentence) } }
                @if !missing.is_empty() {
                    h2 { "What is missing" }
                    @for sentence in &missing { p.caveat { (sentence) } }
                }
            }
        }
    }
}
