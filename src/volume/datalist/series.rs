//! Folders of DICOM series: each is a case of one channel.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::assemble::complete;
use super::listing;
use super::naming::of_folder;
use crate::volume::dataset::Problem;
use crate::volume::dicom::{self, Series};
use crate::volume::file::stem;
use crate::volume::{CaseFiles, DataError, DataErrors, Dataset, Fault, Grid, Note, VolumeSource};

/// Cases, each with its modality, and notes.
type SeriesCases = (Vec<(CaseFiles, String)>, Vec<Note>);

/// The cases of a folder, at any depth, with what is left out of it.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header.
pub(super) fn cases(folder: &Path) -> Result<SeriesCases, DataError> {
    let found = dicom::find(folder)?;
    let case = |Series { name, patient, modality, files }: Series| {
        let within = files.first().and_then(|file| file.parent()).unwrap_or(folder);
        let place = PathBuf::from(format!("{} (series {name})", within.display()));
        (CaseFiles { name, images: vec![VolumeSource::Series { place, patient, files }], label: None, fold: None }, modality)
    };
    Ok((found.series.into_iter().map(case).collect(), found.notes))
}

/// A DICOM series of a folder, and whether it can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundSeries {
    /// The series as a case of one channel.
    pub case: CaseFiles,
    /// For example CT; may be empty.
    pub modality: String,
    /// How many files it has.
    pub files: usize,
    /// Where its voxels lie, or everything that its headers show to be wrong with it.
    pub grid: Result<Grid, DataErrors>,
}

/// The DICOM series of a folder, at any depth. Only headers are read.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header.
pub fn series_in(folder: &Path) -> Result<Vec<FoundSeries>, DataError> {
    let looked = |(case, modality): (CaseFiles, String)| {
        let (files, grid) = match &case.images[0] {
            VolumeSource::Series { place, files, .. } => (files.len(), dicom::grid(place, files)),
            _ => unreachable!("cases of series are series"),
        };
        FoundSeries { case, modality, files, grid }
    };
    Ok(cases(folder)?.0.into_iter().map(looked).collect())
}

/// The dataset of a folder's series, with the label maps that are called as they are; none for a folder that holds volumes of another
/// format, or no series.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header.
pub(super) fn dataset(folder: &Path, labels: Option<&Path>) -> Result<Option<Dataset>, DataError> {
    if !listing::volumes(folder)?.files.is_empty() {
        return Ok(None);
    }
    let (found, notes) = cases(folder)?;
    if found.is_empty() {
        return Ok(None);
    }
    let mut dataset = Dataset { notes, ..of_folder(folder) };
    let modalities: BTreeSet<String> = found.iter().map(|(_, modality)| modality.clone()).collect();
    dataset.channels = match modalities.iter().collect::<Vec<_>>().as_slice() {
        [one] if !one.is_empty() => vec![(*one).clone()],
        several => {
            if several.len() > 1 {
                let names = modalities.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                dataset.notes.push(Note::new(folder, format!("its series are of several modalities: {names}")));
            }
            vec!["channel 0".to_owned()]
        }
    };
    dataset.cases = found.into_iter().map(|(case, _)| case).collect();
    if let Some(labels) = labels {
        let listing = listing::label_maps(labels)?;
        let mut maps: BTreeMap<String, PathBuf> = listing.files.into_iter().map(|file| (stem(&file), file)).collect();
        for case in &mut dataset.cases {
            case.label = maps.remove(&case.name).map(VolumeSource::File);
        }
        let stray = |(name, file): (String, PathBuf)| {
            let expected = format!("a DICOM series called {name} in {}", folder.display());
            Problem { case: None, error: Fault::Unpaired { missing: "image".to_owned(), expected }.at(&file) }
        };
        dataset.findings.extend(maps.into_iter().map(stray));
        let of_case = |error: DataError| Problem { case: Some(stem(&error.file)), error };
        dataset.findings.extend(listing.doubled.into_iter().map(of_case));
        dataset.notes.extend(listing.left_out);
    }
    complete(folder, dataset).map(Some)
}
