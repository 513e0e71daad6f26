//! Progress bars for a terminal: one while a stage runs, one line once it is over.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::progress;
use super::screen::Screen;
use crate::protocol::{Event, Record, RunState, Stage};
use crate::wording::printable;

/// Name, bar, units, and what is known of the stage.
const TEMPLATE: &str = "{prefix} {bar:24.cyan/dim} {pos}/{len}  {wide_msg}";
/// Done, edge, to do.
const CELLS: &str = "━╸─";

/// Draws on stderr.
#[derive(Default)]
pub(super) struct Bars {
    bar: Option<ProgressBar>,
}

impl Bars {
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
            Event::StageStarted { stage, .. } => {
                self.clear();
                let Some(stage) = known(stage) else { return };
                let bar = ProgressBar::with_draw_target(Some(stage.total as u64), ProgressDrawTarget::stderr());
                bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is well formed").progress_chars(CELLS));
                bar.set_prefix(stage.stage.to_string());
                bar.set_position(stage.done as u64);
                self.bar = Some(bar);
                return;
            }
            Event::Progress { stage, .. } | Event::Step { stage, .. } | Event::Scored { stage, .. } => {
                if let (Some(bar), Some(stage)) = (&self.bar, known(stage)) {
                    bar.set_message(progress::details(stage, state.secs));
                    bar.set_position(stage.done as u64);
                }
                return;
            }
            Event::StageFinished { .. } | Event::Finished { .. } => self.clear(),
            _ => {}
        }
        if let Some(line) = progress::line(&record.event, state) {
            self.print(&line);
        }
    }

    fn print(&mut self, text: &str) {
        // A terminal that is gone is no reason to stop the job.
        let print = || {
            let _ = writeln!(std::io::stderr(), "{}", printable(text));
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}
