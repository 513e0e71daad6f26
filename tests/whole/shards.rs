//! One experiment made by several programs at once, as on several computers: killed, restarted, watched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::volumes::Folder;
use crate::{refused, simtrot, succeed, trainings};

/// Two pre-trainings with a fine-tuning each and four trainings from scratch, on made-up volumes: seconds each.
const GRID: &str = r#"(
    name: "tiny",
    base: run((
        data: (
            source: synthetic((cases: 6, shape: (32, 32, 32), channels: 1, labels: 1)),
            split: hold_out(test: 0.34, validation: 0),
            split_seed: 0,
            preprocess: (crop_foreground: false),
        ),
        pretrain: (steps: 6, probe_every: 3, checkpoint_every: 1),
        finetune: (steps: 6, checkpoint_every: 1),
        probe: (volumes: 2, crops: 1, jitter: 2, label_volumes: []),
        evaluate: (bootstrap: 100),
    )),
    axes: [(name: "seed", key: "seed", values: ["0", "1"])],
)"#;

/// How long to wait for what takes seconds.
const PATIENCE: Duration = Duration::from_secs(240);

struct Place(tempfile::TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.at("experiment.ron"), config).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, out: &str, more: &[&str]) -> Command {
        let mut command = simtrot(&["run"]);
        command.arg(self.at("experiment.ron")).arg("--out").arg(self.at(out)).args(more);
        command
    }

    /// A shard at work, on one thread.
    fn shard(&self, out: &str, shard: &str) -> Child {
        let mut command = self.run(out, &["--shard", shard]);
        command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn count(&self, out: &str, event: &str) -> usize {
        crate::events(&self.at(out)).matches(&format!("\"event\":\"{event}\"")).count()
    }

    /// When the last checkpoint of each finished training was written, by its name.
    fn finished(&self, out: &str) -> BTreeMap<String, SystemTime> {
        let is_done = |path: &PathBuf| {
            let run = simtrot::protocol::RunFolder::new(path);
            run.replay().is_ok_and(|state| state.is_done(run.kind()))
        };
        let written = |path: PathBuf| {
            let weights = std::fs::metadata(path.join("checkpoints/last/weights.safetensors")).unwrap();
            (name(&path), weights.modified().unwrap())
        };
        trainings(&self.at(out), "").into_iter().filter(is_done).map(written).collect()
    }

    fn summary(&self, out: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.at(out).join("summary.json")).unwrap()).unwrap()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn wait(mut until: impl FnMut() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < PATIENCE, "nothing happened in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The files of a folder and their bytes; none where it is not there.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

/// What a training came to: weights and optimiser, segmentations, scores.
fn results(training: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(&training.join("checkpoints/last"));
    // It holds the place of the weights that it started from.
    found.remove("checkpoint.json");
    found.extend(files(&training.join("predictions")));
    found.extend(files(training).into_iter().filter(|(name, _)| name == "metrics.csv"));
    found
}

#[test]
fn shards_that_are_killed_and_restarted_make_what_one_program_makes() {
    let place = Place::new(GRID);
    succeed(place.run("a/whole", &[]));
    let names = ["1/4", "2/4", "3/4", "4/4"];
    let mut shards: Vec<Child> = names.iter().map(|shard| place.shard("b/out", shard)).collect();
    let mut kept: BTreeMap<String, SystemTime> = BTreeMap::new();
    let (mut random, mut kills) = (7_u64, 0);
    for _ in 0..8 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(200 + (random >> 33) % 800));
        let which = (random >> 20) as usize % shards.len();
        if shards[which].try_wait().unwrap().is_some() {
            continue;
        }
        shards[which].kill().unwrap();
        shards[which].wait().unwrap();
        kills += 1;
        for (training, written) in place.finished("b/out") {
            assert_eq!(*kept.entry(training).or_insert(written), written, "made again");
        }
        shards[which] = place.shard("b/out", names[which]);
    }
    assert!(kills > 0, "all were done before any could be killed");
    for mut shard in shards {
        assert!(shard.wait().unwrap().success());
    }

    let [whole, out] = ["a/whole", "b/out"].map(|out| trainings(&place.at(out), ""));
    assert_eq!(whole.len(), 8);
    assert_eq!(whole.iter().map(|path| name(path)).collect::<Vec<_>>(), out.iter().map(|path| name(path)).collect::<Vec<_>>());
    for (one, other) in whole.iter().zip(&out) {
        let [one_made, made] = [one, other].map(|training| results(training));
        assert!(made.contains_key("weights.safetensors") && made.len() > if name(other).starts_with("finetune") { 3 } else { 1 });
        assert_eq!(one_made.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
        for (file, bytes) in &one_made {
            assert!(*bytes == made[file], "{file} of {} differs", name(other));
        }
    }
    let [one, other] = ["a/whole", "b/out"].map(|out| place.summary(out));
    for part in ["test", "collapse"] {
        assert!(one[part].is_object() && one[part] == other[part], "{part}: {one} and {other}");
    }
    // A killed one has no last word, and whoever goes on has one more first word.
    let [started, finished] = ["started", "finished"].map(|event| place.count("b/out", event));
    assert!(finished <= 8 && started <= 8 + kills, "{started} begun, {finished} ended, {kills} killed");
    let after = place.finished("b/out");
    for (training, written) in kept {
        assert_eq!(after[&training], written, "{training} was made again");
    }
    let mut stop = simtrot(&["stop"]);
    stop.arg(place.at("b/out"));
    refused(stop, 2, &["nothing to stop"]);
    succeed(place.run("b/out", &[]));
    assert_eq!(place.finished("b/out"), after, "one program that comes later finds nothing to do");
}

