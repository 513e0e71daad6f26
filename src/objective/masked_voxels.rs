//! How far predicted voxels lie from the true ones where the encoder could not see them.

use burn::tensor::Tensor;

use crate::kernels::sum;

/// Mean of `|prediction - truth|` over the masked voxels, `[1]`. All three are of one shape; `masked` is 1 or 0.
pub fn mean_absolute<const D: usize>(prediction: Tensor<D>, truth: Tensor<D>, masked: Tensor<D>) -> Tensor<1> {
    mean((prediction - truth).abs(), masked)
}

/// Mean of `(prediction - truth)^2` over the masked voxels, `[1]`.
pub fn mean_square<const D: usize>(prediction: Tensor<D>, truth: Tensor<D>, masked: Tensor<D>) -> Tensor<1> {
    mean((prediction - truth).square(), masked)
}

fn mean<const D: usize>(error: Tensor<D>, masked: Tensor<D>) -> Tensor<1> {
    let count = sum(masked.clone()).clamp_min(1.0);
    // What lies in sight is left out rather than multiplied by 0: it may be anything.
    let in_sight = masked.equal_elem(0.0);
    sum(error.mask_fill(in_sight, 0.0)) / count
}
