//! The perceptron of B-TROT and BYOL: a batch norm keeps its outputs from all becoming one.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::kernels::instance_norm;
use crate::nn::{Initialiser, Linear};

/// `input -> hidden -> output` for every token, with batch norm and ReLU between.
///
/// The batch norm takes its statistics from the tokens at hand, all volumes and views together, always: the heads are thrown
/// away after pre-training, so that nothing ever asks for running averages.
#[derive(Module, Debug)]
pub struct NormedProjector {
    /// `input -> hidden`.
    pub fc1: Linear,
    /// The batch norm's scale, `[hidden]`.
    pub scale: Param<Tensor<1>>,
    /// The batch norm's shift, `[hidden]`.
    pub shift: Param<Tensor<1>>,
    /// `hidden -> output`.
    pub fc2: Linear,
}

impl NormedProjector {
    /// For `[input, hidden, output]` channels; `name` and `seed` decide the initial weights.
    pub fn init([input, hidden, output]: [usize; 3], name: &str, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device).at(name);
        Self {
            fc1: Linear::init(input, hidden, true, &init.at("fc1")),
            scale: init.constant([hidden], 1.0),
            shift: init.constant([hidden], 0.0),
            fc2: Linear::init(hidden, output, true, &init.at("fc2")),
        }
    }

    /// `[batch, tokens, input]` -> `[batch, tokens, output]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, _] = tokens.dims();
        let hidden = self.fc1.forward(tokens);
        let [_, _, width] = hidden.dims();
        // A batch norm is an instance norm of the whole batch taken as one sample.
        let normal = instance_norm(hidden.reshape([1, batch * count, width]), None);
        let hidden = relu(normal * self.scale.val().unsqueeze() + self.shift.val().unsqueeze());
        self.fc2.forward(hidden.reshape([batch, count, width]))
    }
}
