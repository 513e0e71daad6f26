//! Plain lines for logs and pipes: few, complete, without control characters.

use std::io::Write;

use super::progress;
use super::screen::Screen;
use crate::protocol::{Event, Outcome, Record, RunState, Severity, Stage, StageState};
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
pub(super) struct Pace {
    stage: Option<Stage>,
    done: usize,
    secs: f64,
}

impl Pace {
    /// A stage began.
    pub(super) fn begin(&mut self, stage: &Stage, done: usize, secs: f64) {
        *self = Self { stage: Some(stage.clone()), done, secs };
    }

    /// Whether a line of a stage's progress is due; if so, it counts as printed.
    pub(super) fn is_due(&mut self, stage: &StageState, now_secs: f64) -> bool {
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

/// Writes plain lines.
pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    quiet: bool,
    pace: Pace,
}

impl<'a> Lines<'a> {
    /// Lines to `out`; with `quiet`, warnings and failures only.
    pub(super) fn new(out: &'a mut dyn Write, quiet: bool) -> Self {
        Self { out, quiet, pace: Pace::default() }
    }
}

impl Screen for Lines<'_> {
    fn show(&mut self, record: &Record, state: &RunState) {
        let known = |stage: &Stage| state.stage(stage.kind, &stage.arm);
        let line = match &record.event {
            Event::Notice { severity: Severity::Info, .. } if self.quiet => None,
            Event::Finished { outcome } if self.quiet && !matches!(outcome, Outcome::Failed { .. }) => None,
            Event::StageStarted { stage, done, .. } => {
                self.pace.begin(stage, *done, record.secs);
                None
            }
            Event::Progress { stage, .. } | Event::Step { stage, .. } | Event::Scored { stage, .. } if !self.quiet => {
                let stage = known(stage);
                stage.filter(|stage| self.pace.is_due(stage, record.secs)).map(|stage| progress::so_far(stage, record.secs, ""))
            }
            event if !self.quiet || matches!(event, Event::Notice { .. } | Event::Finished { .. }) => progress::line(event, state),
            _ => None,
        };
        if let Some(line) = line {
            // A pipe that is closed is no reason to stop the job.
            let _ = writeln!(self.out, "{}  {}", clock(record.secs), printable(&line).replace('\n', "\n          "));
        }
    }

    fn print(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }
}
