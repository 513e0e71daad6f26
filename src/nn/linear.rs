//! A linear map over the last axis of a token sequence.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Initialiser;
use crate::kernels;

/// What a transformer's linear layers start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearInit {
    /// Weights truncated normal with standard deviation 0.02, biases 0: nnFormer's `_init_weights`.
    TruncatedNormal,
    /// PyTorch's default, uniform in `±1/√in`: what MONAI leaves its layers with.
    FanIn,
}

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

    /// [`LinearInit::TruncatedNormal`].
    pub fn init(input: usize, output: usize, bias: bool, init: &Initialiser<'_>) -> Self {
        Self {
            weight: init.truncated_normal("weight", [input, output], Self::WEIGHT_STD),
            bias: bias.then(|| init.at("bias").constant([output], 0.0)),
        }
    }

    /// [`LinearInit::FanIn`].
    pub fn init_uniform(input: usize, output: usize, bias: bool, init: &Initialiser<'_>) -> Self {
        Self {
            weight: init.fan_in_uniform("weight", [input, output], input),
            bias: bias.then(|| init.fan_in_uniform("bias", [output], input)),
        }
    }

    /// A layer that starts from `kind`.
    pub fn init_from(kind: LinearInit, [input, output]: [usize; 2], bias: bool, init: &Initialiser<'_>) -> Self {
        match kind {
            LinearInit::TruncatedNormal => Self::init(input, output, bias, init),
            LinearInit::FanIn => Self::init_uniform(input, output, bias, init),
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
