//! How a dataset lies on disk, and where the files of a new case go in it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::AddError;
use crate::config::DataSource;
use crate::text_file;
use crate::volume::datalist::listing;
use crate::volume::datalist::lists::{self, Entry, entries};
use crate::volume::datalist::naming::channel_suffix;
use crate::volume::file::{self, Format, ending, stem};
use crate::volume::{CaseFiles, Dataset, VolumeSource};

/// Where images and label maps stand where no case shows it.
const FOLDERS: [&str; 2] = ["imagesTr", "labelsTr"];
/// Folders of test cases, beside these.
const TEST_FOLDERS: [&str; 2] = ["imagesTs", "labelsTs"];
/// The ending of a file where the dataset shows none that can be written.
const USUAL: &str = ".nii.gz";

/// How a dataset lies on disk.
pub(super) struct Layout {
    /// Its folder: of two plain ones that of the label maps.
    pub(super) root: PathBuf,
    /// Its JSON file.
    pub(super) list: Option<List>,
    /// Folders of images and of label maps that cases without an entry of their own lie in.
    folders: [PathBuf; 2],
}

/// The JSON file of a dataset.
pub(super) struct List {
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) json: Value,
    /// The cases that it names; none where they are those of its folders.
    pub(super) entries: Vec<Entry>,
}

/// Where the files of a case go.
#[derive(Debug, PartialEq)]
pub(super) struct Targets {
    /// One with all channels, or one for each.
    pub(super) images: Vec<PathBuf>,
    pub(super) label: PathBuf,
    /// What the list says of it, where the list names cases.
    pub(super) entry: Option<String>,
}

impl Layout {
    /// Looks how a dataset lies there.
    pub(super) fn of(source: &DataSource) -> Result<Self, AddError> {
        match source {
            DataSource::Demo | DataSource::Synthetic(_) => {
                Err(AddError::Refused("the demo's and synthetic cases lie inside the program: name a dataset on disk".to_owned()))
            }
            DataSource::Folders { images, labels: None } => {
                Err(AddError::refuse(images, "is a folder of images alone. Name the folder of their label maps too (--labels DIR)"))
            }
            DataSource::Folders { images, labels: Some(labels) } => {
                Ok(Self { root: labels.clone(), list: None, folders: [images.clone(), labels.clone()] })
            }
            DataSource::Dataset(path) => {
                let file = if path.is_dir() { path.join("dataset.json") } else { path.clone() };
                let folder = file.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let (root, folders) = (folder.to_owned(), FOLDERS.map(|name| folder.join(name)));
                if file.is_file() {
                    Ok(Self { root, list: Some(List::read(file)?), folders })
                } else if folders[0].is_dir() {
                    Ok(Self { root, list: None, folders })
                } else {
                    Err(AddError::refuse(
                        path,
                        "holds neither dataset.json nor imagesTr. Name the folder of its label maps too (--labels DIR)",
                    ))
                }
            }
        }
    }

    /// The list, where it names cases one by one.
    pub(super) fn naming(&self) -> Option<&List> {
        self.list.as_ref().filter(|list| !list.entries.is_empty())
    }

    /// The folder that images lie in where no list says so.
    pub(super) fn images(&self) -> &Path {
        &self.folders[0]
    }

    /// Where the label map of a case goes whose image is there.
    pub(super) fn label_of(&self, dataset: &Dataset, case: &CaseFiles) -> PathBuf {
        let image = case.images.first().map(|image| image.file().into_owned()).unwrap_or_default();
        let is_tested = image.parent().and_then(Path::file_name).is_some_and(|folder| folder == TEST_FOLDERS[0]);
        let folder = match self.naming() {
            // Its entry names the file: the name need not be that of the image's, which in folders of their own may all be called alike.
            Some(list) => return self.root.join(&list.prefixes()[1]).join(format!("{}{}", case.name, self.label_ending(dataset))),
            None if is_tested && self.folders[1].ends_with(FOLDERS[1]) => self.root.join(TEST_FOLDERS[1]),
            None => self.folders[1].clone(),
        };
        folder.join(format!("{}{}", file_case_name(case, &image), self.label_ending(dataset)))
    }

