//! What an experiment's trainings are made from, by content: a training is known by its data as well as by its settings.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{DataConfig, DataSource, RunConfig};
use crate::digest::sha256;
use crate::metrics::dataset_regions;
use crate::protocol::checkpoints;
use crate::volume::{Dataset, Split, SplitRecord, content};

/// Digests of data and of checkpoints, by the settings that choose them. Read once for each; kept in the experiment's folder for when the
/// data are away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contents {
    /// As recorded, or as read since.
    digests: BTreeMap<String, String>,
    /// Datasets that were opened, with the keys of their cases so far; or why one cannot be read.
    #[serde(skip)]
    opened: Vec<(DataSource, Result<Known, String>)>,
    /// What was read rather than recorded.
    #[serde(skip)]
    read: BTreeMap<String, Content>,
}

/// A dataset, and the content keys of its cases by name, as far as they were read.
type Known = (Dataset, BTreeMap<String, String>);

/// What is known of a content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Its digest; of what cannot be read, as it was recorded; none where it never was.
    pub digest: Option<String>,
    /// Why it cannot be read now.
    pub trouble: Option<String>,
}

impl Contents {
    /// What a training with these settings sees: its cases with their content, and how they are split.
    ///
    /// # Panics
    /// Never: settings are plain data.
    pub fn data(&mut self, config: &RunConfig) -> Content {
        let settings = serde_json::to_vec(&(&config.data, config.seed)).expect("plain data becomes JSON");
        self.known(sha256(settings), |contents| contents.read_data(&config.data, config.seed))
    }

    /// The weights of a checkpoint.
    pub fn checkpoint(&mut self, path: &Path) -> Content {
        self.known(format!("checkpoint {}", path.display()), |_| {
            let place = checkpoints::locate(path).map_err(|error| error.to_string())?;
            checkpoints::weights_sha256(&place).map_err(|error| format!("{}: {error}", place.display()))
        })
    }

    fn known(&mut self, key: String, read: impl FnOnce(&mut Self) -> Result<String, String>) -> Content {
        if let Some(known) = self.read.get(&key) {
            return known.clone();
        }
        let content = match read(self) {
            Ok(digest) => Content { digest: Some(digest), trouble: None },
            Err(trouble) => Content { digest: self.digests.get(&key).cloned(), trouble: Some(trouble) },
        };
        self.digests.extend(content.digest.clone().map(|digest| (key.clone(), digest)));
        self.read.insert(key, content.clone());
        content
    }

    fn read_data(&mut self, data: &DataConfig, seed: u64) -> Result<String, String> {
        let index = self.opened.iter().position(|(source, _)| *source == data.source).unwrap_or_else(|| {
            let dataset = Dataset::open(&data.source).map(|dataset| (dataset, BTreeMap::new()));
            self.opened.push((data.source.clone(), dataset.map_err(|error| error.to_string())));
            self.opened.len() - 1
        });
        let (dataset, known) = self.opened[index].1.as_mut().map_err(|error| error.clone())?;
        dataset_regions(dataset, &data.regions).map_err(|error| error.to_string())?;
        if data.skip_bad {
            // Which cases are usable is decided by what all of them hold; how they are split is a setting.
            let keys = dataset.cases.iter().map(|case| (&case.name, content::case_key(case).unwrap_or_default()));
            return Ok(sha256(serde_json::to_vec(&keys.collect::<Vec<_>>()).expect("plain data becomes JSON")));
        }
        let split = Split::draw(dataset, data, seed).map_err(|error| error.to_string())?;
        SplitRecord::new(dataset, split, known).map(|record| record.digest()).map_err(|error| error.to_string())
    }
}
