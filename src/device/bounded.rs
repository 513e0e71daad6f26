//! Work on a thread of its own that is given up after a while: a driver may hang or panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use super::DeviceError;
use crate::panic_text::panic_text;

/// Runs `work` on a thread and waits for at most `limit`. A thread that hangs is left behind.
///
/// # Errors
/// [`DeviceError::Silent`] after `limit`, [`DeviceError::Crashed`] after a panic; both name `what`.
pub(crate) fn bounded<T: Send + 'static>(what: &str, limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, DeviceError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let crashed = |message: String| DeviceError::Crashed { what: what.to_owned(), message };
    let run = move || {
        // Nobody listens any more after the limit.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
    };
    std::thread::Builder::new().name(format!("device: {what}")).spawn(run).map_err(|error| crashed(error.to_string()))?;
    match receiver.recv_timeout(limit) {
        Ok(done) => done.map_err(|panic| crashed(panic_text(&*panic).to_owned())),
        Err(_) => Err(DeviceError::Silent { what: what.to_owned(), seconds: limit.as_secs() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_hang_and_a_panic_become_errors() {
        assert_eq!(bounded("adding", Duration::from_secs(60), || 1 + 1), Ok(2));
        let (hold, held) = mpsc::channel::<()>();
        let silent = bounded("hanging", SHORT, move || held.recv());
        assert!(matches!(silent, Err(DeviceError::Silent { what, .. }) if what == "hanging"));
        drop(hold);
        let crashed: Result<(), _> = bounded("falling", Duration::from_secs(60), || panic!("over {}", "a stone"));
        assert_eq!(crashed, Err(DeviceError::Crashed { what: "falling".to_owned(), message: "over a stone".to_owned() }));
    }
}
