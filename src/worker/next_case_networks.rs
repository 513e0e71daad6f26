//! The networks that rank cases: those that segment, where there are any, and the encoder whose tokens are compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::cases::recorded_split;
use super::error::JobError;
use super::networks::Networks;
use super::next_case_job::NextCaseJob;
use crate::config::{RunConfig, require_used};
use crate::digest;
use crate::infer::TokenReader;
use crate::next_case::{Criterion, Pool};
use crate::protocol::StageKind;
use crate::train::{Checkpoint, CheckpointError, CheckpointInfo, load_encoder};
use crate::volume::{CaseFiles, DataErrors, Dataset, Split, SplitRecord, content};

/// Part of every key of measurements. Its number is raised whenever the same networks would measure other numbers.
const VERSION: &str = "simtrot next case 1";

/// How settings begin that a ranking uses.
const USED: [&str; 4] = ["infer.", DATA, "data.preprocess.", "finetune.crop_size"];

/// The setting that says where the dataset lies.
const DATA: &str = "data.source";

/// Networks that rank cases.
pub(super) struct RankingNetworks {
    /// Those that segment.
    pub(super) segmenting: Option<Networks>,
    /// Compares cases by their tokens.
    pub(super) reader: TokenReader,
    /// Where the encoder's checkpoint lies.
    pub(super) encoder: PathBuf,
    /// All checkpoints, what they say of themselves, and their settings with changed ones laid over.
    checkpoints: Vec<(PathBuf, CheckpointInfo, RunConfig)>,
    /// The one that the encoder is of.
    of_encoder: usize,
}

impl RankingNetworks {
    /// Reads the networks of a job.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, or checkpoints that do not go together.
    pub(super) fn open(job: &NextCaseJob, device: &Device) -> Result<Self, JobError> {
        require_used(&job.settings, "a ranking of cases", &USED)?;
        let read = |path: &PathBuf| {
            let place = Checkpoint::locate(path)?;
            let info = Checkpoint::read_info(&place)?;
            let config = info.config.with_overrides(&job.settings)?;
            Ok::<_, JobError>((place, info, config))
        };
        let checkpoints = job.checkpoints.iter().map(read).collect::<Result<Vec<_>, JobError>>()?;
        let (encoders, others): (Vec<usize>, Vec<usize>) =
            (0..checkpoints.len()).partition(|&index| checkpoints[index].1.kind == StageKind::Pretrain);
        if let [first, second, ..] = encoders[..] {
            let [first, second] = [first, second].map(|index| checkpoints[index].0.display());
            let text = format!("{first} and {second} are both pre-trainings; name the one whose encoder is to compare cases");
            return Err(JobError::Input(text));
        }
        let own: Vec<String> = job.settings.iter().filter(|setting| !setting.trim_start().starts_with(DATA)).cloned().collect();
        let places: Vec<PathBuf> = others.iter().map(|&index| checkpoints[index].0.clone()).collect();
        let segmenting = if places.is_empty() { None } else { Some(Networks::open(&places, &own, device)?) };
        let (of_encoder, encoder) = match (encoders.first(), &segmenting) {
            (Some(&index), _) => {
                let place = &checkpoints[index].0;
                (index, load_encoder(&Checkpoint::open(place)?, place, device)?.0)
            }
            (None, Some(networks)) => (0, networks.segmenters[0].encoder.clone()),
            (None, None) => return Err(JobError::Input("no checkpoint was named: name a network or a pre-training".to_owned())),
        };
        let (place, info, config) = &checkpoints[of_encoder];
        if let Some(networks) = &segmenting {
            let same = networks.dataset.channels == info.dataset.channels && networks.config().data.preprocess == config.data.preprocess;
            if !same {
                let text = "sees other channels than the networks, or the same ones prepared otherwise (data.preprocess): cases cannot be \
                            ranked by both; name one of them";
                return Err(JobError::Input(format!("{}: the pre-training {text}", place.display())));
            }
        }
        let reader = TokenReader { encoder, crop: info.crop_size(), convention: info.convention };
        Ok(Self { segmenting, reader, encoder: place.clone(), of_encoder, checkpoints })
    }

    /// Settings by which cases are prepared.
    pub(super) fn config(&self) -> &RunConfig {
        &self.checkpoints[self.of_encoder].2
    }

    /// Names of the labels that they know.
    pub(super) fn classes(&self) -> Vec<String> {
        self.checkpoints[self.of_encoder].1.dataset.labels.values().cloned().collect()
    }

