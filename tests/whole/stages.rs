//! What a run's later stages rest on: trainings cut off and gone on with, data that change, settings of arms, disks that are full.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use simtrot::volume::nifti::{write_labels, write_volume};
use simtrot::volume::{Grid, LabelMap, SourceHeader, Volume};

use crate::{simtrot, training, trainings};

/// A training of seconds; DATA stands for the folder of the scans.
const RUN: &str = r#"(
    name: "tiny",
    data: (
        source: folders(images: "DATA/images", labels: Some("DATA/labels")),
        split: hold_out(test: 0.34, validation: 0),
        preprocess: (crop_foreground: false),
    ),
    model: unet((features: [4, 8], strides: [(1, 1, 1), (2, 2, 2)], blocks: [1, 1])),
    pretrain: (steps: 4, crop_size: (16, 16, 16), probe_every: 2, checkpoint_every: 2),
    finetune: (steps: 6, crop_size: (16, 16, 16), checkpoint_every: 2, schedule: constant),
    probe: (volumes: 2, crops: 1, jitter: 2, label_volumes: []),
    evaluate: (bootstrap: 100),
    ARMS
)"#;

const SCRATCH: &str = r#"arms: (pretrain: [], finetune: [(name: "scratch")]),"#;
const PRETRAINED: &str = r#"arms: (pretrain: [(name: "p")], finetune: [(name: "f", from: "p")]),"#;

/// A folder with made-up scans, configs and runs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.fill("data", 6, 0.0);
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Scans of a bright cube each, whose place `shift` moves.
    fn fill(&self, folder: &str, cases: usize, shift: f32) {
        let grid = Grid::axis_aligned([16; 3], [1.0; 3]);
        let header = SourceHeader::for_grid(&grid);
        for part in ["images", "labels"] {
            std::fs::create_dir_all(self.at(folder).join(part)).unwrap();
        }
        for case in 0..cases {
            let inside = |voxel: usize| voxel / 256 > 4 + case && voxel % 16 > 6;
            let image = (0..4096).map(|voxel| if inside(voxel) { 1.0 } else { shift + (voxel % 7) as f32 / 20.0 }).collect();
            let labels = LabelMap { grid: grid.clone(), voxels: (0..4096).map(|voxel| u16::from(inside(voxel))).collect() };
            let volume = Volume { channels: 1, grid: grid.clone(), voxels: image };
            write_volume(&self.at(folder).join(format!("images/c_{case}.nii.gz")), &volume, &header).unwrap();
            write_labels(&self.at(folder).join(format!("labels/c_{case}.nii.gz")), &labels, &header).unwrap();
        }
    }

    /// A call of the program on a config with these arms.
    fn call(&self, command: &str, arms: &str, out: &str, more: &[&str]) -> Command {
        let data = self.at("data").display().to_string();
        let config = self.at("run.ron");
        std::fs::write(&config, RUN.replace("DATA", &data).replace("ARMS", arms)).unwrap();
        let mut call = simtrot(&[command]);
        call.arg(config).arg("--out").arg(self.at(out)).args(more);
        call
    }
}

/// Runs to an exit code, and hands back what was told, in one line.
fn ends(command: Command, code: i32) -> String {
    crate::ends(command, code).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&read(&run.join("summary.json"))).unwrap()
}

/// Weights, scores and segmentations of a fine-tuning are equal to the byte.
fn assert_same(one: &Path, other: &Path, arm: &str) {
    assert_eq!(summary(one)["test"], summary(other)["test"]);
    let [one, other] = [one, other].map(|run| training(run, &format!("finetune-{arm}")));
    for file in ["checkpoints/last/weights.safetensors", "metrics.csv"] {
        assert!(read(&one.join(file)) == read(&other.join(file)), "{file} differs");
    }
    let files: Vec<_> = std::fs::read_dir(one.join("predictions")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let [one, other] = [&one, &other].map(|run| read(&run.join("predictions").join(&file)));
        assert!(one == other, "{}", file.display());
    }
}

