//! From a folder, a list or a name to a [`Dataset`]: which cases there are, their channels and labels.
//!
//! Understood are Decathlon and MONAI lists (`lists.rs`), nnU-Net v2 folders and plain folders (`folders.rs`, `listing.rs`), folders of DICOM
//! series (`series.rs`) with the label maps that are of them (`label_maps.rs`), with
//! what they say about channels and labels (`naming.rs`), and files given one by one (`inputs.rs`). Volumes are read only for what
//! isn't said (`assemble.rs`). A case is added to what is there by `adding`. What is wrong with the listing goes to [`Dataset::findings`], for one look at all of it.

pub mod adding;
mod assemble;
mod folders;
pub mod inputs;
mod label_maps;
pub mod listing;
mod lists;
pub mod naming;
mod series;

use std::path::{Path, PathBuf};

use super::synthetic::Part;
use super::{CaseFiles, DataError, Dataset, Fault, Regions, VolumeSource, demo};
use crate::config::{DataSource, SyntheticConfig};
pub(super) use naming::described;
pub use series::{FoundSeries, series_in};

impl Dataset {
    /// Opens the dataset that a config names.
    ///
    /// # Errors
    /// No dataset there, a list that cannot be understood, no case at all, more than 256 classes.
    pub fn open(source: &DataSource) -> Result<Self, DataError> {
        match source {
            DataSource::Demo => Ok(demo::dataset()),
            DataSource::Synthetic(config) => Ok(synthetic(config)),
            DataSource::Folders { images, labels } => folders::pair(images, labels.as_deref()),
            DataSource::Dataset(path) => open_path(path),
        }
    }
}

/// The dataset of `config.cases` labelled cases named `synthetic_000` and so on; channels and labels are numbered.
fn synthetic(config: &SyntheticConfig) -> Dataset {
    let source = |case, part| VolumeSource::Synthetic { config: config.clone(), case, part };
    let case = |case| CaseFiles {
        name: format!("synthetic_{case:03}"),
        images: vec![source(case, Part::Image)],
        label: Some(source(case, Part::Label)),
        fold: None,
    };
    let label = |value: usize| (value as u32, if value == 0 { naming::default_label(0) } else { format!("blob {value}") });
    Dataset {
        name: "synthetic".to_owned(),
        channels: (0..config.channels).map(|channel| format!("channel {channel}")).collect(),
        labels: (0..=config.labels).map(label).collect(),
        cases: (0..config.cases).map(case).collect(),
        ..Dataset::default()
    }
}

/// The source that a folder or list on disk is: a folder of bare images pre-trains only.
pub fn source_at(path: &Path) -> DataSource {
    let has_images = |folder: &Path| listing::volumes(folder).is_ok_and(|listing| !listing.files.is_empty());
    if path.is_dir() && !path.join("dataset.json").exists() && has_images(path) {
        DataSource::Folders { images: path.to_owned(), labels: None }
    } else {
        DataSource::Dataset(path.to_owned())
    }
}

/// The regions that a dataset's list names, with the list, where `labels` is a folder of that dataset or holds a copy of it.
///
/// # Errors
/// A list that cannot be read.
pub fn regions_beside(labels: &Path) -> Result<Option<(PathBuf, Regions)>, DataError> {
    let mut lists = [Some(labels), labels.parent()].into_iter().flatten().map(|folder| folder.join("dataset.json"));
    let Some(list) = lists.find(|list| list.is_file()) else { return Ok(None) };
    let Dataset { regions, .. } = described(&lists::read(&list)?, &list, "")?;
    Ok((!regions.is_empty()).then_some((list, regions)))
}

fn open_path(path: &Path) -> Result<Dataset, DataError> {
    if !std::fs::metadata(path).map_err(|error| Fault::from(error).at(path))?.is_dir() {
        return lists::open(path);
    }
    let list = path.join("dataset.json");
    if list.is_file() {
        return lists::open(&list);
    }
    if path.join("imagesTr").is_dir() {
        return folders::decathlon(path);
    }
    if let Some(dataset) = series::dataset(path, None)? {
        return Ok(dataset);
    }
    let nothing = listing::volumes(path)?.nothing();
    let cause = format!("the folder holds neither dataset.json nor imagesTr, and {nothing}; name the JSON file, or use `folders`");
    Err(Fault::List(cause).at(path))
}