    /// Where the files of a new case go; `patient_fold`: the fold of its patient's other cases.
    ///
    /// # Errors
    /// A folder of DICOM series, or another label map of that name.
    pub(super) fn of_new(&self, dataset: &Dataset, name: &str, patient_fold: Option<usize>) -> Result<Targets, AddError> {
        if dataset.cases.iter().any(|case| matches!(case.images.first(), Some(VolumeSource::Series { .. }))) {
            let cause = "holds DICOM series: copy the folder of the new series into it first, then add the label map to it";
            return Err(AddError::refuse(&self.folders[0], cause));
        }
        let ending = self.image_ending(dataset);
        let channels = dataset.channels.len().max(1);
        let numbered = || (0..channels).map(|channel| format!("{name}_{channel:04}{ending}")).collect::<Vec<_>>();
        let (label, plain) = (format!("{name}{}", self.label_ending(dataset)), format!("{name}{ending}"));
        let Some(list) = self.naming() else {
            let files = if self.has_suffixes(dataset) { numbered() } else { vec![plain] };
            let label = self.folders[1].join(label);
            self.refuse_other_of_name(&label, name)?;
            return Ok(Targets { images: files.iter().map(|file| self.folders[0].join(file)).collect(), label, entry: None });
        };
        let [images, labels] = list.prefixes();
        let (files, listed) = match list.style() {
            Style::Whole => (vec![plain.clone()], Value::from(format!("{images}{plain}"))),
            Style::Suffixed => (numbered(), Value::from(format!("{images}{plain}"))),
            Style::Separate => (numbered(), numbered().iter().map(|file| format!("{images}{file}")).collect()),
        };
        let mut entry = serde_json::Map::new();
        entry.insert("image".to_owned(), listed);
        entry.insert("label".to_owned(), Value::from(format!("{labels}{label}")));
        entry.extend(list.new_fold(patient_fold).map(|fold| ("fold".to_owned(), Value::from(fold))));
        let files = files.iter().map(|file| self.root.join(&images).join(file)).collect();
        Ok(Targets { images: files, label: self.root.join(labels).join(label), entry: Some(Value::Object(entry).to_string()) })
    }

    /// Refuses a name that a label map of another ending has: which of the two is meant could not be told.
    fn refuse_other_of_name(&self, label: &Path, name: &str) -> Result<(), AddError> {
        // A folder that is not there holds none.
        let files = listing::label_maps(&self.folders[1]).map(|listing| listing.files).unwrap_or_default();
        match files.iter().find(|file| stem(file) == name && *file != label) {
            None => Ok(()),
            Some(other) => {
                Err(AddError::refuse(other, "is a label map of that name without an image: take it away, or choose another name"))
            }
        }
    }

    /// Whether names of images end in the number of their channel.
    fn has_suffixes(&self, dataset: &Dataset) -> bool {
        // With a list these are nnU-Net's folders.
        let is_suffixed = |case: &CaseFiles| {
            let stem = case.images.first().map(|image| stem(&image.file())).unwrap_or_default();
            channel_suffix(&stem).is_some_and(|(base, _)| base == case.name)
        };
        self.list.is_some() || dataset.cases.iter().any(is_suffixed)
    }

    fn image_ending(&self, dataset: &Dataset) -> String {
        self.said_ending()
            .or_else(|| dataset.cases.iter().find_map(|case| writable_ending(case.images.first()?, false)))
            .unwrap_or(USUAL.to_owned())
    }

    fn label_ending(&self, dataset: &Dataset) -> String {
        self.said_ending()
            .or_else(|| dataset.cases.iter().find_map(|case| writable_ending(case.label.as_ref()?, true)))
            .unwrap_or(USUAL.to_owned())
    }

    /// nnU-Net's `file_ending`.
    fn said_ending(&self) -> Option<String> {
        let said = self.list.as_ref().filter(|list| list.entries.is_empty())?.json["file_ending"].as_str()?;
        is_writable(said, false).then(|| said.to_owned())
    }
}

/// How a list names the image files of a case.
enum Style {
    /// One file with all channels.
    Whole,
    /// One name without the channels' numbers that its files end in (nnU-Net v1).
    Suffixed,
    /// A file for each channel.
    Separate,
}

