//! Following work under way in this process, a job or an experiment, to its end.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::protocol::StageKind;
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

    /// The kind of stage under way, where that is one.
    fn under_way(&self) -> Option<StageKind>;

    /// What a stop waits for, and what becomes of the work.
    fn stopping(&self) -> &'static str {
        match self.under_way() {
            Some(StageKind::Pretrain | StageKind::Finetune) => "the step under way is finished and saved",
            Some(StageKind::Prepare) => "the cases under way are prepared and kept",
            Some(StageKind::Test) => "the window under way is finished; the test begins anew when the training is gone on with",
            Some(StageKind::Infer) => {
                "the window under way is finished; segmentations that are written stay, and the same command makes the others"
            }
            Some(StageKind::NextCase) => {
                "the window under way is finished; cases that were measured are kept, and the same command goes on"
            }
            Some(StageKind::Probe | StageKind::MaskRatios) => "the crop under way is finished; nothing of the measurement is kept",
            None => "what is under way is finished, and saved where it can be gone on with",
        }
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
            let text = format!("stopping: {}; press Ctrl-C again to end at once", screen.stopping());
            screen.print(&text);
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
