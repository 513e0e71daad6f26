//! Cases with their channels and labels.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CaseFiles, DataError, DataErrors, LoadedCase, Note};
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

    /// Case names most like `name`, by edit distance, unless more than half of it differs.
    pub fn near(&self, name: &str) -> Vec<String> {
        let mut ranked: Vec<(usize, &str)> = self.cases.iter().map(|case| (edit_distance(name, &case.name), case.name.as_str())).collect();
        ranked.sort_unstable();
        let close = ranked.into_iter().filter(|&(distance, _)| 2 * distance <= name.chars().count());
        close.take(SUGGESTED).map(|(_, name)| name.to_owned()).collect()
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
        let listing: Vec<DataError> = self.findings_of(&case.name).cloned().collect();
        match case.load(Some(self.channels.len()), Some(&self.label_values()), non_finite) {
            Err(DataErrors(errors)) => Err(DataErrors([listing, errors].concat())),
            Ok(loaded) => DataErrors::or(listing, loaded),
        }
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
