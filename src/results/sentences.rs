//! What an experiment shows, in plain words. A winner is named only where cases and repeats agree.

use std::collections::BTreeSet;

use super::ExperimentResults;
use super::comparison::{Comparison, Paired, Reading, Role};
use super::group::Group;
use super::pretraining::Pretraining;
use crate::metrics::collapse::{Judgement, Verdict};
use crate::metrics::{Metric, distinct};
use crate::wording::{count, difference, duration, list, or_nothing, sentence, share};

/// What a group without pre-training is called in a sentence.
const SCRATCH: &str = "training from scratch";
/// More sentences than this are folded away behind their summary.
const MOST_SENTENCES: usize = 12;
/// Pre-trainings of which each has a sentence of its own; more are listed by verdict.
const MOST_JUDGED: usize = 4;
/// Fewer test cases than this make an illustration whatever the interval says.
const FEW_CASES: usize = 30;

/// What is said of encoders with the same verdict.
const VERDICTS: [(Option<Verdict>, &str); 5] = [
    (Some(Verdict::Collapsed), "Collapsed: a token shows its position in the array, not what it sees"),
    (Some(Verdict::PartlyBound), "Partly position-bound: the position decides much of a token, or holds it more than the anatomy does"),
    (Some(Verdict::Healthy), "Healthy: the position decides less than half of a token"),
    (Some(Verdict::Untrained), "Not trained yet: no different from the untrained encoder"),
    (None, "Without a verdict, since rotated volumes were not measured or gave no finite number"),
];

impl ExperimentResults {
    /// What it shows: the comparisons in a sentence each, or where these are many their summary alone.
    pub fn headline(&self) -> Vec<String> {
        let sentences = self.sentences();
        let kept = if sentences.len() > MOST_SENTENCES { Vec::new() } else { sentences };
        self.summary().into_iter().chain(kept).collect()
    }

    /// The sentences that the headline leaves out: there are too many of them.
    pub fn further(&self) -> Vec<String> {
        let sentences = self.sentences();
        if sentences.len() > MOST_SENTENCES { sentences } else { Vec::new() }
    }

    /// What the comparisons show, a sentence each, and which arm is the best; without any, why there is none.
    pub fn sentences(&self) -> Vec<String> {
        let compared: Vec<String> = self.concluding().map(|own| self.sentence(own)).collect();
        let compared = if compared.is_empty() { vec![self.nothing_compared()] } else { compared };
        compared.into_iter().chain(self.winner()).collect()
    }

    /// Comparisons that say something of a pre-training.
    pub fn concluding(&self) -> impl Iterator<Item = &Comparison> {
        self.shown().filter(|own| own.role != Role::Baseline)
    }

    /// What the Dice of a comparison shows.
    pub fn sentence(&self, comparison: &Comparison) -> String {
        let [group, reference] = [comparison.group, comparison.reference].map(|index| &self.groups[index]);
        let point = self.names.point(&group.levels);
        let point = if point.is_empty() { point } else { format!("{point}: ") };
        let subject = self.called(group);
        let other = if reference.levels == group.levels { self.called(reference) } else { format!("{SCRATCH} ({})", reference.title) };
        let against = if comparison.role == Role::Strongest { "Against the strongest from scratch: " } else { "" };
        let Some(dice) = &comparison.dice else {
            return format!("{against}{point}{subject} and {other} have no test case of the same {} in common yet.", self.names.repeat);
        };
        let [one, two] = dice.means.map(share);
        let (mean, ends) = difference(&dice.interval, Metric::Dice);
        let over =
            |[low, high]: [String; 2]| format!("95 % interval {low} to {high} over {}", count(dice.interval.cases, self.names.subject));
        let range = ends.map_or_else(|| self.no_interval(), over);
        let meaning = self.meaning(dice, [&subject, &other]);
        format!("{against}{point}{subject} reaches a mean Dice of {one}, {other} {two}: a difference of {mean} ({range}{meaning}")
    }

    /// What stands in place of the interval of fewer than two cases.
    pub(super) fn no_interval(&self) -> String {
        format!("no interval: one {}", self.names.subject)
    }

