//! What bars and lines have in common.

use std::time::Duration;

use crate::protocol::{Record, RunState};

/// How long to wait for an event before looking for an interrupt again.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Said at the first interrupt.
pub(super) const STOPPING: &str = "stopping: the step under way is finished and saved; press Ctrl-C again to end at once";

/// Where a job's events are shown.
pub(super) trait Screen {
    /// Shows what `record` brought; `state` already holds it.
    fn show(&mut self, record: &Record, state: &RunState);

    /// Shows a line that is no event.
    fn print(&mut self, text: &str);
}
