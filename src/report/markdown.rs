//! An experiment's findings and tables as Markdown, for a paper's form or a repository.

use std::fmt::Write as _;

use super::table::{escaped, markdown};
use super::view::View;
use super::{collapse, scores, settings};
use crate::metrics::collapse::THRESHOLDS;

/// The whole text.
pub(super) fn text(view: &View) -> String {
    let results = &view.results;
    let mut text = format!(
        "# {}\n\nExperiment {}: {}; {}.\n\n",
        escaped(&results.names.title),
        escaped(&results.names.name),
        escaped(&results.status()),
        results.evidence()
    );
    section(&mut text, "Does pre-training help?", results.summary().into_iter().chain(results.sentences()));
    section(&mut text, "Is the representation collapsed?", results.collapse_sentences().into_iter());
    section(&mut text, "What is missing", results.missing().into_iter());
    let _ = writeln!(text, "{}\n", escaped(&results.caveat()));
    for (title, table, explained) in [
        (format!("Segmentation of the {}s", results.names.subject), results.groups_table(), scores::explained(view)),
        ("Differences from training from scratch".to_owned(), results.comparisons_table(), scores::differences_explained(view)),
        (format!("Representation collapse ({})", results.tokens.name()), results.encoders_table(results.tokens), THRESHOLDS.to_owned()),
        ("Which number foretells the Dice?".to_owned(), results.foretelling_table(), collapse::FORETELLING.to_owned()),
    ] {
        if table.rows.iter().any(|row| row.iter().any(|cell| !cell.fields.is_empty())) {
            let _ = writeln!(text, "## {title}\n\n{}\n{}\n", markdown(&table), escaped(&explained));
        }
    }
    let _ = write!(text, "## Sources\n\n{}", settings::sources_markdown(view));
    text
}

fn section(text: &mut String, title: &str, sentences: impl Iterator<Item = String>) {
    let sentences: String = sentences.map(|sentence| format!("* {}\n", escaped(&sentence))).collect();
    if !sentences.is_empty() {
        let _ = writeln!(text, "## {title}\n\n{sentences}");
    }
}
