//! Progress bars for a terminal: one while a stage runs, one line once it is over.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Screen, progress};
use crate::protocol::{Event, Record, RunStages, RunState, Stage, StageState};
use crate::wording::printable;

/// Name, bar, units, and the stage's standing.
const TEMPLATE: &str = "{prefix} {bar:24.cyan/dim} {pos}/{len}  {wide_msg}";
/// Done, edge, to do.
const CELLS: &str = "━╸─";

/// Draws on stderr.
pub(super) struct Bars {
    bar: Option<ProgressBar>,
    stages: Option<RunStages>,
}

impl Bars {
    /// Bars of a job; `stages` where it makes a run.
    pub(super) fn new(stages: Option<RunStages>) -> Self {
        Self { bar: None, stages }
    }

    fn begin(&mut self, stage: &StageState) {
        self.clear();
        let bar = ProgressBar::with_draw_target(Some(stage.total as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well formed").progress_chars(CELLS);
        bar.set_style(style);
        bar.set_prefix(stage.stage.to_string());
        bar.set_position(stage.done as u64);
        self.bar = Some(bar);
    }

    fn advance(&mut self, stage: &StageState, state: &RunState) {
        if let Some(bar) = &self.bar {
            bar.set_message(progress::standing(stage, state, self.stages.as_ref()));
            bar.set_position(stage.done as u64);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Screen for Bars {
    fn show(&mut self, record: &Record, state: &RunState) {
        let known = |stage: &Stage| state.stage(stage.kind, &stage.arm);
        match &record.event {
            Event::Started { name, environment, .. } => self.say(&progress::started(name, environment)),
            Event::Notice { severity, text } => self.say(&progress::notice(*severity, text)),
            Event::StageStarted { stage, .. } => {
                if let Some(stage) = known(stage) {
                    self.begin(stage);
                }
            }
            Event::Progress { stage, .. } | Event::Step { stage, .. } | Event::Scored { stage, .. } => {
                if let Some(stage) = known(stage) {
                    self.advance(stage, state);
                }
            }
            Event::StageFinished { stage, secs } => {
                self.clear();
                if let Some(stage) = known(stage) {
                    self.say(&progress::ended(stage, *secs));
                }
            }
            Event::Finished { outcome } => {
                self.clear();
                self.say(&progress::finished(outcome, record.secs));
            }
            Event::Transfer { stage, from, report } => self.say(&progress::transfer(stage, from, report)),
            Event::Probe { .. }
            | Event::Baseline { .. }
            | Event::MaskPoint { .. }
            | Event::Validation { .. }
            | Event::Voided { .. }
            | Event::Checkpoint { .. } => {}
        }
    }

    fn say(&mut self, text: &str) {
        // A terminal that is gone is no reason to stop training.
        let print = || {
            let _ = writeln!(std::io::stderr(), "{}", printable(text));
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}
