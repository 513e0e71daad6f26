//! The perceptron between tokens and contrastive loss: trained with the encoder, thrown away after.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::weights::NamedWeights;
use crate::config::{Activation, ProjectorConfig};
use crate::nn::{Initialiser, Linear, gelu};

/// `dim -> hidden -> output` for every token; normalising the result is the loss's part.
#[derive(Module, Debug)]
pub struct Projector {
    /// `dim -> hidden`.
    pub fc1: Linear,
    /// `hidden -> output`.
    pub fc2: Linear,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    relu_output: bool,
}

impl Projector {
    /// For tokens of `dim` channels, with the initial weights of the path "projector" and `seed`.
    pub fn init(config: &ProjectorConfig, dim: usize, seed: u64, device: &Device) -> Self {
        Self::init_at(config, dim, &Initialiser::new(seed, device).at("projector"))
    }

    /// The same with the initial weights of another path.
    pub fn init_at(config: &ProjectorConfig, dim: usize, init: &Initialiser<'_>) -> Self {
        let (hidden, output) = (config.hidden.unwrap_or(2 * dim), config.output.unwrap_or(dim));
        Self {
            fc1: Linear::init(dim, hidden, true, &init.at("fc1")),
            fc2: Linear::init(hidden, output, true, &init.at("fc2")),
            activation: config.activation,
            relu_output: config.relu_output,
        }
    }

    /// `[batch, tokens, dim]` -> `[batch, tokens, output]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let hidden = self.fc1.forward(tokens);
        let hidden = match self.activation {
            Activation::Relu => relu(hidden),
            Activation::Gelu => gelu(hidden),
        };
        let output = self.fc2.forward(hidden);
        if self.relu_output { relu(output) } else { output }
    }
}

impl NamedWeights for Projector {
    fn reference_name(&self, path: &[String]) -> String {
        format!("projector.{}", path.join("."))
    }
}
