//! Lines for plots out of a stage's steps: thinned, smoothed, and kept until there are enough new steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use egui_plot::PlotPoint;

use crate::protocol::{Stage, StageState, StepNumbers};
use crate::results::curves::{envelope, smoothed};

/// Points of a line at most: more are not seen, and cost each frame.
const MOST_POINTS: usize = 1000;
/// Points of a running mean at most.
const MOST_MEANS: usize = 500;
/// Lines are worked out anew when a stage has grown by one part in so many.
const REFRESH_PART: usize = 200;
/// Steps whose lines are worked out in one frame, beside those of one stage: what is more waits for the next frame.
const STEPS_PER_FRAME: usize = 20_000;

/// What is plotted over the steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quantity {
    /// The loss.
    Loss,
    /// A part of the loss, or what was recorded with it.
    Part(String),
    /// Mean Dice of the validation cases.
    Validation,
    /// The learning rate.
    Rate,
    /// The gradient's norm.
    GradNorm,
    /// Volumes each second.
    Throughput,
    /// Resident memory.
    Memory,
}

impl Quantity {
    /// Its title.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Loss => "Loss".to_owned(),
            Self::Part(part) => crate::wording::sentence(&part.replace('_', " ")),
            Self::Validation => "Validation Dice".to_owned(),
            Self::Rate => "Learning rate".to_owned(),
            Self::GradNorm => "Gradient norm".to_owned(),
            Self::Throughput => "Throughput, volumes/s".to_owned(),
            Self::Memory => "Memory of the process, MiB".to_owned(),
        }
    }

    /// Whether the values scatter, so that their running mean is what is read.
    fn is_noisy(&self) -> bool {
        matches!(self, Self::Loss | Self::Part(_) | Self::GradNorm | Self::Throughput)
    }

    fn of(&self, step: &StepNumbers) -> Option<f64> {
        match self {
            Self::Loss => Some(step.loss),
            Self::Part(part) => step.parts.get(part).copied(),
            Self::Rate => Some(step.lr),
            Self::GradNorm => Some(step.grad_norm),
            Self::Throughput => Some(step.volumes_per_sec),
            Self::Memory => step.resident_mib,
            Self::Validation => None,
        }
    }
}

/// A line as it is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// Every step as it is kept, thinned; empty where nothing scatters.
    pub(super) raw: Vec<PlotPoint>,
    /// What is read.
    pub(super) bold: Vec<PlotPoint>,
}

/// The lines of one stage.
#[derive(Debug, Default)]
struct Drawn {
    /// Steps and validations that the lines hold, and the last step's number.
    steps: usize,
    validations: usize,
    last: usize,
    lines: BTreeMap<Quantity, Series>,
}

/// The lines of every stage that is looked at.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    drawn: BTreeMap<(PathBuf, Stage), Drawn>,
    /// Steps whose lines were worked out in this frame.
    spent: usize,
}

impl Drawn {
    fn new(stage: &StageState) -> Self {
        let parts: BTreeSet<&String> = stage.steps.iter().flat_map(|step| step.parts.keys()).collect();
        let parts = parts.into_iter().map(|part| Quantity::Part(part.clone()));
        let plain = [Quantity::Loss, Quantity::Rate, Quantity::GradNorm, Quantity::Throughput, Quantity::Memory];
        let mut lines: BTreeMap<Quantity, Series> = BTreeMap::new();
        for quantity in plain.into_iter().chain(parts) {
            let points: Vec<(f64, f64)> =
                stage.steps.iter().filter_map(|step| Some((step.step as f64, quantity.of(step)?))).filter(|(_, y)| y.is_finite()).collect();
            if !points.is_empty() {
                let series = if quantity.is_noisy() {
                    Series { raw: plotted(&envelope(&points, MOST_POINTS)), bold: plotted(&smoothed(&points, MOST_MEANS)) }
                } else {
                    Series { raw: Vec::new(), bold: plotted(&envelope(&points, MOST_POINTS)) }
                };
                lines.insert(quantity, series);
            }
        }
        if !stage.validations.is_empty() {
            let points: Vec<(f64, f64)> = stage.validations.iter().map(|&(step, dice)| (step as f64, dice)).collect();
            lines.insert(Quantity::Validation, Series { raw: Vec::new(), bold: plotted(&envelope(&points, MOST_POINTS)) });
        }
        let last = stage.steps.last().map_or(0, |step| step.step);
        Self { steps: stage.steps.len(), validations: stage.validations.told(), last, lines }
    }

