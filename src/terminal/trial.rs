//! Following steps that are only measured: nothing of them is kept, and nothing is said to be.

use super::follow::ExperimentScreen;
use super::screen::{Screen, drain};
use crate::experiment::{Experiment, ExperimentEvent, Finish};
use crate::protocol::{Event, StageKind};
use crate::worker::ExperimentHandle;

/// Follows a trial to its end; warnings and failures are printed, and, unless `quiet`, what it prepares first.
pub fn follow_trial(handle: ExperimentHandle, experiment: &Experiment, quiet: bool) -> Finish {
    let mut screen = TrialScreen { screen: ExperimentScreen::new(experiment, 0, true), quiet };
    drain(handle, &mut screen).unwrap_or_default()
}

struct TrialScreen<'a> {
    screen: ExperimentScreen<'a>,
    quiet: bool,
}

impl Screen<ExperimentEvent> for TrialScreen<'_> {
    fn show(&mut self, event: &ExperimentEvent) {
        if let ExperimentEvent::Record { record, .. } = event
            && let Event::StageStarted { stage, total, .. } = &record.event
            && stage.kind == StageKind::Prepare
            && !self.quiet
        {
            self.print(&format!("{} prepared first, and kept for the training", crate::wording::count(*total, "case")));
        }
        self.screen.show(event);
    }

    fn print(&mut self, text: &str) {
        self.screen.print(text);
    }

    fn under_way(&self) -> Option<StageKind> {
        self.screen.under_way()
    }

    fn stopping(&self) -> &'static str {
        match self.under_way() {
            Some(StageKind::Prepare) => "the cases under way are prepared and kept",
            _ => "the step under way is finished; nothing of what was measured is kept",
        }
    }
}
