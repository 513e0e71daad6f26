//! The command line: a thin shell around the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    simtrot::commands::run(simtrot::cli::Cli::parse())
}
