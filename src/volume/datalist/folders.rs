//! Folders without a list of cases: nnU-Net v2's, a Decathlon's that lost its list, two plain ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::assemble::{Listed, assemble};
use super::listing::{self, Listing};
use super::naming::{channel_suffix, count_note, of_folder};
use super::series;
use crate::volume::dataset::Problem;
use crate::volume::file::{ending, stem};
use crate::volume::{DataError, Dataset, Fault, Note};

/// nnU-Net v2: channels and labels from `dataset.json`, cases from `imagesTr`, `labelsTr` and `imagesTs`.
pub fn nnunet(list: &Path, root: &Path, json: &Value, described: Dataset) -> Result<Dataset, DataError> {
    if let Some(other) = json["file_ending"].as_str().filter(|&other| ending(&format!("x{other}")) != Some(other)) {
        return Err(Fault::Unsupported(format!("files that end in {other:?} (`file_ending`)")).at(list));
    }
    let channels = described.channels.len();
    if channels == 0 {
        return Err(Fault::List("it has neither a list `training` nor `channel_names`".to_owned()).at(list));
    }
    let folder_cases = |images: &str, labels: &str, labels_must_be: bool| {
        Ok::<_, DataError>(Pairing::new(&root.join(images), Some(&root.join(labels)), labels_must_be)?.cases(Some(channels)))
    };
    let mut paired = folder_cases("imagesTr", "labelsTr", true)?;
    paired.notes.extend(count_note(list, json, "numTraining", paired.listed.len()));
    if root.join("imagesTs").is_dir() {
        let tested = folder_cases("imagesTs", "labelsTs", false)?;
        paired.notes.extend(count_note(list, json, "numTest", tested.listed.len()));
        paired.extend(tested);
    }
    paired.into_dataset(list, described)
}

/// `imagesTr`, `labelsTr` and perhaps `imagesTs` without a list, of volumes or of DICOM series.
pub fn decathlon(root: &Path) -> Result<Dataset, DataError> {
    if let Some(dataset) = series::decathlon(root)? {
        return Ok(dataset);
    }
    let labels = root.join("labelsTr");
    let mut paired = Pairing::new(&root.join("imagesTr"), Some(&labels), labels.is_dir())?.detect();
    let tested = root.join("imagesTs");
    if tested.is_dir() {
        let tested = Pairing::new(&tested, Some(&root.join("labelsTs")), false)?.detect();
        // Label maps without an image may be kept of test cases, whose images are not handed out.
        paired.extend(Paired { strays: Vec::new(), ..tested });
    }
    paired.into_dataset(root, of_folder(root))
}

/// Two plain folders with equal file names, or one of DICOM series and one of label maps of them. Images without a label are for pre-training.
pub fn pair(images: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    if let Some(labels) = labels {
        listing::label_maps(labels)?;
    }
    if let Some(dataset) = series::dataset(images, labels)? {
        return Ok(dataset);
    }
    Pairing::new(images, labels, false)?.detect().into_dataset(images, of_folder(images))
}

/// What a folder of images and one of labels came to.
struct Paired {
    listed: Vec<Listed>,
    strays: Vec<Problem>,
    notes: Vec<Note>,
    /// What the folder of images holds, should there be no case.
    nothing: String,
}

impl Paired {
    fn extend(&mut self, other: Self) {
        self.listed.extend(other.listed);
        self.strays.extend(other.strays);
        self.notes.extend(other.notes);
    }

    fn into_dataset(self, place: &Path, described: Dataset) -> Result<Dataset, DataError> {
        if self.listed.is_empty() {
            let stray = self.strays.into_iter().next().map(|stray| stray.error);
            return Err(stray.unwrap_or_else(|| Fault::List(self.nothing).at(place)));
        }
        let mut dataset = assemble(place, described, self.listed)?;
        dataset.findings.extend(self.strays);
        dataset.notes.extend(self.notes);
        Ok(dataset)
    }
}

/// A folder of images beside a folder of labels.
struct Pairing<'a> {
    folder: &'a Path,
    images: Listing,
    labels_folder: Option<&'a Path>,
    labels: Listing,
    /// Whether an image without a label is a fault.
    labels_must_be: bool,
}

impl<'a> Pairing<'a> {
    fn new(folder: &'a Path, labels_folder: Option<&'a Path>, labels_must_be: bool) -> Result<Self, DataError> {
        let images = listing::volumes(folder)?;
        let labels = labels_folder.filter(|folder| folder.is_dir()).map(listing::label_maps).transpose()?.unwrap_or_default();
        Ok(Self { folder, images, labels_folder, labels, labels_must_be })
    }

