//! Trainings that experiments in neighbouring folders have made: the very same is copied rather than made again.

use std::path::{Path, PathBuf};

use super::folder::is_finished;
use super::{ExperimentFolder, TrainingPlan};
use crate::protocol::{FolderError, RunFolder};

/// Begins the names of copies that are not whole yet.
const COPYING: &str = ".copying-";

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

impl ExperimentFolder {
    /// Copies a training from an experiment in a neighbouring folder that has made the very same, and returns its folder there; none
    /// where none has.
    ///
    /// # Errors
    /// Copying failed; what was copied by then is removed.
    pub fn reuse(&self, plan: &TrainingPlan) -> Result<Option<PathBuf>, FolderError> {
        let Some(found) = self.find_same(plan) else { return Ok(None) };
        let own = self.training(plan);
        let io = FolderError::io(own.root());
        // Half a copy must not look like a training: it gets its name when it is whole.
        std::fs::create_dir_all(self.trainings()).map_err(io)?;
        let copy = tempfile::Builder::new().prefix(COPYING).tempdir_in(self.trainings()).map_err(io)?;
        copy_tree(&found, copy.path()).map_err(io)?;
        // Temporary folders are for their owner's eyes alone; an experiment is not.
        std::fs::metadata(&found).and_then(|own| std::fs::set_permissions(copy.path(), own.permissions())).map_err(io)?;
        std::fs::rename(copy.keep(), own.root()).map_err(io)?;
        Ok(Some(found))
    }

    fn find_same(&self, plan: &TrainingPlan) -> Option<PathBuf> {
        let parent = self.root().parent()?;
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let ending = format!("-{}", plan.key());
        let same = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&ending));
        let others = entries(parent).filter(|other| other.file_name() != self.root().file_name());
        let trainings =
            others.map(Self::new).filter(Self::holds_experiment).flat_map(|other| entries(&other.trainings()).collect::<Vec<_>>());
        trainings.filter(same).find(|training| is_finished(&RunFolder::new(training)))
    }

    /// Removes what a program left that was killed while it copied a training.
    pub(super) fn remove_half_copies(&self) -> std::io::Result<()> {
        let is_half = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(COPYING));
        entries(&self.trainings()).filter(is_half).try_for_each(std::fs::remove_dir_all)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::synthetic::{self, Until};

    #[test]
    fn a_training_that_a_neighbouring_experiment_has_made_is_copied() {
        let place = tempfile::tempdir().unwrap();
        let experiment = synthetic::experiment();
        let [first, second] = ["first", "second"].map(|name| ExperimentFolder::new(place.path().join(name)));
        let _locks = [&first, &second].map(|folder| folder.begin(&experiment, false).unwrap());
        let state = synthetic::state(&experiment, Until::Midway, &first);
        let write = |training: usize, arm: &str| {
            let plan = &experiment.trainings[training];
            let name = plan.name.replacen(&plan.arm, arm, 1);
            let run = RunFolder::new(first.trainings().join(name));
            let done = state.progress(&experiment, training) == crate::experiment::Progress::Done;
            let records = synthetic::records(&experiment, training, if done { 1.0 } else { 0.5 });
            let text: String = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
            run.write("events.jsonl", text.as_bytes()).unwrap();
            run.write("checkpoints/last/weights.safetensors", b"w").unwrap();
        };
        let last = experiment.trainings.len() - 1;
        write(0, "another_name");
        write(last, "half_done");
        let copied = second.reuse(&experiment.trainings[0]).unwrap().unwrap();
        assert!(copied.ends_with(format!("pretrain-another_name-{}", experiment.trainings[0].key())), "{}", copied.display());
        let own = second.training(&experiment.trainings[0]);
        assert!(own.root().join("checkpoints/last/weights.safetensors").is_file() && is_finished(&own));
        assert_eq!(second.reuse(&experiment.trainings[last]).unwrap(), None, "half a training is none");
        assert_eq!(second.reuse(&experiment.trainings[1]).unwrap(), None);
        assert_eq!(second.made(), [own]);
    }
}
