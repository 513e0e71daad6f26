//! What trainings cost beside each other, as the plan counts their arithmetic: how shards are made alike.

use std::collections::BTreeMap;

use crate::experiment::Experiment;
use crate::plan::{Room, Step};
use crate::protocol::{StageKind, cost_class};

/// Channels of an image and classes: those of a dataset change little, and shards must be the same where it cannot be read.
const CHANNELS: usize = 1;
const CLASSES: usize = 2;

/// Floating point operations of each training's steps, by index. Validations and tests, whose cost hangs on the scans, are not counted.
/// Nothing is measured and no data is read, so that every computer comes to the same.
pub fn training_costs(experiment: &Experiment) -> Vec<f64> {
    let mut known: BTreeMap<String, f64> = BTreeMap::new();
    let costs = experiment.trainings.iter().map(|plan| {
        let config = &plan.config;
        let (pretrain, finetune) = (&config.pretrain, &config.finetune);
        let (batch, accumulate, crop_size) = match plan.kind {
            StageKind::Pretrain => (pretrain.batch, pretrain.accumulate, pretrain.crop_size),
            _ => (finetune.batch, finetune.accumulate, finetune.crop_size),
        };
        let step = Step { config, kind: plan.kind, channels: CHANNELS, classes: CLASSES, room: Room::default() };
        let of_step = *known.entry(cost_class(plan.kind, config)).or_insert_with(|| {
            let arithmetic = step.look(batch, crop_size).0.step;
            (arithmetic.convolution + arithmetic.linear + arithmetic.attention) as f64
        });
        of_step * (accumulate * plan.steps()) as f64
    });
    costs.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::ExperimentConfig;

    #[test]
    fn a_training_costs_by_its_steps_and_crops() {
        let costs = |settings: &str| {
            let text = format!(r#"(name: "s", base: run(({settings} arms: (pretrain: [], finetune: [(name: "scratch")]))))"#);
            training_costs(&Experiment::outline(ExperimentConfig::from_ron(&text, "s.ron", Path::new("")).unwrap()).unwrap())
        };
        let one = costs("finetune: (steps: 10, crop_size: (32, 32, 32)),")[0];
        assert!(one > 0.0);
        assert_eq!(costs("finetune: (steps: 20, crop_size: (32, 32, 32)),")[0], 2.0 * one);
        let large = costs("finetune: (steps: 10, crop_size: (64, 64, 64)),")[0];
        assert!(large > 4.0 * one && large < 16.0 * one, "{large} for eight times the voxels of {one}");
    }
}
