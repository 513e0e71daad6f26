//! What an experiment shows, in the terminal: a line for each group, what tells it from scratch, and where the rest lies.

use std::path::Path;

use super::summary::{drawn, paragraphs};
use crate::experiment::{Experiment, ExperimentState};
use crate::metrics::Measure;
use crate::metrics::collapse::Collapse;
use crate::report::unit;
use crate::results::{ExperimentResults, spread};
use crate::wording::{or_nothing, share};

/// More sentences than this are left to the report; their summary is printed.
const MOST_SENTENCES: usize = 12;

/// A number's name, and how it is read.
type Number = (&'static str, fn(&Collapse) -> Option<f64>);

/// Collapse numbers that the terminal shows.
const NUMBERS: [Number; 3] = [("eta2 turned", |c| c.eta2_turned), ("index lock", |c| c.index_lock), ("anatomy lock", |c| c.anatomy_lock)];

/// The numbers so far, what they mean, what is missing, and where the report lies.
pub fn experiment_summary(experiment: &Experiment, state: &ExperimentState, report: &Path) -> String {
    let results = ExperimentResults::new(experiment, state);
    let sentences = results.sentences();
    let told: Vec<String> = match results.summary() {
        Some(summary) if sentences.len() > MOST_SENTENCES => {
            vec![summary, format!("Each of the {} comparisons stands in the report.", sentences.len())]
        }
        _ => sentences,
    };
    let collapse = results.collapse_sentences(experiment);
    let failures = results.failures.iter().map(|(stage, cause)| format!("{} failed: {cause}", experiment.stages[*stage].name));
    let last: Vec<String> = results.missing(experiment).into_iter().chain(failures).chain([results.caveat(experiment)]).collect();
    let report = format!("Report: {} (report.md and CSV files beside it)", report.display());
    let parts = [table(experiment, &results), paragraphs(&told), paragraphs(&collapse), format!("{}\n{report}", paragraphs(&last))];
    parts.iter().map(|part| format!("\n{part}\n")).collect()
}

fn table(experiment: &Experiment, results: &ExperimentResults) -> String {
    let axes = results.axis_names(experiment).into_iter().map(str::to_owned);
    let hd95 = format!("HD95 {}", unit(&experiment.config.base().evaluate));
    let numbers = ["arm", "mean Dice", &hd95, &format!("{}s", results.repeat), "cases"].map(str::to_owned);
    let most = results.probed().last().copied();
    let probe = most.map(|volumes| format!("label probe, n = {volumes}"));
    let head: Vec<String> = axes.chain(numbers).chain(NUMBERS.map(|(name, _)| name.to_owned())).chain(probe).collect();
    let rows = results.known_rows().map(|(index, group)| {
        let collapse = group.collapse.as_ref().map(|pair| results.seen(pair));
        let numbers = [
            group.name.clone(),
            spread(group.dice.as_ref(), Measure::Dice),
            spread(group.hd95.as_ref(), Measure::Hd95),
            format!("{} of {}", group.done(), group.repeats.len()),
            group.cases.to_string(),
        ];
        let probed = NUMBERS.map(|(_, value)| or_nothing(collapse.and_then(value), share));
        let probe = most.map(|volumes| or_nothing(ExperimentResults::label_probe(group, volumes), share));
        results.level_names(experiment, index).into_iter().chain(numbers).chain(probed).chain(probe).collect::<Vec<_>>()
    });
    drawn(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
