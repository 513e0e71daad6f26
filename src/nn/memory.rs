//! What a forward pass leaves in memory for the backward pass, worked out from sizes alone: each block adds what it keeps besides its
//! input, which whoever made it counts.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Block, ConvBlock, ExpandTokens, LayerNorm, PatchConv, PatchEmbed, PatchMerging, PatchTokens, TokenMerging, UpBlock};

/// Tensors of the widest intermediate's size that a block's backward step holds at once: its gradient, and what leads to it.
const WORKING_TENSORS: u64 = 4;
/// The same of a convolution block, in maps of its output: the gradients of its result, of its two inputs, of both summands of the
/// residual, of the first convolution.
const WORKING_MAPS: u64 = 6;

/// Sizes of a token sequence of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a token.
    pub dim: usize,
}

impl Extent {
    /// Tokens.
    pub fn count(&self) -> u64 {
        self.grid.iter().product::<usize>() as u64
    }

    /// Numbers.
    pub fn elements(&self) -> u64 {
        self.count() * self.dim as u64
    }

    /// On a grid divided by `stride`, rounded up, with `dim` channels.
    #[must_use]
    fn strided(self, stride: [usize; 3], dim: usize) -> Self {
        Self { grid: std::array::from_fn(|axis| self.grid[axis].div_ceil(stride[axis])), dim }
    }
}

/// Float32 elements of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Kept from the forward pass until the backward pass reaches them.
    pub kept: u64,
    /// Held besides by the costliest backward step.
    pub working: u64,
    /// Held by recomputed blocks while their backward step runs, one sample at a time: the most of one block.
    pub recomputed: u64,
    /// The largest single tensor.
    pub largest: u64,
}

impl Memory {
    /// A tensor of `elements` is kept.
    pub fn keep(&mut self, elements: u64) {
        self.keep_all(elements, elements);
    }

    /// Tensors of `total` elements together are kept, the widest of them of `widest`.
    fn keep_all(&mut self, total: u64, widest: u64) {
        self.kept += total;
        self.largest = self.largest.max(widest);
        self.working = self.working.max(WORKING_TENSORS * widest);
    }

    /// Of tensors of `total` elements together only the block's result, of `output`, is kept; the others are computed again.
    fn recompute(&mut self, total: u64, widest: u64, output: u64) {
        self.keep(output);
        self.recomputed = self.recomputed.max(total);
        self.largest = self.largest.max(widest);
    }
}

/// Length of an axis of a parameter, whether it has its values or not.
fn axis<const D: usize>(param: &Param<Tensor<D>>, axis: usize) -> usize {
    param.lazy_shape().to_vec()[axis]
}

/// A transformer block: both norms' results, queries, keys, values, what the attention makes of them, both sums, and the perceptron's
/// hidden layer before and after its GELU.
fn transformer(x: Extent, hidden: usize, recompute: bool, memory: &mut Memory) {
    let total = x.count() * (8 * x.dim + 2 * hidden) as u64;
    let widest = x.count() * hidden.max(3 * x.dim) as u64;
    if recompute { memory.recompute(total, widest, x.elements()) } else { memory.keep_all(total, widest) }
}

impl<A: Module> Block<A> {
    /// Adds what the block keeps of tokens of these sizes, which it returns.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        transformer(x, axis(&self.mlp.fc1.weight, 1), self.recompute, memory);
        x
    }
}

impl LayerNorm {
    /// Adds the result.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        memory.keep(x.elements());
        x
    }
}

impl ConvBlock {
    /// Adds the first normalised map, the result, and the shortcut where it is convolved; recomputed the result alone.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided(self.conv1.stride, axis(&self.conv1.weight, 4));
        let (map, maps) = (out.elements(), 2 + u64::from(self.conv3.is_some()));
        if self.recompute {
            memory.recompute(maps * map, map, map);
        } else {
            memory.keep_all(maps * map, map);
        }
        memory.working = memory.working.max(WORKING_MAPS * map);
        out
    }
}

impl UpBlock {
    /// Adds the up-sampled map, and what the convolution block keeps.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let up = self.transp_conv.kept(x, memory);
        self.conv_block.kept(up, memory)
    }
}

impl ExpandTokens {
    /// Adds the result.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let grid = std::array::from_fn(|at| x.grid[at] * axis(&self.weight, at + 1));
        let out = Extent { grid, dim: axis(&self.weight, 4) };
        memory.keep(out.elements());
        out
    }
}

impl PatchConv {
    /// Adds the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let out = volume.strided(std::array::from_fn(|at| axis(&self.weight, at + 1)), axis(&self.weight, 4));
        memory.keep(out.elements());
        out
    }
}

impl PatchTokens {
    /// Adds the voxels in the order of the patches, and the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let out = Extent { grid: self.grid(), dim: self.dim() };
        memory.keep(volume.elements());
        memory.keep(out.elements());
        out
    }
}

impl PatchEmbed {
    /// Adds the results of convolutions, GELUs and norms of both halves of the stem, and the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let half = volume.strided(self.proj1.conv1.stride, axis(&self.proj1.conv1.weight, 4));
        let out = half.strided(self.proj2.conv1.stride, axis(&self.proj2.conv1.weight, 4));
        memory.keep_all(6 * half.elements(), half.elements());
        memory.keep_all(5 * out.elements(), out.elements());
        out
    }
}

impl PatchMerging {
    /// Adds the results of GELU, norm and convolution.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided(self.reduction.stride, 2 * x.dim);
        memory.keep_all(2 * x.elements() + out.elements(), x.elements());
        out
    }
}

impl TokenMerging {
    /// Adds the result: the rest is always computed again.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided([2; 3], 2 * x.dim);
        memory.keep(out.elements());
        out
    }
}
