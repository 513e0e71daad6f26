//! Where a device is checked, so that a bad driver harms nobody else.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::check::{CHECK_LIMIT, DeviceCheck, check_device};
use crate::device::{DeviceChoice, DeviceError};

/// What a process may take beyond the check's own limit, to start and to end.
const PROCESS_GRACE: Duration = Duration::from_secs(10);

/// Where a device is checked.
#[derive(Clone, Debug, Default)]
pub enum Isolation {
    /// On a thread of this process: outlives a driver that hangs, not one that brings its process down.
    #[default]
    Thread,
    /// In a process of its own: outlives that, too.
    Process {
        /// The program, this one as a rule.
        program: PathBuf,
        /// Its arguments, to which the choice (`gpu:0`) is added; its last line must be the [`DeviceCheck`] as JSON.
        arguments: Vec<String>,
    },
}

impl Isolation {
    /// Processes of this program called as `simtrot doctor --only gpu:0`; threads, if it does not know where it lies.
    pub fn own_program() -> Self {
        let arguments = ["doctor", "--only"].map(str::to_owned).to_vec();
        std::env::current_exe().map_or(Self::Thread, |program| Self::Process { program, arguments })
    }

    /// Checks one device; whatever happens to it is in the verdict.
    pub(super) fn check(&self, choice: &DeviceChoice) -> DeviceCheck {
        match self {
            Self::Thread => check_device(choice),
            Self::Process { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments).arg(choice.to_string());
                in_process(command, choice).unwrap_or_else(|error| DeviceCheck::failed(choice, &error))
            }
        }
    }
}

fn in_process(mut command: Command, choice: &DeviceChoice) -> Result<DeviceCheck, DeviceError> {
    let crashed = |message: String| DeviceError::Crashed { what: format!("checking {choice}"), message };
    // Drivers are free to chatter on the error output.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| crashed(error.to_string()))?;
    let text = read_within(&mut child, CHECK_LIMIT + PROCESS_GRACE);
    if text.is_none() {
        // It may have ended in this very moment.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| crashed(error.to_string()))?;
    let limit = CHECK_LIMIT + PROCESS_GRACE;
    let text = text.ok_or_else(|| DeviceError::Silent { what: format!("checking {choice}"), seconds: limit.as_secs() })?;
    // A driver may chatter here as well, before the check.
    serde_json::from_str(text.lines().last().unwrap_or_default()).map_err(|_| crashed(format!("its process ended with {status}")))
}

/// All that a process prints until it closes its output, or none if it does not do so in time.
fn read_within(child: &mut Child, limit: Duration) -> Option<String> {
    let mut output = child.stdout.take()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut text = String::new();
        // Bytes that are no text leave it empty, which is no report either; nobody listens any more after the limit.
        let _ = output.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    receiver.recv_timeout(limit).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn shell(script: &str) -> DeviceCheck {
        let isolation = Isolation::Process { program: "sh".into(), arguments: vec!["-c".to_owned(), script.to_owned()] };
        isolation.check(&DeviceChoice::GpuIndex(0))
    }

    #[test]
    fn a_process_brings_its_check_or_its_end() {
        // After `-c SCRIPT`, the shell calls the added choice $0.
        let printed =
            shell(r#"echo driver here; echo "{\"choice\":\"$0\",\"verdict\":\"works\",\"operations\":[],\"notes\":[\"heard\"]}""#);
        assert_eq!((printed.verdict, printed.choice), (Verdict::Works, DeviceChoice::GpuIndex(0)));
        assert_eq!(printed.notes, ["heard"]);
        let killed = shell("kill -SEGV $$");
        assert_eq!(killed.verdict, Verdict::Fails);
        assert!(killed.problem.as_ref().is_some_and(|problem| problem.contains("signal: 11")), "{killed:?}");
    }

    #[test]
    fn a_process_that_says_nothing_is_given_up() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(read_within(&mut child, Duration::from_millis(50)), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
