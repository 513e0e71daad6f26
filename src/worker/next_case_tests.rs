//! Through the worker itself, on small volumes and networks of a few steps.

use std::path::{Path, PathBuf};

use crate::config::{DataSource, RunConfig, SplitConfig};
use crate::device::DeviceChoice;
use crate::next_case::{Criterion, Ranking};
use crate::protocol::{Command, Outcome, RunFolder, RunState, StageKind};
use crate::train::testing::tiny;
use crate::volume::file::write_volume;
use crate::volume::{Grid, SourceHeader, Volume};
use crate::worker::{Job, NextCaseJob, RunHandle, TrainingJob, spawn};

/// Edge of the pre-training's crops and of the volumes in files.
const EDGE: usize = 16;

fn end(handle: RunHandle) -> (RunState, Outcome) {
    let RunHandle { events, previews, commands: _commands, join } = handle;
    drop(previews);
    let mut state = RunState::default();
    events.iter().for_each(|record| state.apply(&record));
    (state, join.join().unwrap())
}

fn run(job: Job) -> (RunState, Outcome) {
    end(spawn(job, DeviceChoice::Cpu))
}

/// Eight volumes: two test, and of the others two lend their labels.
fn config(seed: u64) -> RunConfig {
    let mut config = tiny(8, EDGE);
    config.data.split = SplitConfig::HoldOut { test: 0.25, validation: 0.0 };
    (config.seed, config.data.split_seed, config.data.label_fraction) = (seed, Some(0), 0.34);
    (config.finetune.steps, config.pretrain.steps, config.evaluate.bootstrap) = (2, 1, 100);
    let settings = ["pretrain.crop_size=[16,16,16]", "probe.volumes=2", "probe.crops=1", "probe.label_volumes=[]"];
    config.with_overrides(&settings.map(str::to_owned)).unwrap()
}

/// The folder of a training.
fn train(kind: StageKind, seed: u64, place: &Path) -> PathBuf {
    let folder = place.join(format!("{kind}-{seed}"));
    let (state, outcome) = run(Job::Train(Box::new(TrainingJob::new(kind, config(seed), RunFolder::new(&folder)))));
    assert_eq!(outcome, Outcome::Completed, "{:?}", state.notices);
    folder
}

fn job(checkpoints: &[&PathBuf], out: &Path) -> NextCaseJob {
    let checkpoints = checkpoints.iter().map(|place| (*place).clone()).collect();
    NextCaseJob { checkpoints, data: None, out: out.to_owned(), overwrite: false, by: Vec::new(), settings: Vec::new() }
}

fn ranked(job: NextCaseJob) -> (RunState, Ranking) {
    let out = job.out.clone();
    let (state, outcome) = run(Job::NextCase(job));
    assert_eq!(outcome, Outcome::Completed, "{:?}", state.notices);
    (state, Ranking::read(&out).unwrap().unwrap())
}

fn refused(job: NextCaseJob) -> String {
    match run(Job::NextCase(job)).1 {
        Outcome::Failed { message, bad_input: true } => message,
        other => panic!("{other:?}"),
    }
}

/// Writes a volume of one channel.
fn write(folder: &Path, name: &str, value: impl Fn(usize) -> f32) {
    let grid = Grid::axis_aligned([EDGE; 3], [1.0; 3]);
    let volume = Volume { channels: 1, voxels: (0..grid.len()).map(value).collect(), grid: grid.clone() };
    write_volume(&folder.join(format!("{name}.nii")), &volume, &SourceHeader::for_grid(&grid)).unwrap();
}

#[test]
fn a_pre_training_alone_finds_the_outlier_and_a_case_that_cannot_be_read_is_named() {
    let place = tempfile::tempdir().unwrap();
    let encoder = train(StageKind::Pretrain, 0, place.path());
    let images = place.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for case in 0..5 {
        write(&images, &format!("like_{case}"), |voxel| (voxel as f32 / 9.0).sin() + 1e-3 * ((voxel + case) % 7) as f32);
    }
    write(&images, "outlier", |voxel| if voxel % 2 == 0 { 1.0 } else { -1.0 + (voxel % 3) as f32 / 10.0 });
    write(&images, "torn", |voxel| voxel as f32);
    let torn = std::fs::read(images.join("torn.nii")).unwrap();
    std::fs::write(images.join("torn.nii"), &torn[..torn.len() / 2]).unwrap();

    let data = Some(DataSource::Folders { images: images.clone(), labels: None });
    let out = place.path().join("next");
    let (state, ranking) = ranked(NextCaseJob { data: data.clone(), ..job(&[&encoder], &out) });
    let order: Vec<&str> = ranking.choices.iter().map(|choice| choice.case.as_str()).collect();
    assert_eq!((order.len(), order[1]), (6, "outlier"), "first the most typical, then the farthest from it: {order:?}");
    assert!(
        order[0].starts_with("like_") && ranking.choices[0].nearest.is_none() && ranking.choices[1].nearest.as_deref() == Some(order[0])
    );
    assert_eq!(ranking.basis.by, [Criterion::Distance]);
    assert_eq!(ranking.basis.not_measured.keys().copied().collect::<Vec<_>>(), [Criterion::Entropy, Criterion::Disagreement]);
    assert!(ranking.choices.iter().all(|choice| choice.entropy.is_none() && choice.disagreement.is_none()));
    assert_eq!(ranking.unread.keys().collect::<Vec<_>>(), ["torn"]);
    assert!(ranking.unread["torn"].contains("torn.nii"), "{:?}", ranking.unread);
    assert!(state.notices.iter().any(|(_, text)| text.contains("torn is not ranked")), "{:?}", state.notices);
    let asked = refused(NextCaseJob { data, by: vec![Criterion::Entropy], ..job(&[&encoder], &out) });
    assert!(asked.contains("entropy") && asked.contains("no network that segments"), "{asked}");
}

