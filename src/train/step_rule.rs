//! What the optimiser remembers of one parameter, and its step.

use burn::tensor::Tensor;

use crate::config::OptimiserConfig;
use crate::kernels::{AdamW, Sgd};

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

    /// The parameter's flattened `value` and its moments after a step along `gradient`, clipped as `clipping` says, at rate `lr`.
    ///
    /// Moved rather than cloned throughout: a tensor with one owner is updated in place.
    pub(super) fn step(
        self,
        config: &OptimiserConfig,
        lr: f64,
        value: Tensor<1>,
        (gradient, clipping): (Tensor<1>, Option<&Tensor<1>>),
    ) -> (Tensor<1>, Self) {
        let Self { first, second, steps } = self;
        let steps = steps + 1;
        match *config {
            OptimiserConfig::Sgd { momentum, weight_decay, .. } => {
                let [value, first] = Sgd { lr, momentum, weight_decay }.step([value, first], gradient, clipping);
                (value, Self { first, second: None, steps })
            }
            OptimiserConfig::AdamW { weight_decay, .. } => {
                let second = second.expect("AdamW keeps two moments");
                let [value, first, second] = AdamW::new(lr, weight_decay, steps).step([value, first, second], gradient, clipping);
                (value, Self { first, second: Some(second), steps })
            }
        }
    }
}
