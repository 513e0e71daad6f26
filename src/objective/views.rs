//! The views of a batch on the device: through the encoder, restored, pooled.

use burn::module::Module as _;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::PretextTask;
use crate::device::Peers;
use crate::kernels::{gather, mean_axis, sum};
use crate::model::{Encoder, Pass};
use crate::sampling::{View, ViewBatch};

/// Where an encoder lies.
pub(super) fn device_of(encoder: &Encoder) -> Device {
    encoder.devices().pop().expect("an encoder has parameters")
}

/// Values `[batch, channel, depth, height, width]` of a view.
pub(super) fn volume(values: &[f32], batch: &ViewBatch, device: &Device) -> Tensor<5> {
    Tensor::from_data(TensorData::new(values.to_vec(), batch.shape), device)
}

/// 1 in the hidden voxels of a view and 0 elsewhere, `[batch, channel, depth, height, width]`. The device gets one flag a cell.
pub(super) fn hidden(view: &View, batch: &ViewBatch, device: &Device) -> Tensor<5> {
    if view.mask.is_empty() {
        return Tensor::zeros(batch.shape, device);
    }
    let [volumes, channels, ..] = batch.shape;
    let ([d, h, w], [pd, ph, pw]) = (batch.mask_grid.cells(), batch.mask_grid.patch());
    let flags: Vec<f32> = view.mask.iter().map(|&hidden| f32::from(u8::from(hidden))).collect();
    let flags = Tensor::<8>::from_data(TensorData::new(flags, [volumes, 1, d, 1, h, 1, w, 1]), device);
    flags.expand([volumes, channels, d, pd, h, ph, w, pw]).reshape(batch.shape)
}

/// Numbers of the hidden tokens of a view among all of its batch, `[batch * tokens]`, on a token grid whose tokens lie in one cell each.
pub(super) fn hidden_rows(view: &View, batch: &ViewBatch, grid: [usize; 3]) -> Vec<i32> {
    let cells = batch.mask_grid.cells();
    let (tokens, cells_each) = (grid.iter().product::<usize>(), batch.mask_grid.count());
    let is_hidden = |&row: &usize| {
        let (volume, token) = (row / tokens, row % tokens);
        let at = [token / (grid[1] * grid[2]), token / grid[2] % grid[1], token % grid[2]];
        let [d, h, w]: [usize; 3] = std::array::from_fn(|axis| at[axis] * cells[axis] / grid[axis]);
        view.mask[volume * cells_each + (d * cells[1] + h) * cells[2] + w]
    };
    (0..batch.shape[0] * tokens).filter(is_hidden).map(|row| row as i32).collect()
}

/// All views through the encoder, one after the other in the batch: the feature map of each stage, `[views * batch, dim, d, h, w]`,
/// finest first.
///
/// One pass for all: the encoder treats volumes apart, and larger products keep the device busier.
pub(super) fn stage_features(encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Vec<Tensor<5>> {
    let device = device_of(encoder);
    let views = batch.views.iter().map(|view| volume(&view.voxels, batch, &device)).collect();
    encoder.encode(Tensor::cat(views, 0), pass)
}

/// The last of [`stage_features`].
pub(super) fn features(encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Tensor<5> {
    stage_features(encoder, batch, pass).pop().expect("a network has a stage")
}

/// The tokens of a stage, each view's rotations undone on the stage's own grid: `[views * batch, tokens, dim]`.
pub(super) fn restored(features: Tensor<5>, batch: &ViewBatch) -> Tensor<3> {
    let [volumes, dim, depth, height, width] = features.dims();
    let tokens = depth * height * width;
    let device = features.device();
    let sequence = features.reshape([volumes, dim, tokens]).swap_dims(1, 2);
    let each = volumes / batch.views.len();
    let views = batch.views.iter().enumerate().map(|(index, view)| {
        let own = sequence.clone().narrow(0, index * each, each);
        if view.elements.iter().all(|element| *element == crate::geometry::SignedPermutation::IDENTITY) {
            return own;
        }
        let rows: Vec<i32> = view.restore_rows([depth, height, width]).into_iter().map(|row| row as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [each * tokens]), &device);
        own.reshape([each * tokens, dim]).select(0, rows).reshape([each, tokens, dim])
    });
    Tensor::cat(views.collect(), 0)
}

/// The tokens of one view alone, its rotations undone, `[batch, tokens, dim]`, and the token grid along D,H,W.
pub fn restored_view(encoder: &Encoder, batch: &ViewBatch, view: usize, pass: Pass) -> (Tensor<3>, [usize; 3]) {
    let alone = ViewBatch { views: vec![batch.views[view].clone()], ..batch.clone() };
    let features = features(encoder, &alone, pass);
    let [_, _, depth, height, width] = features.dims();
    (restored(features, &alone), [depth, height, width])
}

/// The mean over all positions of a feature map: `[volumes, dim, d, h, w]` -> `[volumes, dim]`.
pub fn pooled(features: Tensor<5>) -> Tensor<2> {
    let [volumes, dim, depth, height, width] = features.dims();
    mean_axis(features.reshape([volumes, dim, depth * height * width]), 2).reshape([volumes, dim])
}

/// Mean of `error` over the masked voxels, `[1]`; `masked` is of the same shape, 1 or 0.
pub(super) fn masked_mean(error: Tensor<5>, masked: Tensor<5>) -> Tensor<1> {
    let count = sum(masked.clone()).clamp_min(1.0);
    // What lies in sight is left out rather than multiplied by 0: it may be anything.
    let in_sight = masked.equal_elem(0.0);
    sum(error.mask_fill(in_sight, 0.0)) / count
}

/// What a loss compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Tokens, each view's rotations undone.
    Tokens,
    /// Whole volumes, each the mean of its tokens: a mean needs no restoring.
    Volumes,
}

impl Compared {
    /// That of a task which compares.
    pub(super) fn by(task: PretextTask) -> Self {
        if matches!(task, PretextTask::Simtrot | PretextTask::BTrot) { Self::Tokens } else { Self::Volumes }
    }

    /// What is compared of a feature map `[views * batch, dim, d, h, w]`: `[views * batch, tokens or 1, dim]`.
    pub(super) fn of(self, features: Tensor<5>, batch: &ViewBatch) -> Tensor<3> {
        match self {
            Self::Tokens => restored(features, batch),
            Self::Volumes => pooled(features).unsqueeze_dim(1),
        }
    }
}

/// Two views' rows `[views * batch, tokens, dim]` of all devices that share a batch, each view's side by side in the order of its volumes.
pub(super) fn gathered(both: Tensor<3>, peers: &Peers) -> Tensor<3> {
    if peers.count() == 1 {
        return both;
    }
    let [rows, tokens, dim] = both.dims();
    gather(both.reshape([2, rows / 2, tokens, dim]), 1, peers).reshape([rows * peers.count(), tokens, dim])
}

/// The two halves of the first axis: first view, second view.
pub(super) fn halves<const D: usize>(both: Tensor<D>) -> [Tensor<D>; 2] {
    let half = both.dims()[0] / 2;
    [both.clone().narrow(0, 0, half), both.narrow(0, half, half)]
}
