//! Who may write into an experiment's folder: one program that works on all of it, or several that make a shard each.
//!
//! A shard has a folder `.shards/shard-...` with a lock of its own while it is at work, and takes `.shards/training-NAME` for as long as it
//! makes a training. Files of the whole experiment are written by the one that has `.shards` itself, for a moment.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::SHARDS;
use super::shard::Shard;
use super::{Experiment, ExperimentFolder, TrainingPlan};
use crate::config::ExperimentConfig;
use crate::folder_lock::{Busy, FolderLock, LockError};
use crate::protocol::FolderError;

/// Begins the folder of a shard at work.
const SHARD: &str = "shard-";
/// Begins the folder of a training that a shard makes.
const TRAINING: &str = "training-";

/// How long to wait for another shard that writes files of the whole experiment: longer than a dead one is taken to live.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a program at work on an experiment holds.
#[derive(Debug)]
pub enum ExperimentLock {
    /// The whole folder.
    Whole(FolderLock),
    /// A shard's place beside others.
    Shard(ShardLock),
}

/// A shard's place beside others.
#[derive(Debug)]
pub struct ShardLock {
    folder: ExperimentFolder,
    place: PathBuf,
    /// Let go before its folder is removed.
    lock: Option<FolderLock>,
}

impl ExperimentLock {
    /// Whether somebody has asked the program to stop.
    pub fn stop_requested(&self) -> bool {
        match self {
            Self::Whole(lock) => lock.stop_requested(),
            Self::Shard(shard) => shard.lock.as_ref().is_some_and(FolderLock::stop_requested),
        }
    }

    /// Keeps other shards from a training while what is returned lives; none where nobody has to be kept away.
    ///
    /// # Errors
    /// Another shard makes it, or the claim cannot be written.
    pub fn claim(&self, plan: &TrainingPlan) -> Result<Option<FolderLock>, LockError> {
        match self {
            Self::Whole(_) => Ok(None),
            Self::Shard(ShardLock { folder, .. }) => {
                FolderLock::claim(&folder.root().join(SHARDS).join(format!("{TRAINING}{}", plan.name))).map(Some)
            }
        }
    }
}

impl ExperimentFolder {
    /// Takes a place in the folder beside other shards, whatever their number. The first one there writes `config.ron`, as
    /// [`ExperimentFolder::begin`] does.
    ///
    /// # Errors
    /// Foreign files, another program at work on the whole folder or on another experiment in it, or a folder that cannot be written.
    pub fn join(&self, experiment: &Experiment, shard: Shard) -> Result<ExperimentLock, FolderError> {
        self.require_ours()?;
        let require_alone = || Busy::look(self.root()).map_or(Ok(()), |busy| Err(FolderError::Busy(busy)));
        require_alone()?;
        let turn = self.turn()?;
        self.require_ours()?;
        require_alone()?;
        let others = self.sweep();
        match others.first() {
            None => self.lay_down(experiment)?,
            Some(other) if !self.holds_same(&experiment.config)? => {
                return Err(FolderError::Trouble(format!(
                    "{}: the settings differ from those of the shard at work there ({other}); all shards of a folder need the same config \
                     and the same --set: use theirs, or name another folder with --out",
                    self.root().display()
                )));
            }
            Some(_) => {}
        }
        let folder = self.root().join(SHARDS);
        let io = FolderError::io(&folder);
        let name = format!("{SHARD}{}-", shard.to_string().replace('/', "-of-"));
        let place = tempfile::Builder::new().prefix(&name).tempdir_in(&folder).map_err(io)?.keep();
        // Temporary folders are for their owner's eyes alone; who watches may be another.
        std::fs::metadata(&folder).and_then(|own| std::fs::set_permissions(&place, own.permissions())).map_err(io)?;
        let lock = Some(FolderLock::take(&place)?);
        drop(turn);
        let lock = ShardLock { folder: self.clone(), place, lock };
        // One that took the whole folder meanwhile looks for shards after it has it: at least one of the two sees the other.
        require_alone()?;
        Ok(ExperimentLock::Shard(lock))
    }

