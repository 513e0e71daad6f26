//! A linear map over the last axis of a token sequence.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Initialiser;
use crate::kernels;

/// `y = x W + b` for every token.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]` (the references keep the transpose).
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Standard deviation of a transformer layer's initial weights.
    const WEIGHT_STD: f32 = 0.02;

    /// A layer of a transformer: weights truncated normal with standard deviation 0.02, biases 0, as the references'
    /// `_init_weights`.
    pub fn init(input: usize, output: usize, bias: bool, init: &Initialiser<'_>) -> Self {
        Self {
            weight: init.truncated_normal("weight", [input, output], Self::WEIGHT_STD),
            bias: bias.then(|| init.at("bias").constant([output], 0.0)),
        }
    }

    /// A layer of a projector: PyTorch's default initialisation.
    pub fn init_uniform(input: usize, output: usize, bias: bool, init: &Initialiser<'_>) -> Self {
        Self {
            weight: init.fan_in_uniform("weight", [input, output], input),
            bias: bias.then(|| init.fan_in_uniform("bias", [output], input)),
        }
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
                Tensor::zeros([output], &weight.device())
            }
        }
    }
}
