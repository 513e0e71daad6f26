//! Following an experiment at work on stderr: bars where that is a terminal, plain lines otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::lines::Pace;
use super::progress;
use super::screen::{POLL_INTERVAL, STOPPING};
use super::status::{mean_dice, tally_words};
use crate::experiment::{Experiment, ExperimentEvent, ExperimentFolder, ExperimentState, Finish};
use crate::protocol::{Command, Event, Outcome, Record, RunState, Severity, StageKind, StageState};
use crate::stop_signal;
use crate::wording::{clock, duration, printable, share};
use crate::worker::ExperimentHandle;

/// Follows an experiment to its end. Ctrl-C stops and saves; a second one ends the process at once.
pub fn follow_experiment(handle: ExperimentHandle, experiment: &Experiment, trainings: &[usize], quiet: bool) -> Finish {
    // Nobody looks at previews here: without their receiver nothing waits for it.
    let ExperimentHandle { events, commands, join, previews } = handle;
    drop(previews);
    let mut screen = Screen::new(experiment, trainings.len(), quiet);
    if let Err(reason) = stop_signal::listen() {
        screen.print(&format!("warning: Ctrl-C will end the program without saving the step under way: {reason}"));
    }
    let (mut asked, mut ended) = (false, None);
    while ended.is_none() {
        if !asked && stop_signal::asked() {
            screen.print(STOPPING);
            asked = commands.try_send(Command::Stop).is_ok();
        }
        match events.recv_timeout(POLL_INTERVAL) {
            Ok(ExperimentEvent::Finished(finish)) => ended = Some(finish),
            Ok(event) => screen.show(&event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop((events, commands));
    let joined = join.join().unwrap_or_default();
    let finish = ended.unwrap_or(joined);
    screen.finish(finish);
    finish
}

/// The same for an experiment that another program works on: an interrupt ends the looking, and leaves the work alone.
pub fn watch_experiment(folder: &ExperimentFolder, experiment: &Experiment, quiet: bool) -> Finish {
    let all: Vec<usize> = (0..experiment.trainings.len()).collect();
    let mut screen = Screen::new(experiment, all.len(), quiet);
    let mut state = ExperimentState::read(experiment, folder);
    let outcome = |state: &ExperimentState, training: usize| state.runs[training].as_ref().and_then(|run| run.outcome.clone());
    let mut reported: BTreeSet<usize> = all.iter().copied().filter(|&training| outcome(&state, training).is_some()).collect();
    screen.show(&ExperimentEvent::Opened { done: reported.len() });
    let mut busy = true;
    while busy {
        // Asked first: what ends while its record is read is seen at the last look.
        busy = folder.busy().is_some();
        if busy {
            std::thread::sleep(POLL_INTERVAL);
        }
        state.refresh(experiment, folder);
        for &training in &all {
            match outcome(&state, training) {
                Some(outcome) if reported.insert(training) => {
                    screen.active.entry(training).or_default().state = (**state.runs[training].as_ref().expect("it has an end")).clone();
                    screen.show(&ExperimentEvent::Ended { training, outcome });
                }
                // One that failed or was stopped is at work again.
                None if state.runs[training].is_some() => drop(reported.remove(&training)),
                _ => {}
            }
        }
    }
    let stopped = all.iter().any(|&training| outcome(&state, training) == Some(Outcome::Stopped));
    let finish = Finish { tally: state.tally(experiment, &all), stopped, bad_input: false };
    screen.finish(finish);
    finish
}

/// A training under way, as it is shown.
#[derive(Default)]
struct Active {
    bar: Option<ProgressBar>,
    state: RunState,
    pace: Pace,
}

/// Where an experiment's events are shown.
struct Screen<'a> {
    experiment: &'a Experiment,
    began: Instant,
    all: MultiProgress,
    /// None where lines are printed.
    overall: Option<ProgressBar>,
    active: BTreeMap<usize, Active>,
    /// What was said already: what concerns all trainings is said once.
    said: BTreeSet<String>,
    quiet: bool,
}

impl<'a> Screen<'a> {
    fn new(experiment: &'a Experiment, wanted: usize, quiet: bool) -> Self {
        let all = MultiProgress::new();
        let overall = (std::io::stderr().is_terminal() && !quiet).then(|| all.add(ProgressBar::new(wanted as u64)));
        if let Some(bar) = &overall {
            bar.set_style(style("{prefix} {bar:24.cyan/dim} {pos}/{len} trainings  {elapsed} so far"));
            bar.set_prefix(experiment.config.name.clone());
        }
        Self { experiment, began: Instant::now(), all, overall, active: BTreeMap::new(), said: BTreeSet::new(), quiet }
    }

    /// A line with the time since the work began; a terminal that is gone is no reason to stop training.
    fn print(&self, text: &str) {
        let at = clock(self.began.elapsed().as_secs_f64());
        let text = printable(text).replace('\n', "\n          ");
        self.all.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{at}  {text}");
        });
    }

    /// The point of the grid that a training is for.
    fn point(&self, training: usize) -> String {
        let axes = &self.experiment.config.axes;
        let Some(cell) = self.experiment.cells_of(training).next().filter(|_| !axes.is_empty()) else { return String::new() };
        let levels = axes.iter().enumerate().map(|(index, axis)| format!("{} {}", axis.name, self.experiment.level(cell, index)));
        format!(" ({})", levels.collect::<Vec<_>>().join(", "))
    }

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
                self.active.insert(*training, Active { bar, state, pace: Pace::default() });
            }
            ExperimentEvent::Reused { training, from, .. } => {
                self.count();
                let stage = self.experiment.trainings[*training].stage();
                if !self.quiet {
                    self.print(&format!("{stage}{}: taken over from {}", self.point(*training), from.display()));
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

    fn count(&self) {
        if let Some(bar) = &self.overall {
            bar.inc(1);
        }
    }

    fn record(&mut self, training: usize, record: &Record) {
        let point = self.point(training);
        let Some(active) = self.active.get_mut(&training) else { return };
        active.state.apply(record);
        let state = &active.state;
        let known = |stage: &crate::protocol::Stage| state.stage(stage.kind, &stage.arm);
        let line = match &record.event {
            Event::Notice { severity, text } => {
                let warns = *severity == Severity::Warning;
                ((warns || !self.quiet) && self.said.insert(text.clone())).then(|| progress::notice(*severity, text))
            }
            _ if self.quiet => None,
            Event::Started { environment, .. } => {
                let text = progress::started(&self.experiment.config.name, environment);
                self.said.insert(text.clone()).then_some(text)
            }
            Event::StageStarted { stage, done, .. } => {
                active.pace.begin(stage, *done, record.secs);
                let trains = matches!(stage.kind, StageKind::Pretrain | StageKind::Finetune);
                known(stage).filter(|_| trains).map(|stage| progress::began(stage, &point))
            }
            Event::Transfer { stage, from, report } => {
                Some(progress::transfer(stage, from, report, self.experiment.trainings[training].checkpoint.is_some()))
            }
            Event::StageFinished { stage, secs } => known(stage).map(|stage| progress::ended(stage, *secs, &point)),
            Event::Progress { stage, .. } | Event::Step { stage, .. } | Event::Scored { stage, .. } if active.bar.is_none() => {
                let stage = known(stage);
                stage.filter(|stage| active.pace.is_due(stage, state.secs)).map(|stage| progress::so_far(stage, state.secs, &point))
            }
            _ => None,
        };
        if let (Some(bar), Some(under_way)) = (&active.bar, state.stages.last()) {
            bar.set_length(under_way.total as u64);
            bar.set_position(under_way.done as u64);
            bar.set_prefix(format!("{}{point}", under_way.stage));
            bar.set_message(progress::details(under_way, state.secs));
        }
        if let Some(line) = line {
            self.print(&line);
        }
    }

    fn ended(&mut self, training: usize, outcome: &Outcome) {
        // One whose data changed fails before it begins.
        let Active { bar, state, .. } = self.active.remove(&training).unwrap_or_default();
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

    fn finish(&self, finish: Finish) {
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("━╸─")
}