    /// The programs at work on the experiment right now: the one that has all of it, or its shards.
    pub fn at_work(&self) -> Vec<Busy> {
        let whole = Busy::look(self.root());
        whole.into_iter().chain(self.shards().iter().filter_map(|shard| Busy::look(shard))).collect()
    }

    /// The first of them.
    pub fn busy(&self) -> Option<Busy> {
        self.at_work().into_iter().next().map(|busy| Busy { folder: self.root().to_owned(), ..busy })
    }

    /// Asks all of them to save and stop.
    ///
    /// # Errors
    /// A request could not be left in the folder.
    pub fn ask_to_stop(&self) -> std::io::Result<()> {
        self.at_work().iter().try_for_each(Busy::ask_to_stop)
    }

    /// Notes why a training failed, or with none that it has not. Shards wait for each other meanwhile.
    ///
    /// # Errors
    /// The causes cannot be written.
    pub fn keep_failure(&self, name: &str, cause: Option<&str>) -> Result<(), FolderError> {
        if cause.is_none() && !self.failures().contains_key(name) {
            return Ok(());
        }
        let _turn = self.root().join(SHARDS).is_dir().then(|| self.turn()).transpose()?;
        let mut failures = self.failures();
        match cause {
            Some(cause) => failures.insert(name.to_owned(), cause.to_owned()),
            None => failures.remove(name),
        };
        self.write_failures(&failures)
    }

    /// Whether `config.ron` is the same experiment's.
    fn holds_same(&self, config: &ExperimentConfig) -> Result<bool, FolderError> {
        let (path, own) = (self.config_path(), config.to_ron());
        let there = std::fs::read_to_string(&path).map_err(FolderError::io(&path))?;
        Ok(there == own || ExperimentConfig::load(&path)?.to_ron() == own)
    }

    /// The folders of shards, at work or dead.
    fn shards(&self) -> Vec<PathBuf> {
        entries(&self.root().join(SHARDS), SHARD)
    }

    /// Keeps other shards from files of the whole experiment; waits until they let go.
    fn turn(&self) -> Result<FolderLock, FolderError> {
        let (folder, began) = (self.root().join(SHARDS), Instant::now());
        loop {
            std::fs::create_dir_all(&folder).map_err(FolderError::io(&folder))?;
            match FolderLock::take(&folder) {
                Err(LockError::Busy(_)) if began.elapsed() < PATIENCE => {}
                // The last shard removes the folder as it leaves.
                Err(LockError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound && began.elapsed() < PATIENCE => {}
                taken => return Ok(taken?),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Removes what dead shards left, and returns those that live. To be called in one's turn.
    fn sweep(&self) -> Vec<Busy> {
        let dead_or_busy = |shard: PathBuf| match FolderLock::take(&shard) {
            Err(LockError::Busy(busy)) => Some(busy),
            Err(LockError::Io { .. }) => None,
            Ok(dead) => {
                drop(dead);
                // Tried again by the next one.
                let _ = std::fs::remove_dir_all(&shard);
                None
            }
        };
        // A look is quick where a refusal takes its tries: of many shards that begin at once each looks at all others.
        let living = |shard: PathBuf| Busy::look(&shard).or_else(|| dead_or_busy(shard));
        self.shards().into_iter().filter_map(living).collect()
    }
}

impl Drop for ShardLock {
    fn drop(&mut self) {
        self.lock = None;
        let _ = std::fs::remove_dir_all(&self.place);
        // Who finds another one writing leaves the rest to it.
        let shards = self.folder.root().join(SHARDS);
        let Ok(turn) = FolderLock::take(&shards) else { return };
        if self.folder.sweep().is_empty() {
            for claim in entries(&shards, TRAINING) {
                let _ = std::fs::remove_dir_all(claim);
            }
        }
        drop(turn);
        let _ = std::fs::remove_dir(&shards);
    }
}

fn entries(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))).collect()
}

#[cfg(test)]
mod tests {
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
            drop(FolderLock::claim(dead).unwrap());
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
}
