//! What every command shares: options, refusals, exit codes.

use crate::cli::Command;
use crate::config::ConfigError;
use crate::device::DeviceChoice;
use crate::exchange::ExchangeError;
use crate::experiment::{Finish, OnlyError};
use crate::protocol::{FolderError, Outcome};
use crate::report::ReportError;
use crate::terminal;

/// Exit codes, as documented in the README.
pub(super) const FAILED: u8 = 1;
pub(super) const BAD_INPUT: u8 = 2;
pub(super) const STOPPED: u8 = 130;

/// Options of every command.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) device: DeviceChoice,
    /// Devices that share each batch of a training with it.
    pub(super) beside: Vec<DeviceChoice>,
    pub(super) quiet: bool,
    pub(super) window: bool,
}

/// Why a command ended without doing its work.
pub(super) enum CliError {
    /// The input or the config.
    Input(String),
    /// The program or the device.
    Failure(String),
    /// No fault: the user stopped it.
    Stopped,
}

/// Errors of what was asked for.
macro_rules! bad_input {
    ($($error:ty)+) => {$(
        impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::Input(error.to_string())
            }
        }
    )+};
}
bad_input!(ConfigError ExchangeError OnlyError);

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failure(format!("{error:#}"))
    }
}

impl From<ReportError> for CliError {
    fn from(error: ReportError) -> Self {
        Self::Failure(error.to_string())
    }
}

impl From<FolderError> for CliError {
    fn from(error: FolderError) -> Self {
        if error.is_of_the_disk() { Self::Failure(error.to_string()) } else { Self::Input(error.to_string()) }
    }
}

/// The device of `--device`, or the first of `--devices` and those beside it, which only trainings can use.
pub(super) fn devices(
    one: DeviceChoice,
    several: &[DeviceChoice],
    command: Option<&Command>,
) -> Result<(DeviceChoice, Vec<DeviceChoice>), CliError> {
    use Command::{Demo, Finetune, Plan, Pretrain, Run};
    let Some((first, beside)) = several.split_first() else { return Ok((one, Vec::new())) };
    if one != DeviceChoice::Auto {
        return Err(CliError::Input("--devices names every device: leave --device away".to_owned()));
    }
    match command {
        Some(Demo(_) | Run(_) | Pretrain { .. } | Finetune { .. } | Plan { .. }) => Ok((first.clone(), beside.to_vec())),
        _ => {
            let trainings = "demo, run, pretrain, finetune and plan";
            Err(CliError::Input(format!("--devices is for what trains ({trainings}): name one device with --device")))
        }
    }
}

/// The exit code of a command; prints why it was refused.
pub(super) fn code_of(result: Result<u8, CliError>) -> u8 {
    let (message, code) = match result {
        Ok(code) => return code,
        Err(CliError::Input(message)) => (message, BAD_INPUT),
        Err(CliError::Failure(message)) => (message, FAILED),
        Err(CliError::Stopped) => {
            terminal::remark("stopped; nothing is written");
            return STOPPED;
        }
    };
    terminal::remark(format_args!("error: {message}"));
    code
}

/// The exit code of a job.
pub(super) fn exit_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Completed => 0,
        Outcome::Stopped => STOPPED,
        Outcome::Failed { bad_input: true, .. } => BAD_INPUT,
        Outcome::Failed { bad_input: false, .. } => FAILED,
    }
}

/// The exit code of an experiment: what is missing without anybody's request is a failure.
pub(super) fn finish_code(finish: Finish) -> u8 {
    match finish {
        Finish { stopped: true, .. } => STOPPED,
        Finish { tally, .. } if tally.failed == 0 => 0,
        Finish { bad_input: true, .. } => BAD_INPUT,
        Finish { .. } => FAILED,
    }
}