impl List {
    fn read(file: PathBuf) -> Result<Self, AddError> {
        let json = lists::read(&file)?;
        let entries = if lists::holds_lists(&json) { entries(&file, &json)? } else { Vec::new() };
        let text = text_file::read(&file).map_err(AddError::io(&file))?;
        Ok(Self { file, text, json, entries })
    }

    /// The entry that shows how cases are named: the first labelled one to train on.
    fn model(&self) -> Option<(&Entry, &Value)> {
        let labelled = self.entries.iter().find(|entry| entry.key == "training" && entry.listed.label.is_some());
        let entry = labelled.or(self.entries.first())?;
        Some((entry, &self.json[entry.key][entry.index]))
    }

    /// What stands before the files' names in the list's paths to images and to labels. Where both lie in one folder, such as one for each
    /// case, the usual two: a new image and its label map have the same name.
    fn prefixes(&self) -> [String; 2] {
        let [images, labels] = [("image", FOLDERS[0]), ("label", FOLDERS[1])].map(|(key, usual)| self.prefix(key, usual));
        let folder = |prefix: &String| self.file.with_file_name(prefix);
        if folder(&images) == folder(&labels) { FOLDERS.map(|usual| format!("./{usual}/")) } else { [images, labels] }
    }

    /// What stands before the file's name in the list's paths to images or labels.
    fn prefix(&self, key: &str, usual: &str) -> String {
        let value = self.model().map(|(_, value)| value);
        let path = value.and_then(|value| [&value[key], &value[key][0]].into_iter().find_map(Value::as_str));
        match path.and_then(|path| path.rfind('/').map(|at| path[..=at].to_owned())) {
            Some(prefix) if !Path::new(&prefix).is_absolute() => prefix,
            _ => format!("./{usual}/"),
        }
    }

    fn style(&self) -> Style {
        let Some((entry, value)) = self.model() else { return Style::Whole };
        let image = if value.is_string() { value } else { &value["image"] };
        let listed = image.as_str().or_else(|| image.as_array().filter(|files| files.len() == 1)?[0].as_str());
        let Some(listed) = listed else { return Style::Separate };
        let first = entry.listed.images.first().map(|file| stem(file)).unwrap_or_default();
        if first == stem(Path::new(listed)) { Style::Whole } else { Style::Suffixed }
    }

    /// The fold of a new case, where every labelled one has a fold of its list: that of its patient's other cases; else one more, which no training
    /// tests, so that the folds stay as they are.
    pub(super) fn new_fold(&self, patient_fold: Option<usize>) -> Option<usize> {
        let labelled = self.entries.iter().filter(|entry| entry.listed.label.is_some());
        let folds = labelled.map(|entry| entry.listed.fold).collect::<Option<Vec<_>>>()?;
        folds.into_iter().max().map(|last| patient_fold.unwrap_or(last + 1))
    }
}

/// What the files of a case call it: its name in the dataset, unless that was made unique there.
fn file_case_name(case: &CaseFiles, image: &Path) -> String {
    let stem = stem(image);
    let base = channel_suffix(&stem).map(|(base, _)| base.to_owned());
    let own = [Some(stem), base].into_iter().flatten().find(|own| case.name.ends_with(own.as_str()));
    own.filter(|_| !matches!(case.images.first(), Some(VolumeSource::Series { .. }))).unwrap_or_else(|| case.name.clone())
}

/// The ending of a file, if files of that ending can be written.
fn writable_ending(source: &VolumeSource, labels: bool) -> Option<String> {
    let name = source.single_file()?.file_name()?.to_string_lossy().into_owned();
    ending(&name).filter(|ending| is_writable(ending, labels)).map(str::to_owned)
}

/// Whether a volume can be written in one file of such an ending.
pub(super) fn is_writable(ending: &str, labels: bool) -> bool {
    let file = PathBuf::from(format!("x{ending}"));
    let is_image = !matches!(file::asked(&file), Some(Format::SegNrrd | Format::Dicom) | None);
    (is_image || labels && file::asked(&file) == Some(Format::SegNrrd)) && file::written(&file).is_some_and(|files| files.len() == 1)
}
