//! What an experiment's cases take of the disk and of the computer's memory, before anything is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::cases::{TrainingData, half_of_free, prepared_folder};
use crate::experiment::{Experiment, TrainingPlan};
use crate::preprocess::{Needs, Preparation};
use crate::train::ahead_bytes;
use crate::wording::{bytes, count};

/// What cases take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseNeeds {
    /// Cases that the trainings see.
    pub cases: usize,
    /// What those of them take that are not prepared yet.
    pub missing: Needs,
    /// The folder of prepared cases.
    pub folder: PathBuf,
    /// Bytes free on its disk, where the system tells.
    pub free: Option<u64>,
    /// Bytes that cases read ahead may take; none: the system does not tell what is free.
    pub memory: Option<u64>,
    /// Bytes that they take at most.
    pub ahead_bytes: u64,
}

impl CaseNeeds {
    /// Looks at the cases of some trainings, so many at work at once, on the host or another device; `memory` as in
    /// [`super::ExperimentJob::memory`].
    ///
    /// # Errors
    /// Data that cannot be read, or crops that cannot be cut, in words.
    pub fn new(
        experiment: &Experiment,
        trainings: &[usize],
        (at_once, on_host): (usize, bool),
        memory: Option<u64>,
    ) -> Result<Self, String> {
        let (memory, at_once) = (memory.or_else(half_of_free), at_once.max(1) as u64);
        let folder = prepared_folder();
        let text = |error: &dyn fmt::Display| error.to_string();
        // Trainings that see the same data, prepared alike, share their cases, whatever their splits.
        let mut opened: BTreeMap<String, TrainingData> = BTreeMap::new();
        let mut sets: BTreeMap<String, (&TrainingPlan, BTreeSet<String>)> = BTreeMap::new();
        let mut ahead = 0;
        for plan in trainings.iter().map(|&training| &experiment.trainings[training]) {
            let data = &plan.config.data;
            let split = format!("{data:?} {}", plan.config.seed);
            if !opened.contains_key(&split) {
                opened.insert(split.clone(), TrainingData::open(&plan.config).map_err(|error| text(&error))?);
            }
            let TrainingData { dataset, record, .. } = &opened[&split];
            let (_, names) = sets.entry(format!("{:?} {:?}", data.source, data.preprocess)).or_insert((plan, BTreeSet::new()));
            names.extend(record.split.cases().cloned());
            let share = memory.map(|memory| memory / at_once);
            let bytes = ahead_bytes((plan.kind, &plan.config), dataset.channels.len(), on_host, share);
            ahead = ahead.max(bytes.map_err(|error| text(&error))?);
        }
        let mut needs = Self { cases: 0, missing: Needs::default(), free: None, memory, ahead_bytes: at_once * ahead, folder };
        for (plan, names) in sets.into_values() {
            let data = &plan.config.data;
            let TrainingData { dataset, .. } = &opened[&format!("{data:?} {}", plan.config.seed)];
            let preparation = Preparation { dataset, config: &data.preprocess, folder: Some(&needs.folder), memory };
            let names: Vec<String> = names.into_iter().collect();
            let found = preparation.found(&names);
            let missing: Vec<String> = names.iter().filter(|name| !found.contains_key(*name)).cloned().collect();
            let own = preparation.needs(&missing);
            needs.cases += names.len();
            needs.missing.cases += own.cases;
            needs.missing.disk_bytes += own.disk_bytes;
            needs.missing.memory_bytes = needs.missing.memory_bytes.max(own.memory_bytes);
        }
        needs.free = needs.missing.require_room(&needs.folder).map_err(|error| text(&error))?;
        Ok(needs)
    }
}

impl fmt::Display for CaseNeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, missing, folder, free, memory, ahead_bytes } = self;
        write!(f, "{}, ", count(*cases, "case"))?;
        match missing.cases {
            0 => write!(f, "all prepared in {}", folder.display())?,
            number => write!(f, "{number} of them to be prepared, up to {} on disk in {}", bytes(missing.disk_bytes), folder.display())?,
        }
        if let Some(free) = free {
            write!(f, ", where {} are free", bytes(*free))?;
        }
        write!(f, "\nmemory of the computer for cases read ahead: at most {}", bytes(*ahead_bytes))?;
        match memory {
            Some(memory) if ahead_bytes > memory => {
                write!(f, " (one batch is always made, were it more than the {} of --memory)", bytes(*memory))
            }
            Some(memory) => write!(f, " (bound by --memory, by default half of what is free: {})", bytes(*memory)),
            None => write!(f, " (--memory bounds it)"),
        }
    }
}
