//! The two-layer perceptron of a transformer block.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Initialiser, Linear, LinearInit, gelu};

/// Linear, exact GELU, linear.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `dim -> hidden`.
    pub fc1: Linear,
    /// `hidden -> dim`.
    pub fc2: Linear,
}

impl Mlp {
    /// `hidden` is the block's `mlp_ratio` times `dim`, rounded down.
    pub fn init(dim: usize, hidden: usize, weights: LinearInit, init: &Initialiser<'_>) -> Self {
        let linear = |sizes, name: &str| Linear::init_from(weights, sizes, true, &init.at(name));
        Self { fc1: linear([dim, hidden], "fc1"), fc2: linear([hidden, dim], "fc2") }
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(gelu(self.fc1.forward(tokens)))
    }
}
