//! The one fold over a run's events: terminal, report, window, tests and replay all read it.

use std::collections::BTreeMap;

use super::{
    CollapsePair, Environment, Event, MaskPoint, Outcome, Record, Severity, Stage, StageKind, StepNumbers, Thinned, TransferReport,
};
use crate::metrics::score::CaseScore;

/// Notices that are kept; of more, those in the middle are left out.
const MOST_NOTICES: usize = 1000;
/// Written checkpoints of a stage that are kept; of more, the oldest that was written over.
const MOST_CHECKPOINTS: usize = 1000;

/// What the notice says whose text goes on with why a run's tokens are never measured.
pub const UNMEASURED: &str = "collapse is not measured";

/// Everything known of a run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// Name of the run.
    pub name: String,
    /// Program, device, machine.
    pub environment: Environment,
    /// Class names, background first.
    pub classes: Vec<String>,
    /// Stages in the order in which they began.
    pub stages: Vec<StageState>,
    /// Collapse numbers of the references, by name: of the network whose pre-training began first.
    pub baselines: BTreeMap<String, CollapsePair>,
    /// Notices in order: at most a thousand, the first and the last.
    pub notices: Vec<(Severity, String)>,
    /// How many between them are in the record alone.
    pub notices_left_out: usize,
    /// Seconds since the job began, of the latest event.
    pub secs: f64,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

/// Everything known of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageState {
    /// Which.
    pub stage: Stage,
    /// Units of work in all.
    pub total: usize,
    /// Units done.
    pub done: usize,
    /// Units that an earlier session had done.
    pub done_before: usize,
    /// When it began, in seconds since the job began.
    pub began_secs: f64,
    /// Seconds it took, once finished.
    pub secs: Option<f64>,
    /// Optimiser steps; of a long training means over some, but for the newest.
    pub steps: Thinned<StepNumbers>,
    /// Collapse numbers with the steps done when they were taken.
    pub probes: Thinned<(usize, CollapsePair)>,
    /// Points of the what-if curve over mask ratios.
    pub mask_points: Vec<MaskPoint>,
    /// Validation Dice with the steps done.
    pub validations: Thinned<(usize, f64)>,
    /// Written checkpoints: steps done, folder, best.
    pub checkpoints: Vec<(usize, String, bool)>,
    /// Encoder taken over: from where, and what matched.
    pub transfer: Option<(String, TransferReport)>,
    /// Scores by case.
    pub scores: BTreeMap<String, Vec<CaseScore>>,
}

impl StageState {
    fn new(stage: &Stage) -> Self {
        Self {
            stage: stage.clone(),
            total: 0,
            done: 0,
            done_before: 0,
            began_secs: 0.0,
            secs: None,
            steps: Thinned::default(),
            probes: Thinned::default(),
            mask_points: Vec::new(),
            validations: Thinned::default(),
            checkpoints: Vec::new(),
            transfer: None,
            scores: BTreeMap::new(),
        }
    }

    fn written(&mut self, checkpoint: (usize, String, bool)) {
        self.checkpoints.push(checkpoint);
        if self.checkpoints.len() > MOST_CHECKPOINTS {
            let newer = |index: usize| self.checkpoints[index + 1..].iter().any(|(_, path, _)| *path == self.checkpoints[index].1);
            if let Some(oldest) = (0..self.checkpoints.len()).find(|&index| newer(index)) {
                self.checkpoints.remove(oldest);
            }
        }
    }

    /// The collapse numbers before the first step.
    pub fn untrained_probe(&self) -> Option<&CollapsePair> {
        self.probes.first().filter(|(step, _)| *step == 0).map(|(_, pair)| pair)
    }

    /// The collapse numbers taken last.
    pub fn last_probe(&self) -> Option<&CollapsePair> {
        self.probes.last().map(|(_, pair)| pair)
    }
}

impl RunState {
    /// Takes one event in. A stage that a resumed run began again goes on where it stood:
    /// numbers of steps after the checkpoint that it resumed from are forgotten.
    pub fn apply(&mut self, record: &Record) {
        self.secs = record.secs;
        match &record.event {
            Event::Started { name, environment, classes, .. } => {
                (self.name, self.environment, self.classes) = (name.clone(), environment.clone(), classes.clone());
                self.outcome = None;
            }
            Event::Notice { severity, text } => self.notice(*severity, text),
            Event::StageStarted { stage, total, done } => self.begin(stage, *total, *done),
            Event::Progress { stage, done, .. } => self.stage_mut(stage).done = *done,
            Event::Step { stage, numbers } => {
                let stage = self.stage_mut(stage);
                stage.done = numbers.step;
                stage.steps.push(numbers.clone());
            }
            Event::Probe { stage, step, collapse } => self.stage_mut(stage).probes.push((*step, (**collapse).clone())),
            Event::Baseline { name, collapse } => {
                self.baselines.entry(name.clone()).or_insert_with(|| (**collapse).clone());
            }
            Event::MaskPoint { stage, point } => self.stage_mut(stage).mask_points.push(point.clone()),
            Event::Validation { stage, step, dice_mean } => self.stage_mut(stage).validations.push((*step, *dice_mean)),
            Event::Checkpoint { stage, step, path, best } => self.stage_mut(stage).written((*step, path.clone(), *best)),
            Event::Transfer { stage, from, report } => self.stage_mut(stage).transfer = Some((from.clone(), report.clone())),
            Event::Scored { stage, case, scores } => {
                self.stage_mut(stage).scores.insert(case.clone(), scores.clone());
            }
            Event::Voided { stage } => self.stages.retain(|known| known.stage != *stage),
            Event::StageFinished { stage, secs } => self.stage_mut(stage).secs = Some(*secs),
            Event::Finished { outcome } => self.outcome = Some(outcome.clone()),
        }
    }

