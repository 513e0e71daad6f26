//! Ctrl-C: the first asks for an orderly end, the second ends at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Exit status of a process that its user ended.
const ENDED_BY_USER: i32 = 130;

static FOLLOWING: AtomicBool = AtomicBool::new(false);
static PRESSES: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();

/// While one lives, the first interrupt is counted instead of ending the process; the second ends it.
pub(super) struct Interrupts {
    _private: (),
}

impl Interrupts {
    /// Starts to listen. The process-wide handler is installed on the first call; where that fails, an interrupt
    /// ends the process as it would have done anyway.
    ///
    /// # Errors
    /// The reason why there is no handler.
    pub(super) fn listen() -> Result<Self, String> {
        INSTALLED.get_or_init(|| ctrlc::set_handler(on_interrupt).map_err(|error| error.to_string())).clone()?;
        PRESSES.store(0, Ordering::SeqCst);
        FOLLOWING.store(true, Ordering::SeqCst);
        Ok(Self { _private: () })
    }

    /// Whether the user has asked to stop since [`Interrupts::listen`].
    pub(super) fn asked(&self) -> bool {
        PRESSES.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        FOLLOWING.store(false, Ordering::SeqCst);
    }
}

fn on_interrupt() {
    let earlier = PRESSES.fetch_add(1, Ordering::SeqCst);
    if earlier > 0 || !FOLLOWING.load(Ordering::SeqCst) {
        std::process::exit(ENDED_BY_USER);
    }
}
