//! A linear map over the last axis of a token sequence.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Initialiser;

/// `y = x W + b` for every token.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]` (the references keep the transpose).
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// PyTorch's default initialisation.
    pub fn init(input: usize, output: usize, bias: bool, init: &Initialiser<'_>) -> Self {
        Self {
            weight: init.fan_in_uniform("weight", [input, output], input),
            bias: bias.then(|| init.fan_in_uniform("bias", [output], input)),
        }
    }

    /// `[batch, tokens, in]` -> `[batch, tokens, out]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, input] = tokens.dims();
        let flat = tokens.reshape([batch * count, input]).matmul(self.weight.val());
        let [_, output] = flat.dims();
        let flat = match &self.bias {
            Some(bias) => flat + bias.val().unsqueeze(),
            None => flat,
        };
        flat.reshape([batch, count, output])
    }
}
