//! Memory of a training, held against the number of its cases: they lie on disk, and a bounded part of them is held.

#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::time::Duration;

/// How much more anonymous memory many cases may take than few.
const TOLERANCE: f64 = 1.2;

const FEW: usize = 4;
/// Held in memory, as many cases would take 110 MiB more than the few.
const MANY: usize = 60;

/// A training of a thousand weights on so many volumes of four channels.
fn config(cases: usize) -> String {
    format!(
        r#"(
    name: "small",
    data: (
        source: synthetic((cases: {cases}, shape: (48, 48, 48), channels: 4, labels: 1)),
        split: hold_out(test: 0.25, validation: 0.25),
        preprocess: (crop_foreground: false),
    ),
    model: unet((features: [4, 8], strides: [(1, 1, 1), (2, 2, 2)], blocks: [1, 1])),
    finetune: (steps: 30, crop_size: (32, 32, 32), validate_every: 15),
    arms: (pretrain: [], finetune: [(name: "scratch")]),
)"#
    )
}

/// KiB.
fn anonymous(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}

#[test]
fn anonymous_memory_does_not_grow_with_the_number_of_cases() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let train = |cases: usize, out: &str, more: &[&str]| -> Command {
        let file = place.path().join(format!("{cases}.ron"));
        std::fs::write(&file, config(cases)).expect("a writable folder");
        let mut command = crate::simtrot(&["finetune"]);
        command.arg(file).arg("--out").arg(place.path().join(out)).args(more).env("SIMTROT_CACHE", place.path().join("cache"));
        // Freed memory goes back at once, so that what is held is seen and not what was held once.
        command.envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")]);
        command
    };
    let peak = |cases: usize| {
        let out = format!("run {cases}");
        // Prepares the cases; what that takes is another matter.
        crate::succeed(train(cases, &out, &["--max-steps", "1"]));
        let mut child = train(cases, &out, &["--resume"]).stdout(Stdio::null()).spawn().expect("the program starts");
        let mut peak = 0;
        while child.try_wait().expect("it is our own").is_none() {
            peak = anonymous(child.id()).unwrap_or(0).max(peak);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(child.wait().expect("it has ended").success());
        peak as f64 / 1024.0
    };
    let [few, many] = [FEW, MANY].map(peak);
    println!("{FEW} cases {few:.1} MiB, {MANY} cases {many:.1} MiB");
    assert!(few > 0.0 && many <= TOLERANCE * few, "{FEW} cases took {few:.1} MiB, {MANY} cases {many:.1} MiB");
}
