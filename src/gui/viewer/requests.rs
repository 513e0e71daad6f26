//! What users ask of the panel.

use std::path::PathBuf;

use super::image::ImageRequest;
use super::segmenting::Offered;

/// Something that replaces what is open, or its segmentation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PanelAction {
    /// Open an image, with label maps over it.
    Open(Box<ImageRequest>),
    /// Segment the open case.
    Segment(Offered),
    /// Take the segmentation off.
    Discard,
    /// Close the window.
    Close,
}

/// What a dialog gave.
pub(super) enum Picked {
    Images(Vec<PathBuf>),
    /// Label maps for the open image.
    Labels(Vec<PathBuf>),
    Dataset(PathBuf),
    /// A checkpoint's or a run's folder.
    Checkpoint(PathBuf),
    /// The segmentation was written to this file.
    Saved(PathBuf),
}

/// What a button of the empty panel or of the menu asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// An image, by a dialog.
    Image,
    /// Label maps of the open image, by a dialog.
    Labels,
    /// A dataset's folder, by a dialog.
    Dataset,
    /// A checkpoint's folder, by a dialog.
    Checkpoint,
    /// The forty cases inside the program.
    Demo,
    /// A file opened before.
    Recent(PathBuf),
    /// What failed, once more.
    Again,
}