    /// Pairs the files. Four digits at the end of every name are channel numbers if they start at 0000 for each case, no
    /// label map carries them too, and there is a label map or a second case to show it; else they are part of the name.
    fn detect(self) -> Paired {
        let stems: Vec<String> = self.images.files.iter().map(|file| stem(file)).collect();
        let labels: BTreeSet<String> = self.labels.files.iter().map(|file| stem(file)).collect();
        let suffixes: Option<Vec<_>> = stems.iter().map(|stem| channel_suffix(stem)).collect();
        let count = suffixes.filter(|_| !stems.iter().any(|stem| labels.contains(stem))).and_then(|suffixes| {
            let firsts: BTreeSet<_> = suffixes.iter().filter(|&&(_, channel)| channel == 0).map(|&(case, _)| case).collect();
            let count = suffixes.iter().map(|&(_, channel)| channel + 1).max()?;
            let shown = count == 1 || firsts.len() > 1 || firsts.iter().any(|&case| labels.contains(case));
            (shown && suffixes.iter().all(|&(case, _)| firsts.contains(case))).then_some(count)
        });
        let folder = self.folder;
        let mut paired = self.cases(count);
        if let Some(last) = count.map(|count| count - 1).filter(|&last| last > 0) {
            let text = format!("_0000 to _{last:04} at the end of its file names are taken for the {} channels of each case", last + 1);
            paired.notes.push(Note::new(folder, text));
        }
        paired
    }

    /// Cases of `channels` files each, whose names end in the channel's number; none: of one file each, named as the case.
    fn cases(self, channels: Option<usize>) -> Paired {
        let nothing = self.images.nothing();
        let case_of = |file: &Path| match (channels, stem(file)) {
            (None, stem) => Some((stem, 0)),
            (Some(_), stem) => channel_suffix(&stem).map(|(case, channel)| (case.to_owned(), channel)),
        };
        let channels = channels.unwrap_or(1);
        let mut labels: BTreeMap<String, PathBuf> = self.labels.files.iter().map(|file| (stem(file), file.clone())).collect();
        let mut damaged: BTreeMap<String, DataError> = self.labels.damaged.iter().map(|error| (stem(&error.file), error.clone())).collect();
        let mut found: BTreeMap<String, BTreeMap<usize, PathBuf>> = BTreeMap::new();
        let mut strays = Vec::new();
        for file in &self.images.files {
            match case_of(file) {
                Some((case, channel)) if channel < channels => {
                    found.entry(case).or_default().insert(channel, file.clone());
                }
                _ => {
                    let expected = format!("names that end in _0000 to _{:04}, the dataset's channels", channels - 1);
                    let error = Fault::Unpaired { missing: "case".to_owned(), expected }.at(file);
                    strays.push(Problem { case: None, error });
                }
            }
        }
        let mut listed = Vec::new();
        for (name, mut of_channel) in found {
            let Some(any) = of_channel.values().next().cloned() else { continue };
            let ending = any.to_str().and_then(ending).unwrap_or(".nii.gz").to_owned();
            // A channel without a file is named here and reported as missing when it is read.
            let file = |channel| of_channel.remove(&channel).unwrap_or_else(|| any.with_file_name(format!("{name}_{channel:04}{ending}")));
            let images: Vec<PathBuf> = (0..channels).map(file).collect();
            let label = labels.remove(&name);
            let doubled = self.images.doubled.iter().chain(&self.labels.doubled);
            let mut findings: Vec<_> =
                doubled.filter(|error| images.iter().chain(&label).any(|file| *file == error.file)).cloned().collect();
            let damage = damaged.remove(&name);
            if let (true, None, None, Some(folder)) = (self.labels_must_be, &label, &damage, self.labels_folder) {
                let expected = folder.join(format!("{name}{ending}")).display().to_string();
                findings.push(Fault::Unpaired { missing: "label".to_owned(), expected }.at(&images[0]));
            }
            findings.extend(damage);
            listed.push(Listed { name, images, label, fold: None, findings });
        }
        strays.extend(labels.into_values().map(|file| {
            let expected = self.folder.join(file.file_name().unwrap_or_default()).display().to_string();
            Problem { case: None, error: Fault::Unpaired { missing: "image".to_owned(), expected }.at(&file) }
        }));
        strays.extend(damaged.into_values().map(|error| Problem { case: None, error }));
        Paired { listed, strays, notes: [self.images.left_out, self.labels.left_out].concat(), nothing }
    }
}
