//! Layer normalisation over the channels of each token.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Initialiser;
use crate::kernels;

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias`, statistics over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[dim]`, starts at 1.
    pub weight: Param<Tensor<1>>,
    /// Offset, `[dim]`, starts at 0.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// The identity scale and offset.
    pub fn init(dim: usize, init: &Initialiser<'_>) -> Self {
        Self { weight: init.constant([dim], 1.0), bias: init.constant([dim], 0.0) }
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        kernels::layer_norm(tokens, self.weight.val(), self.bias.val())
    }
}

/// The same without weights, over the last axis. `[batch, tokens, dim]` -> the same.
pub fn normalise(tokens: Tensor<3>) -> Tensor<3> {
    let [_, _, dim] = tokens.dims();
    let like = (&tokens.device(), tokens.dtype());
    kernels::layer_norm(tokens, Tensor::ones([dim], like), Tensor::zeros([dim], like))
}
