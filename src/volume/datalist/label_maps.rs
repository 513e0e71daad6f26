//! Which label map is of which DICOM series, as people file them.
//!
//! A label map may be called as the case that it is of, or as a folder in which that series lies; a DICOM segmentation or structure set
//! also says itself which series it refers to: by the series, else (structure sets alone) by its images, else by its frame of reference. All that is known of a label map must agree on one series, and no series may have two: else it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::listing;
use crate::volume::dataset::Problem;
use crate::volume::dicom::{Series, referenced};
use crate::volume::file::stem;
use crate::volume::note::first_of;
use crate::volume::{DataError, Fault, Note};

/// Names of cases that a message lists.
const SHOWN: usize = 12;

/// The label maps of a folder, beside the series of another.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LabelMaps {
    /// The label map of each series, in their order.
    pub of_series: Vec<Option<PathBuf>>,
    /// Label maps that are damaged, of no series, of several, or one of several of a series.
    pub findings: Vec<Problem>,
    /// What is not read.
    pub notes: Vec<Note>,
}

impl LabelMaps {
    /// Finds the label maps in `labels` of the series that were found in `folder`.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn find(folder: &Path, series: &[Series], labels: &Path) -> Result<Self, DataError> {
        let listing = listing::label_maps(labels)?;
        let known = Known::new(folder, series);
        let name = |index: usize| series[index].name.clone();
        let names = |of: &BTreeSet<usize>| first_of(&of.iter().map(|&index| name(index)).collect::<Vec<_>>(), SHOWN);
        let mut found = Self { of_series: vec![None; series.len()], findings: Vec::new(), notes: listing.left_out };
        let mut of_none = Vec::new();
        for file in listing.files {
            let owners = known.owners(&file);
            let (case, fault) = match (owners.first(), owners.len()) {
                (None, _) => {
                    of_none.push(file);
                    continue;
                }
                (Some(&only), 1) => match &found.of_series[only] {
                    None => {
                        found.of_series[only] = Some(file);
                        continue;
                    }
                    Some(other) => (Some(name(only)), Fault::SecondLabelMap(name(only), other.clone())),
                },
                _ => (None, Fault::SeveralSeriesLabelled(names(&owners))),
            };
            found.findings.push(Problem { case, error: fault.at(&file) });
        }
        let bare: BTreeSet<usize> = (0..series.len()).filter(|&index| found.of_series[index].is_none()).collect();
        let others = if bare.is_empty() { "each has a label map".to_owned() } else { format!("without a label map are {}", names(&bare)) };
        let stray = |file: PathBuf| Problem { case: None, error: Fault::NoSeriesLabelled(folder.to_owned(), others.clone()).at(&file) };
        found.findings.extend(of_none.into_iter().map(stray));
        for error in listing.doubled {
            let of = found.of_series.iter().position(|label| label.as_ref() == Some(&error.file));
            found.findings.push(Problem { case: of.map(name), error });
        }
        for error in listing.damaged {
            let owners = known.owners(&error.file);
            let of = owners.first().filter(|_| owners.len() == 1);
            found.findings.push(Problem { case: of.map(|&index| name(index)), error });
        }
        Ok(found)
    }
}

/// What label maps can be recognised by: names and identifiers, each with the series that it may mean.
struct Known<'a> {
    cases: BTreeMap<&'a str, BTreeSet<usize>>,
    /// Folders below the one that is looked through, with every series that lies in one of that name.
    folders: BTreeMap<String, BTreeSet<usize>>,
    identifiers: BTreeMap<&'a str, BTreeSet<usize>>,
}

