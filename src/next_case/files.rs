//! The files of a ranking's folder.

use std::path::{Path, PathBuf};

/// The order, as JSON and as CSV.
pub(super) fn ranking_files(folder: &Path) -> [PathBuf; 2] {
    ["ranking.json", "ranking.csv"].map(|name| folder.join(name))
}

/// What was measured.
pub(super) fn measured_file(folder: &Path) -> PathBuf {
    folder.join("measured.json")
}
