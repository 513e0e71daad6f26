//! Folders without a list of cases: nnU-Net v2's, a Decathlon's that lost its list, two plain ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::naming::{Naming, channel_suffix, ending, stem};
use super::{Dataset, Listed, Problem, assemble};
use crate::volume::{DataError, Fault};

/// nnU-Net v2: channels and labels from `dataset.json`, cases from `imagesTr`, `labelsTr` and `imagesTs`.
pub fn nnunet(list: &Path, root: &Path, json: &Value, naming: Naming) -> Result<Dataset, DataError> {
    if let Some(other) = json["file_ending"].as_str().filter(|&other| other != ".nii.gz" && other != ".nii") {
        return Err(Fault::Unsupported { what: format!("files that end in {other:?} (`file_ending`)") }.at(list));
    }
    let channels = naming.channels.len();
    if channels == 0 {
        return Err(Fault::List { cause: "it has neither a list `training` nor `channel_names`".to_owned() }.at(list));
    }
    let folder_cases = |images: &str, labels: &str, must: bool| {
        let pairing = Pairing { images: &root.join(images), labels: Some(&root.join(labels)), labels_must_be: must };
        pairing.cases(&|file| channel_suffix(&stem(file)).map(|(case, channel)| (case.to_owned(), channel)), channels)
    };
    let (mut listed, mut strays) = folder_cases("imagesTr", "labelsTr", true)?;
    if root.join("imagesTs").is_dir() {
        let (tested, more) = folder_cases("imagesTs", "labelsTs", false)?;
        listed.extend(tested);
        strays.extend(more);
    }
    let mut dataset = assemble(list, naming, listed)?;
    dataset.findings.extend(strays);
    Ok(dataset)
}

/// `imagesTr`, `labelsTr` and perhaps `imagesTs` without a list.
pub fn decathlon(root: &Path) -> Result<Dataset, DataError> {
    let labels = root.join("labelsTr");
    let labels_must_be = labels.is_dir();
    let images = root.join("imagesTr");
    let (mut listed, strays) = Pairing { images: &images, labels: Some(&labels), labels_must_be }.detect()?;
    let tested = root.join("imagesTs");
    if tested.is_dir() {
        let labels = root.join("labelsTs");
        listed.extend(Pairing { images: &tested, labels: Some(&labels), labels_must_be: false }.detect()?.0);
    }
    finish(root, listed, strays)
}

/// Two plain folders with equal file names. Images without a label are for pre-training.
pub fn pair(images: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    if let Some(labels) = labels {
        files(labels)?;
    }
    let (listed, strays) = Pairing { images, labels, labels_must_be: false }.detect()?;
    finish(images, listed, strays)
}

fn finish(place: &Path, listed: Vec<Listed>, strays: Vec<Problem>) -> Result<Dataset, DataError> {
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut dataset = assemble(place, Naming { name, ..Naming::default() }, listed)?;
    dataset.findings.extend(strays);
    Ok(dataset)
}

/// A folder of images beside a folder of labels.
struct Pairing<'a> {
    images: &'a Path,
    labels: Option<&'a Path>,
    /// Whether an image without a label is a fault.
    labels_must_be: bool,
}

impl Pairing<'_> {
    /// Pairs the files. Four digits at the end of every name are channel numbers if they start at 0000 for each case
    /// and no label map carries them too; else they are part of the name.
    fn detect(&self) -> Result<(Vec<Listed>, Vec<Problem>), DataError> {
        let stems: Vec<String> = files(self.images)?.iter().map(|file| stem(file)).collect();
        let labels: BTreeSet<String> = self.label_files()?.iter().map(|file| stem(file)).collect();
        let suffixes: Option<Vec<_>> = stems.iter().map(|stem| channel_suffix(stem)).collect();
        let channels = suffixes.filter(|_| !stems.iter().any(|stem| labels.contains(stem))).filter(|suffixes| {
            let firsts: BTreeSet<_> = suffixes.iter().filter(|&&(_, channel)| channel == 0).map(|&(case, _)| case).collect();
            suffixes.iter().all(|&(case, _)| firsts.contains(case))
        });
        let count = channels.and_then(|suffixes| suffixes.iter().map(|&(_, channel)| channel + 1).max());
        match count {
            Some(count) => self.cases(&|file| channel_suffix(&stem(file)).map(|(case, channel)| (case.to_owned(), channel)), count),
            None => self.cases(&|file| Some((stem(file), 0)), 1),
        }
    }

    fn label_files(&self) -> Result<Vec<PathBuf>, DataError> {
        match self.labels {
            Some(folder) if folder.is_dir() => files(folder),
            _ => Ok(Vec::new()),
        }
    }

    /// Cases of `channels` files each; `split` tells case and channel of an image file.
    fn cases(&self, split: &dyn Fn(&Path) -> Option<(String, usize)>, channels: usize) -> Result<(Vec<Listed>, Vec<Problem>), DataError> {
        let mut labels: BTreeMap<String, PathBuf> = self.label_files()?.into_iter().map(|file| (stem(&file), file)).collect();
        let mut found: BTreeMap<String, BTreeMap<usize, PathBuf>> = BTreeMap::new();
        let mut strays = Vec::new();
        for file in files(self.images)? {
            match split(&file) {
                Some((case, channel)) if channel < channels => {
                    found.entry(case).or_default().insert(channel, file);
                }
                _ => {
                    let expected = format!("names that end in _0000 to _{:04}, the dataset's channels", channels - 1);
                    let error = Fault::Unpaired { missing: "case".to_owned(), expected }.at(&file);
                    strays.push(Problem { case: None, error });
                }
            }
        }
        let mut listed = Vec::new();
        for (name, mut of_channel) in found {
            let Some(any) = of_channel.values().next().cloned() else { continue };
            let ending = any.to_str().and_then(ending).unwrap_or(".nii.gz");
            // A channel without a file is named here and reported as missing when it is read.
            let file = |channel| of_channel.remove(&channel).unwrap_or_else(|| any.with_file_name(format!("{name}_{channel:04}{ending}")));
            let images: Vec<PathBuf> = (0..channels).map(file).collect();
            let label = labels.remove(&name);
            let mut findings = Vec::new();
            if let (true, None, Some(folder)) = (self.labels_must_be, &label, self.labels) {
                let expected = folder.join(format!("{name}{ending}")).display().to_string();
                findings.push(Fault::Unpaired { missing: "label".to_owned(), expected }.at(&images[0]));
            }
            listed.push(Listed { name, images, label, fold: None, findings });
        }
        strays.extend(labels.into_values().map(|file| {
            let expected = self.images.join(file.file_name().unwrap_or_default()).display().to_string();
            Problem { case: None, error: Fault::Unpaired { missing: "image".to_owned(), expected }.at(&file) }
        }));
        Ok((listed, strays))
    }
}

/// The NIfTI files of a folder, sorted. Hidden ones are left out: archives made on a Mac are full of them.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |error: std::io::Error| Fault::Unreadable { cause: error.to_string() }.at(folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && ending(&name).is_some() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
