//! SimMIM (arXiv:2111.09886): the voxels of masked cells, predicted from the last feature map of any encoder.

use burn::module::Module;

use super::views::{device_of, features, hidden, masked_mean, volume};
use super::{Loss, Objective, Setup};
use crate::model::{Encoder, NamedWeights, Pass};
use crate::nn::{ShuffleVoxels, TokenGrid};
use crate::sampling::ViewBatch;

/// A 1x1x1 convolution to as many channels as a token has voxels, and a pixel shuffle.
#[derive(Module, Debug)]
pub struct SimMim {
    /// The last feature map to voxels.
    pub head: ShuffleVoxels,
}

impl Objective for SimMim {
    fn init(setup: &Setup<'_>) -> Self {
        let init = setup.init().at("simmim.head");
        Self { head: ShuffleVoxels::init(setup.dim(), setup.channels, setup.encoder.total_stride(), &init) }
    }

    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        let predicted = self.head.forward(TokenGrid::from_volume(features(encoder, batch, pass)));
        let device = device_of(encoder);
        let view = &batch.views[0];
        let truth = volume(&view.clean, batch, &device);
        Loss::of(masked_mean((predicted - truth).abs(), hidden(view, batch, &device)), [])
    }
}

impl NamedWeights for SimMim {}
