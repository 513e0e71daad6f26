//! The command line: a thin shell around the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = simtrot::cli::Cli::parse();
    simtrot::folders::ensure_runtime_folder();
    simtrot::commands::run(cli)
}
