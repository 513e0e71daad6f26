//! How the encoder moves beside the rest of a network: at a rate of its own, and only after the first steps.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use crate::config::FinetuneConfig;
use crate::model::{Segmenter, parameters_below};

/// Which parameters are the encoder's, and how they move. The default moves all alike.
#[derive(Clone, Debug)]
pub struct ParamGroups {
    encoder: HashSet<ParamId>,
    factor: f64,
    frozen_steps: usize,
}

impl Default for ParamGroups {
    fn default() -> Self {
        Self { encoder: HashSet::new(), factor: 1.0, frozen_steps: 0 }
    }
}

impl ParamGroups {
    /// That of a fine-tuning: `encoder_lr` and `freeze_encoder` of its settings.
    pub fn of(network: &Segmenter, settings: &FinetuneConfig) -> Self {
        let encoder = parameters_below(network, network.encoder.prefix());
        Self { encoder, factor: settings.encoder_lr, frozen_steps: settings.freeze_encoder }
    }

    /// The learning rate of a parameter where that of the step is `lr`.
    pub fn rate(&self, parameter: ParamId, lr: f64) -> f64 {
        if self.encoder.contains(&parameter) { lr * self.factor } else { lr }
    }

    /// The module to find the gradients of step `step` (from 0) with, where that is not the module itself: while the encoder
    /// stays as it is, a copy that shares all values and keeps no graph of the encoder. So it has no gradients, takes no part
    /// in their norm, and is not gone through backwards.
    pub fn held<M: Module>(&self, module: &M, step: usize) -> Option<M> {
        (step < self.frozen_steps).then(|| module.clone().map(&mut Hold(&self.encoder)))
    }
}

/// Takes parameters out of the graph.
struct Hold<'a>(&'a HashSet<ParamId>);

impl ModuleMapper for Hold<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.0.contains(&param.id) { param.set_require_grad(false) } else { param }
    }
}

#[cfg(test)]
#[path = "param_groups_tests.rs"]
mod tests;
