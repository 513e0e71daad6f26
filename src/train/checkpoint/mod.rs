//! Checkpoints: weights, optimiser and everything needed to go on or to segment, written so that a crash leaves
//! either the old one or the new one.

mod error;
mod info;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::{HostTensor, WeightsError, read_weights, write_weights};
use crate::protocol::SCHEMA;
use crate::protocol::checkpoints::{self, CHECKPOINT_INFO as INFO, CHECKPOINT_WEIGHTS as WEIGHTS, LAST_CHECKPOINT as LAST};
pub use error::CheckpointError;
pub use info::{CheckpointInfo, DatasetInfo, Origin, changed_settings};

const OPTIMISER: &str = "optimiser.safetensors";

/// A checkpoint in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What it is of.
    pub info: CheckpointInfo,
    /// Weights by the reference's names, in PyTorch's layouts.
    pub weights: BTreeMap<String, HostTensor>,
    /// State of the optimiser.
    pub optimiser: Vec<u8>,
}

impl Checkpoint {
    /// Writes the checkpoint as `folder/name` in place of an older one, and removes what a program left there that was killed while it
    /// wrote one.
    ///
    /// # Errors
    /// The file system's. The older checkpoint is then still there, as `name` or `.name.old`.
    pub fn save(&self, folder: &Path, name: &str) -> Result<PathBuf, CheckpointError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |cause| CheckpointError::Save { path, cause }
        };
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        Self::remove_leftovers(folder).map_err(io(folder))?;
        let fresh = tempfile::Builder::new().prefix(&format!(".{name}.")).tempdir_in(folder).map_err(io(folder))?;
        let at = |file: &str| io(&folder.join(name).join(file));
        write_weights(&fresh.path().join(WEIGHTS), &self.weights).map_err(|error| match error {
            WeightsError::Io { source, .. } => at(WEIGHTS)(source),
            other => other.into(),
        })?;
        crate::atomic_file::write(&fresh.path().join(OPTIMISER), &self.optimiser).map_err(at(OPTIMISER))?;
        crate::atomic_file::write(&fresh.path().join(INFO), &self.info.to_json()).map_err(at(INFO))?;
        let (place, old) = (folder.join(name), folder.join(format!(".{name}.old")));
        // A folder cannot be renamed over another one: the older one steps aside first, and `open` looks for it there.
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        if place.exists() {
            std::fs::rename(&place, &old).map_err(io(&place))?;
        }
        std::fs::rename(fresh.keep(), &place).map_err(io(&place))?;
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        Ok(place)
    }

    /// Removes from a training's `checkpoints/` folder what a program left that was killed while it saved: half-written checkpoints,
    /// and an older one beside the one that took its place. The only writer of the folder may call it.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove_leftovers(folder: &Path) -> std::io::Result<()> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(cause),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = ["last", "best"].into_iter().find_map(|own| Some((own, name.strip_prefix(&format!(".{own}."))?)));
            let left = rest.is_some_and(|(own, rest)| rest != "old" || Self::is_at(&folder.join(own)));
            if left && entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Replaces what the checkpoint at `place` says of itself.
    ///
    /// # Errors
    /// The file system's; the older text is then still there.
    pub fn rewrite_info(place: &Path, info: &CheckpointInfo) -> Result<(), CheckpointError> {
        let path = place.join(INFO);
        crate::atomic_file::write(&path, &info.to_json()).map_err(|cause| CheckpointError::Save { path, cause })
    }

    /// Where the checkpoint that `path` means lies: see [`checkpoints::locate`].
    ///
    /// # Errors
    /// There is none.
    pub fn locate(path: &Path) -> Result<PathBuf, CheckpointError> {
        Ok(checkpoints::locate(path)?)
    }

    /// The last checkpoint in a training's `checkpoints/` folder, if there is one.
    ///
    /// # Errors
    /// It is there but cannot be read.
    pub fn last(folder: &Path) -> Result<Option<Self>, CheckpointError> {
        Self::last_place(folder).map(|place| Self::read(&place)).transpose()
    }

    /// What the last checkpoint in a training's `checkpoints/` folder says of itself, if there is one.
    ///
    /// # Errors
    /// It is there but cannot be read.
    pub fn last_info(folder: &Path) -> Result<Option<CheckpointInfo>, CheckpointError> {
        Self::last_place(folder).map(|place| Self::read_info(&place)).transpose()
    }

    fn last_place(folder: &Path) -> Option<PathBuf> {
        LAST.map(|name| folder.join(name)).into_iter().find(|place| Self::is_at(place))
    }

    /// SHA-256 of the weights of the checkpoint at `place`, in hexadecimal digits.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn weights_sha256(place: &Path) -> Result<String, CheckpointError> {
        let path = Self::weights_file(place);
        checkpoints::weights_sha256(place).map_err(|cause| CheckpointError::Io { path, cause })
    }

    /// Reads a checkpoint; `path` as for [`Checkpoint::locate`].
    ///
    /// # Errors
    /// Missing or damaged.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::read(&Self::locate(path)?)
    }

    fn read(place: &Path) -> Result<Self, CheckpointError> {
        let info = Self::read_info(place)?;
        let weights = read_weights(&place.join(WEIGHTS))?;
        let path = place.join(OPTIMISER);
        let optimiser = std::fs::read(&path).map_err(|cause| CheckpointError::Io { path, cause })?;
        Ok(Self { info, weights, optimiser })
    }

    /// Whether a checkpoint lies right there.
    pub fn is_at(place: &Path) -> bool {
        place.join(INFO).is_file()
    }

    /// The weights of the checkpoint at `place`.
    pub fn weights_file(place: &Path) -> PathBuf {
        place.join(WEIGHTS)
    }

    /// Reads what the checkpoint at `place` says of itself, without its weights.
    ///
    /// # Errors
    /// Missing, damaged, or of another version.
    pub fn read_info(place: &Path) -> Result<CheckpointInfo, CheckpointError> {
        let path = place.join(INFO);
        let text = std::fs::read(&path).map_err(|cause| CheckpointError::Io { path: path.clone(), cause })?;
        let info: CheckpointInfo =
            serde_json::from_slice(&text).map_err(|error| CheckpointError::Info { path: path.clone(), cause: error.to_string() })?;
        if info.schema == SCHEMA {
            Ok(info)
        } else {
            Err(CheckpointError::Info { path, cause: format!("format {} instead of {SCHEMA}", info.schema) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn checkpoint(step: usize) -> Checkpoint {
        let weights = BTreeMap::from([("a".to_owned(), HostTensor { shape: vec![2], values: vec![step as f32, 2.0] })]);
        let info = CheckpointInfo::new(crate::protocol::StageKind::Pretrain, step, &RunConfig::default(), &DatasetInfo::default());
        Checkpoint { info, weights, optimiser: vec![1, 2, 3] }
    }

    #[test]
    fn the_newer_replaces_the_older_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        for step in [1, 2] {
            checkpoint(step).save(folder.path(), "last").unwrap();
        }
        assert_eq!(Checkpoint::open(folder.path()).unwrap(), checkpoint(2));
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["last"]);
    }

    #[test]
    fn a_crash_between_the_renames_leaves_the_older_one_to_be_found() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint(1).save(folder.path(), "last").unwrap();
        std::fs::rename(folder.path().join("last"), folder.path().join(".last.old")).unwrap();
        assert_eq!(Checkpoint::last(folder.path()).unwrap(), Some(checkpoint(1)));
        checkpoint(2).save(folder.path(), "last").unwrap();
        assert_eq!(Checkpoint::last(folder.path()).unwrap(), Some(checkpoint(2)));
    }

    #[test]
    fn what_a_killed_program_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint(1).save(folder.path(), "last").unwrap();
        for name in [".last.aB3xYz", ".best.q", ".last.old", ".best.old"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join(INFO), "half").unwrap();
        }
        std::fs::write(folder.path().join(".hidden"), "not ours").unwrap();
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        Checkpoint::remove_leftovers(folder.path()).unwrap();
        // The best checkpoint that had stepped aside is the only one: it stays.
        assert_eq!(names(), [".best.old", ".hidden", "last"]);
        std::fs::create_dir(folder.path().join(".last.aB3xYz")).unwrap();
        checkpoint(2).save(folder.path(), "last").unwrap();
        assert_eq!(names(), [".best.old", ".hidden", "last"]);
        assert_eq!(Checkpoint::last(folder.path()).unwrap(), Some(checkpoint(2)));
    }
}
