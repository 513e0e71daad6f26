//! SimTROT and SimTROT-W: token-level contrast with rotate-and-restore (eq. 1 and 3).

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::token_contrast::TokenContrast;
use super::views::{features, halves, restored};
use super::{Loss, Objective, Setup};
use crate::model::{Encoder, NamedWeights, Pass, Projector, TokenEncoder as _};
use crate::sampling::ViewBatch;

/// A projector, and the contrast of what it makes of the tokens.
#[derive(Module, Debug)]
pub struct SimTrot {
    /// Tokens to where the loss compares them.
    pub projector: Projector,
    #[module(skip)]
    contrast: Arc<TokenContrast>,
}

impl Objective for SimTrot {
    fn init(setup: &Setup<'_>) -> Self {
        let settings = &setup.config.pretrain;
        let dim = setup.encoder.dims().pop().expect("a network has a stage");
        Self {
            projector: Projector::init(&settings.projector, dim, setup.config.seed, setup.device),
            contrast: Arc::new(TokenContrast::new(settings.temperature, settings.weight, settings.weighting)),
        }
    }

    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        let tokens = restored(features(encoder, batch, pass), batch);
        let [first, second] = halves(self.projector.forward(tokens));
        self.contrast.forward(first, second).into()
    }

    fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.projector.forward(tokens))
    }
}

impl NamedWeights for SimTrot {
    fn reference_name(&self, path: &[String]) -> String {
        path.join(".")
    }
}
