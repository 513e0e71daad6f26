//! How long a run still takes, from what was measured of it: the same for terminal and window.
//!
//! Seconds are those of the record, which count work: pauses and the time between sessions are not in them.

use serde_json::json;

use super::{RunState, Stage, StageKind, StageState};
use crate::config::{Arm, RunConfig};

/// The stages that a run's settings ask for, in their order: worked out once, since an arm's own settings are laid over the run's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStages {
    /// Every arm of a comparison.
    arms: Vec<Planned>,
    /// One training by itself, then its test.
    alone: Vec<Planned>,
}

/// A stage as the settings ask for it.
#[derive(Clone, Debug, PartialEq)]
struct Planned {
    stage: Stage,
    /// Optimiser steps; a test's cases stand in no settings.
    steps: Option<usize>,
    /// See [`cost_class`].
    class: String,
}

/// Time that a run still needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeLeft {
    /// Seconds at work of every stage whose pace is known; none where no pace is.
    pub secs: Option<f64>,
    /// Stages left whose pace was not measured yet: their time is not in `secs`.
    pub unknown: Vec<Stage>,
}

impl Planned {
    fn new(kind: StageKind, arm: &str, own: &RunConfig) -> Self {
        let steps = match kind {
            StageKind::Pretrain => Some(own.pretrain.steps),
            StageKind::Finetune => Some(own.finetune.steps),
            _ => None,
        };
        Self { stage: Stage { kind, arm: arm.to_owned() }, steps, class: cost_class(kind, own) }
    }
}

impl RunStages {
    /// Of a run's settings; an arm whose own cannot be laid over them is taken as the run.
    pub fn new(config: &RunConfig) -> Self {
        let planned = |kinds: &'static [StageKind], arm: &Arm| {
            let own = config.with_arm(arm).unwrap_or_else(|_| config.clone());
            kinds.iter().map(|&kind| Planned::new(kind, &arm.name, &own)).collect::<Vec<_>>()
        };
        let pretrainings = config.arms.pretrain.iter().flat_map(|arm| planned(&[StageKind::Pretrain], arm));
        let finetunings = config.arms.finetune.iter().flat_map(|arm| planned(&[StageKind::Finetune, StageKind::Test], arm));
        let alone = [StageKind::Pretrain, StageKind::Finetune, StageKind::Test].map(|kind| Planned::new(kind, "", config));
        Self { arms: pretrainings.chain(finetunings).collect(), alone: alone.into() }
    }

    /// The stages that have not begun, with their units of work where these are known.
    /// Before the first training began, nobody knows which are wanted.
    pub fn to_come(&self, state: &RunState) -> Vec<(Stage, Option<usize>)> {
        self.ahead(state).map(|planned| (planned.stage.clone(), units(planned, state))).collect()
    }

    /// Whether a stage has not begun that is known to be wanted.
    pub fn is_more_to_come(&self, state: &RunState) -> bool {
        self.ahead(state).next().is_some()
    }

    fn ahead<'a>(&'a self, state: &'a RunState) -> impl Iterator<Item = &'a Planned> {
        let trained = state.stages.iter().find(|stage| matches!(stage.stage.kind, StageKind::Pretrain | StageKind::Finetune));
        let wanted = match trained.map(|stage| &stage.stage) {
            None => &[],
            Some(Stage { arm, .. }) if !arm.is_empty() => &self.arms[..],
            Some(Stage { kind: StageKind::Finetune, .. }) => &self.alone[1..],
            Some(_) => &self.alone[..1],
        };
        wanted.iter().filter(|planned| state.stage(planned.stage.kind, &planned.stage.arm).is_none())
    }

    /// Time that the whole run still needs: the stage under way and all that are to come.
    pub fn time_left(&self, state: &RunState) -> TimeLeft {
        let class =
            |stage: &Stage| self.arms.iter().chain(&self.alone).find(|planned| planned.stage == *stage).map(|planned| &planned.class);
        let paces = || state.stages.iter().rev().filter_map(|stage| Some((class(&stage.stage)?, stage.pace_secs(state.secs)?)));
        let pace = |wanted: &String| paces().find(|(known, _)| *known == wanted).map(|(_, secs)| secs);
        let begun = state.stages.iter().filter(|stage| stage.secs.is_none()).map(|stage| {
            let own = stage.pace_secs(state.secs).or_else(|| pace(class(&stage.stage)?));
            (&stage.stage, own.map(|secs| secs * stage.total.saturating_sub(stage.done) as f64))
        });
        let coming = self.ahead(state).map(|planned| {
            let secs = pace(&planned.class).zip(units(planned, state)).map(|(secs, units)| secs * units as f64);
            (&planned.stage, secs)
        });
        let mut left = TimeLeft::default();
        for (stage, secs) in begun.chain(coming) {
            match secs {
                Some(secs) => left.secs = Some(left.secs.unwrap_or(0.0) + secs),
                None => left.unknown.push(stage.clone()),
            }
        }
        left
    }
}

/// Units of a stage that has not begun; every test of a run is of the same cases.
fn units(planned: &Planned, state: &RunState) -> Option<usize> {
    planned.steps.or_else(|| state.stages_of(planned.stage.kind).map(|tested| tested.total).next())
}

/// What decides the cost of a unit of work: stages of the same text go at the same pace.
pub fn cost_class(kind: StageKind, config: &RunConfig) -> String {
    let model = config.model.resolve();
    let settings = match kind {
        StageKind::Pretrain => {
            let own = &config.pretrain;
            json!([model, own.task, own.batch, own.accumulate, own.crop_size])
        }
        StageKind::Finetune => {
            let own = &config.finetune;
            json!([model, own.batch, own.accumulate, own.crop_size])
        }
        _ => json!([model, config.finetune.crop_size]),
    };
    format!("{kind:?} {settings}")
}

