//! SimMIM (arXiv:2111.09886): the voxels of masked cells, predicted from the last feature map of any encoder.

use burn::module::Module;
use burn::tensor::Tensor;

use super::size::LossSize;
use super::views::{features, hidden, masked_mean, volume};
use super::{Loss, Objective, Setup};
use crate::device::Peers;
use crate::model::{Encoder, ModelPlan, NamedWeights, Pass};
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

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass, _peers: &Peers) -> Loss {
        Loss::of(self.error(features(encoder, batch, pass), batch), [])
    }
}

impl SimMim {
    /// Mean absolute error of the first view's hidden voxels, `[1]`, as predicted from its last feature map, `[batch, dim, d, h, w]`. The
    /// truth is the crop as it was: not hidden, and without texture, which would ask for noise.
    pub(super) fn error(&self, features: Tensor<5>, batch: &ViewBatch) -> Tensor<1> {
        let device = features.device();
        let predicted = self.head.forward(TokenGrid::from_volume(features));
        let view = &batch.views[0];
        let truth = volume(&view.clean, batch, &device);
        masked_mean((predicted - truth).abs(), hidden(view, batch, &device))
    }
}

impl NamedWeights for SimMim {}

impl LossSize {
    /// That of predicting hidden voxels beside another loss, for a batch of `batch` crops of `channels` channels, as `model` cuts them into tokens.
    pub fn of_hidden_voxels(model: &ModelPlan, channels: usize, batch: usize) -> Self {
        const FLOAT: u64 = 4;
        let count = |sizes: [usize; 3]| sizes.into_iter().product::<usize>() as u64;
        let last = model.stages.last().expect("a network has a stage");
        let (tokens, values) = (count(last.grid), channels as u64 * count(model.padded_crop));
        let weights = (last.dim as u64 + 1) * values / tokens;
        let (tokens, values) = (batch as u64 * tokens * last.dim as u64, batch as u64 * values);
        // The tokens in the head's order; the error, its absolute value, which voxels are hidden, twice, and the error of these.
        Self { weight_bytes: FLOAT * weights, bytes: FLOAT * (tokens + 5 * values), largest_buffer_bytes: FLOAT * weights.max(values) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, Preset};
    use crate::model::{StepSize, Task, plan};

    /// nnFormer's last stage has 4³ tokens of 96 channels and 8³ voxels each for such crops.
    #[test]
    fn the_head_and_what_it_keeps_of_one_view_are_counted() {
        let task = Task { channels: 2, classes: 0, crop_size: [32; 3] };
        let step = StepSize { volumes: 6, decoded: false, on_host: true };
        let size = LossSize::of_hidden_voxels(&plan(&ModelConfig::Preset(Preset::NnformerSmall), &task, step), 2, 3);
        let (weights, voxels) = (97 * 2 * 512, 3 * 2 * 32_u64.pow(3));
        let expected = LossSize { weight_bytes: 4 * weights, bytes: 4 * (3 * 64 * 96 + 5 * voxels), largest_buffer_bytes: 4 * voxels };
        assert_eq!(size, expected);
    }
}
