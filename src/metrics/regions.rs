//! What is scored: the labels and unions of labels of a dataset or config.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::counts::Region;
use crate::volume::{DataErrors, Dataset, Regions};

/// Why label maps cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A region names a label that a map cannot hold.
    #[error("data.regions: {region} names label {label}; allowed is 1 to 65535")]
    Region {
        /// The region.
        region: String,
        /// The label value.
        label: u32,
    },
    /// A region names labels that the dataset does not have, or none at all.
    #[error("data.regions: {region} names the labels {labels:?}; the dataset has {known:?}")]
    UnknownRegion {
        /// The region.
        region: String,
        /// Its label values.
        labels: Vec<u32>,
        /// The dataset's label values.
        known: Vec<u32>,
    },
    /// A folder holds no volume.
    #[error("{path}: {cause}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Files without a partner of the same name.
    #[error("every true label map needs a segmentation of the same name, and the other way round:{}", listed(.missing))]
    Unpaired {
        /// Each: which folder has no file of which name.
        missing: Vec<String>,
    },
    /// Pairs that cannot be scored.
    #[error("{} of {pairs} pairs cannot be scored:{}", faults.len(), listed(faults))]
    Pairs {
        /// All pairs.
        pairs: usize,
        /// What is wrong with each that cannot be scored.
        faults: Vec<String>,
    },
    /// A file that is no label map.
    #[error(transparent)]
    Data(#[from] DataErrors),
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n- {line}")).collect()
}

/// What is scored in a run: the configured regions, else those of the dataset, else each label but background.
///
/// # Errors
/// A configured region without labels, or with one that the dataset does not have.
pub fn dataset_regions(dataset: &Dataset, configured: &Regions) -> Result<Vec<Region>, EvaluateError> {
    for (region, labels) in configured {
        if labels.is_empty() || labels.iter().any(|label| !dataset.labels.contains_key(label)) {
            let known = dataset.label_values();
            return Err(EvaluateError::UnknownRegion { region: region.clone(), labels: labels.clone(), known });
        }
    }
    regions(&dataset.labels, if configured.is_empty() { &dataset.regions } else { configured })
}

/// What is scored: the configured regions, or else each label but background.
///
/// # Errors
/// A region with a label value that no map can hold.
pub(super) fn regions(labels: &BTreeMap<u32, String>, configured: &Regions) -> Result<Vec<Region>, EvaluateError> {
    let region = |name: &String, values: &[u32]| {
        let narrow = |&label: &u32| {
            u16::try_from(label).ok().filter(|&label| label > 0).ok_or_else(|| EvaluateError::Region { region: name.clone(), label })
        };
        Ok(Region { name: name.clone(), labels: values.iter().map(narrow).collect::<Result<_, _>>()? })
    };
    match configured.is_empty() {
        false => configured.iter().map(|(name, values)| region(name, values)).collect(),
        true => labels.iter().filter(|&(&label, _)| label != 0).map(|(&label, name)| region(name, &[label])).collect(),
    }
}
