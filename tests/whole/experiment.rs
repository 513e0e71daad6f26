//! Experiments from outside: made, cut off, gone on with, looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::text;

/// A grid of two mask ratios and two seeds on made-up volumes, small enough to train in seconds.
const EXPERIMENT: &str = r#"(
    name: "tiny",
    title: "Does it run?",
    base: run((
        data: (
            source: synthetic((cases: 6, shape: (32, 32, 32), channels: 1, labels: 1)),
            split: hold_out(test: 0.34, validation: 0),
            split_seed: 0,
            preprocess: (crop_foreground: false),
        ),
        pretrain: (steps: 3, probe_every: 3, checkpoint_every: 1),
        finetune: (steps: 3, checkpoint_every: 1),
        probe: (volumes: 2, crops: 1, jitter: 2, label_volumes: []),
    )),
    axes: [
        (name: "mask", key: "pretrain.mask_ratio", values: ["0.25", "0.75"]),
        (name: "seed", key: "seed", values: ["0", "1"]),
    ],
)"#;

fn run(arguments: &[&str]) -> Command {
    let mut command = crate::simtrot(&["run"]);
    command.args(arguments);
    command
}

/// A folder with the experiment's config, and where its results go.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("experiment.ron"), config).unwrap();
        Self { folder }
    }

    fn config(&self) -> String {
        self.folder.path().join("experiment.ron").display().to_string()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn work(&self, more: &[&str]) -> Command {
        let mut command = run(&[&self.config(), "--out"]);
        command.arg(self.out()).args(more);
        command
    }

    /// When each training's last checkpoint was written, by its folder.
    fn finished(&self) -> BTreeMap<PathBuf, SystemTime> {
        let trainings = crate::trainings(&self.out(), "").into_iter();
        let written =
            |own: &Path| std::fs::metadata(own.join("checkpoints/last/weights.safetensors")).and_then(|data| data.modified()).ok();
        trainings.filter_map(|own| Some((own.clone(), written(&own)?))).collect()
    }
}

