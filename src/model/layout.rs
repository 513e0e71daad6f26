//! Sizes: a hierarchical encoder's stages, worked out on the host, and volumes padded to whole strides.

use burn::tensor::Tensor;

use crate::config::{BackboneConfig as _, NnFormerConfig};

/// One stage of an encoder on crops of the training size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageLayout {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a token.
    pub dim: usize,
    /// Edge of the cubic window actually used.
    pub window: usize,
    /// Cyclic shift of the shifted blocks; 0 where one window spans the shortest axis.
    pub shift: usize,
}

/// `size` rounded up to whole strides.
pub fn padded_size(size: [usize; 3], stride: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| size[axis].next_multiple_of(stride[axis]))
}

/// The stages of an nnFormer encoder, finest first, for crops of `crop_size` voxels.
///
/// As in the reference, a window no smaller than the grid's shortest axis shrinks to it on all three axes and is never shifted.
pub fn stage_layouts(config: &NnFormerConfig, crop_size: [usize; 3]) -> Vec<StageLayout> {
    let padded = padded_size(crop_size, config.total_stride());
    (0..config.stages())
        .map(|stage| {
            let grid: [usize; 3] = std::array::from_fn(|axis| (padded[axis] / config.patch_size[axis]) >> stage);
            let shortest = grid.into_iter().min().unwrap_or(1);
            let configured = config.window_size[stage];
            let (window, shift) = if shortest <= configured { (shortest, 0) } else { (configured, configured / 2) };
            StageLayout { grid, dim: config.dim(stage), window, shift }
        })
        .collect()
}

/// Zeros at the high end up to whole strides.
pub(super) fn pad(volume: Tensor<5>, stride: [usize; 3]) -> Tensor<5> {
    let [batch, channels, depth, height, width] = volume.dims();
    let size = [depth, height, width];
    let padded = padded_size(size, stride);
    if padded == size {
        return volume;
    }
    let [d, h, w] = padded;
    let zeros = Tensor::zeros([batch, channels, d, h, w], &volume.device());
    zeros.slice_assign([0..batch, 0..channels, 0..depth, 0..height, 0..width], volume)
}

/// The low end of `size` voxels.
pub(super) fn crop(logits: Tensor<5>, size: [usize; 3]) -> Tensor<5> {
    let [batch, classes, depth, height, width] = logits.dims();
    if [depth, height, width] == size {
        return logits;
    }
    let [d, h, w] = size;
    logits.slice([0..batch, 0..classes, 0..d, 0..h, 0..w])
}
