//! One training of an experiment: how far it is and what it has shown.

use super::names::Names;
use super::tokens::Tokens;
use crate::experiment::{Experiment, ExperimentState, Progress};
use crate::metrics::collapse::{Judgement, verdict};
use crate::protocol::{ArmScores, CollapsePair, RunState, StageKind, StageState};

/// The reference measured before the first step, among a training's baselines.
const UNTRAINED: &str = "untrained";

/// What is known of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingResult {
    /// Levels and arm in words.
    pub title: String,
    /// How far it is.
    pub progress: Progress,
    /// The part under way, or that came last.
    pub part: Option<StageKind>,
    /// Seconds at work in its last session.
    pub secs: f64,
    /// Means over the test cases, once all are scored.
    pub scores: Option<ArmScores>,
    /// Share of token variance that the array index explains: now, and before the first step.
    pub eta2_turned: Option<(f64, Option<f64>)>,
    /// The verdict on its tokens.
    pub judgement: Option<Judgement>,
}

impl TrainingResult {
    /// Of all trainings of an experiment, in their order.
    pub(super) fn all(experiment: &Experiment, state: &ExperimentState) -> Vec<Self> {
        (0..experiment.trainings.len()).map(|training| Self::new(experiment, state, training)).collect()
    }

    fn new(experiment: &Experiment, state: &ExperimentState, training: usize) -> Self {
        let progress = state.progress(experiment, training);
        let title = Names::training(experiment, training, |_| true);
        let nothing = Self { title, progress, part: None, secs: 0.0, scores: None, eta2_turned: None, judgement: None };
        let Some(run) = &state.runs[training] else { return nothing };
        let tested = run.stages_of(StageKind::Test).next().filter(|_| nothing.progress == Progress::Done);
        let [now, before] = [measured(run), untrained(run)];
        let tokens = Tokens::shared(now.into_iter().chain(before));
        let [now, before] = [now, before].map(|pair| pair.and_then(|pair| tokens.numbers(pair)));
        Self {
            part: run.stages.iter().rev().map(|stage| stage.stage.kind).find(|kind| *kind != StageKind::Prepare),
            secs: run.secs,
            scores: tested.map(|stage| ArmScores::new(&stage.scores, experiment.trainings[training].config.evaluate.distance_unit)),
            eta2_turned: now.and_then(|now| Some((now.eta2_turned?, before.and_then(|before| before.eta2_turned)))),
            judgement: now.and_then(|now| verdict(now, before.unwrap_or(&Default::default()))),
            ..nothing
        }
    }
}

/// The part of a record that pre-trains.
fn pretraining(run: &RunState) -> Option<&StageState> {
    run.stages_of(StageKind::Pretrain).next()
}

/// What a pre-training has measured last.
pub(super) fn measured(run: &RunState) -> Option<&CollapsePair> {
    pretraining(run)?.last_probe()
}

/// The untrained encoder as a pre-training measured it.
pub(super) fn untrained(run: &RunState) -> Option<&CollapsePair> {
    pretraining(run)?.untrained_probe().or_else(|| run.baselines.get(UNTRAINED))
}
