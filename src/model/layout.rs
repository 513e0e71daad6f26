//! Sizes of a hierarchical encoder's stages, worked out on the host.

use crate::config::NnFormerConfig;

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