    fn begin(&mut self, stage: &Stage, total: usize, done: usize) {
        let secs = self.secs;
        let stage = self.stage_mut(stage);
        (stage.total, stage.done, stage.done_before, stage.began_secs, stage.secs) = (total, done, done, secs, None);
        stage.steps.forget_after(done);
        stage.probes.forget_after(done);
        stage.validations.forget_after(done);
        stage.checkpoints.retain(|(step, ..)| *step <= done);
        if done == 0 {
            stage.scores.clear();
        }
    }

    /// Whether this is the record of a training done to its end, tested cases included.
    pub fn is_done(&self, kind: StageKind) -> bool {
        let last = if kind == StageKind::Pretrain { StageKind::Pretrain } else { StageKind::Test };
        // A training cut short by --max-steps tells its end as well.
        self.stages_of(last).any(|stage| stage.secs.is_some() && stage.done >= stage.total)
    }

    /// The first training that was begun and has steps left.
    pub fn unfinished(&self) -> Option<&StageState> {
        let training = |stage: &&StageState| matches!(stage.stage.kind, StageKind::Pretrain | StageKind::Finetune);
        self.stages.iter().filter(training).find(|stage| stage.done < stage.total)
    }

    /// Why its tokens are never measured, as a notice said.
    pub fn why_unmeasured(&self) -> Option<&str> {
        self.notices.iter().map(|(_, text)| text.as_str()).find(|text| text.contains(UNMEASURED))
    }

    fn notice(&mut self, severity: Severity, text: &str) {
        self.notices.push((severity, text.to_owned()));
        if self.notices.len() > MOST_NOTICES {
            self.notices.remove(MOST_NOTICES / 2);
            self.notices_left_out += 1;
        }
    }

    fn stage_mut(&mut self, stage: &Stage) -> &mut StageState {
        let index = self.stages.iter().position(|known| known.stage == *stage).unwrap_or_else(|| {
            self.stages.push(StageState::new(stage));
            self.stages.len() - 1
        });
        &mut self.stages[index]
    }

    /// The stage of a kind and arm, if it began.
    pub fn stage(&self, kind: StageKind, arm: &str) -> Option<&StageState> {
        self.stages.iter().find(|stage| stage.stage.kind == kind && stage.stage.arm == arm)
    }

