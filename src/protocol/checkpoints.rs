//! Where checkpoints lie, a digest of their weights, and how their segmentations are post-processed: what can be said of them without their
//! tensors.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FolderError, SCHEMA, StageKind};
use crate::atomic_file;
use crate::metrics::Postprocessing;

/// What a checkpoint tells of itself: a file of its folder.
pub const CHECKPOINT_INFO: &str = "checkpoint.json";
/// Its weights.
pub const CHECKPOINT_WEIGHTS: &str = "weights.safetensors";
/// Of which labels the largest component alone is kept, with the figures that led to it: a file of its folder, so that it goes when the
/// weights do.
const POSTPROCESSING: &str = "postprocessing.json";
/// Names of the last checkpoint: its own, and where it steps aside for an instant while the next takes its place.
pub const LAST_CHECKPOINT: [&str; 2] = ["last", ".last.old"];
/// The trainings of an experiment's folder.
pub const TRAININGS: &str = "trainings";

/// Why no checkpoint was found.
#[derive(Debug, thiserror::Error)]
pub enum NoCheckpoint {
    /// Nothing that looks like one.
    #[error("{}: no checkpoint there (expected {CHECKPOINT_INFO}, or checkpoints/best or checkpoints/last below it)", .0.display())]
    None(PathBuf),
    /// An experiment with several trainings.
    #[error("{} holds several trainings; name one of them: {}", folder.display(), trainings.join(", "))]
    Several {
        /// The experiment's folder.
        folder: PathBuf,
        /// Its trainings' folders.
        trainings: Vec<String>,
    },
}

/// The part of `checkpoint.json` that is read here.
#[derive(Deserialize)]
struct Info {
    schema: u32,
    kind: StageKind,
}

/// Finds the checkpoint that `path` means: the folder itself; or below a training's folder the `best` of a fine-tuning (chosen on
/// validation cases), else the `last`; or that of an experiment's only training.
///
/// # Errors
/// There is none, or more than one training.
pub fn locate(path: &Path) -> Result<PathBuf, NoCheckpoint> {
    let trainings = std::fs::read_dir(path.join(TRAININGS)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut trained: Vec<_> = trainings.filter_map(|training| Some((find(&training)?, training))).collect();
    match (find(path), trained.len()) {
        (Some(place), _) => Ok(place),
        (None, 1) => Ok(trained.remove(0).0),
        (None, 0) => Err(NoCheckpoint::None(path.to_owned())),
        (None, _) => {
            let mut trainings: Vec<_> = trained.iter().map(|(_, training)| training.display().to_string()).collect();
            trainings.sort();
            Err(NoCheckpoint::Several { folder: path.to_owned(), trainings })
        }
    }
}

fn find(path: &Path) -> Option<PathBuf> {
    let kind = |place: &Path| {
        let info: Info = serde_json::from_slice(&std::fs::read(place.join(CHECKPOINT_INFO)).ok()?).ok()?;
        (info.schema == SCHEMA).then_some(info.kind)
    };
    let parents = [path.to_owned(), path.join("checkpoints")];
    let best = parents.iter().map(|parent| parent.join("best")).find(|place| kind(place) == Some(StageKind::Finetune));
    let last = || parents.iter().flat_map(|parent| LAST_CHECKPOINT.map(|name| parent.join(name)));
    [path.to_owned()].into_iter().chain(best).chain(last()).find(|place| place.join(CHECKPOINT_INFO).is_file())
}

/// SHA-256 of the weights of the checkpoint at `place`, in hexadecimal digits.
///
/// # Errors
/// They cannot be read.
pub fn weights_sha256(place: &Path) -> std::io::Result<String> {
    crate::digest::sha256_of_file(&place.join(CHECKPOINT_WEIGHTS))
}

/// Keeps what was measured of the segmentations of the checkpoint at `place`.
///
/// # Errors
/// Writing failed.
pub fn write_postprocessing(place: &Path, measured: &Postprocessing) -> Result<(), FolderError> {
    let path = place.join(POSTPROCESSING);
    let text = serde_json::to_vec_pretty(measured).expect("plain data becomes JSON");
    atomic_file::write(&path, &text).map_err(FolderError::io(&path))
}

/// What was measured of the segmentations of the checkpoint at `place`; none where nothing was.
///
/// # Errors
/// The file is there but cannot be read, or holds something else.
pub fn read_postprocessing(place: &Path) -> Result<Option<Postprocessing>, FolderError> {
    let path = place.join(POSTPROCESSING);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| FolderError::Content { path, cause: error.to_string() }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FolderError::Io { path, cause }),
    }
}
