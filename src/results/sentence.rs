//! What an experiment shows, in plain words. A winner is named only where cases and repeats agree.

use super::{Comparison, Experiment, ExperimentResults, Group, Paired, Reading, Role};
use crate::metrics::collapse::{Verdict, verdict};
use crate::wording::count;

/// What a group without pre-training is called in a sentence.
const SCRATCH: &str = "training from scratch";

/// A Dice of 0 to 1 is counted in hundredths.
const POINTS: f64 = 100.0;
/// Decimals of points, unless a difference needs more to show its sign.
const POINT_DECIMALS: usize = 1;

/// What the difference of two groups shows.
pub(super) fn comparison(
    experiment: &Experiment,
    results: &ExperimentResults,
    [group, reference]: [&Group; 2],
    dice: Option<&Paired>,
) -> String {
    let levels = results.place(experiment, &group.levels);
    let place = if levels.is_empty() { String::new() } else { format!("{levels}: ") };
    let elsewhere = reference.levels != group.levels;
    let other = if elsewhere { format!("{SCRATCH} ({})", reference.title) } else { name(results, reference) };
    let subject = name(results, group);
    let Some(paired) = dice else {
        return format!("{place}{subject} and {other} have no test case of the same {} in common yet.", results.repeat);
    };
    format!("{place}{subject} {} {other} {}", scores(paired), evidence(results.repeat, paired))
}

/// `scores 1.2 Dice points higher than`.
fn scores(paired: &Paired) -> String {
    let points = paired.interval.scaled(POINTS);
    let way = if points.mean < 0.0 { "lower" } else { "higher" };
    let decimals = points.decimals(POINT_DECIMALS);
    format!("scores {:.decimals$} Dice points {way} than", points.mean.abs())
}

/// The interval, on how much it rests, and what follows.
fn evidence(repeat: &str, paired: &Paired) -> String {
    let interval = paired.interval.scaled(POINTS);
    let decimals = interval.decimals(POINT_DECIMALS);
    let (repeats, agreeing) = (paired.by_repeat.len(), paired.agreeing());
    let points = |value: f64| format!("{:.decimals$}", value + 0.0);
    let cases = count(interval.cases, "case");
    let range = format!("95 % interval {} to {} over {cases}", points(interval.low), points(interval.high));
    let agree = format!("{agreeing} of {repeats} {repeat}s agree");
    match paired.reading() {
        Reading::Once => format!("({range}). One {repeat}: an illustration, no conclusion."),
        Reading::Open => format!("({range}, {agree}): the interval includes zero, no difference shown."),
        Reading::Split => {
            format!("({range}, {agree}): the interval excludes zero, but the {repeat}s disagree, so that nothing is concluded.")
        }
        Reading::Better => format!("({range}, {agree}): better, the interval excludes zero."),
        Reading::Worse => format!("({range}, {agree}): worse, the interval excludes zero."),
    }
}

/// A group in a sentence: the pre-training's name where one arm has it, or else the arm's as well.
fn name(results: &ExperimentResults, group: &Group) -> String {
    let arms: std::collections::BTreeSet<usize> = results
        .groups
        .iter()
        .filter(|other| other.pretraining == group.pretraining && other.levels == group.levels)
        .map(|other| other.arm)
        .collect();
    let kind = group.pretraining.unwrap_or(SCRATCH);
    if arms.len() > 1 { format!("{kind} ({})", group.name) } else { kind.to_owned() }
}

/// The sentences of all comparisons; without any, why.
pub(super) fn all(results: &ExperimentResults) -> Vec<String> {
    let sentences: Vec<String> = results.told().map(told).collect();
    if !sentences.is_empty() {
        return sentences;
    }
    let scored = results.groups.iter().any(|group| group.dice.is_some());
    let scratch = results.groups.iter().any(|group| group.pretraining.is_none());
    let pretrained = results.groups.iter().any(|group| group.pretraining.is_some());
    vec![match (scored, scratch, pretrained) {
        (false, ..) => "No test case was scored yet, so there is nothing to compare.".to_owned(),
        (_, false, _) => "No arm of this experiment is trained from scratch, so there is no twin to compare with.".to_owned(),
        (.., false) => "No arm of this experiment is pre-trained, so there is nothing to compare with from scratch.".to_owned(),
        _ => "No pre-trained arm and its twin from scratch are both tested yet.".to_owned(),
    }]
}

/// How many comparisons show what.
pub(super) fn summary(results: &ExperimentResults) -> Option<String> {
    let of = |role: Role| -> Vec<&Paired> {
        let own = results.told().filter(|comparison| comparison.role == role);
        own.filter_map(|comparison| comparison.dice.as_ref()).collect()
    };
    let told = |role: Role, with: &str| {
        let all = of(role);
        let number = |readings: &[Reading]| all.iter().filter(|paired| readings.contains(&paired.reading())).count();
        let (better, worse, once) = (number(&[Reading::Better]), number(&[Reading::Worse]), number(&[Reading::Once]));
        let open = number(&[Reading::Open, Reading::Split]);
        let parts = [(better, "better"), (worse, "worse"), (open, "without a difference shown"), (once, "resting on one training each")];
        let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        (!all.is_empty()).then(|| format!("{} with {with}: {}.", count(all.len(), "comparison"), parts.join(", ")))
    };
    let several = of(Role::Twin).len() + of(Role::Strongest).len() > 1;
    let sentences = [told(Role::Twin, "the twin from scratch"), told(Role::Strongest, "the strongest from scratch")];
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    (several && !sentences.is_empty()).then(|| sentences.join(" "))
}

