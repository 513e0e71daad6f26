use super::*;
use crate::config::RunConfig;
use crate::experiment::Contents;

fn experiment(seed: u64) -> Experiment {
    Experiment::new(ExperimentConfig::of_run(RunConfig { seed, ..RunConfig::default() }), Contents::default()).unwrap()
}

fn shard(text: &str) -> Shard {
    text.parse().unwrap()
}

#[test]
fn shards_work_beside_each_other_and_not_beside_a_program_that_has_the_whole() {
    let place = tempfile::tempdir().unwrap();
    let (experiment, folder) = (experiment(0), ExperimentFolder::new(place.path().join("s")));
    let whole = folder.begin(&experiment, false).unwrap();
    assert!(matches!(folder.join(&experiment, shard("1/2")), Err(FolderError::Busy(_))));
    drop(whole);
    let [first, second] = ["1/2", "1/3"].map(|text| folder.join(&experiment, shard(text)).unwrap());
    assert_eq!(folder.at_work().len(), 2);
    assert_eq!(folder.busy().unwrap().folder, folder.root(), "it is the experiment that is at work");
    assert!(matches!(folder.begin(&experiment, true), Err(FolderError::Busy(_))));
    let other = folder.join(&self::experiment(1), shard("2/2")).unwrap_err();
    assert!(other.to_string().contains("the settings differ"), "{other}");

    let plan = &experiment.trainings[0];
    let claim = first.claim(plan).unwrap().unwrap();
    assert!(matches!(second.claim(plan), Err(LockError::Busy(_))));
    assert!(second.claim(&experiment.trainings[1]).unwrap().is_some());
    drop(claim);
    assert!(second.claim(plan).unwrap().is_some());

    assert!(!first.stop_requested());
    folder.ask_to_stop().unwrap();
    assert!(first.stop_requested() && second.stop_requested());
    drop(first);
    assert!(folder.busy().is_some());
    drop(second);
    assert!(folder.busy().is_none() && !(cfg!(unix) && folder.root().join(SHARDS).exists()), "nothing is left");
    assert!(folder.begin(&experiment, false).is_ok());
}

#[test]
fn a_shard_that_was_killed_stands_in_nobodys_way() {
    let place = tempfile::tempdir().unwrap();
    let (experiment, folder) = (experiment(0), ExperimentFolder::new(place.path()));
    let left = place.path().join(SHARDS).join(format!("{SHARD}1-of-2-x"));
    let claim = place.path().join(SHARDS).join(format!("{TRAINING}{}", experiment.trainings[0].name));
    for dead in [&left, &claim] {
        drop(FolderLock::claim(dead, dead).unwrap());
        std::fs::write(dead.join(".writer.lock"), "").unwrap();
    }
    assert!(folder.busy().is_none());
    let lock = folder.join(&experiment, shard("2/2")).unwrap();
    assert!(!left.exists() && lock.claim(&experiment.trainings[0]).unwrap().is_some());
    folder.keep_failure("a", Some("why")).unwrap();
    folder.keep_failure("b", Some("as well")).unwrap();
    folder.keep_failure("a", None).unwrap();
    assert_eq!(folder.failures(), [("b".to_owned(), "as well".to_owned())].into());
    drop(lock);
    assert!(!cfg!(unix) || !place.path().join(SHARDS).exists());
}

/// Gives a folder of a lock to a program on another computer, whose last sign of life is so many seconds past.
fn give_away(folder: &Path, silent: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let holder = r#"{"process":1,"host":"elsewhere","machine":"another","since":"2026-01-01 00:00:00","command":"x"}"#;
    atomic_file::write(&folder.join(".writer.json"), holder.as_bytes()).unwrap();
    let beat = std::fs::File::create(folder.join(".writer.beat")).unwrap();
    beat.set_modified(std::time::SystemTime::now() - Duration::from_secs(silent)).unwrap();
}

#[test]
fn of_two_that_begin_at_once_and_see_no_lock_of_the_other_one_lays_the_folder_down() {
    let place = tempfile::tempdir().unwrap();
    let folder = ExperimentFolder::new(place.path().join("s"));
    let shards = folder.root().join(SHARDS);
    let joining = std::thread::spawn({
        let folder = folder.clone();
        move || folder.join(&experiment(0), shard("1/2")).map(drop)
    });
    while !shards.join(".writer.json").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    give_away(&shards, 0);
    std::thread::sleep(Duration::from_millis(800));
    assert!(!folder.config_path().exists() && !joining.is_finished(), "the last to write its name has the folder: it is waited for");
    for file in [".writer.json", ".writer.beat"] {
        std::fs::remove_file(shards.join(file)).unwrap();
    }
    joining.join().unwrap().unwrap();
    assert!(folder.config_path().exists());
}

#[test]
fn a_shard_that_stood_still_keeps_its_place_until_somebody_begins_anew() {
    let place = tempfile::tempdir().unwrap();
    let (experiment, folder) = (experiment(0), ExperimentFolder::new(place.path()));
    let silent = place.path().join(SHARDS).join(format!("{SHARD}1-of-2-x"));
    let lock = folder.join(&experiment, shard("2/2")).unwrap();
    give_away(&silent, 1000);
    assert_eq!(folder.silent().iter().map(|busy| &busy.folder).collect::<Vec<_>>(), [&silent]);
    assert_eq!(folder.at_work().len(), 1);
    folder.ask_to_stop().unwrap();
    assert!(lock.stop_requested() && silent.join(".stop-request").exists(), "it will heed it when it wakes");
    let other = folder.join(&experiment, shard("1/3")).unwrap();
    drop((lock, other));
    assert!(silent.join(".stop-request").exists(), "those that come and go leave it");
    let next = folder.join(&experiment, shard("2/2")).unwrap();
    assert!(!silent.exists() && !next.stop_requested(), "who finds nobody at work begins anew");

    let claim = next.claim(&experiment.trainings[0]).unwrap().unwrap();
    let ExperimentLock::Shard(ShardLock { place: own, .. }) = &next else { panic!("a shard") };
    assert!(!next.is_lost() && !claim.is_lost());
    // Another computer began anew while this one slept.
    std::fs::remove_dir_all(own).unwrap();
    std::fs::remove_dir_all(place.path().join(SHARDS).join(format!("{TRAINING}{}", experiment.trainings[0].name))).unwrap();
    for lock in [Some(&claim), if let ExperimentLock::Shard(shard) = &next { shard.lock.as_ref() } else { None }] {
        lock.unwrap().sleep();
    }
    assert!(claim.is_lost() && next.is_lost() && next.stop_requested(), "it notices as it wakes");
    drop((claim, next));
    give_away(&silent, 1000);
    assert!(folder.begin(&experiment, false).is_ok() && !silent.exists(), "one that makes all of it begins anew, too");
}
