//! Folders of DICOM series: each is a case of one channel.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::assemble::complete;
use super::label_maps::LabelMaps;
use super::listing;
use super::naming::of_folder;
use crate::volume::dataset::Problem;
use crate::volume::dicom::{self, Series};
use crate::volume::{CaseFiles, DataError, DataErrors, Dataset, Fault, Grid, Note, VolumeSource};

/// Cases, each with its modality, and notes.
type SeriesCases = (Vec<(CaseFiles, String)>, Vec<Note>);

/// The cases of a folder, at any depth, with what is left out of it.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header.
pub(super) fn cases(folder: &Path) -> Result<SeriesCases, DataError> {
    let found = dicom::find(folder)?;
    Ok((found.series.into_iter().map(|series| case(folder, series)).collect(), found.notes))
}

/// A series of a folder as a case, with its modality.
fn case(folder: &Path, series: Series) -> (CaseFiles, String) {
    let Series { name, patient, modality, files, .. } = series;
    let within = files.first().and_then(|file| file.parent()).unwrap_or(folder);
    let place = PathBuf::from(format!("{} (series {name})", within.display()));
    (CaseFiles { name, images: vec![VolumeSource::Series { place, patient, files }], label: None, fold: None }, modality)
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

/// The dataset of a folder's series, with the label maps of another folder that are of them; none for a folder that holds volumes of another
/// format, or no series.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header.
pub(super) fn dataset(folder: &Path, labels: Option<&Path>) -> Result<Option<Dataset>, DataError> {
    if !listing::volumes(folder)?.files.is_empty() {
        return Ok(None);
    }
    let mut found = SeriesDataset::default();
    found.add(folder, labels)?;
    found.complete(folder)
}

/// The same of `imagesTr` and perhaps `imagesTs`, with the label maps of `labelsTr` and `labelsTs`. Where there is a folder `labelsTr`, it holds
/// a label map of every series in `imagesTr`.
///
/// # Errors
/// A folder that cannot be read, a DICOM file with a broken header, volumes of another format in `imagesTs` alone.
pub(super) fn decathlon(root: &Path) -> Result<Option<Dataset>, DataError> {
    let folders = |part: &str| ["images", "labels"].map(|kind| root.join(format!("{kind}{part}")));
    let ([images, labels], [tested, truth]) = (folders("Tr"), folders("Ts"));
    if !listing::volumes(&images)?.files.is_empty() {
        return Ok(None);
    }
    let mut found = SeriesDataset::default();
    found.add(&images, Some(labels.as_path()).filter(|labels| labels.is_dir()))?;
    if found.cases.is_empty() {
        return Ok(None);
    }
    if labels.is_dir() {
        found.require_labels(&labels);
    }
    if tested.is_dir() {
        if !listing::volumes(&tested)?.files.is_empty() {
            let cause = "it holds volumes of other formats, and the imagesTr beside it DICOM series";
            return Err(Fault::List(cause.to_owned()).at(&tested));
        }
        let mut others = SeriesDataset::default();
        others.add(&tested, Some(truth.as_path()).filter(|truth| truth.is_dir()))?;
        // Label maps without an image may be kept of test cases, whose images are not handed out.
        others.findings.retain(|problem| problem.case.is_some());
        found.append(others, &tested);
    }
    found.complete(root)
}

/// Series of one folder or several, before they are a dataset.
#[derive(Default)]
struct SeriesDataset {
    cases: Vec<CaseFiles>,
    modalities: BTreeSet<String>,
    findings: Vec<Problem>,
    notes: Vec<Note>,
}

impl SeriesDataset {
    /// Adds the series of a folder, with their label maps.
    fn add(&mut self, folder: &Path, labels: Option<&Path>) -> Result<(), DataError> {
        let found = dicom::find(folder)?;
        self.notes.extend(found.notes);
        let maps = match labels {
            Some(labels) if !found.series.is_empty() => LabelMaps::find(folder, &found.series, labels)?,
            _ => LabelMaps { of_series: vec![None; found.series.len()], ..LabelMaps::default() },
        };
        for (series, label) in found.series.into_iter().zip(maps.of_series) {
            let (case, modality) = case(folder, series);
            self.modalities.insert(modality);
            let label = label.map(|label| VolumeSource::label_map(label, &case.images));
            self.cases.push(CaseFiles { label, ..case });
        }
        self.findings.extend(maps.findings);
        self.notes.extend(maps.notes);
        Ok(())
    }

    /// Refuses cases without a label map in the folder of label maps.
    fn require_labels(&mut self, labels: &Path) {
        let bare = self.cases.iter().filter(|case| case.label.is_none());
        let problem = |case: &CaseFiles| {
            let expected =
                format!("a label map called {}, or as a folder that holds this series alone, in {}", case.name, labels.display());
            let error = Fault::Unpaired { missing: "label".to_owned(), expected }.at(&case.images[0].file());
            Problem { case: Some(case.name.clone()), error }
        };
        self.findings.extend(bare.map(problem));
    }

    /// Adds the series of a second `folder`; one that lies in both is refused.
    fn append(&mut self, others: Self, folder: &Path) {
        for case in others.cases {
            if self.cases.iter().any(|known| known.name == case.name) {
                self.findings.push(Problem { case: Some(case.name), error: Fault::ListedTwice(2).at(folder) });
            } else {
                self.cases.push(case);
            }
        }
        self.cases.sort_by(|a, b| a.name.cmp(&b.name));
        self.modalities.extend(others.modalities);
        self.findings.extend(others.findings);
        self.notes.extend(others.notes);
    }

    /// The dataset; none of no series. `place` is its folder.
    fn complete(self, place: &Path) -> Result<Option<Dataset>, DataError> {
        let Self { cases, modalities, findings, mut notes } = self;
        if cases.is_empty() {
            return Ok(None);
        }
        let channel = match modalities.iter().collect::<Vec<_>>().as_slice() {
            [one] if !one.is_empty() => (*one).clone(),
            several => {
                if several.len() > 1 {
                    let names = several.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                    notes.push(Note::new(place, format!("its series are of several modalities: {names}")));
                }
                "channel 0".to_owned()
            }
        };
        complete(place, Dataset { channels: vec![channel], cases, findings, notes, ..of_folder(place) }).map(Some)
    }
}
