//! A dataset of listed cases: unique names, each case once, channels and labels as named or as found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::naming;
use crate::volume::dataset::Problem;
use crate::volume::label_table::{LabelTable, same_name};
use crate::volume::{CaseFiles, DataError, Dataset, Fault, VolumeSource};

/// Classes that a class index of one byte can tell apart.
const MOST_CLASSES: usize = 256;

/// A listed case before names are made unique.
pub(super) struct Listed {
    pub name: String,
    pub images: Vec<PathBuf>,
    pub label: Option<PathBuf>,
    pub fold: Option<usize>,
    pub findings: Vec<DataError>,
}

/// Makes a dataset of listed cases: unique names, each case once, channels and labels as named or as found.
///
/// `described` is what its list says of it; `place` is the list or folder, for messages.
pub(super) fn assemble(place: &Path, described: Dataset, listed: Vec<Listed>) -> Result<Dataset, DataError> {
    if listed.is_empty() {
        return Err(Fault::List("it names no case".to_owned()).at(place));
    }
    let (mut cases, findings) = unique(listed);
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    complete(place, Dataset { cases, findings, ..described })
}

/// Gives a dataset the channels and labels that it doesn't name, as they are found in its files; `place` is its list or folder.
///
/// # Errors
/// More than 256 classes.
pub(super) fn complete(place: &Path, mut dataset: Dataset) -> Result<Dataset, DataError> {
    if dataset.channels.is_empty() {
        dataset.channels = found_channels(&dataset.cases);
    }
    let (names, mistaken) = segment_names(&dataset.cases, &dataset.labels, place);
    dataset.findings.extend(mistaken);
    if dataset.labels.is_empty() {
        dataset.labels = found_labels(&dataset.cases);
        dataset.labels.iter_mut().for_each(|(value, name)| *name = names.get(value).cloned().unwrap_or(std::mem::take(name)));
    }
    let largest = dataset.labels.last_key_value().map_or(0, |(&value, _)| value);
    if dataset.labels.len() > MOST_CLASSES || largest > u32::from(u16::MAX) {
        let cause = format!("{} label values up to {largest}; allowed are {MOST_CLASSES} values up to 65535", dataset.labels.len());
        return Err(Fault::List(cause).at(place));
    }
    Ok(dataset)
}

/// Joins entries of the same image into one case, and names different images of one name after their folders.
fn unique(listed: Vec<Listed>) -> (Vec<CaseFiles>, Vec<Problem>) {
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
    let mut cases: Vec<CaseFiles> = Vec::new();
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
            entry.findings.push(Fault::ListedTwice(times).at(image));
        }
        let case = Some(entry.name.clone());
        findings.extend(entry.findings.into_iter().map(|error| Problem { case: case.clone(), error }));
        let images: Vec<VolumeSource> = entry.images.into_iter().map(VolumeSource::File).collect();
        let label = entry.label.map(|label| VolumeSource::label_map(label, &images));
        cases.push(CaseFiles { name: entry.name, images, label, fold: entry.fold });
    }
    (cases, findings)
}

/// Names that label maps give to their values themselves, and the faults of those that give a value another name than the first one, or a name
/// that the `list`, another label map or another value of the same one has for another value.
fn segment_names(cases: &[CaseFiles], listed: &BTreeMap<u32, String>, list: &Path) -> (BTreeMap<u32, String>, Vec<Problem>) {
    let mut names: BTreeMap<u32, (String, PathBuf)> = BTreeMap::new();
    let mut values: Vec<(String, u32, PathBuf)> = Vec::new();
    let mut problems = Vec::new();
    for case in cases {
        let Some(file) = case.label.as_ref().and_then(VolumeSource::single_file) else { continue };
        // Whoever reads the label map reports a header that cannot be read.
        let Ok(Some(table)) = LabelTable::within(file) else { continue };
        for (value, entry) in table.entries {
            let Some(name) = entry.name else { continue };
            let (first, other) = names.entry(value).or_insert_with(|| (name.clone(), file.to_owned()));
            let mut refuse = |other: &Path, otherwise: &str| {
                let fault = Fault::SegmentNames(value, name.clone(), other.to_owned(), otherwise.to_owned());
                problems.push(Problem { case: Some(case.name.clone()), error: fault.at(file) });
            };
            let elsewhere = values.iter().find(|(known, number, _)| *number != value && same_name(known, &name));
            if !same_name(first, &name) {
                refuse(other, first);
            } else if let Some((_, number, other)) = elsewhere {
                let fault = Fault::SegmentValues(name.clone(), value, other.clone(), *number);
                problems.push(Problem { case: Some(case.name.clone()), error: fault.at(file) });
            } else if listed.iter().any(|(&number, label)| number != value && same_name(label, &name)) {
                refuse(list, listed.get(&value).map_or("nothing", String::as_str));
            } else {
                values.push((name, value, file.to_owned()));
            }
        }
    }
    (names.into_iter().map(|(value, (name, _))| (value, name)).collect(), problems)
}

/// Numbered channels, as many as the first readable case has.
fn found_channels(cases: &[CaseFiles]) -> Vec<String> {
    let count = cases.iter().find_map(|case| match case.images.as_slice() {
        [one] => one.read().ok().map(|scan| scan.volume.channels),
        [] => None,
        several => Some(several.len()),
    });
    (0..count.unwrap_or(1)).map(|channel| format!("channel {channel}")).collect()
}

/// The background and all values in the label maps. Reads every one of them, since one file alone may lack a label.
fn found_labels(cases: &[CaseFiles]) -> BTreeMap<u32, String> {
    let mut values: BTreeSet<u32> = cases.par_iter().flat_map_iter(|case| case.label_values().into_keys()).collect();
    values.insert(0);
    values.into_iter().map(|value| (value, naming::default_label(value))).collect()
}
