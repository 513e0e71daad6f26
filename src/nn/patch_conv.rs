//! A convolution whose kernel is its stride: the linear map from a patch's voxels to a token.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::token_grid::patches;
use super::{Initialiser, TokenGrid};
use crate::kernels;

/// No two patches overlap, so that it is one matrix product.
#[derive(Module, Debug)]
pub struct PatchConv {
    /// `[channels, patch D, patch H, patch W, dim]`.
    pub weight: Param<Tensor<5>>,
    /// `[dim]`.
    pub bias: Param<Tensor<1>>,
}

impl PatchConv {
    /// From patches of `channels` channels to tokens of `dim`.
    pub fn init(channels: usize, patch: [usize; 3], dim: usize, init: &Initialiser<'_>) -> Self {
        let [d, h, w] = patch;
        let fan_in = channels * d * h * w;
        Self { weight: init.weight([channels, d, h, w, dim], fan_in), bias: init.bias(dim, fan_in) }
    }

    /// `[batch, patches, voxels of a patch]`, voxels by channel, then D,H,W -> `[batch, patches, dim]`.
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let [channels, d, h, w, dim] = weight.dims();
        kernels::linear(patches, weight.reshape([channels * d * h * w, dim]), Some(self.bias.val()))
    }

    /// `[batch, channel, depth, height, width]` -> tokens of `dim` channels, one for each patch.
    ///
    /// # Panics
    /// If an axis is no multiple of the patch.
    pub fn tokens(&self, volume: Tensor<5>) -> TokenGrid {
        let [_, d, h, w, _] = self.weight.dims();
        let patches = patches(volume, [d, h, w], false);
        patches.with(self.forward(patches.tokens.clone()))
    }
}
