//! What B-TROT and BYOL share (arXiv:2006.07733): trained heads, and a slowly moving copy of the network that gives the
//! targets.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use super::Setup;
use super::views::features;
use crate::config::RunConfig;
use crate::model::{Encoder, NamedWeights, NormedProjector, Pass, Task, TokenEncoder as _};
use crate::sampling::ViewBatch;

/// Projector, and the predictor of what the target makes of the other view.
#[derive(Module, Debug)]
pub(super) struct Heads {
    pub(super) projector: NormedProjector,
    predictor: NormedProjector,
}

impl Heads {
    pub(super) fn init(setup: &Setup<'_>) -> Self {
        let Setup { config, encoder, device, .. } = *setup;
        let [_, hidden, output] = sizes(setup.config, encoder);
        let predictor = NormedProjector::init([output, hidden, output], "predictor", config.seed, device);
        Self { projector: projector(config, encoder, device), predictor }
    }

    /// `[batch, tokens, dim]` -> `[batch, tokens, output]`.
    pub(super) fn predict(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.predictor.forward(self.projector.forward(tokens))
    }
}

/// Channels of the encoder's tokens, of the hidden layer, and of what comes out.
fn sizes(config: &RunConfig, encoder: &Encoder) -> [usize; 3] {
    let dim = encoder.dims().pop().expect("a network has a stage");
    let settings = &config.pretrain.projector;
    [dim, settings.hidden.unwrap_or(2 * dim), settings.output.unwrap_or(dim)]
}

fn projector(config: &RunConfig, encoder: &Encoder, device: &Device) -> NormedProjector {
    NormedProjector::init(sizes(config, encoder), "projector", config.seed, device)
}

/// Encoder and projector that follow the trained ones. No gradient ever reaches them, so that the optimiser leaves them alone;
/// a checkpoint holds them like any other parameter.
#[derive(Module, Debug)]
pub(super) struct Target {
    encoder: Encoder,
    projector: NormedProjector,
    #[module(skip)]
    momentum: f64,
}

impl Target {
    /// Equal to the trained network before its first step: initial weights depend on seed and path alone. Built anew rather
    /// than cloned, since parameters of a clone would share the gradients of the original.
    pub(super) fn init(setup: &Setup<'_>) -> Self {
        let Setup { config, channels, encoder, device } = *setup;
        let task = Task { channels, classes: 0, crop_size: config.pretrain.crop_size };
        Self {
            encoder: Encoder::init(&config.model, &task, config.seed, device),
            projector: projector(config, encoder, device),
            momentum: config.pretrain.target_momentum,
        }
    }

    /// The feature maps of a batch's views, without graph.
    pub(super) fn features(&self, batch: &ViewBatch, pass: Pass) -> Tensor<5> {
        features(&self.encoder.valid(), batch, pass)
    }

    /// What the projector makes of `tokens`, without graph.
    pub(super) fn project(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.projector.valid().forward(tokens)
    }

    /// One step after the trained network.
    pub(super) fn follow(self, encoder: &Encoder, heads: &Heads) -> Self {
        let momentum = self.momentum;
        Self { encoder: follow(self.encoder, encoder, momentum), projector: follow(self.projector, &heads.projector, momentum), momentum }
    }
}

impl NamedWeights for Target {
    fn reference_name(&self, path: &[String]) -> String {
        match path.split_first() {
            Some((part, rest)) if part == "encoder" => format!("target.{}", self.encoder.reference_name(rest)),
            _ => format!("target.{}", path.join(".")),
        }
    }
}

/// The exponential moving average: each number of `target` becomes `momentum * target + (1 - momentum) * online`.
///
/// # Panics
/// If the two are not built alike.
pub fn follow<M: Module>(target: M, online: &M, momentum: f64) -> M {
    let mut values = Values::default();
    online.visit(&mut values);
    let mut follower = Follower { online: values.0, momentum };
    let target = target.map(&mut follower);
    assert!(follower.online.is_empty(), "a target has the parameters of the network it follows");
    target
}

/// All parameters, flattened, in the order of the module.
#[derive(Default)]
struct Values(VecDeque<Tensor<1>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let length = value.shape().num_elements();
        self.0.push_back(value.reshape([length]));
    }
}

struct Follower {
    online: VecDeque<Tensor<1>>,
    momentum: f64,
}

impl ModuleMapper for Follower {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let online = self.online.pop_front().expect("a target has the parameters of the network it follows");
        let momentum = self.momentum;
        param.map(|value| {
            let (tracked, strategy, shape) = (value.is_require_grad(), value.gradient_checkpointing_strategy(), value.dims());
            let value = value.inner() * momentum + online.reshape(shape) * (1.0 - momentum);
            match strategy {
                None => value,
                Some(strategy) => Tensor::from_inner(value).with_gradient_checkpointing_strategy(strategy).set_require_grad(tracked),
            }
        })
    }
}
