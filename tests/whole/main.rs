//! Whole-program tests in one binary, since every test binary links for long.

mod configs;
mod data;
mod device;
mod exchange;
mod experiment;
mod fixtures;
mod folders;
mod formats;
mod imports;
mod parity;
mod pretext;
mod program;
mod report;
mod stages;
mod sums;
mod transfer;
#[cfg(feature = "gui")]
mod window;
mod writer;

use std::process::{Command, Stdio};

/// A call of the program in the terminal, on the CPU, with a cache that is not the user's.
fn simtrot(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simtrot"));
    command.args(["--no-gui", "--device", "cpu"]).args(arguments).stdin(Stdio::null());
    command.env("SIMTROT_CACHE", std::env::temp_dir().join("simtrot-test-cache"));
    command
}
