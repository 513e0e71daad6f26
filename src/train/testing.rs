//! Trainings of seconds on made-up volumes, and the optimisers' rules written out.

use std::collections::BTreeMap;
use std::path::Path;

use super::DatasetInfo;
use crate::config::{DataSource, ModelConfig, OptimiserConfig, RunConfig, SyntheticConfig, UnetConfig};
use crate::preprocess::prepare;
use crate::sampling::CaseSet;
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

/// The volumes of a config, in a folder or in memory, and what they ask of the network.
pub(super) fn prepared(config: &RunConfig, folder: Option<&Path>) -> (CaseSet, DatasetInfo) {
    let dataset = Dataset::open(&config.data.source).unwrap();
    let names: Vec<String> = dataset.cases.iter().map(|case| case.name.clone()).collect();
    let cases = prepare(&dataset, &names, &config.data.preprocess, folder, &|_, _| {}).unwrap();
    let labels = BTreeMap::from([(0, "background".to_owned()), (1, "one".to_owned())]);
    let info = DatasetInfo { name: "made up".to_owned(), channels: vec!["image".to_owned()], labels };
    (cases.into_iter().map(Into::into).collect(), info)
}

/// Where a rule takes a number from `x` along each gradient at rate `lr`, in double precision, as PyTorch defines the rule.
pub(super) fn by_hand(rule: OptimiserConfig, lr: f64, mut x: f64, gradients: [f64; 2]) -> [f64; 2] {
    let (mut first, mut second) = (0.0, 0.0);
    let mut step = 0;
    gradients.map(|gradient| {
        step += 1;
        match rule {
            // Nesterov: g = gradient + decay x, m = momentum m + g, x -= lr (g + momentum m).
            OptimiserConfig::Sgd { momentum, weight_decay, .. } => {
                let gradient = gradient + weight_decay * x;
                first = momentum * first + gradient;
                x -= lr * (gradient + momentum * first);
            }
            // Decoupled decay, scaled with the rate: x -= lr decay x, then Adam's step.
            OptimiserConfig::AdamW { weight_decay, .. } => {
                x -= lr * weight_decay * x;
                first = 0.9 * first + 0.1 * gradient;
                second = 0.999 * second + 0.001 * gradient * gradient;
                let (mean, square): (f64, f64) = (first / (1.0 - 0.9_f64.powi(step)), second / (1.0 - 0.999_f64.powi(step)));
                x -= lr * mean / (square.sqrt() + 1e-8);
            }
        }
        x
    })
}
