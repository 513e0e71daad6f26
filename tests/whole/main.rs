//! Whole-program tests in one binary, since every test binary links for long.

mod adding;
mod case_memory;
mod circles;
mod clinic;
mod configs;
mod configure;
mod corrections;
mod cross_validation;
mod data;
mod device;
mod exchange;
mod experiment;
mod fixtures;
mod folders;
mod formats;
mod imports;
mod memory;
mod monai;
mod next_case;
mod parity;
mod pretext;
mod program;
mod report;
mod shards;
mod stages;
mod sums;
mod transfer;
mod volumes;
#[cfg(feature = "gui")]
mod window;
mod writer;

use std::process::{Command, Output, Stdio};

/// A call of the program in the terminal, on the CPU, with a cache that is not the user's.
fn simtrot(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simtrot"));
    command.args(["--no-gui", "--device", "cpu"]).args(arguments).stdin(Stdio::null());
    command.env("SIMTROT_CACHE", std::env::temp_dir().join("simtrot-test-cache"));
    command
}

/// What a call printed, on both streams.
fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a call that must end with an exit code, and hands back what it printed.
fn ends(mut command: Command, code: i32) -> String {
    let output = command.output().expect("the program starts");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn succeed(command: Command) -> String {
    ends(command, 0)
}

/// Runs a call that must be refused with some words.
fn refused(command: Command, code: i32, words: &[&str]) {
    let text = ends(command, code);
    words.iter().for_each(|word| assert!(text.contains(word), "no {word:?} in: {text}"));
}

/// The folders of an experiment's trainings whose names begin so, in their order.
fn trainings(out: &std::path::Path, beginning: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(out.join("trainings")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(beginning)).collect();
    found.sort();
    found
}

/// The only one of them.
fn training(out: &std::path::Path, beginning: &str) -> std::path::PathBuf {
    let found = trainings(out, beginning);
    assert_eq!(found.len(), 1, "{beginning} in {}: {found:?}", out.display());
    found[0].clone()
}

/// The records of all trainings, one behind the other.
fn events(out: &std::path::Path) -> String {
    trainings(out, "").iter().map(|run| std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default()).collect()
}
