//! A linear map over the last axis of a token sequence, and the perceptron of two.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Initialiser;
use crate::kernels::{self, gelu};

/// `y = x W + b` for every token.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]` (the references keep the transpose).
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// From `input` to `output` channels.
    pub fn init(input: usize, output: usize, bias: bool, init: &Initialiser<'_>) -> Self {
        Self { weight: init.weight([input, output], input), bias: bias.then(|| init.bias(output, input)) }
    }

    /// `[batch, tokens, in]` -> `[batch, tokens, out]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        kernels::linear(tokens, self.weight.val(), self.bias.as_ref().map(Param::val))
    }

    /// The bias, `[out]`; zeros if the map has none.
    pub fn bias_or_zeros(&self) -> Tensor<1> {
        match &self.bias {
            Some(bias) => bias.val(),
            None => {
                let weight = self.weight.val();
                let [_, output] = weight.dims();
                Tensor::zeros([output], (&weight.device(), weight.dtype()))
            }
        }
    }
}

/// The two-layer perceptron of a transformer block: linear, exact GELU, linear.
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