    /// How far repeats agree, and what follows.
    fn meaning(&self, dice: &Paired, names: [&str; 2]) -> String {
        let repeat = self.names.repeat;
        let repeats = dice.by_repeat.len();
        let agree = if repeats > 1 { format!(", {} of {repeats} {repeat}s agree)", dice.agreeing()) } else { ")".to_owned() };
        let favoured = names[usize::from(dice.interval.mean < 0.0)];
        match dice.reading() {
            Reading::Open => format!("{agree}: the interval includes zero, no difference shown."),
            Reading::Once => {
                format!("{agree}: the interval excludes zero in favour of {favoured}. One {repeat}: an illustration, no conclusion.")
            }
            Reading::OneCase => format!("{agree}: an illustration, no conclusion."),
            Reading::Split => format!("{agree}: the interval excludes zero, but the {repeat}s disagree, so that nothing is concluded."),
            Reading::Better => format!("{agree}: better, the interval excludes zero."),
            Reading::Worse => format!("{agree}: worse, the interval excludes zero."),
        }
    }

    /// A group in a sentence: its pre-training's name, and the arm's where several arms have the same.
    fn called(&self, group: &Group) -> String {
        let alike = |other: &&Group| other.task == group.task && other.levels == group.levels;
        let arms: BTreeSet<usize> = self.groups.iter().filter(alike).map(|other| other.arm).collect();
        let kind = group.task.unwrap_or(SCRATCH);
        if arms.len() > 1 { format!("{kind} ({})", group.name) } else { kind.to_owned() }
    }

    fn nothing_compared(&self) -> String {
        let repeat = self.names.repeat;
        let Some(first) = self.groups.iter().find(|group| group.dice.is_some()) else {
            let why = if self.groups.is_empty() { "nothing of this experiment is fine-tuned" } else { "no test case was scored yet" };
            return format!("There is no Dice to report: {why}.");
        };
        let pretrained = |wanted: bool| self.groups.iter().any(|group| group.is_from_scratch() != wanted);
        let lacking = match (pretrained(true), pretrained(false)) {
            (true, true) => return format!("No pre-trained arm and its from-scratch control are both tested in the same {repeat} yet."),
            (false, _) if self.groups.len() > 1 => "no pre-trained arm",
            (true, false) if self.groups.len() > 1 => "no arm from scratch",
            _ => "no second arm",
        };
        let dice = first.dice.map_or_else(String::new, |dice| share(dice.mean));
        let cases = count(first.cases, self.names.subject);
        format!("Mean Dice of {} is {dice}, over {cases}; there is {lacking} to compare it with.", first.title)
    }

    /// Names the best arm of one point where the comparisons are about another one.
    fn winner(&self) -> Option<String> {
        let best = &self.groups[self.best()?];
        let leading = self.groups.iter().find(|group| !group.is_from_scratch() && group.dice.is_some());
        if leading.is_none_or(|leading| leading.title == best.title) {
            return None;
        }
        let arm = &self.names.arms[best.arm];
        let how = match (best.task, &arm.from) {
            (Some(task), Some(from)) => format!("pre-trained by {task} ({from})"),
            (Some(task), None) => format!("trained from {task}"),
            (None, _) => "trained from scratch, without any pre-training".to_owned(),
        };
        let set = if arm.settings.is_empty() { String::new() } else { format!(", with {}", list(&arm.settings)) };
        Some(format!("The best arm is {}, mean Dice {}: {how}{set}.", best.name, share(best.dice?.mean)))
    }

