//! One folder, one writer: refused by name, followed, asked to stop; and what signals and crashes leave.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{refused, simtrot, succeed, text};

/// Made-up scans and a small network: steps of some hundredths of a second, and a validation of seconds.
const CONFIG: &str = r#"(
    name: "small",
    data: (
        source: synthetic((cases: 6, shape: (40, 40, 40), channels: 1, labels: 1)),
        split: hold_out(test: 0.34, validation: 0.34),
        preprocess: (crop_foreground: false),
    ),
    model: preset(unet_small),
    pretrain: (steps: 100000, crop_size: (32, 32, 32), batch: 2, probe_every: 1000, checkpoint_every: 1000),
    finetune: (steps: 100000, crop_size: (32, 32, 32), validate_every: 100000, checkpoint_every: 1000),
    probe: (volumes: 2, crops: 1, jitter: 0, label_volumes: []),
    evaluate: (bootstrap: 100),
    arms: (pretrain: [], finetune: [(name: "scratch")]),
)"#;

/// How long to wait for what takes seconds.
const POLL_INTERVAL: Duration = Duration::from_secs(240);

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.at("small.ron"), CONFIG).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn train(&self, kind: &str, out: &str, more: &[&str]) -> Command {
        let mut command = simtrot(&[kind]);
        command.arg(self.at("small.ron")).arg("--out").arg(self.at(out)).args(more);
        command
    }

    /// Starts a training and waits until its record tells something.
    fn start(&self, command: &mut Command, out: &str, told: &str) -> Child {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait(|| {
            assert!(child.try_wait().unwrap().is_none(), "it ended before {told}");
            self.events(out).contains(told)
        });
        child
    }

    fn events(&self, out: &str) -> String {
        crate::events(&self.at(out))
    }

    fn call(&self, command: &str, folder: &str) -> Command {
        let mut call = simtrot(&[command]);
        call.arg(self.at(folder));
        call
    }
}