#[test]
fn a_run_cut_short_and_gone_on_with_equals_one_in_a_piece() {
    let place = Place::new();
    for (arms, arm, cut) in [(SCRATCH, "scratch", "3"), (PRETRAINED, "f", "2")] {
        // In other folders, so that none takes the other's trainings over.
        let (whole, broken) = (format!("whole/{arm}"), format!("broken/{arm}"));
        let only = format!("arm={arm}");
        ends(place.call("run", arms, &whole, &["--only", &only]), 0);
        let told = ends(place.call("run", arms, &broken, &["--only", &only, "--max-steps", cut]), 0);
        assert!(told.contains("ended by --max-steps") && told.contains("Not complete"), "{told}");
        let broken_at = place.at(&broken);
        assert_eq!(summary(&broken_at)["test"], serde_json::json!({}), "nothing is tested of a training that is not complete");
        assert!(trainings(&broken_at, "finetune").iter().all(|own| !own.join("predictions").exists()));
        assert_eq!(trainings(&broken_at, "finetune-f").len(), 0, "nothing starts from half a training");
        let page = String::from_utf8(read(&broken_at.join("report.html"))).unwrap();
        assert!(page.contains("Not complete"), "the report says what is unfinished");
        ends(place.call("run", arms, &broken, &["--only", &only]), 0);
        assert_same(&place.at(&whole), &broken_at, arm);
    }
}

#[test]
fn more_steps_of_a_pretraining_go_on_and_make_anew_what_rests_on_it() {
    let place = Place::new();
    let only = ["--only", "arm=f"];
    let run = |more: &[&str]| ends(place.call("run", PRETRAINED, "grown", &[&only[..], more].concat()), 0);
    run(&["--set", "pretrain.steps=2"]);
    let grown = place.at("grown");
    let done = |run: &Path| -> Value {
        let info: Value = serde_json::from_slice(&read(&run.join("checkpoints/last/checkpoint.json"))).unwrap();
        info["step"].clone()
    };
    run(&["--max-steps", "1"]);
    assert_eq!(done(&training(&grown, "pretrain-p")), 3, "it went on after its two steps");
    assert_eq!(summary(&grown)["test"], serde_json::json!({}));
    let told = run(&[]);
    assert_eq!(done(&training(&grown, "pretrain-p")), 4);
    assert_eq!(trainings(&grown, "finetune-f").len(), 2, "what rested on two steps is kept beside");
    assert!(told.contains("The folder also holds 1 training"), "{told}");
    assert_eq!(summary(&grown)["test"]["f"]["cases"], 2);
    ends(place.call("pretrain", PRETRAINED, "alone", &[]), 0);
    let fewer = ends(place.call("pretrain", PRETRAINED, "alone", &["--resume", "--set", "pretrain.steps=3"]), 2);
    assert!(fewer.contains("4 steps are done, and 3 are asked for"), "{fewer}");
}

#[test]
fn each_arm_is_made_from_its_own_data() {
    let place = Place::new();
    let arms = r#"arms: (pretrain: [], finetune: [(name: "base"), (name: "coarse", set: ["data.preprocess.spacing_mm=[2,2,2]"]),
        (name: "half", set: ["data.label_fraction=0.5"]), (name: "again"), (name: "seeded", set: ["seed=7"])]),"#;
    ends(place.call("run", arms, "arms", &["--set", "finetune.steps=2"]), 0);
    let run = place.at("arms");
    let weights = |arm: &str| read(&training(&run, &format!("finetune-{arm}")).join("checkpoints/last/weights.safetensors"));
    assert_eq!(trainings(&run, "finetune-again").len(), 0, "the very same training is made once");
    assert_eq!(summary(&run)["test"]["again"], summary(&run)["test"]["base"]);
    for arm in ["coarse", "half", "seeded"] {
        assert!(weights("base") != weights(arm), "{arm}");
    }
    let split =
        |arm: &str| -> Value { serde_json::from_slice(&read(&training(&run, &format!("finetune-{arm}")).join("split.json"))).unwrap() };
    assert_eq!((split("base")["finetune"].as_array().unwrap().len(), split("half")["finetune"].as_array().unwrap().len()), (4, 2));
    let elsewhere =
        r#"arms: (pretrain: [], finetune: [(name: "base"), (name: "gone", set: ["data.source={\"dataset\":\"/nonexistent\"}"])]),"#;
    let told = ends(place.call("run", elsewhere, "gone", &[]), 2);
    assert!(told.contains("arm gone (data.source=") && told.contains("/nonexistent") && !place.at("gone").exists(), "{told}");
}

