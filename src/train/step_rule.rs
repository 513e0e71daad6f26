//! What the optimiser remembers of a parameter, and the steps of all of them.

use burn::tensor::Tensor;

use crate::config::OptimiserConfig;
use crate::kernels::{AdamW, ParameterStep, Sgd};

/// What the optimiser remembers of one parameter, flattened.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    /// SGD's momentum, or Adam's mean of gradients.
    pub first: Tensor<1>,
    /// Adam's mean of squared gradients.
    pub second: Option<Tensor<1>>,
    /// Steps taken.
    pub steps: u64,
}

impl Moments {
    /// Those of a parameter that has taken no step.
    pub(super) fn new(config: &OptimiserConfig, value: &Tensor<1>) -> Self {
        let second = match config {
            OptimiserConfig::Sgd { .. } => None,
            OptimiserConfig::AdamW { .. } => Some(value.zeros_like()),
        };
        Self { first: value.zeros_like(), second, steps: 0 }
    }
}

/// A parameter about to take a step.
#[derive(Debug)]
pub(super) struct Step {
    /// Learning rate.
    pub lr: f64,
    /// Flattened.
    pub value: Tensor<1>,
    pub moments: Moments,
    /// Flattened, not yet clipped.
    pub gradient: Tensor<1>,
}

/// Value and moments of each parameter after its step, clipped as `clipping` says, in their order.
///
/// Moved rather than cloned throughout: a tensor with one owner is updated in place.
pub(super) fn take_steps(config: &OptimiserConfig, steps: Vec<Step>, clipping: Option<&Tensor<1>>) -> Vec<(Tensor<1>, Moments)> {
    let counts: Vec<u64> = steps.iter().map(|step| step.moments.steps + 1).collect();
    match *config {
        OptimiserConfig::Sgd { momentum, weight_decay, .. } => {
            let step = |Step { lr, value, moments, gradient }| {
                let rule = Sgd { lr, momentum, weight_decay };
                ParameterStep { rule, state: [value, moments.first], gradient }
            };
            let stepped = Sgd::step(steps.into_iter().map(step).collect(), clipping).into_iter().zip(counts);
            stepped.map(|([value, first], steps)| (value, Moments { first, second: None, steps })).collect()
        }
        OptimiserConfig::AdamW { weight_decay, .. } => {
            let step = |(Step { lr, value, moments, gradient }, &steps): (Step, &u64)| {
                let second = moments.second.expect("AdamW keeps two moments");
                ParameterStep { rule: AdamW::new(lr, weight_decay, steps), state: [value, moments.first, second], gradient }
            };
            let stepped = AdamW::step(steps.into_iter().zip(&counts).map(step).collect(), clipping).into_iter().zip(&counts);
            stepped.map(|([value, first, second], &steps)| (value, Moments { first, second: Some(second), steps })).collect()
        }
    }
}