impl<'a> Known<'a> {
    fn new(folder: &Path, series: &'a [Series]) -> Self {
        let mut known = Self { cases: BTreeMap::new(), folders: BTreeMap::new(), identifiers: BTreeMap::new() };
        for (index, one) in series.iter().enumerate() {
            known.cases.entry(&one.name).or_default().insert(index);
            for identifier in one.instances.iter().chain([&one.identifier, &one.space]).filter(|identifier| !identifier.is_empty()) {
                known.identifiers.entry(identifier).or_default().insert(index);
            }
            let parents: BTreeSet<&Path> = one.files.iter().filter_map(|file| file.parent()).collect();
            let around = parents.into_iter().flat_map(|parent| parent.ancestors().take_while(|&above| above != folder));
            for name in around.filter_map(Path::file_name) {
                known.folders.entry(name.to_string_lossy().into_owned()).or_default().insert(index);
            }
        }
        known
    }

    /// The series that a label map may be of: those on which all that is known agrees, or, where it does not agree, all that it names.
    fn owners(&self, file: &Path) -> BTreeSet<usize> {
        let name = stem(file);
        let called = [self.cases.get(name.as_str()), self.folders.get(&name)].into_iter().flatten().cloned();
        let of = |identifiers: &BTreeSet<String>| -> BTreeSet<usize> {
            identifiers.iter().filter_map(|identifier| self.identifiers.get(identifier.as_str())).flatten().copied().collect()
        };
        let referred = referenced(file).iter().map(of).find(|series| !series.is_empty());
        let told: Vec<BTreeSet<usize>> = called.chain(referred).collect();
        let agreed = told.iter().cloned().reduce(|a, b| &a & &b).unwrap_or_default();
        if agreed.is_empty() { told.into_iter().flatten().collect() } else { agreed }
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, VR};
    use dicom_dictionary_std::{tags, uids};
    use dicom_object::InMemDicomObject;
    use dicom_object::meta::FileMetaTableBuilder;

    use super::*;

    /// Anna has one series, Bert two in folders of his, Carl one without a folder for it.
    fn series() -> Vec<Series> {
        let one = |name: &str, identifier: &str, files: &[&str]| Series {
            name: name.to_owned(),
            patient: String::new(),
            modality: "MR".to_owned(),
            identifier: identifier.to_owned(),
            space: format!("{identifier}.space"),
            instances: [format!("{identifier}.0")].into(),
            files: files.iter().map(|file| Path::new("scans").join(file)).collect(),
        };
        vec![
            one("T1_1", "1.1", &["ANNA/t1/0", "ANNA/t1/1"]),
            one("T1_2", "1.2", &["BERT/t1/0"]),
            one("T1_3", "1.4", &["CARL/0"]),
            one("T2_2", "1.3", &["BERT/t2/0"]),
        ]
    }

