//! How long the rest of an experiment takes and what it leaves on disk, from steps that were measured.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Experiment, ExperimentFolder, ExperimentState, Progress, TrainingPlan};
use crate::protocol::{RunState, StageKind, cost_class};

/// Trainings that cost the same for each step have the same class.
type Class = String;

/// What the wanted trainings still need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Seconds, with one training at a time. None: not even one of the trainings that are left has a measured step of its class.
    pub secs_left: Option<f64>,
    /// Bytes in the folder when all is done. None: nothing like it was written yet.
    pub disk_bytes: Option<u64>,
    /// Trainings left whose class no step was measured of: they are not in `secs_left`.
    pub unmeasured: usize,
    /// Trainings left whose test was not measured: its time is not in `secs_left`.
    pub untested: usize,
}

/// What was measured of a class.
#[derive(Clone, Debug, Default)]
struct Measured {
    step_secs: Vec<f64>,
    test_secs: Vec<f64>,
    bytes: Vec<u64>,
}

impl Estimate {
    /// For `trainings` of an experiment, from what `state` knows of any of its stages in `folder`.
    pub fn new(experiment: &Experiment, state: &ExperimentState, folder: &ExperimentFolder, trainings: &[usize]) -> Self {
        Self::from_trial(experiment, trainings, (state, folder), (state, folder))
    }

    /// The same where the steps were measured elsewhere: in a trial of a few steps.
    pub fn from_trial(
        experiment: &Experiment,
        trainings: &[usize],
        own: (&ExperimentState, &ExperimentFolder),
        trial: (&ExperimentState, &ExperimentFolder),
    ) -> Self {
        let mut known: BTreeMap<Class, Measured> = BTreeMap::new();
        for (training, plan) in experiment.trainings.iter().enumerate() {
            for (state, folder) in [own, trial] {
                let Some(run) = &state.runs[training] else { continue };
                known.entry(class(plan)).or_default().add(
                    run,
                    state.progress(experiment, training) == Progress::Done,
                    folder.training(plan).root(),
                );
            }
        }
        let mut estimate = Self { secs_left: Some(0.0), disk_bytes: Some(0), ..Self::default() };
        let mut measured = 0;
        for &training in trainings {
            let plan = &experiment.trainings[training];
            let class = known.get(&class(plan));
            let bytes = class.and_then(|class| median(class.bytes.iter().map(|&bytes| bytes as f64)));
            estimate.disk_bytes = estimate.disk_bytes.zip(bytes).map(|(sum, bytes)| sum + bytes as u64);
            let state = own.0;
            let progress = state.progress(experiment, training);
            if progress == Progress::Done {
                continue;
            }
            let Some((class, step_secs)) = class.and_then(|class| Some((class, median(class.step_secs.iter().copied())?))) else {
                estimate.unmeasured += 1;
                continue;
            };
            measured += 1;
            let tested = plan.kind != StageKind::Finetune || !class.test_secs.is_empty();
            estimate.untested += usize::from(!tested);
            let rest = steps_left(plan, state.runs[training].as_deref()) as f64 * step_secs;
            let rest = rest + median(class.test_secs.iter().copied()).unwrap_or(0.0);
            estimate.secs_left = estimate.secs_left.map(|sum| sum + rest);
        }
        if measured == 0 && estimate.unmeasured > 0 {
            estimate.secs_left = None;
        }
        estimate
    }

    /// One training of each class among `trainings` that has no measured step yet: what a trial has to try.
    pub fn unmeasured(experiment: &Experiment, state: &ExperimentState, trainings: &[usize]) -> Vec<usize> {
        let measured =
            |training: usize| state.runs[training].as_ref().is_some_and(|run| run.stages.iter().any(|stage| !stage.steps.is_empty()));
        let mut known: Vec<Class> = (0..experiment.trainings.len())
            .filter(|&training| measured(training))
            .map(|training| class(&experiment.trainings[training]))
            .collect();
        let mut trial = Vec::new();
        for &training in trainings {
            let class = class(&experiment.trainings[training]);
            if !known.contains(&class) {
                known.push(class);
                trial.push(training);
            }
        }
        trial
    }
}

impl Measured {
    fn add(&mut self, run: &RunState, done: bool, folder: &Path) {
        let steps = run.stages.iter().flat_map(|stage| &stage.steps);
        self.step_secs.extend(median(steps.map(|numbers| numbers.step_secs)));
        // What was written by then counts where nothing of its kind is finished: a checkpoint after three steps is as large as the last.
        if done || self.bytes.is_empty() {
            self.bytes.extend(size(folder));
        }
        if done {
            self.test_secs.extend(run.stages_of(StageKind::Test).filter_map(|stage| stage.secs));
        }
    }
}

/// What decides the cost of a step.
fn class(plan: &TrainingPlan) -> Class {
    cost_class(plan.kind, &plan.config)
}

/// Optimiser steps that a training has still to do.
fn steps_left(plan: &TrainingPlan, run: Option<&RunState>) -> usize {
    let done = run.and_then(|run| run.stages_of(plan.kind).map(|stage| stage.done).max()).unwrap_or(0);
    plan.steps().saturating_sub(done)
}

/// The middle value; of an even number, the upper one of the two.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Bytes of all files in a folder; none where it is not there.
fn size(folder: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder).ok()?;
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()).unwrap_or(0),
        _ => entry.metadata().map_or(0, |data| data.len()),
    });
    Some(sizes.sum())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::ExperimentConfig;
    use crate::protocol::{Event, Record, Stage, StepNumbers};

    /// A pre-training with `steps` steps of two seconds.
    fn begun(stage: &Stage, total: usize, steps: usize) -> RunState {
        let mut run = RunState::default();
        run.apply(&Record { secs: 0.0, event: Event::StageStarted { stage: stage.clone(), total, done: 0 } });
        for step in 1..=steps {
            let numbers = StepNumbers { step, step_secs: 2.0, ..StepNumbers::default() };
            run.apply(&Record { secs: 2.0 * step as f64, event: Event::Step { stage: stage.clone(), numbers } });
        }
        run
    }

    #[test]
    fn what_is_left_is_told_from_measured_steps() {
        let text = r#"(name: "s", base: run((pretrain: (steps: 10), finetune: (steps: 5))), axes: [(name: "seed", key: "seed", values: ["0", "1"])])"#;
        let experiment =
            Experiment::new(ExperimentConfig::from_ron(text, "s", Path::new("")).unwrap(), crate::experiment::Contents::default()).unwrap();
        let nowhere = ExperimentFolder::new("nowhere");
        let mut state = ExperimentState::of(vec![None; experiment.trainings.len()]);
        let all: Vec<usize> = (0..experiment.trainings.len()).collect();
        let nothing = Estimate::new(&experiment, &state, &nowhere, &all);
        assert_eq!((nothing.secs_left, nothing.disk_bytes, nothing.unmeasured), (None, None, 8));
        let pretrain = experiment.trainings.iter().position(|plan| plan.kind == StageKind::Pretrain).unwrap();
        assert_eq!(Estimate::unmeasured(&experiment, &state, &all).len(), 2, "one pre-training and one fine-tuning stand for all");
        state.runs[pretrain] = Some(Arc::new(begun(&experiment.trainings[pretrain].stage(), 10, 4)));
        let estimate = Estimate::new(&experiment, &state, &nowhere, &all);
        // Six steps of this pre-training and ten of the other; no fine-tuning was measured.
        assert_eq!((estimate.secs_left, estimate.unmeasured), (Some(32.0), 6));
    }
}
