//! From a folder, a list or a name to a [`Dataset`]: which cases there are, their channels and labels.
//!
//! Understood are Decathlon and MONAI lists (`lists.rs`), nnU-Net v2 folders and plain folders (`folders.rs`, `listing.rs`),
//! with what they say about channels and labels (`naming.rs`), and files given one by one (`inputs.rs`). Volumes are read only for what isn't said: the number of
//! channels, the label values. What is wrong with the listing goes to [`Dataset::findings`], for one look at all of it.

mod folders;
pub mod inputs;
pub mod listing;
mod lists;
pub mod naming;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CaseSource, DataError, DataErrors, Fault, LoadedCase, Note, demo, synthetic};
use crate::config::{DataSource, NonFinite};
pub(super) use naming::Naming;

/// Classes that a class index of one byte can tell apart.
const MOST_CLASSES: usize = 256;

/// Cases with their channels and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// As its list calls it, else its folder.
    pub name: String,
    /// Channel names in order, for example FLAIR, T1w.
    pub channels: Vec<String>,
    /// Label value -> name, with 0, the background. Values may have gaps.
    pub labels: BTreeMap<u32, String>,
    /// Named unions of label values (nnU-Net's region-based classes).
    pub regions: BTreeMap<String, Vec<u32>>,
    /// All cases, sorted by name.
    pub cases: Vec<CaseSource>,
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
    /// Opens the dataset that a config names.
    ///
    /// # Errors
    /// No dataset there, a list that cannot be understood, no case at all, more than 256 classes.
    pub fn open(source: &DataSource) -> Result<Self, DataError> {
        match source {
            DataSource::Demo => Ok(demo::dataset()),
            DataSource::Synthetic(config) => Ok(synthetic::dataset(config)),
            DataSource::Folders { images, labels } => folders::pair(images, labels.as_deref()),
            DataSource::Dataset(path) => open_path(path),
        }
    }

    /// Label value of each class index: the sorted label values, background first.
    pub fn label_values(&self) -> Vec<u32> {
        self.labels.keys().copied().collect()
    }

    /// Number of classes, background included.
    pub fn class_count(&self) -> usize {
        self.labels.len()
    }

    /// The case of a name.
    pub fn case(&self, name: &str) -> Option<&CaseSource> {
        self.cases.iter().find(|case| case.name == name)
    }

    /// This dataset without some cases, for example those that a check found unusable.
    pub fn without(mut self, names: &BTreeSet<String>) -> Self {
        self.cases.retain(|case| !names.contains(&case.name));
        self.findings.retain(|problem| problem.case.as_ref().is_none_or(|case| !names.contains(case)));
        self
    }

    /// Reads a case of this dataset, without NaN and infinite voxels.
    ///
    /// # Errors
    /// What is wrong with its listing and its files, at once.
    pub fn load(&self, case: &CaseSource) -> Result<LoadedCase, DataErrors> {
        self.load_with(case, NonFinite::Refuse)
    }

    /// Reads a case of this dataset; `non_finite`: what happens to image voxels that are NaN or infinite.
    ///
    /// # Errors
    /// What is wrong with its listing and its files, at once.
    pub fn load_with(&self, case: &CaseSource, non_finite: NonFinite) -> Result<LoadedCase, DataErrors> {
        let listing: Vec<DataError> = self.findings_of(&case.name).cloned().collect();
        match case.load(Some(self.channels.len()), Some(&self.label_values()), non_finite) {
            Err(DataErrors(errors)) => Err(DataErrors([listing, errors].concat())),
            Ok(loaded) => DataErrors::or(listing, loaded),
        }
    }

    /// Whether nothing is wrong with the listing of a case.
    pub fn listing_is_sound(&self, case: &str) -> bool {
        self.findings_of(case).next().is_none()
    }

    pub(super) fn findings_of(&self, case: &str) -> impl Iterator<Item = &DataError> {
        self.findings.iter().filter(move |problem| problem.case.as_deref() == Some(case)).map(|problem| &problem.error)
    }
}

/// The source that a folder or list on disk is: a folder of bare images pre-trains only.
pub fn source_at(path: &Path) -> DataSource {
    let has_images = |folder: &Path| listing::volumes(folder).is_ok_and(|listing| !listing.files.is_empty());
    if path.is_dir() && !path.join("dataset.json").exists() && has_images(path) {
        DataSource::Folders { images: path.to_owned(), labels: None }
    } else {
        DataSource::Dataset(path.to_owned())
    }
}

/// The regions that a dataset's list names, with the list, where `labels` is a folder of that dataset or holds a copy of it.
///
/// # Errors
/// A list that cannot be read.
pub fn regions_beside(labels: &Path) -> Result<Option<(PathBuf, BTreeMap<String, Vec<u32>>)>, DataError> {
    let folders = [Some(labels), labels.parent()];
    let lists = folders.into_iter().flatten().map(|folder| folder.join("dataset.json"));
    let Some(list) = lists.into_iter().find(|list| list.is_file()) else { return Ok(None) };
    let Naming { regions, .. } = Naming::of(&lists::read(&list)?, &list, "")?;
    Ok((!regions.is_empty()).then_some((list, regions)))
}