#[test]
fn a_run_goes_on_over_the_same_data_only_wherever_they_lie() {
    let place = Place::new();
    let cut = ["--max-steps", "2"];
    ends(place.call("finetune", "", "run", &cut), 0);
    std::fs::rename(place.at("data"), place.at("moved")).unwrap();
    place.fill("data", 6, 0.0);
    place.fill("data", 1, 0.4);
    let told = ends(place.call("finetune", "", "run", &["--resume"]), 2);
    assert!(told.contains("c_0") && !told.contains("c_1") && told.contains("another content"), "{told}");
    let moved = place.at("moved").display().to_string();
    let source = format!("data.source={{\"folders\":{{\"images\":\"{moved}/images\",\"labels\":\"{moved}/labels\"}}}}");
    let told = ends(place.call("finetune", "", "run", &["--resume", "--set", &source]), 0);
    assert!(told.contains("the data have moved"), "{told}");
    assert_eq!(summary(&place.at("run"))["test"]["scratch"]["cases"], 2);
}

#[test]
fn an_experiment_makes_anew_what_other_data_made() {
    let place = Place::new();
    let experiment = |out: &str, more: &[&str]| {
        let mut call = place.call("run", SCRATCH, out, &["--only", "arm=scratch"]);
        call.args(more);
        call
    };
    let stages = |out: &str| trainings(&place.at(out), "finetune").len();
    ends(experiment("s", &[]), 0);
    ends(experiment("s", &[]), 0);
    assert_eq!(stages("s"), 1);
    place.fill("data", 6, 0.4);
    let told = ends(experiment("s", &[]), 0);
    assert_eq!(stages("s"), 2, "trained again: {told}");
    assert!(told.contains("1 training of other settings, other data"), "{told}");
    let told = ends(experiment("t", &[]), 0);
    assert!(told.contains("reused from"), "the same data and settings: {told}");
    place.fill("data", 6, 0.8);
    let told = ends(experiment("u", &[]), 0);
    assert!(!told.contains("reused from"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_told_and_keeps_what_was_saved() {
    let place = Place::new();
    ends(place.call("finetune", "", "run", &["--max-steps", "2"]), 0);
    let last = training(&place.at("run"), "finetune").join("checkpoints/last/weights.safetensors");
    let before = read(&last);
    let limited = |blocks: usize, more: &[&str]| {
        let call = place.call("finetune", "", "run", more);
        let mut shell = Command::new("bash");
        // Writing beyond the limit fails as on a full disk, once its signal is ignored.
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(call.get_program()).args(call.get_args());
        shell.env("SIMTROT_CACHE", std::env::temp_dir().join("simtrot-test-cache")).stdin(Stdio::null());
        shell
    };
    let size = before.len() / 1024;
    let told = ends(limited(size, &["--resume"]), 1);
    assert!(told.contains("weights.safetensors") || told.contains("optimiser.safetensors"), "{told}");
    assert!(told.contains("is kept") && read(&last) == before, "{told}");
    // A program killed while it saved leaves half a checkpoint and half a file.
    let half = training(&place.at("run"), "finetune").join("checkpoints/.last.aB3dEf");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(training(&place.at("run"), "finetune").join(".simtrot-aB3dEf"), "half").unwrap();
    ends(place.call("finetune", "", "run", &["--resume"]), 0);
    assert!(!half.exists() && !training(&place.at("run"), "finetune").join(".simtrot-aB3dEf").exists() && read(&last) != before);
}
