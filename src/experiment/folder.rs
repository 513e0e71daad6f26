//! An experiment on disk: its trainings side by side, each named by its settings, and what the experiment makes of them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Contents, Experiment, TrainingPlan};
use crate::atomic_file;
use crate::config::ExperimentConfig;
use crate::folder_lock::{Busy, FolderLock, is_lock_file};
use crate::protocol::checkpoints::TRAININGS;
use crate::protocol::{FolderError, RunFolder, StageKind};

/// Where an experiment of a name goes when no folder is given.
const DEFAULT_PARENT: &str = "runs";
/// The experiment, every value spelt out.
const CONFIG: &str = "config.ron";
/// What the data held.
const CONTENTS: &str = "contents.json";
/// Shards at work.
pub(super) const SHARDS: &str = ".shards";
/// Causes by training.
const FAILURES: &str = "failures.json";
/// Files and folders at whose sight a folder is known as one that an older program wrote: runs with arms, and studies.
const OLD: [&str; 4] = ["arms", "events.jsonl", "study.ron", "experiment.ron"];

/// An experiment's folder: `config.ron`, `trainings/KIND-ARM-KEY/`, `summary.json` and the report.
///
/// Trainings are named by a digest of their settings: an experiment that grows by a level finds all that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExperimentFolder {
    root: PathBuf,
}

/// What lies where an experiment is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderContent {
    /// Nothing, or an empty folder.
    Nothing,
    /// An experiment.
    Experiment {
        /// Whether a training has saved anything: before the first checkpoint there is nothing to lose.
        saved: bool,
    },
    /// One training of an experiment.
    Training,
    /// A run or a study of an older program.
    Old,
    /// Files that are no experiment's: they are never deleted.
    Foreign,
}