    /// How many comparisons show what; none where there are fewer than two.
    pub fn summary(&self) -> Option<String> {
        let of = |role: Role| self.shown().filter(|own| own.role == role).filter_map(|own| own.dice.as_ref()).collect::<Vec<&Paired>>();
        let counts = |(role, with): (Role, &str)| {
            let all = of(role);
            let number = |readings: &[Reading]| all.iter().filter(|paired| readings.contains(&paired.reading())).count();
            let parts = [
                (number(&[Reading::Better]), "better"),
                (number(&[Reading::Worse]), "worse"),
                (number(&[Reading::Open, Reading::Split]), "without a difference shown"),
                (number(&[Reading::Once]), "resting on one training each"),
                (number(&[Reading::OneCase]), "resting on one case, without an interval"),
            ];
            let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
            (!all.is_empty()).then(|| format!("{} with {with}: {}.", count(all.len(), "comparison"), parts.join(", ")))
        };
        let several = self.concluding().count() > 1 && !self.is_one_point();
        let roles = [(Role::Control, "the from-scratch control"), (Role::Strongest, "the strongest from scratch")];
        several.then(|| roles.into_iter().filter_map(counts).collect::<Vec<_>>().join(" "))
    }

    /// The verdict on each pre-training, with the numbers on which it rests; of many, which have which.
    pub fn collapse_sentences(&self) -> Vec<String> {
        let measured: Vec<&Pretraining> = self.pretrainings.iter().filter(|own| own.collapse.is_some()).collect();
        match measured.len() {
            0 if self.pretrainings.is_empty() => vec!["Collapse is not measured: nothing is pre-trained here.".to_owned()],
            0 => match self.pretrainings.iter().find_map(|own| own.unmeasured.as_deref()) {
                Some(why) => vec![format!("{}.", sentence(why))],
                None => vec!["Collapse was not measured yet.".to_owned()],
            },
            1..=MOST_JUDGED => measured.into_iter().map(|own| self.judged(own)).collect(),
            _ => self.judged_together(&measured),
        }
    }

    fn judged(&self, own: &Pretraining) -> String {
        let numbers = |pair: Option<&'_ super::CollapsePair>| pair.map(|pair| self.seen(pair).clone()).unwrap_or_default();
        let [now, before] = [own.collapse.as_ref(), own.untrained()].map(numbers);
        let Some(Judgement { verdict, sentence }) = own.judgement(self.tokens) else {
            return format!("{}: no verdict, since rotated volumes were not measured or gave no finite number.", own.name);
        };
        let [rotated, index, anatomy, untrained] =
            [now.eta2_turned, now.index_lock, now.anatomy_lock, before.eta2_turned].map(|value| or_nothing(value, share));
        format!(
            "{} is {}. {sentence} eta2 turned {rotated} (untrained {untrained}), index lock {index}, anatomy lock {anatomy}.",
            own.name,
            verdict.word()
        )
    }

    fn judged_together(&self, measured: &[&Pretraining]) -> Vec<String> {
        let name = |own: &Pretraining| {
            let rotated = |pair: Option<&'_ super::CollapsePair>| pair.and_then(|pair| self.seen(pair).eta2_turned);
            let [now, before] = [rotated(own.collapse.as_ref()), rotated(own.untrained())].map(|value| or_nothing(value, share));
            format!("{} ({now}, untrained {before})", own.name)
        };
        let of = |verdict: Option<Verdict>| {
            let alike = measured.iter().filter(move |own| own.judgement(self.tokens).map(|judgement| judgement.verdict) == verdict);
            alike.map(|own| name(own)).collect::<Vec<_>>()
        };
        let sentences = VERDICTS.into_iter().map(|(verdict, words)| (words, of(verdict))).filter(|(_, names)| !names.is_empty());
        let sentences = sentences.map(|(words, names)| format!("{words}: {}.", names.join("; ")));
        let scale = format!(
            "Numbers in brackets: eta2 of rotated volumes, {}, mean over {}s; 1 is a pure function of the array index.",
            self.tokens.name(),
            self.names.repeat
        );
        sentences.chain([scale]).collect()
    }

