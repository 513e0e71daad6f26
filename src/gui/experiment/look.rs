//! What is drawn of an experiment, worked out beside the window from its folder: the panel reads no file and folds no record.

use std::time::{Duration, Instant};

use super::super::Background;
use crate::config::DistanceUnit;
use crate::experiment::{Estimate, Experiment, ExperimentFolder, ExperimentState, Progress};
use crate::metrics::collapse::{Judgement, verdict};
use crate::protocol::{ArmScores, RunState, StageKind};
use crate::report::old::Place;
use crate::results::ExperimentResults;

/// What is known of an experiment.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// By stage.
    pub(super) stages: Vec<StageLook>,
    /// What it shows so far.
    pub(super) results: ExperimentResults,
    /// Time and disk that it still needs.
    pub(super) estimate: Estimate,
    /// Another program works on it.
    pub(super) busy: bool,
    /// How long it took to find out.
    pub(super) took: Duration,
}

/// What is known of a stage.
#[derive(Clone, Debug)]
pub(super) struct StageLook {
    /// How far it is, as its record tells.
    pub(super) progress: Progress,
    /// The part under way, or that came last.
    pub(super) part: Option<StageKind>,
    /// Seconds at work in its last session.
    pub(super) secs: f64,
    /// Scores on the test cases, once they are all there.
    pub(super) scores: Option<ArmScores>,
    /// Share of token variance that the array index explains, now and before the first step.
    pub(super) eta2_turned: Option<(f64, Option<f64>)>,
    /// Whether the representation collapses.
    pub(super) judgement: Option<Judgement>,
}

impl StageLook {
    fn new(progress: Progress, unit: DistanceUnit, run: Option<&RunState>) -> Self {
        let nothing = Self { progress, part: None, secs: 0.0, scores: None, eta2_turned: None, judgement: None };
        let Some(run) = run else { return nothing };
        let tested = run.stages_of(StageKind::Test).next().filter(|_| nothing.progress == Progress::Done);
        let place = Place::shared(run);
        let trained = run.stages_of(StageKind::Pretrain).next();
        let numbers = trained.and_then(|stage| place.of(stage.last_probe()?));
        let untrained = trained.and_then(|stage| stage.untrained_probe().or_else(|| run.baselines.get("untrained")));
        let untrained = untrained.and_then(|pair| place.of(pair));
        Self {
            part: run.stages.iter().rev().map(|stage| stage.stage.kind).find(|kind| *kind != StageKind::Prepare),
            secs: run.secs,
            scores: tested.map(|stage| ArmScores::new(&stage.scores, unit)),
            eta2_turned: numbers.and_then(|numbers| Some((numbers.eta2_turned?, untrained.and_then(|untrained| untrained.eta2_turned)))),
            judgement: numbers.and_then(|numbers| verdict(numbers, untrained.unwrap_or(&Default::default()))),
            ..nothing
        }
    }
}

impl Look {
    /// Of what `state` holds. `own` says that this window works on the experiment itself.
    pub(super) fn new(experiment: &Experiment, state: &ExperimentState, folder: &ExperimentFolder, own: bool) -> Self {
        let all: Vec<usize> = (0..experiment.trainings.len()).collect();
        let stages = all.iter().map(|&stage| {
            let unit = experiment.trainings[stage].config.evaluate.distance_unit;
            StageLook::new(state.progress(experiment, stage), unit, state.runs[stage].as_deref())
        });
        Self {
            stages: stages.collect(),
            results: ExperimentResults::new(experiment, state),
            estimate: Estimate::new(experiment, state, folder, &all),
            busy: !own && folder.busy().is_some(),
            took: Duration::ZERO,
        }
    }
}

/// The experiment's records, which travel to a thread of their own and back: reading them must not hold up a frame.
pub(super) struct Reader {
    /// None while they are being read.
    state: Option<ExperimentState>,
    reading: Option<Background<(ExperimentState, Look)>>,
    read: Option<Instant>,
    /// Something happened that the records tell of.
    stale: bool,
}

/// How often records are read while somebody works on the experiment.
const EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether somebody does.
const IDLE: Duration = Duration::from_secs(6);
/// Reading takes this share of a thread's time at most.
const SHARE: u32 = 5;

impl Reader {
    /// Records that are not read yet.
    pub(super) fn new() -> Self {
        Self { state: Some(ExperimentState::default()), reading: None, read: None, stale: true }
    }

    /// Records that are known, for tests: they are not looked at again.
    #[cfg(test)]
    pub(super) fn known(state: ExperimentState) -> Self {
        Self { state: Some(state), reading: None, read: Some(Instant::now() + Duration::from_secs(3600)), stale: false }
    }

    /// Asks for a look as soon as may be.
    pub(super) fn wake(&mut self) {
        self.stale = true;
    }

    /// Whether something happened since the last look began.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether nothing is being read.
    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_none()
    }

    /// Looks again when it is time, and hands out what was seen. `own`: this window works on the experiment.
    pub(super) fn poll(
        &mut self,
        ctx: &eframe::egui::Context,
        (experiment, folder): (&std::sync::Arc<Experiment>, &ExperimentFolder),
        last: Option<&Look>,
        own: bool,
    ) -> Option<Look> {
        if let Some(reading) = &mut self.reading {
            if !reading.poll() {
                return None;
            }
            let (state, look) = self.reading.take().and_then(Background::take)?;
            (self.state, self.read) = (Some(state), Some(Instant::now()));
            return Some(look);
        }
        let active = own || last.is_some_and(|look| look.busy);
        let pause = if active { EVERY.max(SHARE * last.map_or(Duration::ZERO, |look| look.took)) } else { IDLE };
        let due = self.read.is_none_or(|read| Instant::now().saturating_duration_since(read) >= pause);
        if due || self.stale {
            let mut state = self.state.take().unwrap_or_default();
            self.stale = false;
            let (experiment, folder) = (experiment.clone(), folder.clone());
            self.reading = Some(Background::start(ctx, move || {
                let began = Instant::now();
                state.refresh(&experiment, &folder);
                let look = Look::new(&experiment, &state, &folder, own);
                (state, Look { took: began.elapsed(), ..look })
            }));
        } else {
            ctx.request_repaint_after(pause);
        }
        None
    }
}
