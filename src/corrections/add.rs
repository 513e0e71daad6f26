//! A corrected case into the training set, with the record of what was corrected.

use std::path::PathBuf;

use super::record::{Correction, Corrections, LabelCorrection, compare};
use crate::config::DataSource;
use crate::digest::sha256;
use crate::folder_lock::FolderLock;
use crate::volume::datalist::adding::{AddError, Addition, Change, NewCase, folder_of, labels_on};
use crate::volume::{LabelMap, VolumeSource};

/// What is to be added to which dataset.
#[derive(Clone, Debug)]
pub struct AddJob {
    /// The dataset.
    pub source: DataSource,
    /// The case.
    pub case: NewCase,
    /// The prediction that was corrected; none: nothing is compared.
    pub predicted: Option<PathBuf>,
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
    let compared = match &job.predicted {
        None => None,
        Some(predicted) => {
            let (grid, source) = (&addition.labels.grid, VolumeSource::label_map(predicted.clone(), &job.case.images));
            let image = job.case.images.first().map(|image| image.file().into_owned()).unwrap_or_default();
            Some(compare(&labels_on(&source, grid, &image)?, &addition.labels, &addition.names))
        }
    };
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

/// A digest of labels and their number of voxels along each axis.
fn digest(labels: &LabelMap) -> String {
    let mut bytes = format!("{:?}", labels.grid.shape).into_bytes();
    bytes.extend(labels.voxels.iter().flat_map(|value| value.to_le_bytes()));
    sha256(bytes)
}
