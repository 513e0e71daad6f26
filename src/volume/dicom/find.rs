//! Which series a folder holds, at any depth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, OpenFileOptions, Tag};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::digest;
use crate::volume::format::{Format, asked};
use crate::volume::{DataError, Fault, Note};

/// Folders below one another that are searched.
const DEEPEST: usize = 32;

/// Digits of the digest in a name: enough that no two series of a clinic share them.
const DIGEST_DIGITS: usize = 8;

/// Longest part of a name that comes from a description.
const LONGEST_NAME: usize = 40;

/// The class of files that only list others.
const DIRECTORY: &str = "1.2.840.10008.1.3.10";

/// Whether a file is DICOM, by its first bytes.
pub(in crate::volume) fn is_dicom(file: &Path) -> bool {
    let mut first = [0; 132];
    File::open(file).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first[128..] == *b"DICM"
}

/// SOP Class UID of a DICOM file, by its first bytes; none of another file.
pub(super) fn class(file: &Path) -> Option<String> {
    let class = |object: DefaultDicomObject| object.meta().media_storage_sop_class_uid().trim_end_matches('\0').to_owned();
    let of_file = || OpenFileOptions::new().read_until(tags::SOP_CLASS_UID).open_file(file).map(class).ok();
    is_dicom(file).then(of_file).flatten()
}

/// One series: what becomes a case.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::volume) struct Series {
    /// Its description and number, and a digest of whose it is: no name or date of a patient.
    pub name: String,
    /// Digest of whose it is; where no patient is named, of the study.
    pub patient: String,
    /// For example CT.
    pub modality: String,
    /// Series Instance UID: what segmentations of it refer to.
    pub identifier: String,
    /// Frame of Reference UID, which may be empty, and SOP Instance UIDs of its images: what structure sets refer to that name no series.
    pub space: String,
    pub instances: BTreeSet<String>,
    /// In no order that means anything.
    pub files: Vec<PathBuf>,
}

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::volume) struct Found {
    /// By name.
    pub series: Vec<Series>,
    /// DICOM files that are no images.
    pub notes: Vec<Note>,
}

/// Where label maps are looked for.
const LABEL_MAPS: &str = "; label maps go in a folder of their own";

/// Finds the series of a folder and of those below it, each of one patient and study. Only headers are read.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header.
pub(in crate::volume) fn find(folder: &Path) -> Result<Found, DataError> {
    let mut files = Vec::new();
    walk(folder, DEEPEST, &mut files)?;
    let identities: Vec<_> = files.into_par_iter().filter(|file| is_dicom(file)).map(|file| (identify(&file), file)).collect();
    let mut found = Found::default();
    let mut of_key: BTreeMap<String, Series> = BTreeMap::new();
    for (identity, file) in identities {
        match identity.map_err(|fault| fault.at(&file))? {
            Identity::Directory => {}
            Identity::Other(modality) => {
                let (what, where_to) = match modality.as_str() {
                    "SEG" => ("a DICOM segmentation".to_owned(), LABEL_MAPS),
                    "RTSTRUCT" => ("a DICOM structure set".to_owned(), LABEL_MAPS),
                    "" => ("DICOM without a modality".to_owned(), ""),
                    other => (format!("DICOM of modality {other}"), ""),
                };
                found.notes.push(Note::new(&file, format!("is {what}, no image: left out{where_to}")));
            }
            Identity::Image { key, series, instance } => {
                let series = of_key.entry(key).or_insert(series);
                series.files.push(file);
                series.instances.insert(instance);
            }
        }
    }
    found.series = of_key.into_values().collect();
    found.series.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let unreadable = |error| Fault::from(error).at(folder);
    let entries = std::fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.file_name().unwrap_or_default().to_string_lossy().starts_with('.') {
            continue;
        }
        match path.is_dir() {
            true if depth > 0 => walk(&path, depth - 1, files)?,
            true => return Err(Fault::Dicom(format!("folders lie more than {DEEPEST} deep")).at(&path)),
            false => files.push(path),
        }
    }
    Ok(())
}

/// What a DICOM file is.
enum Identity {
    Directory,
    /// No image; its modality.
    Other(String),
    /// One of a series, which is without files as yet, and its SOP Instance UID.
    Image {
        key: String,
        series: Series,
        instance: String,
    },
}

fn identify(file: &Path) -> Result<Identity, Fault> {
    let object = open_header(file)?;
    if object.meta().media_storage_sop_class_uid().trim_end_matches('\0') == DIRECTORY {
        return Ok(Identity::Directory);
    }
    let text = |tag: Tag| object.get(tag).and_then(|element| element.to_str().ok()).map(|text| text.trim().to_owned()).unwrap_or_default();
    let modality = text(tags::MODALITY);
    // A segmentation has rows and columns too, and is none of intensities.
    if object.get(tags::ROWS).is_none() || modality == "SEG" || modality == "RTDOSE" {
        return Ok(Identity::Other(modality));
    }
    let whose = [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID].map(text);
    let key = digest::finish(Sha256::new_with_prefix(whose.join("\n")));
    let known = whose.iter().find(|text| !text.is_empty()).map_or("", String::as_str);
    let patient = digest::finish(Sha256::new_with_prefix(known));
    let words = [text(tags::SERIES_DESCRIPTION), text(tags::PROTOCOL_NAME), modality.clone()];
    let described = words.iter().map(|word| plain(word)).find(|word| !word.is_empty()).unwrap_or_else(|| "series".to_owned());
    let number = plain(&text(tags::SERIES_NUMBER));
    let parts = [described.as_str(), &number, &key[..DIGEST_DIGITS]];
    let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
    let [identifier, space, instance] = [tags::SERIES_INSTANCE_UID, tags::FRAME_OF_REFERENCE_UID, tags::SOP_INSTANCE_UID]
        .map(|tag| text(tag).trim_end_matches('\0').to_owned());
    let series = Series { name, patient, modality, identifier, space, instances: BTreeSet::new(), files: Vec::new() };
    Ok(Identity::Image { key, series, instance })
}

/// A word that can stand in a file's name.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").chars().take(LONGEST_NAME).collect()
}

/// A file without its pixels.
///
/// # Errors
/// A file that cannot be opened, is damaged or no DICOM.
pub(super) fn open_header(file: &Path) -> Result<DefaultDicomObject, Fault> {
    File::open(file)?;
    OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(file).map_err(|error| Fault::Damaged(causes(&error)))
}

/// Why a file that is DICOM by its first bytes or by its ending cannot be read as such; none of a good one, or of another file.
pub(in crate::volume) fn damage(file: &Path) -> Option<Fault> {
    let is_called_so = || file.is_file() && asked(file) == Some(Format::Dicom);
    (is_dicom(file) || is_called_so()).then(|| open_header(file).err()).flatten()
}

/// The fault of what the decoder refuses, with its causes.
pub(super) fn dicom_fault(error: &dyn std::error::Error) -> Fault {
    Fault::Dicom(causes(error))
}

/// An error and what caused it, in words.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
