//! Convolutions on channels-last token sequences.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Initialiser;
use super::token_grid::{TokenGrid, patches};
use crate::kernels::{self, ConvShape};

/// A 3x3x3 convolution with zero padding 1.
#[derive(Module, Debug)]
pub struct Conv3d {
    /// `[kernel D, kernel H, kernel W, in, out]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`; none in front of a normalisation that would take it away again.
    pub bias: Option<Param<Tensor<1>>>,
    /// Step of the kernel along D,H,W.
    #[module(skip)]
    pub(super) stride: [usize; 3],
}

impl Conv3d {
    /// Kernel edge.
    pub const KERNEL: usize = 3;

    /// With a bias.
    pub fn init(input: usize, output: usize, stride: [usize; 3], init: &Initialiser<'_>) -> Self {
        Self { bias: Some(init.bias(output, input * Self::KERNEL.pow(3))), ..Self::init_unbiased(input, output, stride, init) }
    }

    /// Without a bias.
    pub fn init_unbiased(input: usize, output: usize, stride: [usize; 3], init: &Initialiser<'_>) -> Self {
        let edge = Self::KERNEL;
        Self { weight: init.weight([edge, edge, edge, input, output], input * edge.pow(3)), bias: None, stride }
    }

    /// Tokens of `in` channels -> tokens of `out` channels on the grid divided by the stride, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        self.forward_sources([input.tokens], input.grid)
    }

    /// The same of the channels of several sequences `[batch, tokens, channels]` on one grid, one after the other.
    pub(super) fn forward_sources<const N: usize>(&self, sources: [Tensor<3>; N], grid: [usize; 3]) -> TokenGrid {
        let shape = ConvShape { grid, stride: self.stride };
        let tokens = kernels::conv3d(sources, self.weight.val(), self.bias.as_ref().map(Param::val), shape);
        TokenGrid { tokens, grid: shape.output() }
    }
}

/// A 1x1x1 convolution: a linear map of every token that the stride leaves.
#[derive(Module, Debug)]
pub struct PointConv {
    /// `[1, 1, 1, in, out]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Step along D,H,W.
    #[module(skip)]
    stride: [usize; 3],
}

impl PointConv {
    /// With a bias.
    pub fn init(input: usize, output: usize, stride: [usize; 3], init: &Initialiser<'_>) -> Self {
        Self { bias: Some(init.bias(output, input)), ..Self::init_unbiased(input, output, stride, init) }
    }

    /// Without a bias.
    pub fn init_unbiased(input: usize, output: usize, stride: [usize; 3], init: &Initialiser<'_>) -> Self {
        Self { weight: init.weight([1, 1, 1, input, output], input), bias: None, stride }
    }

    /// Channels that come out.
    pub fn outputs(&self) -> usize {
        self.weight.lazy_shape().to_vec()[4]
    }

    /// Tokens of `in` channels -> tokens of `out` channels on the grid divided by the stride, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        self.forward_sources([input.tokens], input.grid)
    }

    /// The same of the channels of several sequences `[batch, tokens, channels]` on one grid, one after the other: a sum.
    pub(super) fn forward_sources<const N: usize>(&self, sources: [Tensor<3>; N], grid: [usize; 3]) -> TokenGrid {
        let [_, _, _, input, output] = self.weight.dims();
        let weight: Tensor<2> = self.weight.val().reshape([input, output]);
        let (mut from, mut bias) = (0, self.bias.as_ref().map(Param::val));
        let parts = sources.map(|tokens| {
            let TokenGrid { tokens, grid } = TokenGrid { tokens, grid }.strided(self.stride);
            let [_, _, own] = tokens.dims();
            let weight = if own == input { weight.clone() } else { weight.clone().narrow(0, from, own) };
            from += own;
            TokenGrid { tokens: kernels::linear(tokens, weight, bias.take()), grid }
        });
        parts.into_iter().reduce(|sum, part| TokenGrid { tokens: sum.tokens + part.tokens, grid: sum.grid }).expect("a source")
    }
}

/// A convolution whose kernel is its stride: the linear map from a patch's voxels to a token. No two patches overlap, so that it is one matrix product.
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
