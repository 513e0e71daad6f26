//! SimCLR (arXiv:2002.05709): contrast of whole volumes, each the mean of its tokens.

use std::sync::Arc;

use burn::module::Module;

use super::token_contrast::TokenContrast;
use super::views::{Compared, features, gathered, halves};
use super::{Loss, Objective, Setup};
use crate::config::Weighting;
use crate::device::Peers;
use crate::model::{Encoder, NamedWeights, Pass, Projector};
use crate::sampling::ViewBatch;

/// A projector, and the contrast of what it makes of whole volumes. A mean needs no restoring.
#[derive(Module, Debug)]
pub struct SimClr {
    /// Volumes to where the loss compares them.
    pub projector: Projector,
    #[module(skip)]
    contrast: Arc<TokenContrast>,
}

impl Objective for SimClr {
    fn init(setup: &Setup<'_>) -> Self {
        let settings = &setup.config.pretrain;
        Self {
            projector: Projector::init(&settings.projector, setup.dim(), &setup.init().at("projector")),
            // A volume is a single token, so that eq. 1 is the loss of SimCLR: other volumes count once.
            contrast: Arc::new(TokenContrast::new(settings.temperature, 1.0, Weighting::Term)),
        }
    }

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass, peers: &Peers) -> Loss {
        let volumes = Compared::Volumes.of(features(encoder, batch, pass), batch);
        let [first, second] = halves(gathered(self.projector.forward(volumes), peers));
        self.contrast.forward(first, second)
    }
}

impl NamedWeights for SimClr {}
