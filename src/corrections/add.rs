//! A corrected case into the training set, with the record of what was corrected.

use std::path::PathBuf;

use super::record::{Correction, Corrections, LabelCorrection, compare};
use crate::config::DataSource;
use crate::digest::sha256;
use crate::folder_lock::FolderLock;
use crate::volume::datalist::adding::{AddError, Addition, Change, NewCase, folder_of, labels_on};
use crate::volume::{LabelMap, VolumeSource, grid_fault};

/// The prediction that was corrected.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// In a file; its axes may run otherwise than the image's.
    File(PathBuf),
    /// In memory, on the image's grid.
    Labels(LabelMap),
}

/// What is to be added to which dataset.
#[derive(Clone, Debug)]
pub struct AddJob {
    /// The dataset.
    pub source: DataSource,
    /// The case.
    pub case: NewCase,
    /// The prediction that was corrected; none: nothing is compared.
    pub predicted: Option<Prediction>,
    /// The network that predicted it, as it is to be recorded.
    pub network: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// The case's name in the dataset.
    pub case: String,
    /// What changed.
    pub change: Change,
    /// Its label map there.
    pub label: PathBuf,
    /// The dataset's folder, which holds the record.
    pub folder: PathBuf,
    /// Voxels of another label than predicted; none where there was no prediction.
    pub changed_voxels: Option<u64>,
    /// Of each label in one of both maps.
    pub labels: Vec<LabelCorrection>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Adds a case to a dataset, and records what was corrected of its prediction. A second call finishes one that was cut short, and changes
/// nothing after one that was not.
///
/// # Errors
/// Whatever cannot be read, written or does not fit: the dataset is then as it was. Another program that adds to it now.
pub fn add(job: &AddJob) -> Result<Added, AddError> {
    let folder = folder_of(&job.source)?;
    let _lock = FolderLock::take(&folder).map_err(|error| AddError::Refused(error.to_string()))?;
    let addition = Addition::plan(&job.source, &job.case)?;
    let compared = job.predicted.as_ref().map(|predicted| compared(predicted, job, &addition)).transpose()?;
    let (changed_voxels, labels) = compared.map_or((None, Vec::new()), |(changed, labels)| (Some(changed), labels));
    if addition.change != Change::Nothing {
        // Recorded before the dataset changes: a record of a case that is not there yet is passed over, a case without its record would
        // never be learned from.
        Corrections::append(
            &folder,
            Correction {
                date: jiff::Timestamp::now(),
                case: addition.case.clone(),
                added: addition.change == Change::Added,
                labels_sha256: digest(&addition.labels),
                network: job.network.clone(),
                changed_voxels,
                labels: labels.clone(),
            },
        )?;
    }
    addition.execute(&|_| {})?;
    let Addition { case, change, label_file: label, notes, .. } = addition;
    Ok(Added { case, change, label, folder, changed_voxels, labels, notes })
}

/// What was corrected of a prediction.
fn compared(predicted: &Prediction, job: &AddJob, addition: &Addition) -> Result<(u64, Vec<LabelCorrection>), AddError> {
    let image = job.case.images.first().map(|image| image.file().into_owned()).unwrap_or_default();
    let predicted = match predicted {
        Prediction::Labels(labels) => match grid_fault(&labels.grid, &addition.labels.grid, &image) {
            None => labels.clone(),
            Some(fault) => return Err(fault.at(&job.case.label).into()),
        },
        Prediction::File(file) => {
            let source = VolumeSource::label_map(file.clone(), &job.case.images);
            labels_on(&source, &addition.labels.grid, &image)?
        }
    };
    Ok(compare(&predicted, &addition.labels, &addition.names))
}

/// A digest of labels and their number of voxels along each axis.
fn digest(labels: &LabelMap) -> String {
    let mut bytes = format!("{:?}", labels.grid.shape).into_bytes();
    bytes.extend(labels.voxels.iter().flat_map(|value| value.to_le_bytes()));
    sha256(bytes)
}