    /// Key of the networks and of every setting that decides what they measure.
    pub(super) fn key(&self) -> Result<String, CheckpointError> {
        let mut key = Sha256::new_with_prefix(VERSION);
        for (place, ..) in &self.checkpoints {
            key.update(Checkpoint::weights_sha256(place)?);
        }
        let TokenReader { crop, convention, .. } = &self.reader;
        key.update(format!("{:?}", (&self.config().data.preprocess, self.of_encoder, crop, convention)));
        if let Some(networks) = &self.segmenting {
            let config = networks.config();
            key.update(format!("{:?}", (&config.infer, config.finetune.crop_size, networks.mirror(), networks.convention)));
        }
        Ok(digest::finish(key))
    }

    /// The dataset that a job is about, and which of its cases are labelled, could be, or are held out.
    pub(super) fn pool(&self, job: &NextCaseJob) -> Result<(Dataset, Pool), JobError> {
        let sources: Vec<_> = self.checkpoints.iter().map(|(_, _, config)| &config.data.source).collect();
        let source = match &job.data {
            Some(data) => data,
            None if sources.iter().all(|source| *source == sources[0]) => sources[0],
            None => return Err(JobError::Input("the checkpoints were trained on different datasets: name the dataset to rank".to_owned())),
        };
        let dataset = Dataset::open(source)?;
        let (found, expected) = (dataset.channels.len(), self.checkpoints[self.of_encoder].1.dataset.channels.len());
        if found != expected {
            let text = format!("{} has images of {found} channels, and the networks know {expected}", dataset.name);
            return Err(JobError::Input(text));
        }
        let pool = match &job.data {
            Some(_) => Pool::of_label_maps(&dataset),
            None => Pool::of_splits(&dataset, &self.splits(&dataset)?),
        };
        Ok((dataset, pool))
    }

    /// The split of each training: as it was recorded beside its checkpoint, else as its settings draw it.
    fn splits(&self, dataset: &Dataset) -> Result<Vec<Split>, DataErrors> {
        let split = |(place, _, config): &(PathBuf, CheckpointInfo, RunConfig)| match recorded_split(place) {
            Some(record) => Ok(without_newly_labelled(record, dataset)),
            None => Split::draw(dataset, &config.data, config.seed),
        };
        self.checkpoints.iter().map(split).collect()
    }

    /// Why criteria cannot be measured by these networks.
    pub(super) fn not_measured(&self) -> BTreeMap<Criterion, String> {
        let none = "no network that segments was named";
        match self.segmenting.as_ref().map_or(0, |networks| networks.segmenters.len()) {
            0 => [Criterion::Entropy, Criterion::Disagreement].map(|criterion| (criterion, none.to_owned())).into(),
            1 => [(Criterion::Disagreement, "it takes at least two networks, and one was named".to_owned())].into(),
            _ => BTreeMap::new(),
        }
    }

    /// Where the networks that segment lie.
    pub(super) fn places(&self) -> Vec<String> {
        self.segmenting.iter().flat_map(|networks| &networks.places).map(|place| shown(place)).collect()
    }
}

/// The split of a training, without cases to pre-train on that have another label map than it recorded: they were labelled since.
fn without_newly_labelled(SplitRecord { mut split, content: then, .. }: SplitRecord, dataset: &Dataset) -> Split {
    // A case that cannot be read is named when it is measured.
    let is_new = |name: &String, case: &CaseFiles| content::case_key(case).is_ok_and(|key| then.get(name) != Some(&key));
    split.pretrain.retain(|name| !dataset.case(name).is_some_and(|case| case.label.is_some() && is_new(name, case)));
    split
}

/// A path as text.
pub(super) fn shown(place: &Path) -> String {
    place.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::demo;

    #[test]
    fn a_case_that_was_labelled_since_the_training_is_labelled() {
        let dataset = demo::dataset();
        let split = Split { finetune: Vec::new(), ..demo::split() };
        let mut record = SplitRecord::new(&dataset, split.clone(), &mut BTreeMap::new()).unwrap();
        assert_eq!(without_newly_labelled(record.clone(), &dataset), split);
        let name = demo::split().finetune[0].clone();
        let bare = CaseFiles { label: None, ..dataset.case(&name).unwrap().clone() };
        record.content.insert(name.clone(), content::case_key(&bare).unwrap());
        let pool = |record: SplitRecord| Pool::of_splits(&dataset, &[without_newly_labelled(record, &dataset)]);
        assert_eq!(pool(record).labelled, [name]);
    }
}
