//! Convolutions on channels-last token sequences.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, s};

use super::{Initialiser, Linear};
use crate::kernels::{self, ConvShape};

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

/// A 3x3x3 convolution with zero padding 1.
#[derive(Module, Debug)]
pub struct Conv3d {
    /// `[kernel D, kernel H, kernel W, in, out]`.
    pub weight: Param<Tensor<5>>,
    /// `[out]`; none in front of a normalisation that would take it away again.
    pub bias: Option<Param<Tensor<1>>>,
    /// Step of the kernel along D,H,W.
    #[module(skip)]
    stride: [usize; 3],
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

    /// Step of the kernel along D,H,W.
    pub fn stride(&self) -> [usize; 3] {
        self.stride
    }

    /// Tokens of `in` channels -> tokens of `out` channels on the grid divided by the stride, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        let TokenGrid { tokens, grid } = input;
        let shape = ConvShape { grid, stride: self.stride };
        let tokens = kernels::conv3d(tokens, self.weight.val(), self.bias.as_ref().map(Param::val), shape);
        TokenGrid { tokens, grid: shape.output() }
    }

    /// [`Conv3d::forward`] of `first`'s channels and then those of `second`, `[batch, tokens, channels]` on the same grid.
    pub fn forward_pair(&self, first: TokenGrid, second: Tensor<3>) -> TokenGrid {
        let TokenGrid { tokens, grid } = first;
        let shape = ConvShape { grid, stride: self.stride };
        let tokens = kernels::conv3d_pair([tokens, second], self.weight.val(), self.bias.as_ref().map(Param::val), shape);
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

    /// Tokens of `in` channels -> tokens of `out` channels on the grid divided by the stride, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        let TokenGrid { tokens, grid } = input.strided(self.stride);
        TokenGrid { tokens: kernels::linear(tokens, self.matrix(), self.bias.as_ref().map(Param::val)), grid }
    }

    /// The weights as `[in, out]`.
    pub fn matrix(&self) -> Tensor<2> {
        let weight = self.weight.val();
        let [_, _, _, input, output] = weight.dims();
        weight.reshape([input, output])
    }

    /// [`PointConv::forward`] with stride 1 of `first`'s channels and then those of `second`.
    pub fn forward_pair(&self, first: TokenGrid, second: Tensor<3>) -> TokenGrid {
        assert_eq!(self.stride, [1; 3], "a pair of sources is convolved with stride 1");
        let TokenGrid { tokens, grid } = first;
        let weight = self.matrix();
        let ([_, _, own], [input, _]) = (tokens.dims(), weight.dims());
        let tokens = kernels::linear(tokens, weight.clone().narrow(0, 0, own), self.bias.as_ref().map(Param::val))
            + kernels::linear(second, weight.narrow(0, own, input - own), None);
        TokenGrid { tokens, grid }
    }
}

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
        let blocks = tokens.reshape([batch * count, dim]).matmul(weight.reshape([dim, kd * kh * kw * output]));
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

    /// Tokens of `in` channels -> volume `[batch, out, depth, height, width]` finer by the kernel.
    pub fn forward(&self, input: TokenGrid) -> Tensor<5> {
        let TokenGrid { tokens, grid } = input;
        let [batch, count, dim] = tokens.dims();
        let weight = self.weight.val();
        let [_, output, kd, kh, kw] = weight.dims();
        let blocks = tokens.reshape([batch * count, dim]).matmul(weight.reshape([dim, output * kd * kh * kw]));
        voxels_of(blocks.reshape([batch, count, output * kd * kh * kw]), grid, [kd, kh, kw]) + self.bias.val().reshape([1, output, 1, 1, 1])
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
