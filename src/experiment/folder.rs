//! An experiment on disk: each training is a run folder by itself, named by its settings, beside what the experiment makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::progress::is_done;
use super::{Contents, Experiment, TrainingPlan};
use crate::atomic_file;
use crate::config::{ConfigError, ExperimentConfig};
use crate::folder_lock::{Busy, FolderLock, LockError, is_lock_file};
use crate::protocol::{RunFolder, StageKind};

/// Where an experiment of a name goes when no folder is given.
const DEFAULT_PARENT: &str = "experiments";

/// An experiment's folder: `experiment.ron`, `pretrain/NAME-KEY/`, `finetune/NAME-KEY/`, and the report.
///
/// Stages are named by a digest of their settings: an experiment that grows by a level finds all that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExperimentFolder {
    root: PathBuf,
}

/// What can be wrong with an experiment's folder.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentFolderError {
    /// Files that are no experiment's are there.
    #[error("{} holds files that are no experiment of simtrot; name another folder with --out", .0.display())]
    Foreign(PathBuf),
    /// Not an experiment.
    #[error("{} holds no experiment: there is no experiment.ron; name the folder that `simtrot experiment CONFIG.ron` wrote", .0.display())]
    Nothing(PathBuf),
    /// Another program works on it.
    #[error("{0}; look at it with `simtrot experiment status {folder}`, or stop it with `simtrot stop {folder}`", folder = .0.folder.display())]
    Busy(Busy),
    /// Reading or writing failed.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// `experiment.ron` does not pass.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ExperimentFolder {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `out`, or `experiments/NAME`.
    pub fn named(out: Option<&Path>, name: &str) -> Self {
        Self::new(out.map_or_else(|| Path::new(DEFAULT_PARENT).join(name), Path::to_owned))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `experiment.ron`.
    pub fn config_path(&self) -> PathBuf {
        self.root.join("experiment.ron")
    }

    /// `report.html`.
    pub fn report_path(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Whether an experiment lies there.
    pub fn holds_experiment(&self) -> bool {
        self.config_path().is_file()
    }

    /// The run folder of a stage.
    pub fn stage(&self, stage: &TrainingPlan) -> RunFolder {
        let kind = if stage.kind == StageKind::Pretrain { "pretrain" } else { "finetune" };
        RunFolder::new(self.root.join(kind).join(&stage.name))
    }

    /// Makes the folder ready to work on: keeps others out, and writes `experiment.ron`. What earlier sessions made stays.
    ///
    /// # Errors
    /// Foreign files, another program at work, or a folder that cannot be written.
    pub fn begin(&self, experiment: &Experiment) -> Result<FolderLock, ExperimentFolderError> {
        let io = |cause| ExperimentFolderError::Io { path: self.root.clone(), cause };
        std::fs::create_dir_all(&self.root).map_err(io)?;
        let is_content = |entry: std::fs::DirEntry| !is_lock_file(&entry.file_name());
        let foreign = !self.holds_experiment() && std::fs::read_dir(&self.root).map_err(io)?.flatten().any(is_content);
        if foreign {
            return Err(ExperimentFolderError::Foreign(self.root.clone()));
        }
        let lock = FolderLock::take(&self.root).map_err(|error| match error {
            LockError::Busy(busy) => ExperimentFolderError::Busy(busy),
            LockError::Io { path, cause } => ExperimentFolderError::Io { path, cause },
        })?;
        self.write("experiment.ron", experiment.config.to_ron().as_bytes())?;
        self.write(CONTENTS, &serde_json::to_vec_pretty(&experiment.contents).expect("plain data becomes JSON"))?;
        self.remove_leftovers().map_err(io)?;
        Ok(lock)
    }

    /// The program that works on the experiment right now.
    pub fn busy(&self) -> Option<Busy> {
        Busy::look(&self.root)
    }

    /// Reads the experiment that lies there.
    ///
    /// # Errors
    /// There is none, or its `experiment.ron` no longer passes.
    pub fn read(&self) -> Result<Experiment, ExperimentFolderError> {
        if !self.holds_experiment() {
            return Err(ExperimentFolderError::Nothing(self.root.clone()));
        }
        Ok(Experiment::new(ExperimentConfig::load(&self.config_path())?, self.contents())?)
    }

    /// What the data of the experiment held when it was worked on last.
    pub fn contents(&self) -> Contents {
        // Without it, data that are away are not known: their trainings show as missing until the data are back.
        std::fs::read(self.root.join(CONTENTS)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Finished trainings in the folder that are none of the experiment's: of other settings, other data, or another version of the program.
    pub fn others(&self, experiment: &Experiment) -> usize {
        let kinds = [("pretrain", StageKind::Pretrain), ("finetune", StageKind::Finetune)];
        let entries = kinds.into_iter().flat_map(|(name, kind)| {
            std::fs::read_dir(self.root.join(name)).into_iter().flatten().flatten().map(move |entry| (kind, entry.path()))
        });
        let known: Vec<PathBuf> = experiment.stages.iter().map(|stage| self.stage(stage).root().to_owned()).collect();
        let done = |(kind, path): &(StageKind, PathBuf)| RunFolder::new(path).replay().is_ok_and(|run| is_done(*kind, &run));
        entries.filter(|(_, path)| !known.contains(path)).filter(done).count()
    }

    /// Removes what a program left half done that was killed while it wrote a file or took a training over.
    fn remove_leftovers(&self) -> std::io::Result<()> {
        atomic_file::remove_leftovers(&self.root)?;
        for kind in ["pretrain", "finetune"] {
            for entry in std::fs::read_dir(self.root.join(kind)).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(TAKEN_OVER) {
                    std::fs::remove_dir_all(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Takes a training over from an experiment beside this one that has made the very same, and tells which; none where none has.
    ///
    /// # Errors
    /// Copying failed; what was copied by then is removed.
    pub fn reuse(&self, stage: &TrainingPlan) -> Result<Option<PathBuf>, ExperimentFolderError> {
        let own = self.stage(stage);
        let Some((parent, kind)) = self.root.parent().zip(own.root().parent().and_then(Path::file_name)) else { return Ok(None) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let entries =
            |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
        let ending = format!("-{}", stage.key());
        let same = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&ending));
        let experiments = entries(parent)
            .into_iter()
            .filter(|experiment| experiment.file_name() != self.root.file_name() && Self::new(experiment).holds_experiment());
        let mut found = experiments.flat_map(|experiment| entries(&experiment.join(kind))).filter(same);
        let done = |path: &PathBuf| RunFolder::new(path).replay().is_ok_and(|run| is_done(stage.kind, &run));
        let Some(found) = found.find(done) else { return Ok(None) };
        let io = |cause| ExperimentFolderError::Io { path: own.root().to_owned(), cause };
        // Half a copy must not look like a training: it gets its name when it is whole.
        let place = own.root().parent().unwrap_or(&self.root);
        std::fs::create_dir_all(place).map_err(io)?;
        let copy = tempfile::Builder::new().prefix(TAKEN_OVER).tempdir_in(place).map_err(io)?;
        copy_tree(&found, copy.path()).map_err(io)?;
        // Temporary folders are for their owner's eyes alone; an experiment is not.
        std::fs::metadata(&found).and_then(|own| std::fs::set_permissions(copy.path(), own.permissions())).map_err(io)?;
        std::fs::rename(copy.keep(), own.root()).map_err(io)?;
        Ok(Some(found))
    }

    /// Whether a stage is done to its end, tested cases included.
    pub fn is_done(&self, stage: &TrainingPlan) -> bool {
        self.stage(stage).replay().is_ok_and(|run| is_done(stage.kind, &run))
    }

    /// Why stages failed when they were tried last, by name: some fail before they have a folder of their own.
    pub fn failures(&self) -> BTreeMap<String, String> {
        let text = std::fs::read(self.root.join(FAILURES)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps why stages failed.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_failures(&self, failures: &BTreeMap<String, String>) -> Result<(), ExperimentFolderError> {
        let text = serde_json::to_vec_pretty(failures).expect("plain data becomes JSON");
        self.write(FAILURES, &text).map(|_| ())
    }

    /// Writes a file of the experiment atomically; `name` is relative to the folder.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, ExperimentFolderError> {
        let path = self.root.join(name);
        match atomic_file::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(cause) => Err(ExperimentFolderError::Io { path, cause }),
        }
    }
}

/// Copies the files of a folder, and of those below it, into another that is there.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&copy)?;
            copy_tree(&entry.path(), &copy)?;
        } else {
            std::fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}

/// Begins the names of copies that are not whole yet.
const TAKEN_OVER: &str = ".taken-over-";
/// What the data held.
const CONTENTS: &str = "contents.json";
/// Causes by stage.
const FAILURES: &str = "failures.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn a_training_that_a_experiment_beside_it_has_made_is_taken_over() {
        use crate::experiment::synthetic::{self, Until};
        let place = tempfile::tempdir().unwrap();
        let experiment = synthetic::experiment();
        let [first, second] = ["first", "second"].map(|name| ExperimentFolder::new(place.path().join(name)));
        let _locks = [&first, &second].map(|folder| folder.begin(&experiment).unwrap());
        let state = synthetic::state(&experiment, Until::Midway, &first);
        let write = |stage: usize, arm: &str| {
            let plan = &experiment.stages[stage];
            let run = RunFolder::new(first.stage(plan).root().with_file_name(format!("{arm}-{}", plan.key())));
            let text: String = synthetic::records(
                &experiment,
                stage,
                if state.progress(&experiment, stage) == crate::experiment::Progress::Done { 1.0 } else { 0.5 },
            )
            .iter()
            .map(|record| serde_json::to_string(record).unwrap() + "\n")
            .collect();
            run.write("events.jsonl", text.as_bytes()).unwrap();
            run.write("checkpoints/last/weights.safetensors", b"w").unwrap();
        };
        let last = experiment.stages.len() - 1;
        write(0, "another_name");
        write(last, "half_done");
        let taken = second.reuse(&experiment.stages[0]).unwrap().unwrap();
        assert!(taken.ends_with(format!("another_name-{}", experiment.stages[0].key())), "{}", taken.display());
        let own = second.stage(&experiment.stages[0]);
        assert!(own.root().join("checkpoints/last/weights.safetensors").is_file());
        assert!(is_done(experiment.stages[0].kind, &own.replay().unwrap()));
        assert_eq!(second.reuse(&experiment.stages[last]).unwrap(), None, "half a training is none");
        assert_eq!(second.reuse(&experiment.stages[1]).unwrap(), None);
        assert_eq!(std::fs::read_dir(second.root().join(own.root().parent().unwrap().file_name().unwrap())).unwrap().count(), 1);
    }

    #[test]
    fn one_program_at_a_time_and_nobody_elses_files() {
        let place = tempfile::tempdir().unwrap();
        let experiment = Experiment::new(ExperimentConfig::of_run(RunConfig::default()), Contents::default()).unwrap();
        let folder = ExperimentFolder::new(place.path().join("s"));
        assert!(matches!(folder.read(), Err(ExperimentFolderError::Nothing(_))));
        let lock = folder.begin(&experiment).unwrap();
        assert!(matches!(folder.begin(&experiment), Err(ExperimentFolderError::Busy(_))) && folder.busy().is_some());
        drop(lock);
        assert!(folder.busy().is_none());
        assert!(folder.begin(&experiment).is_ok());
        assert_eq!(folder.read().unwrap().stages, experiment.stages);
        std::fs::write(place.path().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(ExperimentFolder::new(place.path()).begin(&experiment), Err(ExperimentFolderError::Foreign(_))));
    }
}
