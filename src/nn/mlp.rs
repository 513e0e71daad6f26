//! The two-layer perceptron of a transformer block.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Initialiser, Linear, gelu};

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
    pub fn init(dim: usize, hidden: usize, init: &Initialiser<'_>) -> Self {
        Self { fc1: Linear::init(dim, hidden, true, &init.at("fc1")), fc2: Linear::init(hidden, dim, true, &init.at("fc2")) }
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(gelu(self.fc1.forward(tokens)))
    }
}