    /// Stages of a kind, in the order in which they began.
    pub fn stages_of(&self, kind: StageKind) -> impl Iterator<Item = &StageState> {
        self.stages.iter().filter(move |stage| stage.stage.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(secs: f64, event: Event) -> Record {
        Record { secs, event }
    }

    #[test]
    fn a_resumed_stage_forgets_what_came_after_its_checkpoint() {
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut state = RunState::default();
        state.apply(&record(0.0, Event::StageStarted { stage: stage.clone(), total: 10, done: 0 }));
        for step in 1..=5 {
            let numbers = StepNumbers { step, loss: step as f64, ..StepNumbers::default() };
            state.apply(&record(step as f64, Event::Step { stage: stage.clone(), numbers }));
        }
        assert_eq!(state.stages[0].eta_secs(5.0), Some(5.0));
        state.apply(&record(6.0, Event::StageStarted { stage, total: 10, done: 3 }));
        let steps: Vec<_> = state.stages[0].steps.iter().map(|numbers| numbers.step).collect();
        assert_eq!(steps, [1, 2, 3]);
    }

    #[test]
    fn a_voided_stage_and_the_scores_of_a_test_begun_anew_are_forgotten() {
        let stage = |kind| Stage { kind, arm: "f".into() };
        let score = |case: &str| Event::Scored { stage: stage(StageKind::Test), case: case.into(), scores: Vec::new() };
        let mut state = RunState::default();
        for event in [
            Event::StageStarted { stage: stage(StageKind::Finetune), total: 4, done: 0 },
            Event::Step { stage: stage(StageKind::Finetune), numbers: StepNumbers { step: 2, ..StepNumbers::default() } },
            Event::StageStarted { stage: stage(StageKind::Test), total: 2, done: 0 },
            score("a"),
            Event::StageStarted { stage: stage(StageKind::Test), total: 2, done: 0 },
            score("b"),
        ] {
            state.apply(&record(1.0, event));
        }
        let test = state.stage(StageKind::Test, "f").unwrap();
        assert_eq!(test.scores.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(state.unfinished().map(|stage| stage.done), Some(2));
        state.apply(&record(2.0, Event::Voided { stage: stage(StageKind::Test) }));
        assert!(state.stage(StageKind::Test, "f").is_none() && state.stage(StageKind::Finetune, "f").is_some());
    }

    #[test]
    fn a_state_stays_small_however_much_is_told() {
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut state = RunState::default();
        for step in 1..=20_000 {
            let path = ["last", "best"][step % 2].to_owned();
            for event in [
                Event::Notice { severity: Severity::Info, text: step.to_string() },
                Event::Step { stage: stage.clone(), numbers: StepNumbers { step, ..StepNumbers::default() } },
                Event::Validation { stage: stage.clone(), step, dice_mean: 0.5 },
                Event::Probe {
                    stage: stage.clone(),
                    step: step - 1,
                    collapse: Box::new(CollapsePair { projected: None, encoder: Default::default() }),
                },
                Event::Checkpoint { stage: stage.clone(), step, path, best: step % 2 == 1 },
            ] {
                state.apply(&record(step as f64, event));
            }
        }
        let own = &state.stages[0];
        assert!(own.steps.len() < 9000 && own.probes.len() < 700 && own.validations.len() < 4400 && own.checkpoints.len() == 1000);
        assert!(own.untrained_probe().is_some() && own.last_probe().is_some());
        assert_eq!((own.steps.last().unwrap().step, own.checkpoints.last().unwrap().0), (20_000, 20_000));
        assert_eq!((state.notices.len(), state.notices_left_out), (1000, 19_000));
        assert_eq!((state.notices[0].1.as_str(), state.notices[999].1.as_str()), ("1", "20000"));
    }

    /// Beside the machine's noise: a cost that grew with what was told would be a hundred times as much.
    #[test]
    fn an_event_at_step_200_000_costs_what_one_at_2_000_costs() {
        let stage = Stage { kind: StageKind::Finetune, arm: String::new() };
        let mut state = RunState::default();
        let mut cost = |steps: std::ops::RangeInclusive<usize>| {
            let began = std::time::Instant::now();
            for step in steps {
                let parts = BTreeMap::from([("soft_dice".to_owned(), 0.5), ("cross_entropy".to_owned(), 0.1)]);
                let numbers = StepNumbers { step, parts, ..StepNumbers::default() };
                state.apply(&record(step as f64, Event::Step { stage: stage.clone(), numbers }));
                if step % 100 == 0 {
                    state.apply(&record(step as f64, Event::Notice { severity: Severity::Warning, text: "a step was skipped".into() }));
                }
            }
            began.elapsed().as_secs_f64()
        };
        let early = cost(1..=2000).max(cost(2001..=4000));
        cost(4001..=198_000);
        let late = (0..4).map(|round| cost(198_001 + 2000 * round..=200_000 + 2000 * round)).reduce(f64::min).unwrap();
        assert!(late < 10.0 * early + 0.002, "2000 events at step 2,000: {early} s, at step 200,000: {late} s");
    }

    #[test]
    fn every_event_survives_its_line() {
        let stage = Stage { kind: StageKind::Finetune, arm: "scratch".into() };
        let numbers = StepNumbers { step: 3, loss: 0.1, ..StepNumbers::default() };
        let label_probe_r2 = BTreeMap::from([(4, 0.1), (10, 0.2)]);
        let projected = crate::metrics::Collapse { eta2: Some(0.5), label_probe_r2, ..Default::default() };
        let pair = CollapsePair { projected: Some(projected), encoder: Default::default() };
        let collapse = || Box::new(pair.clone());
        let events = [
            Event::Started { schema: 1, name: "n".into(), environment: Environment::default(), classes: vec!["a".into()] },
            Event::Notice { severity: Severity::Warning, text: "t".into() },
            Event::StageStarted { stage: stage.clone(), total: 3, done: 1 },
            Event::Progress { stage: stage.clone(), done: 1, total: 3 },
            Event::Step { stage: stage.clone(), numbers },
            Event::Probe { stage: stage.clone(), step: 1, collapse: collapse() },
            Event::Baseline { name: "untrained".into(), collapse: collapse() },
            Event::MaskPoint {
                stage: stage.clone(),
                point: MaskPoint { mask_ratio: 0.5, draw: 1, loss: 2.0, positive_similarity: Some(0.5), gap: None, rankme: Some(3.0) },
            },
            Event::Validation { stage: stage.clone(), step: 1, dice_mean: 0.5 },
            Event::Checkpoint { stage: stage.clone(), step: 1, path: "p".into(), best: true },
            Event::Transfer { stage: stage.clone(), from: "f".into(), report: TransferReport::default() },
            Event::Scored { stage: stage.clone(), case: "c".into(), scores: Vec::new() },
            Event::Voided { stage: stage.clone() },
            Event::StageFinished { stage, secs: 2.5 },
            Event::Finished { outcome: Outcome::Failed { message: "m".into(), bad_input: true } },
        ];
        for event in events {
            let line = serde_json::to_string(&record(1.5, event.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record(1.5, event));
        }
    }
}