    /// What the intervals cover, and what they do not.
    pub fn caveat(&self) -> String {
        let repeat = self.names.repeat;
        let repeats = self.groups.iter().map(Group::done).max().unwrap_or(0);
        let cases = self.groups.iter().map(|group| group.cases).max().unwrap_or(0);
        let luck = if cases > 1 {
            "The intervals cover the choice of test cases, not the luck of one training"
        } else {
            "There is no interval: one case does not show how cases differ"
        };
        let reach = match repeats {
            0 if self.groups.is_empty() => format!("One {repeat} is one training."),
            0 => "Nothing is concluded before trainings are done.".to_owned(),
            1 if self.is_demo || cases < FEW_CASES => {
                format!("One {repeat} and {} at this size are an illustration, not evidence. {luck}.", count(cases, self.names.subject))
            }
            1 => format!("One {repeat} is one training. {luck}; repeat it with other {repeat}s before you rely on a difference."),
            _ if cases < 2 => format!("{luck}; what another {repeat} does is seen in the spread over {repeats} of them."),
            _ => {
                format!("The intervals cover the choice of cases; what another {repeat} does is seen in the spread over {repeats} of them.")
            }
        };
        let unlike = |group: &Group| {
            let others = self.groups.iter().filter(|other| other.done() > 0 && other.levels == group.levels);
            others.into_iter().any(|other| other.test_cases() != group.test_cases())
        };
        let remarks = [
            (
                self.names.subject.starts_with("validation"),
                " Scores are of validation cases, on which settings are chosen: test what was chosen on the test cases.",
            ),
            (
                self.groups.iter().any(|group| group.done() > 0 && unlike(group)),
                " Not all arms were tested on the same cases: each mean is over an arm's own.",
            ),
        ];
        remarks.into_iter().filter(|(holds, _)| *holds).fold(reach, |text, (_, remark)| text + remark)
    }

    /// How much of the experiment is not there, in sentences; failures with their cause.
    pub fn missing(&self) -> Vec<String> {
        let (tally, all) = (self.tally, self.trainings.len());
        let mut sentences = Vec::new();
        if tally.done < all {
            let parts = [(tally.begun, "begun"), (tally.waiting, "waiting"), (tally.failed, "failed")];
            let parts: Vec<String> =
                parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
            sentences.push(format!("Not complete: {} of {all} trainings are done ({}).", tally.done, parts.join(", ")));
        }
        let short: Vec<&Group> = self.rows().map(|(_, group)| group).filter(|group| group.done() < group.repeats.len()).collect();
        let none = short.iter().filter(|group| group.done() == 0).count();
        let rows =
            |number: usize, one: &str, more: &str| if number == 1 { format!("1 row {one}") } else { format!("{number} rows {more}") };
        if none > 0 {
            sentences.push(format!("{} no result yet.", rows(none, "has", "have")));
        }
        if short.len() > none {
            sentences.push(format!("{} on fewer {}s than planned.", rows(short.len() - none, "rests", "rest"), self.names.repeat));
        }
        sentences.extend(self.failures().map(|(training, cause)| format!("{} failed: {cause}", training.title)));
        sentences
    }

    /// `52 test cases, 3 seeds`: how much the numbers rest on; `up to` where groups differ.
    pub fn evidence(&self) -> String {
        let done: Vec<&Group> = self.rows().map(|(_, group)| group).filter(|group| group.done() > 0).collect();
        let most = |number: fn(&Group) -> usize| done.iter().map(|group| number(group)).max().unwrap_or(0);
        let (cases, repeats) = (most(|group| group.cases), most(Group::done));
        let even = done.iter().all(|group| group.cases == cases && group.done() == repeats);
        let words = format!("{}, {}", count(cases, self.names.subject), count(repeats, self.names.repeat));
        if even { words } else { format!("up to {words}") }
    }

    /// `nnFormer, pre-trained by SimTROT-W; 5 of 5 trainings done, 2 min 05 s of computing on CPU (cpu), simtrot 0.1.0`.
    pub fn status(&self) -> String {
        let tasks = distinct(self.pretrainings.iter().map(|own| own.task));
        let pretrained = if tasks.is_empty() { String::new() } else { format!(", pre-trained by {}", list(&tasks)) };
        let on = if self.made_with.is_empty() { String::new() } else { format!(" on {}", list(&self.made_with)) };
        let (done, all) = (self.tally.done, count(self.trainings.len(), "training"));
        format!("{}{pretrained}; {done} of {all} done, {} of computing{on}", list(&self.networks), duration(self.secs))
    }
}