#[test]
fn the_grid_is_told_before_anything_is_made() {
    let place = Place::new(EXPERIMENT);
    let output = place.work(&["--dry-run"]).output().unwrap();
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    // Four pre-trainings, four fine-tunings from them, and two from scratch for each seed: the twin, and one under AdamW.
    assert!(printed.contains("12 cells, 4 pre-trainings and 8 fine-tunings"), "{printed}");
    assert!(!place.out().exists());
    let some = text(&place.work(&["--dry-run", "--only", "arm=scratch", "--only", "seed=1"]).output().unwrap());
    assert!(some.contains("2 cells, 0 pre-trainings and 1 fine-tuning "), "{some}");
    let refused = place.work(&["--dry-run", "--only", "mask=0.3"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("there are: 0.25, 0.75"), "{}", text(&refused));
}

#[test]
fn the_demos_scans_are_trained_on_without_a_word_only_where_the_config_names_them() {
    let place = Place::new("()");
    let write = |name: &str, config: &str| std::fs::write(place.folder.path().join(name), config).unwrap();
    let says_so = |more: &[&str]| {
        let output = place.work(&[&["--dry-run"], more].concat()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output).contains("data: the forty demo scans inside the program, since the config names no dataset")
    };
    assert!(says_so(&[]));
    assert!(!says_so(&["--set", "data.source=demo"]));
    write("experiment.ron", "(data: (source: demo))");
    assert!(!says_so(&[]));
    write("experiment.ron", r#"(name: "s", base: file("run.ron"))"#);
    write("run.ron", "(seed: 1)");
    assert!(says_so(&[]));
    write("run.ron", "(data: (source: demo))");
    assert!(!says_so(&[]));
}

#[test]
fn a_plan_measures_a_few_steps_and_keeps_nothing() {
    let place = Place::new(EXPERIMENT);
    let output = crate::simtrot(&["plan", &place.config(), "--out", &place.out().display().to_string()]).output().unwrap();
    let printed = text(&output);
    assert!(output.status.success() && printed.contains("Time: about") && printed.contains("Disk: about"), "{printed}");
    assert!(printed.contains("6 cases, ") && printed.contains("for cases read ahead: at most"), "{printed}");
    assert!(!printed.contains("max-steps"), "nobody asked for the end of a trial: {printed}");
    assert!(!place.out().exists());
}

#[test]
fn a_killed_experiment_goes_on_with_what_is_missing() {
    let place = Place::new(EXPERIMENT);
    let mut child = place.work(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now();
    while place.finished().len() < 3 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(patience.elapsed() < Duration::from_secs(300), "nothing was made in five minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Not asked to stop: killed.
    child.kill().unwrap();
    child.wait().unwrap();
    let before = text(&crate::simtrot(&["status", &place.out().display().to_string()]).output().unwrap());
    assert!(before.contains("missing"), "{before}");
    // All but the newest were finished then: they must not be touched.
    let mut known: Vec<_> = place.finished().into_iter().collect();
    known.sort_by_key(|(_, written)| *written);
    known.pop();
    let output = place.work(&["--jobs", "2"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let after = place.finished();
    assert_eq!(after.len(), 12);
    for (stage, written) in known {
        assert_eq!(after[&stage], written, "{} was made again", stage.display());
    }
    let status = text(&crate::simtrot(&["status", &place.config(), "--out", &place.out().display().to_string()]).output().unwrap());
    assert!(status.contains("12 trainings done") && !status.contains("missing"), "{status}");
    let again = place.work(&[]).output().unwrap();
    assert!(again.status.success() && place.finished() == after, "a finished experiment is left as it is: {}", text(&again));
    concluded(&place, &text(&again));
}

/// What a finished experiment leaves: one page that stands alone, Markdown, tables, and the same conclusions in the terminal.
fn concluded(place: &Place, printed: &str) {
    let read = |name: &str| std::fs::read_to_string(place.out().join(name)).unwrap();
    let page = read("report.html");
    assert!(super::report::stands_alone(&page) > 300);
    let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in ["SimTROT-W reaches a mean Dice of", ", training from scratch ", "2 test cases, 2 seeds"] {
        assert!(page.contains(sentence) && read("report.md").contains(sentence), "{sentence}: {printed}");
    }
    assert!(printed.contains("SimTROT-W reaches a mean Dice of") && printed.contains("report.html"), "{printed}");
    // Token maps of both pre-trainings and of the untrained encoder, and the cases as both arms segmented them, in both points.
    assert!(page.contains("similarity of positions, untrained") && page.contains("similarity of positions, mask 0.75"), "no token maps");
    assert!(page.matches("slice\"").count() >= 2 * 3, "no segmentations");
    assert!(!page.contains("No segmentation was kept") && !page.contains("No tokens were kept"));
    // Of each of 12 cells the one label and the mean.
    assert_eq!(read("results.csv").lines().count(), 1 + 12 * 2);
    assert_eq!(read("groups.csv").lines().count(), 1 + 4, "two pre-trained groups, and each from scratch once");
    let controls = read("comparisons.csv").lines().filter(|line| line.contains(",control,")).count();
    assert_eq!(controls, 2, "each pre-trained group has its from-scratch control");
    let report = crate::simtrot(&["report", &place.out().display().to_string()]).output().unwrap();
    assert!(report.status.success(), "{}", text(&report));
    assert_eq!(read("report.html"), page, "the same records make the same page");
}

#[test]
fn the_demo_is_an_experiment_of_one_point() {
    let output = run(&["demo", "--dry-run"]).output().unwrap();
    let printed = text(&output);
    assert!(output.status.success() && printed.contains("demo: 4 arms, 2 pre-trainings and 4 fine-tunings"), "{printed}");
    // `run` goes on by itself and replaces nothing: a flag of other commands is refused with the reason.
    for (flag, reason) in [("--resume", "always goes on"), ("--overwrite", "replaces nothing")] {
        let refused = run(&["demo", "--dry-run", flag]).output().unwrap();
        assert!(refused.status.code() == Some(2) && text(&refused).contains(reason), "{}", text(&refused));
    }
}

#[test]
fn a_failure_is_told_and_stops_nothing_else() {
    let failing = EXPERIMENT.replace(
        "(name: \"seed\", key: \"seed\", values: [\"0\", \"1\"])",
        r#"(name: "data", levels: [
            (name: "gone", set: ["data.source={\"dataset\":\"no/such/folder\"}"]),
            (name: "there"),
        ])"#,
    );
    let place = Place::new(&failing);
    let output = place.work(&[]).output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(2), "bad input: {printed}");
    assert!(printed.contains("no/such/folder") && printed.contains("left out"), "{printed}");
    assert_eq!(place.finished().len(), 2 + 4, "all of the level that is there: {printed}");
    let status = text(&crate::simtrot(&["status", &place.out().display().to_string()]).output().unwrap());
    assert!(status.contains("failed"), "{status}");
}

#[test]
fn nobody_elses_files_are_touched() {
    let place = Place::new(EXPERIMENT);
    std::fs::create_dir(place.out()).unwrap();
    std::fs::write(place.out().join("thesis.txt"), "mine").unwrap();
    let output = place.work(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("no experiment"), "{}", text(&output));
    assert_eq!(std::fs::read_dir(place.out()).unwrap().count(), 1);
}
