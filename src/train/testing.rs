//! Trainings of seconds on made-up volumes.

use std::collections::BTreeMap;

use super::DatasetInfo;
use crate::config::{DataSource, ModelConfig, RunConfig, SyntheticConfig, UnetConfig};
use crate::preprocess::prepare;
use crate::sampling::{CaseSet, TrainingCase};
use crate::volume::Dataset;

/// A fine-tuning of a network of a thousand weights on so many volumes of so many voxels along each edge.
pub(crate) fn tiny(cases: usize, edge: usize) -> RunConfig {
    let mut config = RunConfig::default();
    config.data.source = DataSource::Synthetic(SyntheticConfig { cases, shape: [edge; 3], channels: 1, labels: 1 });
    let (features, strides) = (vec![4, 8], vec![[1; 3], [2; 3]]);
    config.model = ModelConfig::Unet(UnetConfig { features, strides, blocks: vec![1, 1], deep_supervision: true, recompute: false });
    config.finetune.crop_size = [8; 3];
    config
}

/// The volumes of a config, and what they ask of the network.
pub(super) fn prepared(config: &RunConfig) -> (CaseSet, DatasetInfo) {
    let dataset = Dataset::open(&config.data.source).unwrap();
    let names: Vec<String> = dataset.cases.iter().map(|case| case.name.clone()).collect();
    let cases = prepare(&dataset, &names, &config.data.preprocess, None, &|_, _| {}).unwrap();
    let labels = BTreeMap::from([(0, "background".to_owned()), (1, "one".to_owned())]);
    let info = DatasetInfo { name: "made up".to_owned(), channels: vec!["image".to_owned()], labels };
    (cases.into_iter().map(|case| TrainingCase::new(case).into()).collect(), info)
}
