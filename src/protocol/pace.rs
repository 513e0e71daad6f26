//! How fast a stage goes, from what was measured of it.
//!
//! Seconds are those of the record, which count work: pauses and the time between sessions are not in them.

use serde_json::json;

use super::{StageKind, StageState};
use crate::config::RunConfig;

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
    use crate::protocol::{Event, Record, RunState, Stage, StageKind, StepNumbers};

    #[test]
    fn an_earlier_session_does_not_distort_the_pace() {
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut state = RunState::default();
        let step = |step| Event::Step { stage: stage.clone(), numbers: StepNumbers { step, ..StepNumbers::default() } };
        let began = |done| Event::StageStarted { stage: stage.clone(), total: 10, done };
        for (secs, event) in [(0.0, began(0)), (1000.0, step(5)), (1000.0, began(5)), (1002.0, step(6))] {
            state.apply(&Record { secs, event });
        }
        assert_eq!(state.stages[0].eta_secs(state.secs), Some(8.0));
    }
}