#[test]
fn shards_of_different_numbers_make_no_training_twice() {
    let grid = GRID.replace("axes:", "arms: (pretrain: [], finetune: [(name: \"scratch\")]), axes:");
    let place = Place::new(&grid.replace(r#"["0", "1"]"#, r#"["0", "1", "2", "3"]"#));
    let shards: Vec<Child> = ["1/1", "1/2", "2/2", "2/3"].iter().map(|shard| place.shard("out", shard)).collect();
    for mut shard in shards {
        assert!(shard.wait().unwrap().success());
    }
    assert_eq!(trainings(&place.at("out"), "").len(), 4);
    assert_eq!(["started", "finished"].map(|event| place.count("out", event)), [4; 2], "each is made once");
    assert!(place.summary("out")["test"].is_object(), "the last one writes the report");
}

/// A claim may be free a moment before the training's own folder is: the signs of life of the two are given at different times.
#[test]
fn a_training_in_whose_folder_another_computer_may_be_at_work_is_waited_for() {
    let place = Place::new(&GRID.replace("axes:", "arms: (pretrain: [], finetune: [(name: \"scratch\")]), axes:"));
    place.run("out", &["--max-steps", "2"]).output().unwrap();
    let training = trainings(&place.at("out"), "").remove(0);
    let holder = r#"{"process":1,"host":"elsewhere","machine":"another","since":"2026-01-01 00:00:00","command":"x"}"#;
    std::fs::write(training.join(".writer.json"), holder).unwrap();
    std::fs::write(training.join(".writer.beat"), "").unwrap();
    let mut shard = place.shard("out", "1/1");
    wait(|| place.finished("out").len() == 1);
    assert!(shard.try_wait().unwrap().is_none(), "it waits");
    assert!(!place.finished("out").contains_key(&name(&training)));
    std::fs::remove_file(training.join(".writer.beat")).unwrap();
    assert!(shard.wait().unwrap().success());
    assert_eq!(place.finished("out").len(), 2);
}

#[test]
fn a_wrong_shard_is_refused_and_a_part_is_listed_before_anything_is_made() {
    let place = Place::new(GRID);
    for shard in ["0/4", "5/4", "four"] {
        refused(place.run("out", &["--shard", shard]), 2, &["shards count from 1"]);
    }
    let listed = |shard: &str| {
        let text = succeed(place.run("out", &["--dry-run", "--shard", shard]));
        assert!(text.contains(&format!("shard {shard}: ")), "{text}");
        ["pre-training", "fine-tuning"].map(|kind| {
            let count = text.split_once(&format!(" {kind}")).unwrap().0.split_whitespace().last().unwrap().to_owned();
            count.parse::<usize>().unwrap()
        })
    };
    let all = ["1/2", "2/2"].map(listed);
    assert_eq!([0, 1].map(|kind| all[0][kind] + all[1][kind]), [2, 6]);
    assert_eq!(all[0][0], 1, "one pre-training each: {all:?}");
    assert_eq!(listed("7/7"), [0, 0], "six groups");
    assert!(!place.at("out").exists());
}

#[cfg(unix)]
#[test]
fn shards_are_watched_on_a_share_that_goes_away_and_comes_back_and_stopped_together() {
    let long = GRID.replace("finetune: (steps: 6, checkpoint_every: 1)", "finetune: (steps: 100000, checkpoint_every: 1000)");
    let place = Place::new(&long.replace("axes:", "arms: (pretrain: [], finetune: [(name: \"scratch\")]), axes:"));
    let mut shards = ["1/2", "2/2"].map(|shard| place.shard("out", shard));
    wait(|| {
        shards.iter_mut().for_each(|shard| assert!(shard.try_wait().unwrap().is_none(), "it ended"));
        trainings(&place.at("out"), "").len() == 2 && place.count("out", "step") > 10
    });
    refused(place.run("out", &[]), 2, &["is being written by process", "--shard", "simtrot stop"]);
    refused(place.run("out", &["--shard", "1/3", "--set", "seed=5"]), 2, &["the settings differ from those of the shard at work"]);

    let (share, told, grid) = (place.at("share"), place.at("told.txt"), place.at("grid.txt"));
    let mount = || std::os::unix::fs::symlink(place.at("out"), &share).unwrap();
    let [out, err] = [&grid, &told].map(|path| std::fs::File::create(path).unwrap());
    mount();
    let mut status = simtrot(&["status", "--follow"]);
    let mut follower = status.arg(&share).stdout(out).stderr(err).spawn().unwrap();
    let says = |path: &Path, words: &str| std::fs::read_to_string(path).unwrap().contains(words);
    let mut hears = |path: &Path, words: &str| {
        wait(|| {
            assert!(follower.try_wait().unwrap().is_none(), "the follower ended before {words:?}: {:?}", std::fs::read_to_string(&told));
            says(path, words)
        });
    };
    hears(&grid, "is being written by process");
    std::fs::remove_file(&share).unwrap();
    hears(&told, "waiting for the folder to come back");
    assert!(shards.iter_mut().all(|shard| shard.try_wait().unwrap().is_none()), "who works does not notice");
    mount();
    hears(&told, "the folder is back");
    let mut stop = simtrot(&["stop"]);
    stop.arg(place.at("out"));
    assert_eq!(succeed(stop).matches("it was asked to stop").count(), 2);
    for shard in &mut shards {
        assert_eq!(shard.wait().unwrap().code(), Some(130));
    }
    assert_eq!(follower.wait().unwrap().code(), Some(130), "{:?}", std::fs::read_to_string(&told));
    assert!(says(&told, "stopped and saved"), "{:?}", std::fs::read_to_string(&told));
    assert_eq!(place.count("out", "finished"), 2, "each shard has saved");
}

#[test]
fn a_shard_that_reads_other_scans_than_those_at_work_is_refused() {
    let data = Folder::new([16, 18, 20]);
    let add = |content: usize| {
        data.image(&format!("images/c{content}.nii.gz"), content, 1);
        data.labels_with(&format!("labels/c{content}.nii.gz"), &data.grid, |index| ((index + content) / 40 % 2) as u16);
    };
    (0..7).for_each(add);
    let [images, labels] = ["images", "labels"].map(|name| data.at(name));
    let place = Place::new(&format!(
        "(name: \"shared\", data: (source: folders(images: {images:?}, labels: Some({labels:?})), preprocess: (crop_foreground: false),
          split: hold_out(test: 0.3, validation: 0)), model: preset(unet_small),
          finetune: (steps: 100000, checkpoint_every: 1000), arms: (pretrain: [], finetune: [(name: \"scratch\")]))"
    ));
    let mut first = place.shard("out", "1/1");
    wait(|| {
        assert!(first.try_wait().unwrap().is_none(), "it ended");
        place.count("out", "step") > 2
    });
    let laid_down = || ["out/config.ron", "out/contents.json"].map(|name| std::fs::read(place.at(name)).unwrap());
    let before = laid_down();
    add(7);
    refused(place.run("out", &["--shard", "1/2"]), 2, &["the scans that the two read differ", "name another folder with --out"]);
    assert!(laid_down() == before, "the first one's settings and data stay");
    assert_eq!(trainings(&place.at("out"), "").len(), 1, "nothing of it is begun");
    let mut stop = simtrot(&["stop"]);
    stop.arg(place.at("out"));
    succeed(stop);
    assert_eq!(first.wait().unwrap().code(), Some(130));
}

/// A shard of long trainings that is held for longer than a holder may go without a sign of life before it looks whether it still holds what
/// it held. Meanwhile, `meanwhile` does what another computer does.
#[cfg(unix)]
struct Held {
    place: Place,
    shard: Child,
    told: PathBuf,
}

#[cfg(unix)]
impl Held {
    fn while_it_sleeps(meanwhile: impl FnOnce(&Path)) -> Self {
        let long = GRID.replace("finetune: (steps: 6, checkpoint_every: 1)", "finetune: (steps: 100000, checkpoint_every: 1000)");
        let place = Place::new(&long.replace("axes:", "arms: (pretrain: [], finetune: [(name: \"scratch\")]), axes:"));
        let told = place.at("told.txt");
        let mut command = place.run("out", &["--shard", "1/2"]);
        let err = std::fs::File::create(&told).unwrap();
        let mut shard = command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(err).spawn().unwrap();
        wait(|| {
            assert!(shard.try_wait().unwrap().is_none(), "it ended: {:?}", std::fs::read_to_string(&told));
            place.count("out", "step") > 10
        });
        let send = |signal: &str| assert!(Command::new("kill").args([signal, &shard.id().to_string()]).status().unwrap().success());
        send("-STOP");
        meanwhile(&place.at("out"));
        std::thread::sleep(Duration::from_secs(17));
        send("-CONT");
        Self { place, shard, told }
    }

    fn says(&self, words: &str) {
        wait(|| std::fs::read_to_string(&self.told).unwrap().contains(words));
    }
}

#[cfg(unix)]
impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.shard.kill();
        let _ = self.shard.wait();
    }
}

#[cfg(unix)]
#[test]
fn a_shard_that_wakes_writes_nothing_into_a_training_that_another_has_taken_and_still_stops_when_asked() {
    let mut before = BTreeMap::new();
    let mut held = Held::while_it_sleeps(|out| {
        let training = trainings(out, "").remove(0);
        let holder = r#"{"process":1,"host":"elsewhere","machine":"another","since":"2026-01-01 00:00:00","command":"x"}"#;
        for taken in [out.join(".shards").join(format!("training-{}", name(&training))), training.clone()] {
            std::fs::write(taken.join(".writer.beat"), "").unwrap();
            std::fs::write(taken.join(".writer.json"), holder).unwrap();
        }
        before = files(&training);
    });
    held.says("took it for dead");
    held.says("made by another shard, which is waited for");
    assert!(held.shard.try_wait().unwrap().is_none(), "it waits for the other");
    let mut stop = simtrot(&["stop"]);
    stop.arg(held.place.at("out"));
    assert!(succeed(stop).contains("it was asked to stop"));
    assert_eq!(held.shard.wait().unwrap().code(), Some(130));
    let after = files(&trainings(&held.place.at("out"), "").remove(0));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "the record, the settings and the other's name and sign of life are as they were");
    assert!(!held.place.at("out/failures.json").exists(), "what becomes of it is not this one's to say");
}

#[cfg(unix)]
#[test]
fn a_shard_that_wakes_after_somebody_has_begun_anew_saves_what_is_its_own_and_ends() {
    let mut held = Held::while_it_sleeps(|out| std::fs::remove_dir_all(out.join(".shards")).unwrap());
    assert_eq!(held.shard.wait().unwrap().code(), Some(1));
    held.says("took it for dead");
    assert_eq!(held.place.count("out", "finished"), 1, "it has saved");
    assert!(trainings(&held.place.at("out"), "")[0].join("checkpoints/last").exists());
}
