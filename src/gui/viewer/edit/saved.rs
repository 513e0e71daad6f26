//! What is known of a correction that is in a file.

use std::path::PathBuf;

use crate::volume::VolumeSource;

/// A correction in a file, with all that may follow needs: such as adding it to a training set.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gui::viewer) struct SavedCorrection {
    /// Name of the case.
    pub(in crate::gui::viewer) case: String,
    /// The image's files.
    pub(in crate::gui::viewer) images: Vec<VolumeSource>,
    /// Title of the labels that were corrected.
    pub(in crate::gui::viewer) origin: String,
    /// Their file: that of a prediction, for example. None of labels that were in no file.
    pub(in crate::gui::viewer) predicted: Option<PathBuf>,
    /// The corrected labels' file.
    pub(in crate::gui::viewer) corrected: PathBuf,
    /// What was saved, in a sentence.
    pub(in crate::gui::viewer) sentence: String,
}