impl StageState {
    /// Seconds at work for one unit, measured in the session that did the newest; none before its first unit.
    fn pace_secs(&self, now_secs: f64) -> Option<f64> {
        let done = self.done.checked_sub(self.done_before).filter(|&done| done > 0)?;
        Some(self.secs.unwrap_or(now_secs - self.began_secs) / done as f64)
    }

    /// Seconds until the stage is done at the pace so far; None before the first unit.
    pub fn eta_secs(&self, now_secs: f64) -> Option<f64> {
        Some(self.pace_secs(now_secs)? * self.total.saturating_sub(self.done) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, Record, StepNumbers};

    fn stage(kind: StageKind, arm: &str) -> Stage {
        Stage { kind, arm: arm.to_owned() }
    }

    fn begin(state: &mut RunState, secs: f64, stage: &Stage, (done, total): (usize, usize)) {
        state.apply(&Record { secs, event: Event::StageStarted { stage: stage.clone(), total, done } });
    }

    fn step(state: &mut RunState, secs: f64, stage: &Stage, step: usize) {
        let numbers = StepNumbers { step, ..StepNumbers::default() };
        state.apply(&Record { secs, event: Event::Step { stage: stage.clone(), numbers } });
    }

    fn end(state: &mut RunState, secs: f64, stage: &Stage, took: f64) {
        state.apply(&Record { secs, event: Event::StageFinished { stage: stage.clone(), secs: took } });
    }

    /// One pre-training of ten steps, a fine-tuning of five from scratch and one of seven from the encoder.
    fn config() -> RunConfig {
        let mut config = RunConfig::default();
        (config.pretrain.steps, config.finetune.steps) = (10, 5);
        config.arms.finetune[1].set = vec!["finetune.steps=7".to_owned()];
        config
    }

    #[test]
    fn what_is_to_come_is_told_with_each_arms_own_steps() {
        let (config, mut state) = (config(), RunState::default());
        assert!(RunStages::new(&config).to_come(&state).is_empty(), "before a training began, it may be no comparison");
        let arm = config.arms.pretrain[0].name.clone();
        begin(&mut state, 0.0, &stage(StageKind::Pretrain, &arm), (0, 10));
        let coming: Vec<_> = RunStages::new(&config).to_come(&state).into_iter().map(|(stage, units)| (stage.to_string(), units)).collect();
        let expected = ["finetune scratch", "test scratch", &format!("finetune {arm}"), &format!("test {arm}")].map(str::to_owned);
        assert_eq!(coming, expected.into_iter().zip([Some(5), None, Some(7), None]).collect::<Vec<_>>());
    }

    #[test]
    fn the_whole_run_counts_with_what_was_measured_and_names_what_was_not() {
        let (config, mut state) = (config(), RunState::default());
        let arm = config.arms.pretrain[0].name.clone();
        let pretrained = stage(StageKind::Pretrain, &arm);
        begin(&mut state, 0.0, &pretrained, (0, 10));
        assert_eq!(RunStages::new(&config).time_left(&state).secs, None, "nothing was measured");
        step(&mut state, 8.0, &pretrained, 4);
        let left = RunStages::new(&config).time_left(&state);
        let unknown: Vec<String> = left.unknown.iter().map(Stage::to_string).collect();
        assert_eq!(left.secs, Some(12.0), "six steps of two seconds");
        assert_eq!(unknown.len(), 4, "{unknown:?}");
        end(&mut state, 20.0, &pretrained, 20.0);
        let scratch = stage(StageKind::Finetune, "scratch");
        begin(&mut state, 20.0, &scratch, (0, 5));
        step(&mut state, 23.0, &scratch, 1);
        let left = RunStages::new(&config).time_left(&state);
        assert_eq!(
            (left.secs, left.unknown.len()),
            (Some(4.0 * 3.0 + 7.0 * 3.0), 2),
            "both fine-tunings go at one pace; no test was timed"
        );
    }

    #[test]
    fn another_network_is_not_timed_by_this_one() {
        let (mut config, mut state) = (config(), RunState::default());
        config.arms.finetune[1].set = vec!["model={\"preset\":\"unetr_small\"}".to_owned()];
        let scratch = stage(StageKind::Finetune, "scratch");
        begin(&mut state, 0.0, &stage(StageKind::Pretrain, &config.arms.pretrain[0].name), (0, 10));
        end(&mut state, 1.0, &stage(StageKind::Pretrain, &config.arms.pretrain[0].name), 1.0);
        begin(&mut state, 1.0, &scratch, (0, 5));
        step(&mut state, 2.0, &scratch, 1);
        assert_eq!(RunStages::new(&config).time_left(&state).secs, Some(4.0));
    }

    #[test]
    fn an_earlier_session_does_not_distort_the_pace() {
        let (config, mut state) = (config(), RunState::default());
        let alone = stage(StageKind::Pretrain, "");
        begin(&mut state, 0.0, &alone, (0, 10));
        step(&mut state, 1000.0, &alone, 5);
        begin(&mut state, 1000.0, &alone, (5, 10));
        step(&mut state, 1002.0, &alone, 6);
        assert_eq!(RunStages::new(&config).time_left(&state), TimeLeft { secs: Some(8.0), unknown: Vec::new() });
    }
}
