//! The page: what was run and what came out, then the sections in the order in which a clinician asks.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::findings::Findings;
use super::palette::ArmTones;
use super::{arms, cases, collapse, curves, palette, scores, settings};
use crate::config::RunConfig;
use crate::protocol::{Outcome, RunFolder, RunState, StageKind};
use crate::wording::{distinct, list};

/// The style sheet but for colours of data.
const STYLE: &str = include_str!("../report.css");

/// Sections with the words that lead to them.
const SECTIONS: [(&str, &str); 5] = [
    ("scores", "Segmentation"),
    ("collapse", "Collapse"),
    ("training", "Training"),
    ("cases", "Cases"),
    ("settings", "Settings and sources"),
];

/// The whole page.
pub(super) fn page(folder: &RunFolder, config: &RunConfig, state: &RunState) -> Markup {
    let arms = arms::tested(config, state);
    let tones = ArmTones::of(state);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "simtrot: " (config.name) }
                style { (PreEscaped(STYLE)) (PreEscaped(palette::css())) }
            }
            body {
                (headline(config, state))
                main {
                    (scores::section(config, &arms, &tones))
                    (collapse::section(state, &tones))
                    (curves::section(state, &tones))
                    (cases::section(folder, config, &arms))
                    (settings::section(folder, config, state))
                }
                footer { "Written by simtrot " (env!("CARGO_PKG_VERSION")) ". A research tool: not for diagnosis or treatment." }
            }
        }
    }
}

/// The networks of a run, and what they were pre-trained by.
fn subject(config: &RunConfig, state: &RunState) -> String {
    let networks = distinct(arms::began(config, state).iter().map(|own| own.model.backbone().title()));
    let tasks = distinct(state.stages_of(StageKind::Pretrain).filter_map(|stage| arms::task(config, &stage.stage.arm)));
    if tasks.is_empty() { list(&networks) } else { format!("{}, pre-trained by {},", list(&networks), list(&tasks)) }
}

fn headline(config: &RunConfig, state: &RunState) -> Markup {
    let Findings { ending, dice, collapse, caveat } = Findings::new(config, state);
    let environment = &state.environment;
    let failed = matches!(state.outcome, Some(Outcome::Failed { .. }));
    html! {
        header {
            h1 { "Run " (config.name) }
            p.sub {
                (subject(config, state)) " on " (environment.device_name) " (" (environment.device) "), begun " (environment.started) ", simtrot "
                (environment.version)
            }
            nav { @for (id, words) in SECTIONS { a href={ "#" (id) } { (words) } } }
            div.findings.failed[failed] {
                h2 { "How it ended" }
                p { (ending) }
                h2 { "Does pre-training help?" }
                @for sentence in &dice { p { (sentence) } }
                h2 { "Is the representation collapsed?" }
                @for sentence in &collapse { p { (sentence) } }
                @if let Some(caveat) = &caveat { p.caveat { (caveat) } }
            }
        }
    }
}