    fn is_current(&self, stage: &StageState) -> bool {
        let (now, last) = (stage.steps.len(), stage.steps.last().map_or(0, |step| step.step));
        let alike = now == self.steps && last == self.last;
        let little_more = now >= self.steps && last >= self.last && now - self.steps <= self.steps / REFRESH_PART;
        self.validations == stage.validations.told() && (alike || little_more && stage.secs.is_none())
    }
}

impl SeriesCache {
    /// Allows work anew.
    pub(super) fn begin_frame(&mut self) {
        self.spent = 0;
    }

    /// Works a stage's lines out anew where it has grown; false where that must wait for the next frame.
    pub(super) fn refresh(&mut self, run: &Path, stage: &StageState) -> bool {
        let drawn = self.drawn.entry((run.to_owned(), stage.stage.clone())).or_default();
        if drawn.is_current(stage) {
            return true;
        }
        if self.spent > STEPS_PER_FRAME {
            return false;
        }
        self.spent += stage.steps.len();
        *drawn = Drawn::new(stage);
        true
    }

    /// The lines as they were last worked out.
    pub(super) fn get(&self, run: &Path, stage: &Stage) -> Option<&BTreeMap<Quantity, Series>> {
        self.drawn.get(&(run.to_owned(), stage.clone())).map(|drawn| &drawn.lines)
    }

    /// Forgets runs that were closed.
    pub(super) fn keep(&mut self, is_open: impl Fn(&Path) -> bool) {
        self.drawn.retain(|(run, _), _| is_open(run));
    }
}

fn plotted(points: &[(f64, f64)]) -> Vec<PlotPoint> {
    points.iter().map(|&(x, y)| PlotPoint::new(x, y)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, Record, RunState, StageKind};

    fn stage(steps: usize) -> StageState {
        stage_with(steps, |step| step as f64)
    }

    fn stage_with(steps: usize, loss: impl Fn(usize) -> f64) -> StageState {
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut state = RunState::default();
        state.apply(&Record { secs: 0.0, event: Event::StageStarted { stage: stage.clone(), total: steps, done: 0 } });
        for step in 1..=steps {
            let parts = BTreeMap::from([("dice".to_owned(), 1.0 / step as f64)]);
            let numbers = StepNumbers { step, loss: loss(step), parts, lr: 0.1, ..StepNumbers::default() };
            state.apply(&Record { secs: step as f64, event: Event::Step { stage: stage.clone(), numbers } });
        }
        state.stages.remove(0)
    }

    #[test]
    fn long_runs_are_thinned_and_keep_their_ends_and_extremes() {
        let long = stage_with(50_000, |step| if step == 31_007 { 1e6 } else { 1.0 });
        let mut cache = SeriesCache::default();
        assert!(cache.refresh(Path::new("r"), &long));
        let lines = cache.get(Path::new("r"), &long.stage).unwrap();
        assert!(lines.values().all(|series| series.raw.len() <= MOST_POINTS && series.bold.len() <= MOST_POINTS));
        let loss = &lines[&Quantity::Loss];
        let peak = 1e6 / long.steps.group_size() as f64;
        assert!(loss.raw.iter().any(|point| point.y >= peak), "a peak is not thinned away");
        assert_eq!(loss.bold.last().unwrap().x, 50_000.0);
        assert!(lines.contains_key(&Quantity::Part("dice".to_owned())) && !lines.contains_key(&Quantity::Memory));
    }

    #[test]
    fn lines_follow_growth_end_and_a_resumed_stage() {
        let mut cache = SeriesCache::default();
        let mut last = |stage: &StageState| {
            cache.refresh(Path::new("r"), stage);
            cache.get(Path::new("r"), &stage.stage).unwrap()[&Quantity::Loss].bold.last().unwrap().x
        };
        assert_eq!(last(&stage(10)), 10.0);
        assert_eq!(last(&stage(11)), 11.0, "short lines grow at each step");
        assert_eq!(last(&stage(1000)), 1000.0);
        assert_eq!(last(&stage(1003)), 1000.0, "long ones when it shows");
        let mut ended = stage(1003);
        ended.secs = Some(1.0);
        assert_eq!(last(&ended), 1003.0, "a finished one is whole");
        assert_eq!(last(&stage(500)), 500.0, "steps after the checkpoint were forgotten");
    }

    #[test]
    fn a_frame_works_out_some_long_stages_and_leaves_the_next_for_later() {
        let mut cache = SeriesCache::default();
        let long = stage(8000);
        cache.begin_frame();
        let mut all = || ["a", "b", "c", "d"].map(|run| cache.refresh(Path::new(run), &long));
        assert_eq!(all(), [true, true, true, false]);
        cache.begin_frame();
        assert_eq!(["a", "b", "c", "d"].map(|run| cache.refresh(Path::new(run), &long)), [true; 4]);
    }
}
