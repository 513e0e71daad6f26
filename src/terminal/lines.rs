//! Plain lines for logs and pipes: few, complete, without control characters.

use std::io::Write;

use super::{Options, Screen, progress};
use crate::protocol::{Event, Outcome, Record, RunStages, RunState, Severity, Stage, StageKind, StageState};
use crate::wording::{clock, printable};

/// Between two lines of a stage at least this share of its work is done ...
const SHARE: f64 = 0.1;
/// ... and this long has passed ...
const QUIET_SECS: f64 = 30.0;
/// ... and this share of the time since the job began, so that a slow machine does not make a long log ...
const QUIET_SHARE: f64 = 1.0 / 3.0;
/// ... but no longer silence than this.
const SILENCE_SECS: f64 = 600.0;

/// Writes plain lines.
pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    quiet: bool,
    stages: Option<RunStages>,
    current: Option<Current>,
}

/// What was told of the stage under way.
struct Current {
    stage: Stage,
    told_done: usize,
    told_secs: f64,
}

impl<'a> Lines<'a> {
    /// Lines to `out`; with `quiet`, warnings and failures only.
    pub(super) fn new(out: &'a mut dyn Write, options: Options<'_>) -> Self {
        Self { out, quiet: options.quiet, stages: options.config.map(RunStages::new), current: None }
    }

    /// A line with the time since the job began; a pipe that is closed is no reason to stop training.
    fn line(&mut self, secs: f64, text: &str) {
        let _ = writeln!(self.out, "{}  {}", clock(secs), printable(text).replace('\n', "\n          "));
    }

    /// Tells of a stage's progress now and then.
    fn advance(&mut self, stage: &StageState, state: &RunState) {
        let now_secs = state.secs;
        let Some(current) = self.current.as_mut().filter(|current| current.stage == stage.stage) else { return };
        let silence_secs = now_secs - current.told_secs;
        let far = stage.done.saturating_sub(current.told_done) as f64 >= SHARE * stage.total as f64;
        let quiet_secs = QUIET_SECS.max(QUIET_SHARE * now_secs);
        if stage.done < stage.total && (far && silence_secs >= quiet_secs || silence_secs >= SILENCE_SECS) {
            (current.told_done, current.told_secs) = (stage.done, now_secs);
            let percent = 100.0 * stage.done as f64 / stage.total as f64;
            let standing = progress::standing(stage, state, self.stages.as_ref());
            self.line(now_secs, &format!("{}: {}/{} ({percent:.0} %)  {standing}", stage.stage, stage.done, stage.total));
        }
    }
}

impl Screen for Lines<'_> {
    fn show(&mut self, record: &Record, state: &RunState) {
        let secs = record.secs;
        match &record.event {
            Event::Notice { severity: Severity::Info, .. } if self.quiet => {}
            Event::Notice { severity, text } => self.line(secs, &progress::notice(*severity, text)),
            Event::Finished { outcome: outcome @ Outcome::Failed { .. } } => self.line(secs, &progress::finished(outcome, secs)),
            _ if self.quiet => {}
            Event::Finished { outcome } => self.line(secs, &progress::finished(outcome, secs)),
            Event::Started { name, environment, .. } => self.line(secs, &progress::started(name, environment)),
            Event::StageStarted { stage, done, .. } => {
                // Training is announced; what is over in no time tells its end only.
                let training = matches!(stage.kind, StageKind::Pretrain | StageKind::Finetune);
                if let Some(stage) = state.stage(stage.kind, &stage.arm).filter(|_| training) {
                    self.line(secs, &progress::began(stage));
                }
                self.current = Some(Current { stage: stage.clone(), told_done: *done, told_secs: secs });
            }
            Event::Progress { stage, .. } | Event::Step { stage, .. } | Event::Scored { stage, .. } => {
                if let Some(stage) = state.stage(stage.kind, &stage.arm) {
                    self.advance(stage, state);
                }
            }
            Event::StageFinished { stage, secs: took_secs } => {
                self.current = None;
                if let Some(stage) = state.stage(stage.kind, &stage.arm) {
                    self.line(secs, &progress::ended(stage, *took_secs));
                }
            }
            Event::Transfer { stage, from, report } => self.line(secs, &progress::transfer(stage, from, report)),
            Event::Probe { .. }
            | Event::Baseline { .. }
            | Event::MaskPoint { .. }
            | Event::Validation { .. }
            | Event::Voided { .. }
            | Event::Checkpoint { .. } => {}
        }
    }

    fn say(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }
}