#[test]
fn networks_rank_the_cases_that_their_split_does_not_use_and_a_second_call_measures_nothing_again() {
    let place = tempfile::tempdir().unwrap();
    let [one, other] = [0, 1].map(|seed| train(StageKind::Finetune, seed, place.path()));
    let out = place.path().join("next");
    let (_, ranking) = ranked(job(&[&one, &other], &out));
    let (labelled, cases) = (ranking.basis.labelled, ranking.choices.len());
    assert_eq!((labelled + cases, ranking.basis.held_out), (6, 2));
    assert!((2..=4).contains(&labelled), "{labelled}");
    assert_eq!((&ranking.basis.by[..], ranking.basis.networks.len()), (&Criterion::ALL[..], 2));
    for choice in &ranking.choices {
        let entropy = choice.entropy.unwrap();
        assert!(entropy > 0.0 && entropy <= 2.0_f64.ln() + 1e-6, "{entropy}");
        assert!((0.0..=1.0).contains(&choice.disagreement.unwrap()) && choice.distance.unwrap() >= 0.0 && choice.nearest.is_some());
        assert!(["nats", "2 networks differ", "its tokens"].iter().all(|words| choice.reason.contains(words)), "{}", choice.reason);
    }
    let written = |name: &str| std::fs::read(out.join(name)).unwrap();
    let before = ["ranking.json", "ranking.csv", "measured.json"].map(written);
    assert_eq!(ranked(job(&[&one, &other], &out)).1, Ranking::read(&out).unwrap().unwrap());
    assert_eq!(["ranking.json", "ranking.csv", "measured.json"].map(written), before, "to the byte");

    // What was measured is taken as it lies there, whatever it says.
    let text = String::from_utf8(written("measured.json")).unwrap();
    let mut kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    let last = ranking.choices.last().unwrap().case.clone();
    kept["cases"][&last]["entropy"] = 9.5.into();
    std::fs::write(out.join("measured.json"), kept.to_string()).unwrap();
    let (_, again) = ranked(NextCaseJob { by: vec![Criterion::Entropy], ..job(&[&one, &other], &out) });
    assert_eq!((again.choices[0].case.as_str(), again.choices[0].entropy), (last.as_str(), Some(9.5)));

    let message = refused(job(&[&one], &out));
    assert!(message.contains("other networks") && message.contains("--overwrite"), "{message}");
    let (_, alone) = ranked(NextCaseJob { overwrite: true, ..job(&[&one], &out) });
    assert_eq!(alone.basis.by, [Criterion::Entropy, Criterion::Distance]);
    assert!(alone.choices.iter().all(|choice| choice.disagreement.is_none() && !choice.reason.contains("differ")));
    let by = vec![Criterion::Disagreement];
    assert!(refused(NextCaseJob { by, ..job(&[&one], &out) }).contains("at least two networks"));
}

#[test]
fn a_dataset_without_an_unlabelled_case_is_refused_and_a_stop_keeps_what_was_measured() {
    let place = tempfile::tempdir().unwrap();
    let network = train(StageKind::Finetune, 0, place.path());
    let out = place.path().join("next");
    let data = Some(config(0).data.source);
    let message = refused(NextCaseJob { data, ..job(&[&network], &out) });
    assert!(message.contains("no unlabelled case to choose from (8 labelled)"), "{message}");
    assert!(!out.exists(), "nothing is written for that");

    let handle = spawn(Job::NextCase(job(&[&network], &out)), DeviceChoice::Cpu);
    handle.commands.send(Command::Stop).unwrap();
    assert_eq!(end(handle).1, Outcome::Stopped);
    assert!(out.join("measured.json").is_file() && Ranking::read(&out).unwrap().is_none());
    assert!(!ranked(job(&[&network], &out)).1.choices.is_empty(), "the same call goes on");
}
