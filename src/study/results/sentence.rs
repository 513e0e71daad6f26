//! What a study shows, in plain words. A winner is named only where cases and repeats agree.

use super::{Comparison, Group, Paired, Reading, Role, Study, StudyResults};

/// A Dice of 0 to 1 is counted in hundredths.
const POINTS: f64 = 100.0;

/// What the difference of two groups shows.
pub(super) fn comparison(study: &Study, results: &StudyResults, [group, reference]: [&Group; 2], dice: Option<&Paired>) -> String {
    let levels = results.axes.iter().zip(&group.levels).map(|(&axis, &level)| {
        let axis_name = &study.config.axes[axis].name;
        format!("{axis_name} {}", study.levels[axis][level].name)
    });
    let levels = levels.collect::<Vec<_>>().join(", ");
    let place = if levels.is_empty() { String::new() } else { format!("{levels}: ") };
    let (subject, other) = (name(results, group), name(results, reference));
    let Some(paired) = dice else {
        return format!("{place}{subject} and {other} have no test case of the same {} in common yet.", results.repeat);
    };
    format!("{place}{subject} {} {other} {}", scores(paired), evidence(results.repeat, paired))
}

/// `scores 1.2 Dice points higher than`.
fn scores(paired: &Paired) -> String {
    let points = POINTS * paired.interval.mean;
    let way = if points < 0.0 { "lower" } else { "higher" };
    format!("scores {:.1} Dice points {way} than", points.abs())
}

/// The interval, on how much it rests, and what follows.
fn evidence(repeat: &str, paired: &Paired) -> String {
    let interval = &paired.interval;
    let (repeats, agreeing) = (paired.by_repeat.len(), paired.agreeing());
    let points = |value: f64| format!("{:.1}", POINTS * value + 0.0);
    let cases = if interval.cases == 1 { "1 case".to_owned() } else { format!("{} cases", interval.cases) };
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
fn name(results: &StudyResults, group: &Group) -> String {
    let arms: std::collections::BTreeSet<usize> = results
        .groups
        .iter()
        .filter(|other| other.pretraining == group.pretraining && other.levels == group.levels)
        .map(|other| other.arm)
        .collect();
    let kind = group.pretraining.unwrap_or("from scratch");
    if arms.len() > 1 { format!("{kind} ({})", group.name) } else { kind.to_owned() }
}

/// The sentences of all comparisons; without any, why.
pub(super) fn all(results: &StudyResults) -> Vec<String> {
    let sentences: Vec<String> = results.comparisons.iter().filter(|comparison| !idle(results, comparison)).map(told).collect();
    if !sentences.is_empty() {
        return sentences;
    }
    let scored = results.groups.iter().any(|group| group.dice.is_some());
    let scratch = results.groups.iter().any(|group| group.pretraining.is_none());
    let pretrained = results.groups.iter().any(|group| group.pretraining.is_some());
    vec![match (scored, scratch, pretrained) {
        (false, ..) => "No test case was scored yet, so there is nothing to compare.".to_owned(),
        (_, false, _) => "No arm of this study is trained from scratch, so there is no twin to compare with.".to_owned(),
        (.., false) => "No arm of this study is pre-trained, so there is nothing to compare with from scratch.".to_owned(),
        _ => "No pre-trained arm and its twin from scratch are both tested yet.".to_owned(),
    }]
}

/// The strongest reference is told as such.
fn told(comparison: &Comparison) -> String {
    match comparison.role {
        Role::Twin => comparison.sentence.clone(),
        Role::Strongest => format!("Against the strongest from scratch: {}", comparison.sentence),
    }
}

/// Whether nothing of it is there yet, or an earlier comparison of the very same trainings tells it already.
fn idle(results: &StudyResults, comparison: &Comparison) -> bool {
    comparison.dice.is_none() || results.groups[comparison.group].same_as.is_some()
}

/// How much of the study is not there.
pub(super) fn missing(study: &Study, results: &StudyResults) -> Vec<String> {
    let tally = results.tally;
    let all = study.stages.len();
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
