//! Following work under way in this process, a job or an experiment, to its end.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::stop_signal;
use crate::worker::Handle;

/// How long to wait for an event before looking for an interrupt again.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Where events are shown.
pub(super) trait Screen<Event> {
    /// Shows what an event brings.
    fn show(&mut self, event: &Event);

    /// Shows a line that is no event.
    fn print(&mut self, text: &str);

    /// What a stop waits for.
    fn stopping(&self) -> &'static str {
        "stopping: the step under way is finished and saved; press Ctrl-C again to end at once"
    }
}

/// Shows events until the work has ended. Who works looks for an interrupt itself and saves; here it is only answered.
pub(super) fn drain<Event, Seen, End>(handle: Handle<Event, Seen, End>, screen: &mut dyn Screen<Event>) -> std::thread::Result<End> {
    // Nobody looks at previews here: without their receiver nothing waits for it.
    let Handle { events, previews, commands, join } = handle;
    drop(previews);
    if let Err(reason) = stop_signal::listen() {
        screen.print(&format!("warning: Ctrl-C will end the program without saving the step under way: {reason}"));
    }
    let mut answered = false;
    loop {
        if !answered && stop_signal::asked() {
            let text = screen.stopping();
            screen.print(text);
            answered = true;
        }
        match events.recv_timeout(POLL_INTERVAL) {
            Ok(event) => screen.show(&event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(commands);
    join.join()
}