/// Pre-trainings by verdict, each with its share of variance that the array index explains.
pub(super) fn collapse(experiment: &Experiment, results: &ExperimentResults) -> Vec<String> {
    let judged: Vec<(Option<Verdict>, String)> = results
        .pretrainings(experiment)
        .into_iter()
        .filter_map(|own| {
            let group = &results.groups[own.group];
            let [collapse, untrained] = [&group.collapse, &group.untrained].map(|pair| pair.as_ref().map(|pair| results.seen(pair)));
            let (collapse, untrained) = (collapse?, untrained.cloned().unwrap_or_default());
            let turned = collapse
                .eta2_turned
                .map_or_else(String::new, |value| format!(" ({value:.3}, untrained {:.3})", untrained.eta2_turned.unwrap_or(f64::NAN)));
            Some((verdict(collapse, &untrained).map(|judgement| judgement.verdict), format!("{}{turned}", own.name)))
        })
        .collect();
    if judged.is_empty() {
        return vec!["Collapse was not measured yet.".to_owned()];
    }
    let kinds = [
        (Some(Verdict::Collapsed), "Collapsed: a token tells where it lies in the array, not what it sees"),
        (
            Some(Verdict::PartlyBound),
            "Partly position-bound: the place in the array decides much of a token, or holds it more than the anatomy does",
        ),
        (Some(Verdict::Healthy), "Healthy: the place in the array decides less than half of a token"),
        (Some(Verdict::Untrained), "Not trained yet: no different from the untrained encoder"),
        (None, "Without a verdict, since turned volumes were not measured or gave no finite number"),
    ];
    let of = |kind: Option<Verdict>| judged.iter().filter(move |(own, _)| *own == kind).map(|(_, name)| name.as_str()).collect::<Vec<_>>();
    let sentences = kinds.into_iter().map(|(kind, words)| (words, of(kind))).filter(|(_, names)| !names.is_empty());
    let sentences = sentences.map(|(words, names)| format!("{words}: {}.", names.join("; ")));
    let scale = format!(
        "Numbers in brackets: eta2 of turned volumes, {}, mean over {}s; 1 is a pure function of the array index.",
        results.tokens(),
        results.repeat
    );
    sentences.chain([scale]).collect()
}

/// What the intervals cover, and what they do not.
pub(super) fn caveat(experiment: &Experiment, results: &ExperimentResults) -> String {
    let repeats = results.groups.iter().map(Group::done).max().unwrap_or(0);
    let held_back = if experiment.config.base().data.hold_back_test {
        " Scores are of validation cases, on which settings are chosen: test what was chosen on the test cases."
    } else {
        ""
    };
    let reach = match repeats {
        0 => "Nothing is concluded before trainings are done.".to_owned(),
        1 => format!("One {} is one training: an illustration, not evidence.", results.repeat),
        _ => format!(
            "The intervals cover the choice of cases; what another {} does is seen in the spread over {repeats} of them.",
            results.repeat
        ),
    };
    format!("{reach}{held_back}")
}

/// The strongest reference is told as such.
pub(super) fn told(comparison: &Comparison) -> String {
    match comparison.role {
        Role::Twin => comparison.sentence.clone(),
        Role::Strongest => format!("Against the strongest from scratch: {}", comparison.sentence),
    }
}

/// Whether nothing of it is there yet, or an earlier comparison of the very same trainings tells it already.
pub(super) fn idle(results: &ExperimentResults, comparison: &Comparison) -> bool {
    comparison.dice.is_none() || results.groups[comparison.group].same_as.is_some()
}

/// How much of the experiment is not there.
pub(super) fn missing(experiment: &Experiment, results: &ExperimentResults) -> Vec<String> {
    let tally = results.tally;
    let all = experiment.stages.len();
    let mut sentences = Vec::new();
    if tally.done < all {
        let parts = [(tally.begun, "begun"), (tally.waiting, "waiting"), (tally.failed, "failed")];
        let parts: Vec<String> = parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
        sentences.push(format!("Not complete: {} of {all} trainings are done ({}).", tally.done, parts.join(", ")));
    }
    let short: Vec<&Group> = results.groups.iter().filter(|group| group.done() < group.repeats.len() && group.same_as.is_none()).collect();
    let none = short.iter().filter(|group| group.done() == 0).count();
    if none > 0 {
        let rows = if none == 1 { "1 row has".to_owned() } else { format!("{none} rows have") };
        sentences.push(format!("{rows} no result yet."));
    }
    if short.len() > none {
        let partly = short.len() - none;
        let rows = if partly == 1 { "1 row rests".to_owned() } else { format!("{partly} rows rest") };
        sentences.push(format!("{rows} on fewer {}s than planned.", results.repeat));
    }
    sentences
}
