//! Token sequences, the grids they lie on, and the volumes they stand for.

use burn::tensor::{Tensor, s};

/// A token sequence with the grid it lies on.
#[derive(Clone, Debug)]
pub struct TokenGrid {
    /// `[batch, tokens, dim]`, tokens row-major over D,H,W.
    pub tokens: Tensor<3>,
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
}

impl TokenGrid {
    /// `[batch, channel, depth, height, width]` -> tokens of one voxel each.
    pub fn from_volume(volume: Tensor<5>) -> Self {
        let [batch, channels, depth, height, width] = volume.dims();
        let tokens = volume.permute([0, 2, 3, 4, 1]).reshape([batch, depth * height * width, channels]);
        Self { tokens, grid: [depth, height, width] }
    }

    /// The feature map `[batch, dim, depth, height, width]` of these tokens.
    pub fn into_volume(self) -> Tensor<5> {
        let Self { tokens, grid: [depth, height, width] } = self;
        let [batch, _, dim] = tokens.dims();
        tokens.reshape([batch, depth, height, width, dim]).permute([0, 4, 1, 2, 3])
    }

    /// Every token whose position is a multiple of `stride`.
    #[must_use]
    pub fn strided(self, stride: [usize; 3]) -> Self {
        if stride == [1; 3] {
            return self;
        }
        let Self { tokens, grid: [depth, height, width] } = self;
        let [batch, _, dim] = tokens.dims();
        let [step_d, step_h, step_w] = stride.map(|step| step as isize);
        let kept = tokens.reshape([batch, depth, height, width, dim]).slice(s![.., ..;step_d, ..;step_h, ..;step_w, ..]);
        let [_, depth, height, width, _] = kept.dims();
        Self { tokens: kept.reshape([batch, depth * height * width, dim]), grid: [depth, height, width] }
    }

    /// The same grid with other tokens.
    #[must_use]
    pub fn with(&self, tokens: Tensor<3>) -> Self {
        Self { tokens, grid: self.grid }
    }
}

/// Cuts `volume` `[batch, channel, depth, height, width]` into patches: `[batch, patches, voxels of a patch]`, the voxels by
/// channel, then D,H,W; or the other way round if `channels_last`.
///
/// # Panics
/// If an axis is no multiple of the patch.
pub(super) fn patches(volume: Tensor<5>, patch: [usize; 3], channels_last: bool) -> TokenGrid {
    let [batch, channels, depth, height, width] = volume.dims();
    let (size, [pd, ph, pw]) = ([depth, height, width], patch);
    assert!((0..3).all(|axis| size[axis].is_multiple_of(patch[axis])), "a volume of {size:?} in patches of {patch:?}");
    let [gd, gh, gw] = std::array::from_fn(|axis| size[axis] / patch[axis]);
    let order = if channels_last { [0, 2, 4, 6, 3, 5, 7, 1] } else { [0, 2, 4, 6, 1, 3, 5, 7] };
    let blocks = volume.reshape([batch, channels, gd, pd, gh, ph, gw, pw]).permute(order);
    TokenGrid { tokens: blocks.reshape([batch, gd * gh * gw, channels * pd * ph * pw]), grid: [gd, gh, gw] }
}
