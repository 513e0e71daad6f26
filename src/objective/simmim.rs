//! SimMIM (arXiv:2111.09886): the voxels of hidden cells, predicted from the last feature map of any encoder.

use burn::module::Module;

use super::hidden_voxels::mean_absolute;
use super::views::{device_of, features, volume};
use super::{Loss, Objective, Setup};
use crate::model::{Encoder, NamedWeights, Pass, TokenEncoder as _};
use crate::nn::{ExpandVoxels, Initialiser, TokenGrid};
use crate::sampling::ViewBatch;

/// A 1x1x1 convolution to as many channels as a token has voxels, and a pixel shuffle: the same sums as a transposed
/// convolution whose kernel is its stride.
#[derive(Module, Debug)]
pub struct SimMim {
    /// The last feature map to voxels.
    pub head: ExpandVoxels,
}

impl Objective for SimMim {
    fn init(setup: &Setup<'_>) -> Self {
        Self { head: voxel_head(setup, &Initialiser::new(setup.config.seed, setup.device).at("simmim.head")) }
    }

    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        let predicted = self.head.forward(TokenGrid::from_volume(features(encoder, batch, pass)));
        let device = device_of(encoder);
        let [truth, hidden] = [&batch.views[0].clean, &batch.hidden_voxels(0)].map(|values| volume(values, batch, &device));
        Loss::alone(mean_absolute(predicted, truth, hidden))
    }
}

/// From the last feature map to the voxels of its tokens.
pub(super) fn voxel_head(setup: &Setup<'_>, init: &Initialiser<'_>) -> ExpandVoxels {
    let dim = setup.encoder.dims().pop().expect("a network has a stage");
    ExpandVoxels::init(dim, setup.channels, setup.encoder.total_stride(), init)
}

impl NamedWeights for SimMim {
    fn reference_name(&self, path: &[String]) -> String {
        path.join(".")
    }
}
