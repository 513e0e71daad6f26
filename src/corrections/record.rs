//! What was corrected, case after case: a file of the dataset's folder, so that it shows whether corrections shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::metrics::Counts;
use crate::volume::LabelMap;
use crate::volume::datalist::adding::AddError;
use crate::{atomic_file, text_file};

/// The file, in the dataset's folder.
const FILE: &str = "corrections.json";
/// Version of its form.
const SCHEMA: u32 = 1;

/// All corrections of a dataset, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corrections {
    /// Version of this form.
    pub schema: u32,
    /// Oldest first.
    pub corrections: Vec<Correction>,
}

/// A label map that came into the training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// When, in UTC.
    pub date: jiff::Timestamp,
    /// The case, as the dataset calls it.
    pub case: String,
    /// Whether the case had no label map before; else this one replaced another.
    pub added: bool,
    /// Digest of the labels, by which a second call knows the first.
    pub labels_sha256: String,
    /// The network whose prediction was corrected; none where that is not known.
    pub network: Option<String>,
    /// Voxels of another label than predicted; none where there was no prediction.
    pub changed_voxels: Option<u64>,
    /// Of each label in one of both maps; empty where there was no prediction.
    pub labels: Vec<LabelCorrection>,
}

/// What was corrected of one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCorrection {
    /// Its value.
    pub value: u32,
    /// Its name in the dataset.
    pub name: String,
    /// Dice of the corrected against the predicted map: 1 where nothing was corrected.
    pub dice: f64,
    /// Voxels that are the label's in one of both maps only.
    pub changed_voxels: u64,
}

impl Correction {
    /// Mean Dice over the labels; none where there was no prediction, or no label in either map.
    pub fn dice(&self) -> Option<f64> {
        let sum: f64 = self.labels.iter().map(|label| label.dice).sum();
        (!self.labels.is_empty()).then(|| sum / self.labels.len() as f64)
    }
}

impl Default for Corrections {
    fn default() -> Self {
        Self { schema: SCHEMA, corrections: Vec::new() }
    }
}

impl Corrections {
    /// Where they are kept in a dataset's folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads those of a dataset's folder; none where nothing was corrected.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(folder: &Path) -> Result<Self, AddError> {
        let path = Self::path(folder);
        let text = match text_file::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(AddError::Io { path, cause }),
        };
        let refuse = |cause: String| {
            AddError::Refused(format!("{}: {cause}. Move it away to begin a new record; no case or label map hangs on it", path.display()))
        };
        let read: Self = serde_json::from_str(&text).map_err(|error| refuse(format!("is no record of corrections: {error}")))?;
        if read.schema == SCHEMA { Ok(read) } else { Err(refuse(format!("has the form {} instead of {SCHEMA}", read.schema))) }
    }

    /// Keeps one more, unless the newest of that case is of the same labels. Whether it was.
    ///
    /// # Errors
    /// A record that cannot be read or written; the older one is then still there.
    pub fn append(folder: &Path, correction: Correction) -> Result<bool, AddError> {
        let mut all = Self::read(folder)?;
        let newest = all.corrections.iter().rev().find(|other| other.case == correction.case);
        if newest.is_some_and(|newest| newest.labels_sha256 == correction.labels_sha256) {
            return Ok(false);
        }
        all.corrections.push(correction);
        let text = serde_json::to_vec_pretty(&all).expect("plain data becomes JSON");
        let path = Self::path(folder);
        atomic_file::write(&path, &text).map_err(|cause| AddError::Io { path, cause })?;
        Ok(true)
    }

    /// Cases that had no label map before one was added.
    pub fn added(&self) -> BTreeSet<&str> {
        self.corrections.iter().filter(|correction| correction.added).map(|correction| correction.case.as_str()).collect()
    }
}

/// Voxels of another label than predicted, and what was corrected of each label in one of both maps. They lie on one grid.
pub(super) fn compare(predicted: &LabelMap, corrected: &LabelMap, names: &BTreeMap<u32, String>) -> (u64, Vec<LabelCorrection>) {
    let mut counts: BTreeMap<u16, Counts> = BTreeMap::new();
    let mut changed = 0;
    for (&was, &is) in predicted.voxels.iter().zip(&corrected.voxels) {
        if was == is {
            counts.entry(is).or_default().true_positive += 1;
        } else {
            changed += 1;
            counts.entry(is).or_default().false_negative += 1;
            counts.entry(was).or_default().false_positive += 1;
        }
    }
    let label = |(value, counts): (u16, Counts)| {
        let value = u32::from(value);
        let name = names.get(&value).cloned().unwrap_or_else(|| format!("label {value}"));
        let changed_voxels = counts.false_negative + counts.false_positive;
        Some(LabelCorrection { value, name, dice: counts.dice()?, changed_voxels })
    };
    (changed, counts.into_iter().filter(|&(value, _)| value != 0).filter_map(label).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;

    fn map(voxels: &[u16]) -> LabelMap {
        LabelMap { grid: Grid::axis_aligned([1, 1, voxels.len()], [1.0; 3]), voxels: voxels.to_vec() }
    }

    fn correction(case: &str, sha: &str) -> Correction {
        let (changed, labels) = compare(&map(&[0, 1, 1, 2, 0, 0]), &map(&[0, 1, 1, 1, 3, 0]), &[(1, "liver".to_owned())].into());
        let (case, labels_sha256) = (case.to_owned(), sha.to_owned());
        let date = jiff::Timestamp::UNIX_EPOCH;
        Correction { date, case, added: true, labels_sha256, network: None, changed_voxels: Some(changed), labels }
    }

    #[test]
    fn dice_and_changed_voxels_are_those_of_each_label_in_one_of_both_maps() {
        let found = correction("a", "1");
        let of: Vec<_> = found.labels.iter().map(|label| (label.value, label.name.as_str(), label.dice, label.changed_voxels)).collect();
        assert_eq!(of, [(1, "liver", 0.8, 1), (2, "label 2", 0.0, 1), (3, "label 3", 0.0, 1)]);
        assert_eq!(found.changed_voxels, Some(2));
        assert!((found.dice().expect("three labels") - 0.8 / 3.0).abs() < 1e-12);
        assert_eq!(Correction { labels: Vec::new(), ..found }.dice(), None);
    }

    #[test]
    fn a_correction_is_recorded_once_and_a_foreign_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = || Corrections::read(folder.path()).expect("a record");
        assert_eq!(kept(), Corrections::default());
        let append = |case: &str, sha: &str| Corrections::append(folder.path(), correction(case, sha)).expect("a writable folder");
        assert_eq!(
            [append("a", "1"), append("a", "1"), append("b", "1"), append("a", "2"), append("b", "1")],
            [true, false, true, true, false]
        );
        assert_eq!(kept().corrections, [correction("a", "1"), correction("b", "1"), correction("a", "2")]);
        assert_eq!(kept().added(), ["a", "b"].into());
        std::fs::write(Corrections::path(folder.path()), "mine").expect("a writable folder");
        assert!(Corrections::append(folder.path(), correction("c", "1")).is_err());
        assert_eq!(std::fs::read(Corrections::path(folder.path())).expect("it is there"), b"mine");
    }
}
