//! B-TROT: tokens agree with those of a slowly moving copy of the network, with rotate-and-restore (eq. 2).

use burn::module::Module;
use burn::tensor::Tensor;

use super::agreement::both_ways;
use super::target::{Heads, Target};
use super::views::{features, halves, restored};
use super::{Loss, Objective, Setup};
use crate::model::{Encoder, NamedWeights, Pass};
use crate::sampling::ViewBatch;

/// Projector and predictor on the tokens, and the target.
#[derive(Module, Debug)]
pub struct BTrot {
    heads: Heads,
    target: Target,
}

impl Objective for BTrot {
    fn init(setup: &Setup<'_>) -> Self {
        Self { heads: Heads::init(setup), target: Target::init(setup) }
    }

    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        let predicted = self.heads.predict(restored(features(encoder, batch, pass), batch));
        let target = self.target.project(restored(self.target.features(batch, pass), batch));
        both_ways(halves(predicted), halves(target))
    }

    fn follow(self, encoder: &Encoder) -> Self {
        Self { target: self.target.follow(encoder, &self.heads), heads: self.heads }
    }

    fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.heads.projector.forward(tokens))
    }
}

impl NamedWeights for BTrot {
    fn reference_name(&self, path: &[String]) -> String {
        match path.split_first() {
            Some((part, rest)) if part == "target" => self.target.reference_name(rest),
            Some((_, rest)) => rest.join("."),
            None => String::new(),
        }
    }
}
