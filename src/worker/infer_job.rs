//! What a worker is given to segment.

use std::path::PathBuf;

use crate::volume::CaseFiles;
use crate::volume::file::Format;

/// Volumes to segment.
#[derive(Clone, Debug)]
pub struct InferJob {
    /// Checkpoint folders, or a run's. Of several networks the probabilities are averaged.
    pub checkpoints: Vec<PathBuf>,
    /// What to segment.
    pub input: InferInput,
    /// Folder for the segmentations; none: they are shown as previews, the last of each case complete, and not written.
    pub out: Option<PathBuf>,
    /// Replace segmentations that are already there.
    pub overwrite: bool,
    /// How segmentations are stored; none: each as its image is.
    pub format: Option<Format>,
    /// Write probabilities and their entropy too.
    pub probabilities: bool,
    /// Keep the largest component alone of labels of which that was nearer the truth in held-out cases.
    pub postprocess: bool,
    /// `key=value` changes of the checkpoint's settings.
    pub settings: Vec<String>,
}

impl InferJob {
    /// Segmentations that are shown and not written.
    pub fn shown(checkpoint: PathBuf, input: InferInput) -> Self {
        Self {
            checkpoints: vec![checkpoint],
            input,
            out: None,
            overwrite: false,
            format: None,
            probabilities: false,
            postprocess: true,
            settings: Vec::new(),
        }
    }
}

/// What to segment.
#[derive(Clone, Debug)]
pub enum InferInput {
    /// Volumes, and folders of them.
    Files(Vec<PathBuf>),
    /// A case of a dataset; its truth is not looked at.
    Case(Box<CaseFiles>),
}
