//! Cases that stay on one side of every split: scans of one patient (`data.groups`, or as DICOM names it), and one scan under two names.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::note::first_of;
use super::{CaseFiles, DataErrors, Dataset, Fault, Note, VolumeSource, content};
use crate::config::{DataConfig, Groups, patient};

/// Names that a message gives of many.
const SHOWN: usize = 3;

/// Which cases stay together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Together {
    /// Case -> what stays together with it, itself included, sorted. Cases on their own aren't there.
    units: BTreeMap<String, Vec<String>>,
    /// Sets of cases whose images are the same.
    equal: Vec<Vec<String>>,
}

impl Together {
    /// Finds the patients that `data.groups` names, those of DICOM series, and the images that are the same. Every image is read, or known from before.
    ///
    /// # Errors
    /// Names that the pattern doesn't fit, or that the dataset doesn't have.
    pub fn of(dataset: &Dataset, config: &DataConfig) -> Result<Self, DataErrors> {
        let patients = config.groups.as_ref().map(|groups| patients(dataset, groups, config.skip_bad)).transpose()?;
        let equal = equal_images(&dataset.cases);
        let mut units: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for set in patients
            .unwrap_or_default()
            .into_iter()
            .chain(patients_of_series(&dataset.cases))
            .chain(equal.iter().cloned())
            .filter(|set| set.len() > 1)
        {
            // What any of them already stays with comes along.
            let mut whole: Vec<String> =
                set.iter().flat_map(|name| units.get(name).cloned().unwrap_or_else(|| vec![name.clone()])).collect();
            whole.sort();
            whole.dedup();
            for name in &whole {
                units.insert(name.clone(), whole.clone());
            }
        }
        Ok(Self { units, equal })
    }

    /// What stays together with a case, itself included.
    pub fn with<'a>(&'a self, name: &'a String) -> &'a [String] {
        self.units.get(name).map_or(std::slice::from_ref(name), Vec::as_slice)
    }

    /// `names` (sorted) in sets of those that stay together, in the order of the first of each.
    pub(super) fn sets(&self, names: &[String]) -> Vec<Vec<String>> {
        let firsts = names.iter().filter(|name| self.with(name).iter().find(|other| names.contains(other)) == Some(name));
        firsts.map(|name| self.with(name).iter().filter(|other| names.contains(other)).cloned().collect()).collect()
    }

    /// What a person should know: images that are the same, and how many patients there are.
    pub fn notes(&self, dataset: &Dataset) -> Vec<Note> {
        let file = |name: &String| dataset.case(name).and_then(|case| case.images.first()).map(|image| image.file().into_owned());
        let note = |set: &Vec<String>| Note::new(&file(&set[0]).unwrap_or_default(), equal_text(&set[0], set));
        let mut notes: Vec<Note> = self.equal.iter().map(note).collect();
        let own = dataset.cases.iter().filter(|case| self.with(&case.name).first() == Some(&case.name)).count();
        if self.units.len() > self.equal.iter().map(Vec::len).sum() {
            let text = format!(
                "its {} cases are of {own} patients or groups (data.groups, DICOM); each stays on one side of the split",
                dataset.cases.len()
            );
            notes.push(Note::new(Path::new(&dataset.name), text));
        }
        notes
    }
}

/// Cases whose images are the same, whatever their names, headers and compression: sets of at least two, sorted. Images that
/// cannot be read are equal to none.
pub fn equal_images(cases: &[CaseFiles]) -> Vec<Vec<String>> {
    let key = |case: &CaseFiles| (!case.images.is_empty()).then(|| content::image_key(case).ok()).flatten();
    let keys: Vec<Option<String>> = cases.par_iter().map(key).collect();
    let mut of_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (case, key) in cases.iter().zip(keys) {
        of_key.entry(key.unwrap_or_else(|| format!("unreadable {}", case.name))).or_default().push(case.name.clone());
    }
    let mut equal: Vec<Vec<String>> = of_key.into_values().filter(|names| names.len() > 1).collect();
    equal.iter_mut().for_each(|names| names.sort());
    equal.sort();
    equal
}

/// What is to be said of a case whose image others of its set hold too.
pub(super) fn equal_text(case: &str, set: &[String]) -> String {
    let others: Vec<&str> = set.iter().map(String::as_str).filter(|other| *other != case).collect();
    format!("holds the same image as {}; no split parts them", first_of(&others, SHOWN))
}

/// Cases of one patient, as the headers of DICOM series have it.
fn patients_of_series(cases: &[CaseFiles]) -> Vec<Vec<String>> {
    let mut of_patient: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in cases {
        if let Some(VolumeSource::Series { patient, .. }) = case.images.first() {
            of_patient.entry(patient).or_default().push(case.name.clone());
        }
    }
    of_patient.into_values().collect()
}

/// The cases of a dataset that are of the patient of the case `name`, by `groups`; `name` need not be one of its cases yet.
///
/// # Errors
/// The pattern does not fit the name, in words.
pub(super) fn of_patient<'d>(dataset: &'d Dataset, groups: &Groups, name: &str) -> Result<Vec<&'d CaseFiles>, String> {
    match groups {
        Groups::Pattern(pattern) => {
            let own = patient(pattern, name).ok_or_else(|| format!("the pattern {pattern:?} does not fit the name {name}"))?;
            Ok(dataset.cases.iter().filter(|case| patient(pattern, &case.name) == Some(own)).collect())
        }
        Groups::Lists(lists) => {
            let own = lists.iter().find(|list| list.iter().any(|case| case == name));
            Ok(own.into_iter().flatten().filter_map(|mate| dataset.case(mate)).collect())
        }
    }
}

fn patients(dataset: &Dataset, groups: &Groups, some_left_out: bool) -> Result<Vec<Vec<String>>, DataErrors> {
    match groups {
        Groups::Pattern(pattern) => {
            let mut of_patient: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            let mut others = Vec::new();
            for case in &dataset.cases {
                match patient(pattern, &case.name) {
                    Some(patient) => of_patient.entry(patient).or_default().push(case.name.clone()),
                    None => others.push(case.name.as_str()),
                }
            }
            if others.is_empty() {
                return Ok(of_patient.into_values().collect());
            }
            let cause = format!("data.groups: the pattern {pattern:?} does not fit the names {}", first_of(&others, SHOWN));
            Err(dataset.fault(Fault::Split(cause)).into())
        }
        Groups::Lists(lists) => {
            let known = |name: &&String| dataset.case(name).is_some();
            let unknown = lists.iter().flatten().filter(|name| !some_left_out && !known(name));
            let errors = unknown.map(|name| dataset.fault(dataset.unknown(name, "data.groups"))).collect();
            let lists = lists.iter().map(|list| list.iter().filter(known).cloned().collect()).collect();
            DataErrors::or(errors, lists)
        }
    }
}
