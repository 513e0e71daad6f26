//! How the encoder moves beside the rest of a network: at a rate of its own, and only after the first steps.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use crate::config::FinetuneConfig;
use crate::model::{Segmenter, parameter_paths};

/// Which parameters are the encoder's, and how they move. The default moves all alike.
#[derive(Clone, Debug, Default)]
pub struct ParamGroups {
    /// The encoder's, each with what multiplies its learning rate.
    encoder: HashMap<ParamId, f64>,
    frozen_steps: usize,
}

impl ParamGroups {
    /// That of a fine-tuning: `encoder_lr`, `encoder_lr_decay` and `freeze_encoder` of its settings.
    pub fn of(network: &Segmenter, settings: &FinetuneConfig) -> Self {
        let encoder = &network.encoder;
        let stages: HashMap<ParamId, usize> =
            parameter_paths(encoder).into_iter().map(|(id, path)| (id, encoder.stage_of(&path))).collect();
        let last = stages.values().copied().max().unwrap_or(0);
        let factor = |stage: usize| settings.encoder_lr * settings.encoder_lr_decay.powi((last - stage) as i32);
        let encoder = stages.into_iter().map(|(id, stage)| (id, factor(stage))).collect();
        Self { encoder, frozen_steps: settings.freeze_encoder }
    }

    /// The learning rate of a parameter where that of the step is `lr`.
    pub fn rate(&self, parameter: ParamId, lr: f64) -> f64 {
        self.encoder.get(&parameter).map_or(lr, |factor| lr * factor)
    }

    /// The module to find the gradients of step `step` (from 0) with, where that is not the module itself: while the encoder
    /// stays as it is, a copy that shares all values and keeps no graph of the encoder. So it has no gradients, takes no part
    /// in their norm, and is not gone through backwards.
    pub fn held<M: Module>(&self, module: &M, step: usize) -> Option<M> {
        (step < self.frozen_steps).then(|| module.clone().map(&mut Hold(&self.encoder)))
    }
}

/// Takes parameters out of the graph.
struct Hold<'a>(&'a HashMap<ParamId, f64>);

impl ModuleMapper for Hold<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.0.contains_key(&param.id) { param.set_require_grad(false) } else { param }
    }
}

#[cfg(test)]
#[path = "param_groups_tests.rs"]
mod tests;
