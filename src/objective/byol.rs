//! BYOL (arXiv:2006.07733): whole volumes agree with those of a slowly moving copy of the network.

use burn::module::Module;

use super::agreement::both_ways;
use super::target::{Heads, Target};
use super::views::{features, halves, pooled};
use super::{Loss, Objective, Setup};
use crate::model::{Encoder, NamedWeights, Pass};
use crate::sampling::ViewBatch;

/// Projector and predictor on the means of the tokens, and the target. A mean needs no restoring.
#[derive(Module, Debug)]
pub struct Byol {
    heads: Heads,
    target: Target,
}

impl Objective for Byol {
    fn init(setup: &Setup<'_>) -> Self {
        Self { heads: Heads::init(setup), target: Target::init(setup) }
    }

    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        let predicted = self.heads.predict(pooled(features(encoder, batch, pass)).unsqueeze_dim(1));
        let target = self.target.project(pooled(self.target.features(batch, pass)).unsqueeze_dim(1));
        both_ways(halves(predicted), halves(target))
    }

    fn follow(self, encoder: &Encoder) -> Self {
        Self { target: self.target.follow(encoder, &self.heads), heads: self.heads }
    }
}

impl NamedWeights for Byol {
    fn reference_name(&self, path: &[String]) -> String {
        match path.split_first() {
            Some((part, rest)) if part == "target" => self.target.reference_name(rest),
            Some((_, rest)) => rest.join("."),
            None => String::new(),
        }
    }
}
