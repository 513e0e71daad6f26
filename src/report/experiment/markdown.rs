//! An experiment's findings and tables as Markdown, for a paper's form or a repository.

use std::fmt::Write as _;

use super::sheet::escaped;
use super::sheets;
use super::view::View;
use crate::metrics::collapse::THRESHOLDS;
use crate::wording::duration;

/// The whole text.
pub(super) fn text(view: &View) -> String {
    let config = &view.experiment.config;
    let title = if config.title.is_empty() { format!("Experiment {}", config.name) } else { config.title.clone() };
    let mut text = format!("# {}\n\n", escaped(&title));
    let made_with = view.made_with();
    let on = if made_with.is_empty() { String::new() } else { format!(" on {}", made_with.join("; ")) };
    let tally = view.results.tally;
    let _ = writeln!(
        text,
        "Experiment {}: {} of {} trainings done, {} of computing{}; {}.\n",
        escaped(&config.name),
        tally.done,
        view.experiment.stages.len(),
        duration(view.secs()),
        escaped(&on),
        view.evidence(),
    );
    let sentences = view.results.summary().into_iter().chain(view.results.sentences());
    section(&mut text, "What it shows", sentences);
    section(&mut text, "Is the representation collapsed?", view.results.collapse_sentences(view.experiment).into_iter());
    let failures = view.results.failures.iter().map(|(stage, cause)| format!("{} failed: {cause}", view.experiment.stages[*stage].name));
    section(&mut text, "What is missing", view.results.missing(view.experiment).into_iter().chain(failures));
    let _ = writeln!(text, "{}\n", escaped(&view.results.caveat(view.experiment)));
    for (title, sheet) in [
        (format!("Results on the {}s", view.experiment.subject()), sheets::results(view)),
        ("Differences from training from scratch".to_owned(), sheets::differences(view)),
        (format!("Tokens ({})", view.results.tokens()), sheets::tokens(view)),
    ] {
        if !sheet.rows.is_empty() {
            let _ = writeln!(text, "## {title}\n\n{}", sheet.markdown());
        }
    }
    let _ = writeln!(
        text,
        "±: standard deviation of the {0}s' own means (of two, half their range). Brackets: 95 % interval over resampled cases. \
         Better or worse only where it excludes zero and every {0} agrees. Verdicts on tokens: {THRESHOLDS}",
        view.results.repeat
    );
    text
}

fn section(text: &mut String, title: &str, sentences: impl Iterator<Item = String>) {
    let mut sentences = sentences.peekable();
    if sentences.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "## {title}\n");
    for sentence in sentences {
        let _ = writeln!(text, "* {}", escaped(&sentence));
    }
    text.push('\n');
}
