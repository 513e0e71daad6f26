//! The perceptrons between tokens and losses that compare them: trained with the encoder, thrown away after.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::config::{Activation, ProjectorConfig};
use crate::kernels::instance_norm;
use crate::nn::{Initialiser, Linear, gelu};

/// `input -> hidden -> output` for every token; normalising the result is the loss's part.
#[derive(Module, Debug)]
pub struct Projector {
    /// `input -> hidden`.
    pub fc1: Linear,
    /// The batch norm's scale, `[hidden]`, where there is one (B-TROT and BYOL: it keeps the outputs from all becoming one).
    pub scale: Option<Param<Tensor<1>>>,
    /// The batch norm's shift, `[hidden]`.
    pub shift: Option<Param<Tensor<1>>>,
    /// `hidden -> output`.
    pub fc2: Linear,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    relu_output: bool,
}

impl Projector {
    /// For tokens of `dim` channels, without a batch norm.
    pub fn init(config: &ProjectorConfig, dim: usize, init: &Initialiser<'_>) -> Self {
        let [hidden, output] = config.widths(dim);
        Self {
            fc1: Linear::init(dim, hidden, true, &init.at("fc1")),
            scale: None,
            shift: None,
            fc2: Linear::init(hidden, output, true, &init.at("fc2")),
            activation: config.activation,
            relu_output: config.relu_output,
        }
    }

    /// From `input` to `output` channels, with a batch norm and a ReLU between.
    ///
    /// The batch norm takes its statistics from the tokens at hand, all volumes and views together, always: the heads are thrown
    /// away after pre-training, so that nothing ever asks for running averages.
    pub fn with_batch_norm([input, hidden, output]: [usize; 3], init: &Initialiser<'_>) -> Self {
        let config = ProjectorConfig { hidden: Some(hidden), output: Some(output), ..ProjectorConfig::default() };
        let [scale, shift] = [1.0, 0.0].map(|value| Some(init.constant([hidden], value)));
        Self { scale, shift, ..Self::init(&config, input, init) }
    }

    /// `[batch, tokens, input]` -> `[batch, tokens, output]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.forward_shifted(tokens, None)
    }

    /// The same with a volume's `shift`, `[batch, 1, hidden]`, added to the hidden layer of each of its tokens before the activation.
    pub fn forward_shifted(&self, tokens: Tensor<3>, shift: Option<Tensor<3>>) -> Tensor<3> {
        let mut hidden = self.fc1.forward(tokens);
        if let (Some(scale), Some(shift)) = (&self.scale, &self.shift) {
            let [batch, count, width] = hidden.dims();
            // A batch norm is an instance norm of the whole batch taken as one sample.
            let normal = instance_norm(hidden.reshape([1, batch * count, width]), None);
            hidden = (normal * scale.val().unsqueeze() + shift.val().unsqueeze()).reshape([batch, count, width]);
        }
        if let Some(shift) = shift {
            hidden = hidden + shift;
        }
        let hidden = match self.activation {
            Activation::Relu => relu(hidden),
            Activation::Gelu => gelu(hidden),
        };
        let output = self.fc2.forward(hidden);
        if self.relu_output { relu(output) } else { output }
    }
}
