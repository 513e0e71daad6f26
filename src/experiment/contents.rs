//! What the data of an experiment's trainings hold, so that a training is known by its data as well as by its settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{DataConfig, DataSource, RunConfig};
use crate::digest::sha256;
use crate::volume::{Dataset, Split, SplitRecord, content};

/// Digests of data by the settings that choose them; read once for each, and kept in the experiment's folder for when the data are away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contents {
    /// As recorded, or as read since.
    digests: BTreeMap<String, String>,
    /// Datasets that were opened, with the keys of their cases so far; none for one that cannot be read.
    #[serde(skip)]
    opened: Vec<(DataSource, Option<Known>)>,
    /// Settings whose data were read rather than recorded.
    #[serde(skip)]
    read: BTreeMap<String, Option<String>>,
}

/// A dataset, and the content keys of its cases by name, as far as they were read.
type Known = (Dataset, BTreeMap<String, String>);

impl Contents {
    /// The digest of what a training with these settings sees: its cases with their content, and how they are split. Data that cannot
    /// be read are taken for what they were when they were recorded; none where they never were.
    ///
    /// # Panics
    /// Never: settings are plain data.
    pub fn digest(&mut self, config: &RunConfig) -> Option<String> {
        let settings = serde_json::to_vec(&(&config.data, config.seed)).expect("plain data becomes JSON");
        let key = sha256(settings);
        if let Some(known) = self.read.get(&key) {
            return known.clone();
        }
        let digest = self.fresh(&config.data, config.seed).or_else(|| self.digests.get(&key).cloned());
        self.digests.extend(digest.clone().map(|digest| (key.clone(), digest)));
        self.read.insert(key, digest.clone());
        digest
    }

    fn fresh(&mut self, data: &DataConfig, seed: u64) -> Option<String> {
        let index = self.opened.iter().position(|(source, _)| *source == data.source).unwrap_or_else(|| {
            let dataset = Dataset::open(&data.source).ok().map(|dataset| (dataset, BTreeMap::new()));
            self.opened.push((data.source.clone(), dataset));
            self.opened.len() - 1
        });
        let (dataset, known) = self.opened[index].1.as_mut()?;
        if data.skip_bad {
            // Which cases are usable is decided by what all of them hold; how they are split is a setting.
            let keys = dataset.cases.iter().map(|case| (&case.name, content::case_key(case).unwrap_or_default()));
            let text = serde_json::to_vec(&keys.collect::<Vec<_>>()).expect("plain data becomes JSON");
            return Some(sha256(text));
        }
        let split = Split::draw(dataset, data, seed).ok()?;
        SplitRecord::new(dataset, split, known).ok().map(|record| record.digest())
    }
}