impl ExperimentFolder {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `out`, or `runs/NAME`.
    pub fn named(out: Option<&Path>, name: &str) -> Self {
        Self::new(out.map_or_else(|| Path::new(DEFAULT_PARENT).join(name), Path::to_owned))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config.ron`.
    pub fn config_path(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// `report.html`.
    pub fn report_path(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// `trainings/`.
    pub fn trainings(&self) -> PathBuf {
        self.root.join(TRAININGS)
    }

    /// The folder of a training.
    pub fn training(&self, plan: &TrainingPlan) -> RunFolder {
        RunFolder::new(self.trainings().join(&plan.name))
    }

    /// What lies there.
    pub fn content(&self) -> FolderContent {
        let has = |name: &str| self.root.join(name).exists();
        let is_half = |name: &OsStr| name.to_string_lossy().starts_with(atomic_file::PREFIX);
        let is_content = |name: OsString| !is_lock_file(&name) && name != SHARDS && !is_half(&name);
        // Looked at first: of what a shard is laying down, `config.ron` is the first file.
        let filled = std::fs::read_dir(&self.root).into_iter().flatten().flatten().any(|entry| is_content(entry.file_name()));
        let in_trainings = || std::path::absolute(&self.root).ok()?.parent()?.file_name().map(|name| name == TRAININGS);
        if has(CONFIG) && !OLD.iter().any(|name| has(name)) {
            FolderContent::Experiment { saved: self.made().iter().any(|training| training.checkpoints().exists()) }
        } else if has(CONFIG) && in_trainings() == Some(true) {
            FolderContent::Training
        } else if OLD.iter().any(|name| has(name)) {
            FolderContent::Old
        } else if filled {
            FolderContent::Foreign
        } else {
            FolderContent::Nothing
        }
    }

    /// Whether an experiment lies there.
    pub fn holds_experiment(&self) -> bool {
        matches!(self.content(), FolderContent::Experiment { .. })
    }

    /// Refuses a folder in which no experiment can be begun or gone on with.
    pub(super) fn require_ours(&self) -> Result<(), FolderError> {
        match self.content() {
            FolderContent::Nothing | FolderContent::Experiment { .. } => Ok(()),
            FolderContent::Training => Err(FolderError::Training(self.root.clone())),
            FolderContent::Old => Err(FolderError::Old(self.root.clone())),
            FolderContent::Foreign => Err(FolderError::Foreign(self.root.clone())),
        }
    }

    /// Makes the folder ready to work on: keeps others out, and writes `config.ron`. What earlier sessions made stays, unless `overwrite`.
    ///
    /// # Errors
    /// Foreign files, another program at work, or a folder that cannot be written.
    pub fn begin(&self, experiment: &Experiment, overwrite: bool) -> Result<FolderLock, FolderError> {
        self.require_ours()?;
        let io = FolderError::io(&self.root);
        std::fs::create_dir_all(&self.root).map_err(io)?;
        let lock = FolderLock::take(&self.root)?;
        // What was there before the lock may be another's by now.
        self.require_ours()?;
        if let Some(shard) = self.at_work().into_iter().find(|busy| busy.folder != self.root) {
            return Err(FolderError::Busy(Busy { folder: self.root.clone(), ..shard }));
        }
        self.remove_left();
        if overwrite {
            lock.clear(&self.config_path()).map_err(io)?;
        }
        self.lay_down(experiment)?;
        Ok(lock)
    }

    /// Writes what is known before any training, and removes halves of files. Nobody else may be at work.
    pub(super) fn lay_down(&self, experiment: &Experiment) -> Result<(), FolderError> {
        let io = FolderError::io(&self.root);
        self.write(CONFIG, experiment.config.to_ron().as_bytes())?;
        self.write(CONTENTS, &serde_json::to_vec_pretty(&experiment.contents).expect("plain data becomes JSON"))?;
        atomic_file::remove_leftovers(&self.root).map_err(io)?;
        self.remove_half_copies().map_err(io)
    }

    /// Why the folder cannot be read, where an experiment was: a share that is gone.
    pub fn unreadable(&self) -> Option<FolderError> {
        std::fs::metadata(self.config_path()).err().map(FolderError::io(&self.root))
    }

    /// Reads the experiment that lies there.
    ///
    /// # Errors
    /// There is none, or its `config.ron` no longer passes.
    pub fn read(&self) -> Result<Experiment, FolderError> {
        self.require_ours()?;
        if !self.holds_experiment() {
            return Err(FolderError::NoExperiment(self.root.clone()));
        }
        Ok(Experiment::new(ExperimentConfig::load(&self.config_path())?, self.contents())?)
    }

    /// What the data of the experiment held when it was worked on last.
    pub fn contents(&self) -> Contents {
        // Without it, data that are away are not known: their trainings show as missing until the data are back.
        std::fs::read(self.root.join(CONTENTS)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// The trainings that lie there, whoever's they are, in the order of their names.
    pub fn made(&self) -> Vec<RunFolder> {
        let entries = std::fs::read_dir(self.trainings()).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
        paths.sort();
        paths.into_iter().map(RunFolder::new).collect()
    }

    /// Trainings in the folder that are none of the experiment's: of other settings, other data, or another version of the program.
    pub fn others(&self, experiment: &Experiment) -> Vec<RunFolder> {
        let own: Vec<RunFolder> = experiment.trainings.iter().map(|plan| self.training(plan)).collect();
        self.made().into_iter().filter(|training| !own.contains(training)).collect()
    }

    /// Those of them that are fine-tunings done to their end and still have their weights: what was trained before cases were added to the dataset, or a setting changed.
    pub fn finetuned_others(&self, experiment: &Experiment) -> Vec<RunFolder> {
        let mut others = self.others(experiment);
        others.retain(|training| training.kind() == StageKind::Finetune && training.has_saved() && is_finished(training));
        others
    }

    /// Whether a training is done to its end, tested cases included.
    pub fn is_done(&self, plan: &TrainingPlan) -> bool {
        is_finished(&self.training(plan))
    }

    /// Why trainings failed when they were tried last, by name: some fail before they have a folder of their own.
    pub fn failures(&self) -> BTreeMap<String, String> {
        let text = std::fs::read(self.root.join(FAILURES)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps why trainings failed.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_failures(&self, failures: &BTreeMap<String, String>) -> Result<(), FolderError> {
        let text = serde_json::to_vec_pretty(failures).expect("plain data becomes JSON");
        self.write(FAILURES, &text).map(|_| ())
    }

    /// Writes a file of the experiment atomically; `name` is relative to the folder.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, FolderError> {
        let path = self.root.join(name);
        atomic_file::write(&path, bytes).map_err(FolderError::io(&path))?;
        Ok(path)
    }
}

/// Whether a training's folder, whoever's it is, holds one that is done to its end.
pub(super) fn is_finished(training: &RunFolder) -> bool {
    training.replay().is_ok_and(|run| run.is_done(training.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn content(files: &[&str]) -> FolderContent {
        let place = tempfile::tempdir().unwrap();
        for file in files {
            let path = place.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        ExperimentFolder::new(place.path()).content()
    }

    #[test]
    fn a_folder_is_known_by_what_it_holds() {
        assert_eq!(content(&[]), FolderContent::Nothing);
        assert_eq!(content(&["config.ron"]), FolderContent::Experiment { saved: false });
        assert_eq!(content(&["config.ron", "trainings/a-b/checkpoints/last"]), FolderContent::Experiment { saved: true });
        assert_eq!(content(&["thesis.txt"]), FolderContent::Foreign);
        assert_eq!(content(&[".simtrot-half", ".shards/shard-1-of-2-a/lock"]), FolderContent::Nothing, "another shard begins");
        for old in [&["config.ron", "events.jsonl"][..], &["config.ron", "arms/finetune_a/split.json"], &["study.ron"]] {
            assert_eq!(content(old), FolderContent::Old, "{old:?}");
        }
        let place = tempfile::tempdir().unwrap();
        let training = place.path().join("trainings/finetune-a-0");
        std::fs::create_dir_all(&training).unwrap();
        for file in ["config.ron", "events.jsonl"] {
            std::fs::write(training.join(file), "").unwrap();
        }
        assert_eq!(ExperimentFolder::new(training).content(), FolderContent::Training);
    }

    #[test]
    fn one_program_at_a_time_and_nobody_elses_files() {
        let place = tempfile::tempdir().unwrap();
        let experiment = Experiment::new(ExperimentConfig::of_run(RunConfig::default()), Contents::default()).unwrap();
        let folder = ExperimentFolder::new(place.path().join("s"));
        assert!(matches!(folder.read(), Err(FolderError::NoExperiment(_))));
        let lock = folder.begin(&experiment, false).unwrap();
        assert!(matches!(folder.begin(&experiment, true), Err(FolderError::Busy(_))) && folder.busy().is_some());
        drop(lock);
        assert!(folder.busy().is_none());
        assert!(folder.begin(&experiment, true).is_ok());
        assert_eq!(folder.read().unwrap().trainings, experiment.trainings);
        std::fs::write(place.path().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(ExperimentFolder::new(place.path()).begin(&experiment, true), Err(FolderError::Foreign(_))));
    }
}
