//! Following an experiment at work on stderr: bars where that is a terminal, plain lines otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar};

use super::job::{JobView, style, timed};
use super::progress;
use super::screen::{Screen, drain};
use super::status::{mean_dice, tally_words};
use crate::experiment::{Experiment, ExperimentEvent, Finish};
use crate::protocol::{Event, Outcome, Record, StageKind, StageState};
use crate::wording::{duration, share};
use crate::worker::ExperimentHandle;

/// Follows an experiment to its end. Ctrl-C stops and saves; a second one ends the process at once.
pub fn follow_experiment(handle: ExperimentHandle, experiment: &Experiment, trainings: &[usize], quiet: bool) -> Finish {
    let mut screen = ExperimentScreen::new(experiment, trainings.len(), quiet);
    let finish = drain(handle, &mut screen).unwrap_or_default();
    screen.finish(finish);
    finish
}

/// Where an experiment's events are shown.
pub(super) struct ExperimentScreen<'a> {
    experiment: &'a Experiment,
    began: Instant,
    all: MultiProgress,
    /// None where lines are printed.
    overall: Option<ProgressBar>,
    active: BTreeMap<usize, JobView>,
    /// What was said already: what concerns all trainings is said once.
    said: BTreeSet<String>,
    quiet: bool,
}

impl Screen<ExperimentEvent> for ExperimentScreen<'_> {
    fn show(&mut self, event: &ExperimentEvent) {
        match event {
            ExperimentEvent::Opened { done } => {
                if let Some(bar) = &self.overall {
                    bar.set_position(*done as u64);
                }
            }
            ExperimentEvent::Began { training, state } => {
                let bar = self.overall.as_ref().map(|_| self.all.add(ProgressBar::new(1)));
                if let Some(bar) = &bar {
                    bar.set_style(style("  {prefix} {bar:24.cyan/dim} {pos}/{len}  {msg}"));
                }
                let state = state.as_ref().map(|state| (**state).clone()).unwrap_or_default();
                self.active.insert(*training, JobView::new(bar, state));
            }
            ExperimentEvent::Reused { training, from, .. } => {
                self.count();
                let stage = self.experiment.trainings[*training].stage();
                if !self.quiet {
                    self.print(&format!("{stage}{}: reused from {}", self.point(*training), from.display()));
                }
            }
            ExperimentEvent::Elsewhere { training, by } => {
                let stage = self.experiment.trainings[*training].stage();
                if !self.quiet {
                    self.print(&format!("{stage}{}: made by another shard, which is waited for: {by}", self.point(*training)));
                }
            }
            ExperimentEvent::Record { training, record } => self.record(*training, record),
            ExperimentEvent::Ended { training, outcome } => self.ended(*training, outcome),
            ExperimentEvent::LeftOut { training } => {
                let stage = self.experiment.trainings[*training].stage();
                self.print(&format!("{stage}{}: left out, since the training that it starts from is not done", self.point(*training)));
            }
            ExperimentEvent::Finished(_) => {}
        }
    }

    /// That of all trainings at work.
    fn under_way(&self) -> Option<StageKind> {
        let mut kinds = self.active.values().map(JobView::under_way);
        let first = kinds.next().flatten();
        first.filter(|_| kinds.all(|kind| kind == first))
    }

    /// A line with the time since the work began; a terminal that is gone is no reason to stop training.
    fn print(&mut self, text: &str) {
        let text = timed(self.began.elapsed().as_secs_f64(), text);
        self.all.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }
}

impl<'a> ExperimentScreen<'a> {
    pub(super) fn new(experiment: &'a Experiment, wanted: usize, quiet: bool) -> Self {
        let all = MultiProgress::new();
        let overall = (std::io::stderr().is_terminal() && !quiet).then(|| all.add(ProgressBar::new(wanted as u64)));
        if let Some(bar) = &overall {
            bar.set_style(style("{prefix} {bar:24.cyan/dim} {pos}/{len} trainings  {elapsed} so far"));
            bar.set_prefix(experiment.config.name.clone());
        }
        Self { experiment, began: Instant::now(), all, overall, active: BTreeMap::new(), said: BTreeSet::new(), quiet }
    }

    /// The point of the grid that a training is for.
    fn point(&self, training: usize) -> String {
        let axes = &self.experiment.config.axes;
        let Some(cell) = self.experiment.cells_of(training).next().filter(|_| !axes.is_empty()) else { return String::new() };
        let levels = axes.iter().enumerate().map(|(index, axis)| format!("{} {}", axis.name, self.experiment.level(cell, index)));
        format!(" ({})", levels.collect::<Vec<_>>().join(", "))
    }

    fn count(&self) {
        if let Some(bar) = &self.overall {
            bar.inc(1);
        }
    }

    fn record(&mut self, training: usize, record: &Record) {
        let (point, quiet) = (self.point(training), self.quiet);
        let Some(active) = self.active.get_mut(&training) else { return };
        let line = active.take(record, quiet, &point);
        let known = |stage: &crate::protocol::Stage| active.state.stage(stage.kind, &stage.arm);
        let line = match &record.event {
            // Said by `ended`.
            Event::Finished { .. } => None,
            _ if quiet => line,
            Event::Started { environment, .. } => Some(progress::started(&self.experiment.config.name, environment)),
            Event::StageStarted { stage, .. } if matches!(stage.kind, StageKind::Pretrain | StageKind::Finetune) => {
                known(stage).map(|stage| progress::began(stage, &point))
            }
            Event::Transfer { stage, from, report } => {
                Some(progress::transfer(stage, from, report, self.experiment.trainings[training].checkpoint.is_some()))
            }
            _ => line,
        };
        // What concerns all trainings is said once.
        let of_all = matches!(record.event, Event::Started { .. } | Event::Notice { .. });
        if let Some(line) = line.filter(|line| !of_all || self.said.insert(line.clone())) {
            self.print(&line);
        }
    }

    fn ended(&mut self, training: usize, outcome: &Outcome) {
        // One whose data changed fails before it begins.
        let JobView { bar, state, .. } = self.active.remove(&training).unwrap_or_default();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.count();
        let stage = self.experiment.trainings[training].stage();
        let result = match outcome {
            Outcome::Failed { message, .. } => format!("failed: {message}"),
            Outcome::Stopped => "stopped and saved".to_owned(),
            Outcome::Completed => {
                let cut = state.unfinished().map(|StageState { done, total, .. }| format!("{done} of {total} steps"));
                let dice = || mean_dice(&state).map(|dice| format!("mean Dice {}, ", share(dice)));
                cut.unwrap_or_else(|| format!("done, {}{}", dice().unwrap_or_default(), duration(state.secs)))
            }
        };
        if !self.quiet || matches!(outcome, Outcome::Failed { .. }) {
            self.print(&format!("{stage}{}: {result}", self.point(training)));
        }
    }

    pub(super) fn finish(&mut self, finish: Finish) {
        if let Some(bar) = &self.overall {
            bar.finish_and_clear();
        }
        let took = duration(self.began.elapsed().as_secs_f64());
        if finish.stopped {
            self.print(&format!(
                "stopped after {took}; what was at work is saved, and the same command goes on (pretrain, finetune, demo: with --resume)"
            ));
        } else if !self.quiet {
            self.print(&format!("{}, after {took}", tally_words(finish.tally)));
        }
    }
}
