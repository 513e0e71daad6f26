//! Who may write into an experiment's folder: one program that works on all of it, or several that make a shard each.
//!
//! A shard has a folder `.shards/shard-...` with a lock of its own while it is at work, and takes `.shards/training-NAME` for as long as it
//! makes a training. Files of the whole experiment are written by the one that has `.shards` itself, for a moment. The place of a shard that
//! has given no sign of life for long is kept while others are at work, since its computer may only sleep; whoever finds nobody at work
//! begins anew and removes it, and a shard that wakes without its place ends.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::SHARDS;
use super::shard::Shard;
use super::{Experiment, ExperimentFolder, TrainingPlan};
use crate::atomic_file;
use crate::config::ExperimentConfig;
use crate::digest::sha256;
use crate::folder_lock::{Busy, FolderLock, LockError};
use crate::protocol::FolderError;

/// Begins the folder of a shard at work.
const SHARD: &str = "shard-";
/// Begins the folder of a training that a shard makes.
const TRAINING: &str = "training-";
/// In a shard's place: a digest of the trainings of its experiment.
const LAID_OUT: &str = "laid-out";

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

    /// Whether others have taken the program for dead and the folder or the place over: nothing may be written there.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Whole(lock) => lock.is_lost(),
            Self::Shard(shard) => shard.lock.as_ref().is_some_and(FolderLock::is_lost),
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
                let claim = folder.root().join(SHARDS).join(format!("{TRAINING}{}", plan.name));
                FolderLock::claim(&claim, &folder.config_path()).map(Some)
            }
        }
    }
}

impl ExperimentFolder {
    /// Takes a place in the folder beside other shards, whatever their number. The first one there writes `config.ron`, as
    /// [`ExperimentFolder::begin`] does.
    ///
    /// # Errors
    /// Foreign files, another program at work on the whole folder or on another experiment in it, scans or a version of the program that
    /// would make other trainings than those of the shards there, or a folder that cannot be written.
    pub fn join(&self, experiment: &Experiment, shard: Shard) -> Result<ExperimentLock, FolderError> {
        self.require_ours()?;
        let require_alone = || Busy::look(self.root()).map_or(Ok(()), |busy| Err(FolderError::Busy(busy)));
        require_alone()?;
        let turn = self.turn()?;
        self.require_ours()?;
        require_alone()?;
        let (others, laid_out) = (self.sweep(), digest(experiment));
        match others.first() {
            None => {
                self.remove_left();
                self.lay_down(experiment)?;
            }
            Some(other) if !self.holds_same(&experiment.config)? => {
                return Err(FolderError::Trouble(format!(
                    "{}: the settings differ from those of the shard at work there ({other}); all shards of a folder need the same config \
                     and the same --set: use theirs, or name another folder with --out",
                    self.root().display()
                )));
            }
            Some(_) => {}
        }
        let differs = |other: &&Busy| std::fs::read_to_string(other.folder.join(LAID_OUT)).is_ok_and(|there| there != laid_out);
        if let Some(other) = others.iter().find(differs) {
            return Err(FolderError::Trouble(format!(
                "{}: the settings are those of the shard at work there ({other}), but its trainings are others than this program's ({}): the \
                 scans that the two read differ, or the versions of the program that train. Every machine needs the same scans (`simtrot \
                 check` lists them) and the same program; or name another folder with --out",
                self.root().display(),
                crate::VERSION
            )));
        }
        let folder = self.root().join(SHARDS);
        let io = FolderError::io(&folder);
        let name = format!("{SHARD}{}-", shard.to_string().replace('/', "-of-"));
        let place = tempfile::Builder::new().prefix(&name).tempdir_in(&folder).map_err(io)?.keep();
        // Temporary folders are for their owner's eyes alone; who watches may be another.
        std::fs::metadata(&folder).and_then(|own| std::fs::set_permissions(&place, own.permissions())).map_err(io)?;
        let lock = Some(FolderLock::take_in(&place, &self.config_path())?);
        let path = place.join(LAID_OUT);
        atomic_file::write(&path, laid_out.as_bytes()).map_err(FolderError::io(&path))?;
        drop(turn);
        let lock = ShardLock { folder: self.clone(), place, lock };
        // One that took the whole folder meanwhile looks for shards after it has it: at least one of the two sees the other.
        require_alone()?;
        Ok(ExperimentLock::Shard(lock))
    }

