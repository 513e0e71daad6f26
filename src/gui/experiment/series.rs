//! Lines for plots out of a training's steps: thinned, smoothed, and kept until there are enough new steps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use egui_plot::PlotPoint;

use crate::protocol::StageState;
use crate::results::curves::{Quantity, envelope, smoothed};

/// Points of a line at most: more are not seen, and cost each frame.
const MOST_POINTS: usize = 1000;
/// Points of a running mean at most.
const MOST_MEANS: usize = 500;
/// Lines are worked out anew when a stage has grown by one part in so many.
const REFRESH_PART: usize = 200;
/// Steps whose lines are worked out in one frame, beside those of one stage: what is more waits for the next frame.
const STEPS_PER_FRAME: usize = 20_000;

/// A line as it is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Every step as it is kept, thinned; empty where nothing scatters.
    pub(super) raw: Vec<PlotPoint>,
    /// What is read.
    pub(super) bold: Vec<PlotPoint>,
}

/// A training of an experiment: its folder and its place there.
pub(super) type Key = (PathBuf, usize);

/// The lines of one stage, and of what they were made.
#[derive(Debug, Default)]
struct Drawn {
    steps: usize,
    last: usize,
    validations: usize,
    lines: BTreeMap<Quantity, Line>,
}

/// The lines of every training that is looked at.
#[derive(Debug, Default)]
pub(super) struct LineCache {
    drawn: BTreeMap<Key, Drawn>,
    /// Steps whose lines were worked out in this frame.
    spent: usize,
}

impl Drawn {
    fn new(stage: &StageState) -> Self {
        let plotted = |points: Vec<(f64, f64)>| points.into_iter().map(|(x, y)| PlotPoint::new(x, y)).collect::<Vec<_>>();
        let line = |quantity: Quantity| {
            let points = quantity.points(stage);
            let thin = plotted(envelope(&points, MOST_POINTS));
            let line = match quantity.is_noisy() {
                true => Line { raw: thin, bold: plotted(smoothed(&points, MOST_MEANS)) },
                false => Line { raw: Vec::new(), bold: thin },
            };
            (!points.is_empty()).then_some((quantity, line))
        };
        let lines = Quantity::recorded([stage]).into_iter().filter_map(line).collect();
        let last = stage.steps.last().map_or(0, |step| step.step);
        Self { steps: stage.steps.len(), last, validations: stage.validations.told(), lines }
    }

    fn is_current(&self, stage: &StageState) -> bool {
        let (now, last) = (stage.steps.len(), stage.steps.last().map_or(0, |step| step.step));
        let alike = now == self.steps && last == self.last;
        let little_more = now >= self.steps && last >= self.last && now - self.steps <= self.steps / REFRESH_PART;
        self.validations == stage.validations.told() && (alike || little_more && stage.secs.is_none())
    }
}

impl LineCache {
    /// Allows work anew.
    pub(super) fn begin_frame(&mut self) {
        self.spent = 0;
    }

    /// Works a training's lines out anew where it has grown; false where that must wait for the next frame.
    pub(super) fn refresh(&mut self, key: &Key, stage: &StageState) -> bool {
        let drawn = self.drawn.entry(key.clone()).or_default();
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
    pub(super) fn get(&self, key: &Key) -> Option<&BTreeMap<Quantity, Line>> {
        self.drawn.get(key).map(|drawn| &drawn.lines)
    }

    /// Forgets experiments that were closed.
    pub(super) fn keep(&mut self, is_open: impl Fn(&Path) -> bool) {
        self.drawn.retain(|(folder, _), _| is_open(folder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, Record, RunState, Stage, StageKind, StepNumbers};

    fn stage(steps: usize) -> StageState {
        let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
        let mut state = RunState::default();
        state.apply(&Record { secs: 0.0, event: Event::StageStarted { stage: stage.clone(), total: steps, done: 0 } });
        for step in 1..=steps {
            let numbers = StepNumbers { step, loss: if step == 31_007 { 1e6 } else { 1.0 }, ..StepNumbers::default() };
            state.apply(&Record { secs: step as f64, event: Event::Step { stage: stage.clone(), numbers } });
        }
        state.stages.remove(0)
    }

    fn key(name: &str) -> Key {
        (PathBuf::from(name), 0)
    }

    #[test]
    fn lines_are_thinned_keep_their_peaks_and_follow_growth_end_and_a_resumed_stage() {
        let mut cache = LineCache::default();
        let long = stage(50_000);
        cache.refresh(&key("long"), &long);
        let lines = cache.get(&key("long")).unwrap();
        assert!(lines.values().all(|line| line.raw.len() <= MOST_POINTS && line.bold.len() <= MOST_POINTS));
        let peak = 1e6 / long.steps.group_size() as f64;
        assert!(lines[&Quantity::Loss].raw.iter().any(|point| point.y >= peak), "a peak is not thinned away");
        assert!(!lines.contains_key(&Quantity::Memory));
        let mut last = |stage: &StageState| {
            cache.refresh(&key("r"), stage);
            cache.get(&key("r")).unwrap()[&Quantity::Loss].bold.last().unwrap().x
        };
        assert_eq!((last(&stage(10)), last(&stage(11)), last(&stage(1000))), (10.0, 11.0, 1000.0), "short lines grow at each step");
        assert_eq!(last(&stage(1003)), 1000.0, "long ones when it shows");
        let mut ended = stage(1003);
        ended.secs = Some(1.0);
        assert_eq!(last(&ended), 1003.0, "a finished one is whole");
        assert_eq!(last(&stage(500)), 500.0, "steps after the checkpoint were forgotten");
    }

    #[test]
    fn a_frame_works_out_some_long_stages_and_leaves_the_next_for_later() {
        let (mut cache, long) = (LineCache::default(), stage(8000));
        let mut all = || {
            cache.begin_frame();
            ["a", "b", "c", "d"].map(|name| cache.refresh(&key(name), &long))
        };
        assert_eq!([all(), all()], [[true, true, true, false], [true; 4]]);
    }
}