fn open_path(path: &Path) -> Result<Dataset, DataError> {
    let unreadable = |error: std::io::Error| Fault::Unreadable { cause: error.to_string() }.at(path);
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return lists::open(path);
    }
    let list = path.join("dataset.json");
    if list.is_file() {
        return lists::open(&list);
    }
    if path.join("imagesTr").is_dir() {
        return folders::decathlon(path);
    }
    let nothing = listing::volumes(path)?.nothing();
    let cause = format!("the folder holds neither dataset.json nor imagesTr, and {nothing}; name the JSON file, or use `folders`");
    Err(Fault::List { cause }.at(path))
}

/// A listed case before names are made unique.
struct Listed {
    name: String,
    images: Vec<PathBuf>,
    label: Option<PathBuf>,
    fold: Option<usize>,
    findings: Vec<DataError>,
}

/// Makes a dataset of listed cases: unique names, each case once, channels and labels as named or as found.
///
/// `place` is the list or folder, for messages.
fn assemble(place: &Path, naming: Naming, listed: Vec<Listed>) -> Result<Dataset, DataError> {
    if listed.is_empty() {
        return Err(Fault::List { cause: "it names no case".to_owned() }.at(place));
    }
    let Naming { name, mut channels, labels, regions, notes } = naming;
    let (mut cases, findings) = unique(listed);
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    if channels.is_empty() {
        channels = found_channels(&cases);
    }
    let mut labels = labels.unwrap_or_else(|| found_labels(&cases));
    labels.entry(0).or_insert_with(|| "background".to_owned());
    let largest = labels.last_key_value().map_or(0, |(&value, _)| value);
    if labels.len() > MOST_CLASSES || largest > u32::from(u16::MAX) {
        let cause = format!("{} label values up to {largest}; allowed are {MOST_CLASSES} values up to 65535", labels.len());
        return Err(Fault::List { cause }.at(place));
    }
    Ok(Dataset { name, channels, labels, regions, cases, findings, notes })
}

/// Joins entries of the same image into one case, and tells apart different images of one name by their folders.
fn unique(listed: Vec<Listed>) -> (Vec<CaseSource>, Vec<Problem>) {
    let mut findings = Vec::new();
    let mut of_image: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut kept: Vec<(Listed, usize)> = Vec::new();
    for entry in listed {
        let seen = entry.images.first().and_then(|image| of_image.get(image).copied());
        match seen {
            Some(index) => {
                let (first, times) = &mut kept[index];
                *times += 1;
                first.label = first.label.take().or(entry.label);
                first.findings.extend(entry.findings);
            }
            None => {
                of_image.extend(entry.images.first().map(|image| (image.clone(), kept.len())));
                kept.push((entry, 1));
            }
        }
    }
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for (entry, _) in &kept {
        *uses.entry(entry.name.clone()).or_default() += 1;
    }
    let mut cases: Vec<CaseSource> = Vec::new();
    let mut taken = BTreeSet::new();
    for (mut entry, times) in kept {
        if uses[&entry.name] > 1 {
            entry.name = naming::qualified(&entry.name, entry.images.first().map(PathBuf::as_path));
        }
        let plain = entry.name.clone();
        let mut number = 2;
        while !taken.insert(entry.name.clone()) {
            entry.name = format!("{plain}_{number}");
            number += 1;
        }
        if let (true, Some(image)) = (times > 1, entry.images.first()) {
            entry.findings.push(Fault::ListedTwice { times }.at(image));
        }
        let case = Some(entry.name.clone());
        findings.extend(entry.findings.into_iter().map(|error| Problem { case: case.clone(), error }));
        let images = entry.images.into_iter().map(super::VolumeSource::File).collect();
        cases.push(CaseSource { name: entry.name, images, label: entry.label.map(super::VolumeSource::File), fold: entry.fold });
    }
    (cases, findings)
}

/// Numbered channels, as many as the first readable case has.
fn found_channels(cases: &[CaseSource]) -> Vec<String> {
    let count = cases.iter().find_map(|case| match case.images.as_slice() {
        [one] => one.read().ok().map(|scan| scan.volume.channels),
        [] => None,
        several => Some(several.len()),
    });
    (0..count.unwrap_or(1)).map(|channel| format!("channel {channel}")).collect()
}

/// All values in the label maps. Reads every one of them, since one file alone may lack a label.
fn found_labels(cases: &[CaseSource]) -> BTreeMap<u32, String> {
    let values: BTreeSet<u32> = cases.par_iter().flat_map_iter(|case| case.label_values().into_keys()).collect();
    values.into_iter().map(|value| (value, naming::default_label(value))).collect()
}
