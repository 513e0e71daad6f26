//! From tokens to finer tokens or voxels: transposed convolutions and pixel shuffles.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Initialiser, Linear, TokenGrid};
use crate::kernels;

/// A transposed convolution whose kernel is its stride: every token becomes a block of finer tokens.
///
/// No two blocks overlap, so that it is one matrix product and a permutation.
#[derive(Module, Debug)]
pub struct ExpandTokens {
    /// `[in, kernel D, kernel H, kernel W, out]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl ExpandTokens {
    /// With a bias. As in PyTorch, the fan-in of a transposed convolution counts the output channels.
    pub fn init(input: usize, output: usize, kernel: [usize; 3], init: &Initialiser<'_>) -> Self {
        let fan_in = output * kernel.iter().product::<usize>();
        Self { bias: Some(init.bias(output, fan_in)), ..Self::init_unbiased(input, output, kernel, init) }
    }

    /// Without a bias.
    pub fn init_unbiased(input: usize, output: usize, kernel: [usize; 3], init: &Initialiser<'_>) -> Self {
        let [depth, height, width] = kernel;
        let fan_in = output * depth * height * width;
        Self { weight: init.weight([input, depth, height, width, output], fan_in), bias: None }
    }

    /// Tokens of `in` channels -> tokens of `out` channels on a grid finer by the kernel.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        let TokenGrid { tokens, grid: [d, h, w] } = input;
        let [batch, count, dim] = tokens.dims();
        let weight = self.weight.val();
        let [_, kd, kh, kw, output] = weight.dims();
        let blocks = kernels::linear(tokens, weight.reshape([dim, kd * kh * kw * output]), None);
        let fine = blocks.reshape([batch, d, h, w, kd, kh, kw, output]).permute([0, 1, 4, 2, 5, 3, 6, 7]);
        let fine = fine.reshape([batch, count * kd * kh * kw, output]);
        let tokens = match &self.bias {
            Some(bias) => kernels::add_bias(fine, bias.val()),
            None => fine,
        };
        TokenGrid { tokens, grid: [d * kd, h * kh, w * kw] }
    }
}

/// The same with voxels instead of finer tokens: the classes of every voxel of a token's block.
#[derive(Module, Debug)]
pub struct ExpandVoxels {
    /// `[in, out, kernel D, kernel H, kernel W]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl ExpandVoxels {
    /// As [`ExpandTokens::init`].
    pub fn init(input: usize, output: usize, kernel: [usize; 3], init: &Initialiser<'_>) -> Self {
        let [depth, height, width] = kernel;
        let fan_in = output * depth * height * width;
        Self { weight: init.weight([input, output, depth, height, width], fan_in), bias: init.bias(output, fan_in) }
    }

    /// Numbers that a token becomes.
    pub fn outputs(&self) -> usize {
        self.weight.lazy_shape().to_vec()[1..].iter().product()
    }

    /// Tokens of `in` channels -> volume `[batch, out, depth, height, width]` finer by the kernel.
    pub fn forward(&self, input: TokenGrid) -> Tensor<5> {
        let TokenGrid { tokens, grid } = input;
        let [_, _, dim] = tokens.dims();
        let weight = self.weight.val();
        let [_, output, kd, kh, kw] = weight.dims();
        let blocks = kernels::linear(tokens, weight.reshape([dim, output * kd * kh * kw]), None);
        voxels_of(blocks, grid, [kd, kh, kw]) + self.bias.val().reshape([1, output, 1, 1, 1])
    }
}

/// A 1x1x1 convolution and a pixel shuffle: each voxel of a token's block has a row of weights and a bias of its own.
#[derive(Module, Debug)]
pub struct ShuffleVoxels {
    /// `in -> channels * voxels of a block`, channel by channel, then D,H,W.
    pub linear: Linear,
    #[module(skip)]
    block: [usize; 3],
}

impl ShuffleVoxels {
    /// From tokens of `input` channels to `channels` of each voxel of their blocks.
    pub fn init(input: usize, channels: usize, block: [usize; 3], init: &Initialiser<'_>) -> Self {
        Self { linear: Linear::init(input, channels * block.iter().product::<usize>(), true, init), block }
    }

    /// Tokens of `in` channels -> volume `[batch, channels, depth, height, width]` finer by the block.
    pub fn forward(&self, input: TokenGrid) -> Tensor<5> {
        let TokenGrid { tokens, grid } = input;
        voxels_of(self.linear.forward(tokens), grid, self.block)
    }
}

/// `[batch, tokens, channel by channel the voxels of a block]` -> `[batch, channel, depth, height, width]`.
fn voxels_of(blocks: Tensor<3>, [d, h, w]: [usize; 3], [kd, kh, kw]: [usize; 3]) -> Tensor<5> {
    let [batch, _, values] = blocks.dims();
    let channels = values / (kd * kh * kw);
    let voxels = blocks.reshape([batch, d, h, w, channels, kd, kh, kw]).permute([0, 4, 1, 5, 2, 6, 3, 7]);
    voxels.reshape([batch, channels, d * kd, h * kh, w * kw])
}
