//! One job as the terminal shows it: a bar while it runs or a line now and then, and the lines that its events are worth.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

use super::progress;
use super::screen::Screen;
use crate::protocol::{Event, Outcome, Record, RunState, Severity, Stage, StageKind, StageState};
use crate::wording::{clock, printable};

/// Between two lines of a stage at least this share of its work is done ...
const SHARE: f64 = 0.1;
/// ... and this long has passed ...
const QUIET_SECS: f64 = 30.0;
/// ... and this share of the time since the job began, so that a slow machine does not make a long log ...
const QUIET_SHARE: f64 = 1.0 / 3.0;
/// ... but no longer silence than this.
const SILENCE_SECS: f64 = 600.0;

/// What was printed of the stage under way.
#[derive(Default)]
struct Pace {
    stage: Option<Stage>,
    done: usize,
    secs: f64,
}

impl Pace {
    /// Whether a line of a stage's progress is due; if so, it counts as printed.
    fn is_due(&mut self, stage: &StageState, now_secs: f64) -> bool {
        let silence_secs = now_secs - self.secs;
        let far = stage.done.saturating_sub(self.done) as f64 >= SHARE * stage.total as f64;
        let quiet_secs = QUIET_SECS.max(QUIET_SHARE * now_secs);
        let due = self.stage.as_ref() == Some(&stage.stage)
            && stage.done < stage.total
            && (far && silence_secs >= quiet_secs || silence_secs >= SILENCE_SECS);
        if due {
            (self.done, self.secs) = (stage.done, now_secs);
        }
        due
    }
}

/// A job, and how far it was shown.
#[derive(Default)]
pub(super) struct JobView {
    /// None where lines are printed.
    pub(super) bar: Option<ProgressBar>,
    pub(super) state: RunState,
    pace: Pace,
}

impl JobView {
    /// A job that is known up to `state`: a stage under way is one that begins here.
    pub(super) fn new(bar: Option<ProgressBar>, state: RunState) -> Self {
        let under_way = state.stages.iter().rev().find(|stage| stage.secs.is_none() && state.outcome.is_none());
        let pace = under_way.map(|stage| Pace { stage: Some(stage.stage.clone()), done: stage.done, secs: state.secs });
        Self { bar, pace: pace.unwrap_or_default(), state }
    }

    /// The kind of its stage under way.
    pub(super) fn under_way(&self) -> Option<StageKind> {
        self.state.stages.iter().rev().find(|stage| stage.secs.is_none()).map(|stage| stage.stage.kind)
    }

    /// Takes an event in, and hands back the line that it is worth; with `quiet`, of warnings and failures only. `point` is where in the grid.
    pub(super) fn take(&mut self, record: &Record, quiet: bool, point: &str) -> Option<String> {
        self.state.apply(record);
        let state = &self.state;
        let known = |stage: &Stage| state.stage(stage.kind, &stage.arm);
        if let (Some(bar), Some(stage)) = (&self.bar, state.stages.last()) {
            bar.set_length(stage.total as u64);
            bar.set_position(stage.done as u64);
            bar.set_prefix(format!("{}{point}", stage.stage));
            bar.set_message(progress::details(stage, state.secs));
        }
        match &record.event {
            Event::Notice { severity: Severity::Info, .. } if quiet => None,
            Event::Notice { severity, text } => Some(progress::notice(*severity, text)),
            Event::Finished { outcome } if !quiet || matches!(outcome, Outcome::Failed { .. }) => {
                Some(progress::finished(outcome, state.secs))
            }
            Event::StageStarted { stage, done, .. } => {
                self.pace = Pace { stage: Some(stage.clone()), done: *done, secs: record.secs };
                None
            }
            _ if quiet => None,
            Event::Started { name, environment, .. } => Some(progress::started(name, environment)),
            Event::StageFinished { stage, secs } => known(stage).map(|stage| progress::ended(stage, *secs, point)),
            Event::Transfer { stage, from, report } => Some(progress::transfer(stage, from, report, false)),
            Event::Progress { stage, .. } | Event::Step { stage, .. } | Event::Scored { stage, .. } if self.bar.is_none() => {
                let stage = known(stage).filter(|stage| self.pace.is_due(stage, record.secs));
                stage.map(|stage| progress::so_far(stage, record.secs, point))
            }
            _ => None,
        }
    }
}

/// Where a job by itself is shown.
pub(super) struct JobScreen<'a> {
    pub(super) job: JobView,
    quiet: bool,
    out: &'a mut dyn Write,
}

impl<'a> JobScreen<'a> {
    /// Writes lines to `out`, above a bar if asked for one.
    pub(super) fn new(out: &'a mut dyn Write, bar: bool, quiet: bool, state: RunState) -> Self {
        let bar = bar.then(|| ProgressBar::new(1).with_style(style("{prefix} {bar:24.cyan/dim} {pos}/{len}  {wide_msg}")));
        Self { job: JobView::new(bar, state), quiet, out }
    }
}

impl Screen<Record> for JobScreen<'_> {
    fn show(&mut self, record: &Record) {
        let line = self.job.take(record, self.quiet, "");
        if let Some(bar) = self.job.bar.as_ref().filter(|_| matches!(record.event, Event::Finished { .. })) {
            bar.finish_and_clear();
        }
        if let Some(line) = line {
            self.print(&timed(record.secs, &line));
        }
    }

    fn under_way(&self) -> Option<StageKind> {
        self.job.under_way()
    }

    fn print(&mut self, text: &str) {
        // A terminal or pipe that is gone is no reason to stop the job.
        let mut print = || {
            let _ = writeln!(self.out, "{text}");
        };
        match &self.job.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

/// A line behind the time at which it was said, without control characters.
pub(super) fn timed(secs: f64, line: &str) -> String {
    format!("{}  {}", clock(secs), printable(line).replace('\n', "\n          "))
}

/// The bars' look.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("━╸─")
}
