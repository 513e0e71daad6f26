//! Cases with their channels and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::case::Examined;
use super::{CaseFiles, DataError, DataErrors, Fault, LoadedCase, Note};
use crate::config::NonFinite;

/// Names suggested for one that doesn't exist.
const SUGGESTED: usize = 3;

/// Named unions of label values (nnU-Net's region-based classes).
pub type Regions = BTreeMap<String, Vec<u32>>;

/// Cases with their channels and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// As its list calls it, else its folder.
    pub name: String,
    /// Channel names in order, for example FLAIR, T1w.
    pub channels: Vec<String>,
    /// Label value -> name, with 0, the background. Values may have gaps.
    pub labels: BTreeMap<u32, String>,
    /// Unions of label values.
    pub regions: Regions,
    /// All cases, sorted by name.
    pub cases: Vec<CaseFiles>,
    /// What is wrong with the listing itself.
    pub findings: Vec<Problem>,
    /// What is worth knowing about the listing, though nothing is wrong.
    pub notes: Vec<Note>,
}

/// Something wrong with the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The case it makes unusable; none: a stray file.
    pub case: Option<String>,
    /// File, cause and remedy.
    pub error: DataError,
}

impl Dataset {
    /// Label value of each class index: the sorted label values, background first.
    pub fn label_values(&self) -> Vec<u32> {
        self.labels.keys().copied().collect()
    }

    /// Number of classes, background included.
    pub fn class_count(&self) -> usize {
        self.labels.len()
    }

    /// The case of a name.
    pub fn case(&self, name: &str) -> Option<&CaseFiles> {
        self.cases.iter().find(|case| case.name == name)
    }

    /// A fault of the dataset as a whole.
    pub(crate) fn fault(&self, fault: Fault) -> DataError {
        fault.at(Path::new(&self.name))
    }

    /// The fault of a name that no case has; `place` says where it stands. Names the cases most like it by edit distance, unless more
    /// than half of it differs.
    pub(crate) fn unknown(&self, name: &str, place: &str) -> Fault {
        let mut ranked: Vec<(usize, &str)> = self.cases.iter().map(|case| (edit_distance(name, &case.name), case.name.as_str())).collect();
        ranked.sort_unstable();
        let close = ranked.into_iter().filter(|&(distance, _)| 2 * distance <= name.chars().count());
        let near: Vec<&str> = close.take(SUGGESTED).map(|(_, name)| name).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
        Fault::UnknownCase(format!("{name:?} (named in {place}){hint}"))
    }

    /// This dataset without some cases, for example those that a check found unusable.
    pub fn without(mut self, names: &BTreeSet<String>) -> Self {
        self.cases.retain(|case| !names.contains(&case.name));
        self.findings.retain(|problem| problem.case.as_ref().is_none_or(|case| !names.contains(case)));
        self
    }

    /// Reads a case of this dataset; `non_finite`: what happens to image voxels that are NaN or infinite.
    ///
    /// # Errors
    /// What is wrong with its listing and its files, at once.
    pub fn load(&self, case: &CaseFiles, non_finite: NonFinite) -> Result<LoadedCase, DataErrors> {
        match self.examine(case, non_finite) {
            Examined { image: Some(image), label, errors } if errors.is_empty() => {
                Ok(LoadedCase { image, label: label.map(|label| label.map) })
            }
            Examined { errors, .. } => Err(DataErrors(errors)),
        }
    }

    /// Reads a case as far as that goes, with what is wrong with its listing and its files.
    pub(super) fn examine(&self, case: &CaseFiles, non_finite: NonFinite) -> Examined {
        let examined = case.examine(self.channels.len(), &self.label_values(), non_finite);
        Examined { errors: self.findings_of(&case.name).cloned().chain(examined.errors).collect(), ..examined }
    }

    /// What is wrong with files that belong to no case.
    pub fn strays(&self) -> impl Iterator<Item = &DataError> {
        self.findings.iter().filter(|problem| problem.case.is_none()).map(|problem| &problem.error)
    }

    /// What is wrong with the listing of a case.
    pub fn findings_of(&self, case: &str) -> impl Iterator<Item = &DataError> {
        self.findings.iter().filter(move |problem| problem.case.as_deref() == Some(case)).map(|problem| &problem.error)
    }
}

/// Insertions, deletions and replacements that make `b` of `a` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