    /// A DICOM segmentation as far as it refers to a series.
    fn segmentation(file: &Path, identifier: &str) {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::SOP_CLASS_UID, VR::UI, uids::SEGMENTATION_STORAGE);
        object.put_str(tags::SOP_INSTANCE_UID, VR::UI, "1.9");
        let item = InMemDicomObject::from_element_iter([DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, identifier)]);
        object.put(DataElement::new(tags::REFERENCED_SERIES_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item])));
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        object.with_meta(meta).expect("a complete object").write_to_file(file).expect("a writable folder");
    }

    /// What is wrong with a label map: the case, its file's name, the fault.
    type Wrong = (Option<String>, String, Fault);

    /// The label map of each series, and what is wrong, of a folder with such files, of which segmentations refer to a series.
    fn found(files: &[(&str, Option<&str>)]) -> (Vec<Option<String>>, Vec<Wrong>) {
        let folder = tempfile::tempdir().expect("a folder");
        for &(name, refers_to) in files {
            let file = folder.path().join(name);
            match refers_to {
                None => std::fs::write(file, "x").expect("a writable folder"),
                Some(identifier) => segmentation(&file, identifier),
            }
        }
        let found = LabelMaps::find(Path::new("scans"), &series(), folder.path()).expect("a folder");
        let name = |path: &Path| path.file_name().expect("a file").to_string_lossy().into_owned();
        let findings = found.findings.into_iter().map(|Problem { case, error }| (case, name(&error.file), error.fault));
        (found.of_series.iter().map(|label| label.as_deref().map(name)).collect(), findings.collect())
    }

    fn named(names: [Option<&str>; 4]) -> Vec<Option<String>> {
        names.map(|name| name.map(str::to_owned)).into()
    }

    #[test]
    fn a_label_map_is_called_as_its_case_or_as_a_folder_of_that_series_alone_or_refers_to_it() {
        let (labels, findings) = found(&[("ANNA.nii.gz", None), ("t2.mha", None), ("T1_3.nrrd", None)]);
        assert_eq!((labels, findings.as_slice()), (named([Some("ANNA.nii.gz"), None, Some("T1_3.nrrd"), Some("t2.mha")]), &[][..]));
        // Of two series in a folder of that name the reference tells which one is meant.
        let (labels, findings) = found(&[("BERT.dcm", Some("1.3")), ("anything", Some("1.2")), ("CARL.dcm", Some("of another program"))]);
        assert_eq!((labels, findings.as_slice()), (named([None, Some("anything"), Some("CARL.dcm"), Some("BERT.dcm")]), &[][..]));
    }

    #[test]
    fn what_several_series_may_own_is_given_to_none_of_them() {
        let (labels, findings) = found(&[("BERT.nii.gz", None), ("t1.nii.gz", None), ("ANNA.dcm", Some("1.4"))]);
        assert_eq!(labels, named([None; 4]));
        let several = |file: &str, names: &str| (None, file.to_owned(), Fault::SeveralSeriesLabelled(names.to_owned()));
        // A name and a reference that contradict each other are no better than a name of two.
        assert_eq!(findings, [several("ANNA.dcm", "T1_1, T1_3"), several("BERT.nii.gz", "T1_2, T2_2"), several("t1.nii.gz", "T1_1, T1_2")]);
    }

    #[test]
    fn a_label_map_of_no_series_is_told_with_the_series_that_lack_one() {
        let (labels, findings) = found(&[("ANNA.nii.gz", None), ("anna_t1.nii.gz", None), ("scans.nii.gz", None), ("x.dcm", Some("9"))]);
        assert_eq!(labels, named([Some("ANNA.nii.gz"), None, None, None]));
        let of_none = |file: &str| {
            let fault = Fault::NoSeriesLabelled("scans".into(), "without a label map are T1_2, T1_3, T2_2".to_owned());
            (None, file.to_owned(), fault)
        };
        assert_eq!(findings, ["anna_t1.nii.gz", "scans.nii.gz", "x.dcm"].map(of_none));
    }

    #[test]
    fn a_damaged_label_map_is_a_fault_of_its_own_and_of_the_case_that_it_is_called_as() {
        let (labels, findings) = found(&[("ANNA.dcm", None), ("T1_3.nrrd", None), ("y.DCM", None)]);
        assert_eq!(labels, named([None, None, Some("T1_3.nrrd"), None]));
        let [(Some(case), anna, Fault::Damaged(_)), (None, other, Fault::Damaged(_))] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!([case, anna, other], ["T1_1", "ANNA.dcm", "y.DCM"]);
    }

    #[test]
    fn two_label_maps_of_a_series_make_it_unusable() {
        let (_, findings) = found(&[("ANNA.nii.gz", None), ("T1_1.nii.gz", None), ("CARL.nii", None), ("CARL.nii.gz", None)]);
        let [(first, file, Fault::SecondLabelMap(case, other)), (second, doubled, Fault::SameName(_))] = &findings[..] else {
            panic!("{findings:?}")
        };
        assert_eq!((first.as_deref(), file.as_str(), case.as_str()), (Some("T1_1"), "T1_1.nii.gz", "T1_1"));
        assert!(other.ends_with("ANNA.nii.gz"), "{}", other.display());
        assert_eq!((second.as_deref(), doubled.as_str()), (Some("T1_3"), "CARL.nii"));
    }
}