fn wait(mut until: impl FnMut() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < POLL_INTERVAL, "nothing happened in {POLL_INTERVAL:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The names in a folder, those of a lock left out.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[test]
fn a_second_program_is_refused_by_name_whatever_its_flags_and_may_ask_the_first_to_stop() {
    for kind in ["run", "pretrain", "finetune"] {
        let place = Place::new();
        // `run` makes arms below its folder, and has no checkpoint of its own; no training here has saved one yet.
        let mut first = place.start(&mut place.train(kind, "out", &[]), "out", if kind == "run" { "stage_started" } else { "\"step\"" });
        let config = std::fs::read(place.at("out/config.ron")).unwrap();
        let found = names(&place.at("out"));
        let process = format!("process {} on ", first.id());
        // `run` goes on with what is there, and has no flag for it.
        let flags = if kind == "run" { &[None][..] } else { &[None, Some("--resume"), Some("--overwrite")] };
        for &flag in flags {
            let second = place.train(kind, "out", &["--set", "seed=5"]).args(flag).output().unwrap();
            assert_eq!(second.status.code(), Some(2), "{flag:?}: {}", text(&second));
            for word in ["is being written by", &process, " since ", "simtrot follow", "simtrot stop"] {
                assert!(text(&second).contains(word), "{flag:?}: no {word:?} in: {}", text(&second));
            }
        }
        assert!(std::fs::read(place.at("out/config.ron")).unwrap() == config, "the settings are the first one's");
        // The first one goes on making files meanwhile.
        let left = names(&place.at("out"));
        assert!(found.iter().all(|name| left.contains(name)), "{found:?} became {left:?}");
        assert!(first.try_wait().unwrap().is_none(), "the first goes on unharmed");
        assert!(succeed(place.call("stop", "out")).contains(&process));
        assert_eq!(first.wait().unwrap().code(), Some(130));
        assert!(place.events("out").lines().last().unwrap().contains("stopped"));
        refused(place.call("stop", "out"), 2, &["nothing to stop"]);
        // Nobody has the folder now.
        let mut next = place.start(&mut place.train(kind, "out", if kind == "run" { &[] } else { &["--resume"] }), "out", "\"started\"");
        next.kill().unwrap();
        next.wait().unwrap();
    }
}

#[test]
fn a_run_is_followed_without_being_touched_and_the_follower_ends_as_it_does() {
    let place = Place::new();
    refused(place.call("follow", "out"), 2, &["holds no experiment"]);
    let mut first = place.start(&mut place.train("finetune", "out", &[]), "out", "\"step\"");
    let follower = place.call("follow", "out").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(first.try_wait().unwrap().is_none());
    succeed(place.call("stop", "out"));
    let followed = follower.wait_with_output().unwrap();
    assert_eq!(followed.status.code(), Some(130), "{}", text(&followed));
    for word in ["is being written by", "finetune", "stopped after"] {
        assert!(text(&followed).contains(word), "no {word:?} in: {}", text(&followed));
    }
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let again = place.call("follow", "out").output().unwrap();
    assert_eq!(again.status.code(), Some(130), "a run that has ended is told to have: {}", text(&again));
}

#[test]
fn a_killed_run_stands_in_nobodys_way_and_the_line_that_it_was_writing_is_mended() {
    let place = Place::new();
    let settings = ["--set", "finetune.checkpoint_every=1"];
    let mut first = place.start(&mut place.train("finetune", "out", &settings), "out", "\"checkpoint\"");
    first.kill().unwrap();
    first.wait().unwrap();
    refused(place.call("stop", "out"), 2, &["nothing to stop"]);
    let record = || crate::training(&place.at("out"), "finetune").join("events.jsonl");
    let events = record();
    let whole = std::fs::read_to_string(&events).unwrap();
    let whole = whole[..=whole.rfind('\n').unwrap()].to_owned();
    // A line torn by an earlier crash, with a whole one behind it; and the last one torn.
    let lines: Vec<&str> = whole.lines().collect();
    let (head, last) = lines.split_at(lines.len() - 1);
    let torn = &lines[1][..lines[1].len() / 2];
    std::fs::write(&events, format!("{}\n{torn}{}\n{torn}", head.join("\n"), last[0])).unwrap();
    let step = |text: &str| text.matches("\"event\":\"step\"").count();
    let (done, steps) = (step(&whole), format!("finetune.steps={}", step(&whole) + 2));
    succeed(place.train("finetune", "out", &[&settings[..], &["--resume", "--set", &steps]].concat()));
    let after = std::fs::read_to_string(record()).unwrap();
    assert!(step(&after) > done && after.ends_with('\n') && !after.contains(&format!("{torn}\n")));
    let summary: Value = serde_json::from_slice(&std::fs::read(place.at("out/summary.json")).unwrap()).unwrap();
    let tested = summary["test"].as_object().unwrap().values().map(|arm| arm["cases"].as_u64()).collect::<Vec<_>>();
    assert_eq!(tested, [Some(2)], "{summary}");
    let state = simtrot::protocol::RunFolder::new(crate::training(&place.at("out"), "finetune")).replay().unwrap();
    let seen: Vec<usize> =
        state.stages_of(simtrot::protocol::StageKind::Finetune).next().unwrap().steps.iter().map(|step| step.step).collect();
    assert_eq!(seen, (1..=seen.len()).collect::<Vec<_>>(), "every whole record counts, once");
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_stop_during_a_validation_waits_for_no_window_but_the_one_under_way_and_loses_nothing() {
    let place = Place::new();
    let settings = [
        "--set",
        "finetune.steps=4",
        "--set",
        "finetune.validate_every=2",
        "--set",
        "infer.overlap=0.7",
        "--set",
        "finetune.checkpoint_every=0",
    ];
    let step = "\"event\":\"step\",\"stage\":{\"kind\":\"finetune\",\"arm\":\"scratch\"},\"step\":2";
    let mut first = place.start(&mut place.train("finetune", "b/broken", &settings), "b/broken", step);
    wait(|| crate::training(&place.at("b/broken"), "").join("checkpoints/last/checkpoint.json").is_file());
    signal(&first, "INT");
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let events = place.events("b/broken");
    assert!(!events.contains("\"validation\"") && events.lines().last().unwrap().contains("stopped"), "{events}");
    assert!(!events.contains(&step.replace(":2", ":3")), "no step was made after the stop");
    succeed(place.train("finetune", "b/broken", &[&settings[..], &["--resume"]].concat()));
    succeed(place.train("finetune", "a/whole", &settings));
    let validations = |out: &str| -> Vec<(u64, f64)> {
        let events = place.events(out);
        let records = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let validations = records.filter(|record| record["event"] == "validation");
        validations.map(|record| (record["step"].as_u64().unwrap(), record["dice_mean"].as_f64().unwrap())).collect()
    };
    assert_eq!(validations("b/broken"), validations("a/whole"));
    assert_eq!(validations("a/whole").iter().map(|(step, _)| *step).collect::<Vec<_>>(), [2, 4]);
    for file in [
        "last/weights.safetensors",
        "last/optimiser.safetensors",
        "last/checkpoint.json",
        "best/weights.safetensors",
        "best/checkpoint.json",
    ] {
        let [broken, whole] =
            ["b/broken", "a/whole"].map(|out| std::fs::read(crate::training(&place.at(out), "").join("checkpoints").join(file)).unwrap());
        assert!(broken == whole, "{file} differs");
    }
    let [broken, whole] =
        ["b/broken", "a/whole"].map(|out| std::fs::read(crate::training(&place.at(out), "").join("metrics.csv")).unwrap());
    assert!(broken == whole, "the test's scores differ");
}

#[cfg(unix)]
#[test]
fn every_signal_that_asks_a_program_to_end_saves_first() {
    let place = Place::new();
    for name in ["INT", "TERM", "HUP"] {
        let mut first = place.start(&mut place.train("pretrain", name, &[]), name, "\"event\":\"step\"");
        // Twice within a moment, as `timeout` signals the program and its group.
        let id = first.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id, &id]).status().unwrap().success());
        assert_eq!(first.wait().unwrap().code(), Some(130), "{name}");
        assert!(crate::training(&place.at(name), "").join("checkpoints/last/weights.safetensors").is_file(), "{name}");
    }
    // A program that its user shielded from the hang-up of the terminal goes on.
    if cfg!(target_os = "linux") {
        let mut shielded = Command::new("nohup");
        let call = place.train("finetune", "nohup", &[]);
        shielded.arg(call.get_program()).args(call.get_args()).stdin(Stdio::null()).env("SIMTROT_CACHE", place.at("cache"));
        let mut child = place.start(&mut shielded, "nohup", "\"event\":\"step\"");
        signal(&child, "HUP");
        std::thread::sleep(Duration::from_secs(1));
        assert!(child.try_wait().unwrap().is_none());
        signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

#[cfg(unix)]
#[test]
fn a_stop_while_cases_are_prepared_waits_for_no_case_but_those_under_way() {
    let place = Place::new();
    let cases = "data.source={\"synthetic\":{\"cases\":60,\"shape\":[96,96,96],\"channels\":1,\"labels\":1}}";
    let settings = ["--set", cases, "--set", "data.preprocess.spacing_mm=[0.8,0.8,0.8]"];
    let mut command = place.train("finetune", "out", &settings);
    command.env("SIMTROT_CACHE", place.at("cache"));
    let mut first = place.start(&mut command, "out", "\"event\":\"progress\"");
    signal(&first, "INT");
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let done = place.events("out").matches("\"event\":\"progress\"").count();
    assert!(done < 40, "{done} of 60 cases were prepared");
}

#[test]
fn segmentations_and_experiments_have_one_writer_as_well() {
    let place = Place::new();
    succeed(place.train("finetune", "net", &["--set", "finetune.steps=1", "--set", "finetune.validate_every=1"]));
    std::fs::create_dir(place.at("scans")).unwrap();
    let scan = crate::fixtures::folder().join("nifti_oblique_image.nii.gz");
    for number in 0..200 {
        std::fs::copy(&scan, place.at("scans").join(format!("scan_{number:03}x.nii.gz"))).unwrap();
    }
    let infer = || {
        let mut infer = simtrot(&["infer", "--set", "infer.overlap=0.9", "--checkpoint"]);
        infer.arg(place.at("net")).arg(place.at("scans")).arg("--out").arg(place.at("out"));
        infer
    };
    let mut first = infer().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait(|| !names(&place.at("out")).is_empty());
    assert!(first.try_wait().unwrap().is_none(), "it ended too early");
    let mut second = infer();
    second.arg("--overwrite");
    refused(second, 2, &["is being written by process", "simtrot stop"]);
    succeed(place.call("stop", "out"));
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(names(&place.at("out")).len() < 200);
    let left: Vec<_> = std::fs::read_dir(place.at("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let ours = |name: &str| name.ends_with(".nii.gz") || name == ".simtrot-segmentations.json";
    assert!(!cfg!(unix) || left.iter().all(|name| ours(&name.to_string_lossy())), "{left:?}");

    let experiment = || {
        let mut experiment = simtrot(&["run"]);
        experiment.arg(place.at("small.ron")).arg("--out").arg(place.at("experiment"));
        experiment
    };
    let mut first = experiment().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let stage = || crate::trainings(&place.at("experiment"), "finetune").into_iter().next();
    wait(|| stage().is_some_and(|stage| std::fs::read_to_string(stage.join("events.jsonl")).is_ok_and(|text| text.contains("\"step\""))));
    refused(experiment(), 2, &["is being written by process", "simtrot follow", "simtrot stop"]);
    let mut stray = simtrot(&["finetune"]);
    stray.arg(place.at("small.ron")).arg("--overwrite").arg("--out").arg(stage().unwrap());
    refused(stray, 2, &["is being written by process"]);
    succeed(place.call("stop", "experiment"));
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(stage().unwrap().join("checkpoints/last/weights.safetensors").is_file(), "what was done is saved");
}
