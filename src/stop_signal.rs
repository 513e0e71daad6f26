//! Ctrl-C, SIGTERM, SIGHUP and log-out: the first asks the jobs at work to save and end, a later one ends the process at once.
//!
//! One that comes within a moment of the first is the same request: `timeout` signals the program and then its whole group, and a terminal that
//! closes sends SIGHUP and SIGTERM. Which signal it was the handler is not told.
//!
//! Jobs look at [`asked`] once for each step, window and case, whichever front end follows them, or none.

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Exit status of a process that its user ended.
const ENDED_BY_USER: i32 = 130;

/// How often [`wait_for_jobs`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Signals so soon after the first one ask for nothing else: at a terminal, where a person may press Ctrl-C twice to end at once ...
const SAME_PRESS: Duration = Duration::from_millis(500);
/// ... and elsewhere, where other programs send them.
const SAME_REQUEST: Duration = Duration::from_secs(2);

static JOBS: AtomicUsize = AtomicUsize::new(0);
/// When the first signal came.
static FIRST: OnceLock<Instant> = OnceLock::new();
static LISTENING: OnceLock<Result<(), String>> = OnceLock::new();

/// A job at work. While one lives, the first signal asks it to save and end; without any, a signal ends the process.
#[derive(Debug)]
pub struct JobGuard(());

impl JobGuard {
    /// Counts a job, and listens for signals from now on.
    pub fn begin() -> Self {
        JOBS.fetch_add(1, Ordering::SeqCst);
        // Where there is no handler, a signal ends the process as it would have done anyway; front ends say so.
        let _ = listen();
        Self(())
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        JOBS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Installs the handler of the process, once.
///
/// # Errors
/// The reason why there is none.
pub fn listen() -> Result<(), String> {
    LISTENING.get_or_init(|| ctrlc::set_handler(on_signal).map_err(|error| error.to_string())).clone()
}

/// Whether a signal has asked the process to end.
pub fn asked() -> bool {
    FIRST.get().is_some()
}

/// Waits until no job is at work, whoever followed it: until then the process must not end.
pub fn wait_for_jobs() {
    while JOBS.load(Ordering::SeqCst) > 0 {
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Keeps a SIGHUP away that the process was started to ignore, as `nohup` does: our handler would take it for a request to stop.
///
/// To be called before any thread is started: threads inherit what is blocked.
pub fn respect_nohup() {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::signal::{SigSet, Signal};
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
        let bit = 1_u64 << (Signal::SIGHUP as u64 - 1);
        if ignored.is_some_and(|ignored| ignored & bit != 0) {
            let mut hangup = SigSet::empty();
            hangup.add(Signal::SIGHUP);
            if let Err(error) = hangup.thread_block() {
                tracing::warn!("a hang-up will stop the job: {error}");
            }
        }
    }
}

fn on_signal() {
    let now = Instant::now();
    let first = *FIRST.get_or_init(|| now);
    let is_terminal = std::io::stdin().is_terminal();
    if JOBS.load(Ordering::SeqCst) == 0 || is_another_request(now.saturating_duration_since(first), is_terminal) {
        std::process::exit(ENDED_BY_USER);
    }
}

/// Whether a signal so long after the first is more than its echo.
fn is_another_request(since_first: Duration, is_terminal: bool) -> bool {
    since_first >= if is_terminal { SAME_PRESS } else { SAME_REQUEST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_of_the_first_signal_ends_nothing_and_a_later_one_does() {
        let after = |is_terminal| [0, 1, 499, 500, 1999, 2000].map(|millis| is_another_request(Duration::from_millis(millis), is_terminal));
        assert_eq!(after(true), [false, false, false, true, true, true], "a person");
        assert_eq!(after(false), [false, false, false, false, false, true], "a program");
    }
}