    /// The programs at work on the experiment right now: the one that has all of it, or its shards.
    pub fn at_work(&self) -> Vec<Busy> {
        self.looked_at(Busy::look)
    }

    /// Programs on other computers that were at work on it and have given no sign of life for long: dead, or standing still for now.
    pub fn silent(&self) -> Vec<Busy> {
        self.looked_at(Busy::silent)
    }

    fn looked_at(&self, look: fn(&Path) -> Option<Busy>) -> Vec<Busy> {
        look(self.root()).into_iter().chain(self.shards().iter().filter_map(|shard| look(shard))).collect()
    }

    /// The first of them.
    pub fn busy(&self) -> Option<Busy> {
        self.at_work().into_iter().next().map(|busy| Busy { folder: self.root().to_owned(), ..busy })
    }

    /// Asks all of them to save and stop: those at work, and the silent ones for when they wake.
    ///
    /// # Errors
    /// A request could not be left in the folder.
    pub fn ask_to_stop(&self) -> std::io::Result<()> {
        self.at_work().iter().chain(&self.silent()).try_for_each(Busy::ask_to_stop)
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

    /// Keeps other shards from files of the whole experiment; waits until they let go. Many may wait: as long as the folder changes hands,
    /// one's turn comes.
    fn turn(&self) -> Result<FolderLock, FolderError> {
        let folder = self.root().join(SHARDS);
        let (mut began, mut before) = (Instant::now(), None);
        loop {
            match FolderLock::claim(&folder, &folder) {
                Err(LockError::Busy(Busy { holder, .. })) if holder != before => (began, before) = (Instant::now(), holder),
                Err(LockError::Busy(_)) if began.elapsed() < PATIENCE => {}
                // The last shard removes the folder as it leaves.
                Err(LockError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound && began.elapsed() < PATIENCE => {}
                taken => return Ok(taken?),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Removes what shards left that are not at work. One that only stood still finds its place gone when it wakes, and ends.
    pub(super) fn remove_left(&self) {
        let claims = entries(&self.root().join(SHARDS), TRAINING);
        // Tried again by the next one.
        self.shards().into_iter().chain(claims).for_each(|left| drop(std::fs::remove_dir_all(left)));
    }

    /// Removes what shards left that are dead for certain, and returns those that live. To be called in one's turn.
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
        let living = |shard: PathBuf| match Busy::look(&shard) {
            None if Busy::silent(&shard).is_none() => dead_or_busy(shard),
            looked => looked,
        };
        self.shards().into_iter().filter_map(living).collect()
    }
}

impl Drop for ShardLock {
    fn drop(&mut self) {
        self.lock = None;
        let _ = std::fs::remove_dir_all(&self.place);
        // Who finds another one writing leaves the rest to it.
        let shards = self.folder.root().join(SHARDS);
        if !shards.is_dir() {
            return;
        }
        let Ok(turn) = FolderLock::claim(&shards, &shards) else { return };
        if self.folder.sweep().is_empty() && self.folder.silent().is_empty() {
            self.folder.remove_left();
        }
        drop(turn);
        let _ = std::fs::remove_dir(&shards);
    }
}

/// A digest of all that decides an experiment's results: settings, content of the data, version of the code that trains. Each training bears
/// it in its name.
fn digest(experiment: &Experiment) -> String {
    let names: Vec<&str> = experiment.trainings.iter().map(|plan| plan.name.as_str()).collect();
    sha256(names.join("\n"))
}

fn entries(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))).collect()
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
