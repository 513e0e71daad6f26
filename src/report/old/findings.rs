//! What a run shows, in plain sentences. The terminal and the report print the same ones.

use super::arms::{self, Arm, Measure, Origin};
use super::collapse::{Place, UNTRAINED};
use crate::config::{DataSource, RunConfig};
use crate::metrics::collapse::{self, Collapse, Judgement};
use crate::protocol::{Outcome, RunState, StageKind, StageState};
use crate::wording::{count, difference as signed, duration, list, or_nothing, sentence, share};

/// Fewer test cases than this make an illustration whatever the interval says.
const FEW_CASES: usize = 30;

/// The sentences of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// How it ended.
    pub(crate) ending: String,
    /// Pre-trained against from scratch, then the best arm where that is another.
    pub(crate) dice: Vec<String>,
    /// One for each pre-training.
    pub(crate) collapse: Vec<String>,
    /// How far the numbers carry.
    pub(crate) caveat: Option<String>,
}

impl Findings {
    /// What `state` shows so far.
    pub(crate) fn new(config: &RunConfig, state: &RunState) -> Self {
        let arms = arms::tested(config, state);
        Self { ending: ending(state), dice: dice(config, state, &arms), collapse: judged(state), caveat: caveat(config, &arms) }
    }
}

fn ending(state: &RunState) -> String {
    let after = duration(state.secs);
    match &state.outcome {
        None => format!("The run is not finished: this is how it stood after {after}."),
        Some(Outcome::Completed) => match state.unfinished() {
            None => format!("Completed in {after}."),
            Some(StageState { stage, done, total, .. }) => format!(
                "Ended by --max-steps after {after}: {stage} has done {done} of {total} steps, and nothing that comes after it was made. \
                 --resume goes on."
            ),
        },
        Some(Outcome::Stopped) => format!("Stopped on request after {after}; what follows is what was done by then."),
        Some(Outcome::Failed { message, .. }) => format!("Failed after {after}: {message}"),
    }
}

fn dice(config: &RunConfig, state: &RunState, arms: &[Arm<'_>]) -> Vec<String> {
    let Some(leading) = arms::leading(arms) else {
        let trained = state.stages_of(StageKind::Finetune).next().is_some();
        let why = if trained { "the run ended before a test case was scored" } else { "the run did not fine-tune a segmentation network" };
        return vec![format!("There is no Dice to report: {why}.")];
    };
    let mut sentences = Vec::new();
    let reference = arms::reference(arms).filter(|reference| reference.name != leading.name);
    match reference {
        Some(reference) => sentences.push(comparison(config, leading, reference)),
        None => {
            let dice = leading.means.dice_mean.map_or("is not defined on any case".to_owned(), |dice| format!("is {}", share(dice)));
            let lacking = if arms.len() > 1 { "no pre-trained arm" } else { "no second arm" };
            sentences.push(format!(
                "Mean Dice of {} {dice}, over {}; there is {lacking} to compare it with.",
                leading.name,
                count(leading.means.cases, "test case")
            ));
        }
    }
    sentences.extend(arms::best(arms).filter(|best| best.name != leading.name).and_then(|best| winner(config, best)));
    sentences
}

/// An arm against the reference, with the interval and what it says.
fn comparison(config: &RunConfig, arm: &Arm<'_>, reference: &Arm<'_>) -> String {
    let kind = match &arm.origin {
        Origin::Pretrained(from) => sentence(&arms::pretrained(config, from)),
        Origin::Scratch | Origin::Unknown => "The other arm".to_owned(),
    };
    let difference = arms::difference(config, arm, reference, Measure::Dice);
    let (Some(one), Some(other), Some(difference)) = (arm.means.dice_mean, reference.means.dice_mean, difference) else {
        return format!("{} and {} have no test case with a Dice in common, so that the two are not compared.", arm.name, reference.name);
    };
    let shared = if arms::on_the_same_cases(arm, reference) {
        String::new()
    } else {
        " that both were tested on (each mean is over an arm's own cases)".to_owned()
    };
    let interval = &difference.interval;
    let [mean, low, high] = signed(interval, Measure::Dice);
    let meaning = match (difference.excludes_zero(), interval.mean > 0.0) {
        (true, true) => format!("which excludes zero in favour of {}", arm.name),
        (true, false) => format!("which excludes zero in favour of {}", reference.name),
        (false, _) => "which includes zero: these cases do not tell the two apart".to_owned(),
    };
    format!(
        "{kind} ({}) reaches a mean Dice of {}, from scratch ({}) {}: a difference of {}, 95 % interval {} to {} over {}{shared}, {meaning}.",
        arm.name,
        share(one),
        reference.name,
        share(other),
        mean,
        low,
        high,
        count(difference.interval.cases, "test case"),
    )
}

/// Names the best arm where the headline is about another one.
fn winner(config: &RunConfig, best: &Arm<'_>) -> Option<String> {
    let dice = share(best.means.dice_mean?);
    let how = match &best.origin {
        Origin::Scratch => "trained from scratch, without any pre-training".to_owned(),
        Origin::Pretrained(from) => format!("{} ({from})", arms::pretrained(config, from)),
        Origin::Unknown => "trained elsewhere".to_owned(),
    };
    let set = if best.set.is_empty() { String::new() } else { format!(", with {}", list(best.set)) };
    Some(format!("The best arm is {}, mean Dice {dice}: {how}{set}.", best.name))
}

fn judged(state: &RunState) -> Vec<String> {
    let place = Place::shared(state);
    let sentences: Vec<_> = state
        .stages_of(StageKind::Pretrain)
        .filter_map(|stage| {
            let untrained = stage.untrained_probe().or_else(|| state.baselines.get(UNTRAINED)).and_then(|pair| place.of(pair));
            Some(judgement(arm_name(&stage.stage.arm), place.of(stage.last_probe()?)?, untrained))
        })
        .collect();
    if sentences.is_empty() { vec!["Collapse was not measured in this run.".to_owned()] } else { sentences }
}

/// An arm's name in a sentence.
pub(super) fn arm_name(arm: &str) -> &str {
    if arm.is_empty() { "pre-trained" } else { arm }
}

/// The verdict on an encoder, and the numbers on which it rests.
fn judgement(arm: &str, collapse: &Collapse, untrained: Option<&Collapse>) -> String {
    let verdict = collapse::verdict(collapse, untrained.unwrap_or(&Collapse::default()));
    let Some(Judgement { verdict, sentence }) = verdict else {
        return format!("{arm}: no verdict, since turned volumes were not measured or gave no finite number.");
    };
    let [turned, index, anatomy] = [collapse.eta2_turned, collapse.index_lock, collapse.anatomy_lock].map(|value| or_nothing(value, share));
    let reference = untrained.map_or_else(String::new, |untrained| format!(" (untrained {})", or_nothing(untrained.eta2_turned, share)));
    format!("{arm} is {}. {sentence} eta2 turned {turned}{reference}, index lock {index}, anatomy lock {anatomy}.", verdict.word())
}

fn caveat(config: &RunConfig, arms: &[Arm<'_>]) -> Option<String> {
    let cases = arms.iter().map(|arm| arm.means.cases).max()?;
    let reach = "The intervals cover the choice of test cases, not the luck of one training";
    Some(if config.data.source == DataSource::Demo || cases < FEW_CASES {
        format!("One seed and {} at this size are an illustration, not evidence. {reach}.", count(cases, "test case"))
    } else {
        format!("One seed is one training. {reach}; repeat it with other seeds before you rely on a difference.")
    })
}
