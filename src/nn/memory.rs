//! What a training step holds in memory, worked out from sizes alone.
//!
//! Each block says, in the order of its forward pass, what it keeps for the backward pass besides its input, which whoever made it
//! counts, and between these what its backward pass holds at that place: the gradients that lie on the way, and what they are made of.
//! The backward pass goes the same way back and frees what it has passed, so that at any place it holds what was kept up to there.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{
    Block, ConvBlock, ExpandTokens, GlobalAttention, LayerNorm, PatchConv, PatchEmbed, PatchMerging, PatchTokens, SkipAttention,
    TokenMerging, UpBlock, WindowAttention,
};
use crate::kernels::{GATHERED_ELEMENTS, samples_at_once};

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

/// Float32 elements that a step over some samples holds.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    samples: u64,
    on_host: bool,
    kept: u64,
    peak: u64,
    largest: u64,
}

impl Memory {
    /// Of a step over `samples` volumes, in host memory or on another device.
    pub fn new(samples: usize, on_host: bool) -> Self {
        Self { samples: samples as u64, on_host, kept: 0, peak: 0, largest: 0 }
    }

    /// What is kept so far.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// The most that is held at once.
    pub fn peak(&self) -> u64 {
        self.peak.max(self.kept)
    }

    /// The largest single tensor.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Keeps a tensor of `elements` a sample until the backward pass reaches it.
    pub fn keep(&mut self, elements: u64) {
        self.kept += self.samples * elements;
        self.largest = self.largest.max(self.samples * elements);
    }

    /// The backward pass holds `elements` a sample here besides what was kept so far.
    pub fn work(&mut self, elements: u64) {
        self.peak = self.peak.max(self.kept + self.samples * elements);
    }

    /// A tensor of `elements` in all exists `copies` times while it is worked on.
    pub fn pass(&mut self, elements: u64, copies: u64) {
        self.peak = self.peak.max(self.kept + copies * elements);
        self.largest = self.largest.max(elements);
    }

    /// A 3x3x3 convolution between `tokens` of one side and `channels` of the other: beyond the host it gathers its neighbours, as many
    /// rows at a time as an operation may hold.
    fn gather(&mut self, tokens: u64, channels: usize) {
        if !self.on_host {
            self.pass((self.samples * 27 * tokens * channels as u64).min(GATHERED_ELEMENTS as u64), 1);
        }
    }

    /// A block that keeps nothing but its result, of `output`, and is computed again from its inputs, of `inputs`, some samples at a
    /// time: as many as `widest` elements of its largest tensor allow. `block` says what it would hold.
    fn recompute(&mut self, [inputs, widest, output]: [u64; 3], block: impl FnOnce(&mut Self)) {
        let chunk = samples_at_once(widest as usize, self.samples as usize);
        let mut own = Self::new(chunk, self.on_host);
        block(&mut own);
        // The gradient of the result outlives the block's own backward pass; those of the inputs are gathered up if there are several parts.
        let gathered = if chunk < self.samples as usize { self.samples * inputs } else { 0 };
        self.peak = self.peak.max(self.kept + self.samples * output + gathered + own.peak());
        self.keep(output);
        self.largest = self.largest.max(own.largest);
    }
}

/// Length of an axis of a parameter, whether it has its values or not.
fn axis<const D: usize>(param: &Param<Tensor<D>>, axis: usize) -> usize {
    param.lazy_shape().to_vec()[axis]
}

/// What an attention holds besides tensors of the tokens' size.
pub trait AttentionMemory {
    /// Elements of the scores of a sample of so many tokens, where they exist as a tensor on every device.
    fn scores(&self, _tokens: u64) -> u64 {
        0
    }
}

impl AttentionMemory for WindowAttention {}

impl AttentionMemory for SkipAttention {}

impl AttentionMemory for GlobalAttention {
    fn scores(&self, tokens: u64) -> u64 {
        self.heads as u64 * tokens * tokens
    }
}

impl<A: Module + AttentionMemory> Block<A> {
    /// Adds both norms' results, queries, keys, values, what the attention makes of them, both sums, and the perceptron's hidden
    /// layer before and after its GELU.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let (token, hidden) = (x.elements(), x.count() * axis(&self.mlp.fc1.weight, 1) as u64);
        let scores = self.attn.scores(x.count());
        let inside = |memory: &mut Memory| {
            memory.keep(token);
            memory.keep(3 * token);
            // The residual's gradient and the attention's; queries', keys' and values' by head, and in the order of the tokens.
            memory.pass(memory.samples * scores, 2);
            memory.work(2 * scores + 8 * token);
            memory.keep(token);
            memory.keep(token);
            memory.keep(token);
            memory.keep(hidden);
            memory.keep(hidden);
            // The residual's gradient, and the hidden layer's.
            memory.work(token + hidden);
        };
        if self.recompute {
            memory.recompute([token, hidden.max(3 * token), token], inside);
        } else {
            inside(memory);
            memory.keep(token);
        }
        x
    }
}

impl LayerNorm {
    /// Adds the result.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        memory.work(2 * x.elements());
        memory.keep(x.elements());
        x
    }
}

impl ConvBlock {
    /// Adds the first normalised map, the shortcut where it is convolved, and the result; recomputed the result alone.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided(self.conv1.stride, axis(&self.conv1.weight, 4));
        let (input, map) = (x.elements(), out.elements());
        let inside = |memory: &mut Memory| {
            memory.gather(x.count(), x.dim.max(out.dim));
            memory.gather(out.count(), out.dim);
            let convolved = self.conv3.is_some();
            if self.residual && self.conv1.stride != [1; 3] {
                // The gradients of shortcut and first convolution, and of the input: the convolution's; the shortcut's as zeros, and
                // spread over them; the sum of both.
                memory.work(2 * map + 4 * input);
            } else if self.residual {
                // The same, each alone, then their sum.
                memory.work((2 * map + input).max(map + 2 * input));
            } else {
                memory.work(map + input);
            }
            memory.keep(map);
            if convolved {
                memory.keep(map);
            }
            // The gradients of the shortcut, of the second convolution, and of its input.
            memory.work(2 * map + u64::from(self.residual) * map);
        };
        if self.recompute {
            memory.recompute([input, x.count() * x.dim.max(out.dim) as u64, map], |memory| {
                inside(memory);
                memory.keep(map);
            });
        } else {
            inside(memory);
            memory.keep(map);
            memory.work(map + u64::from(self.residual) * map);
        }
        out
    }
}

impl UpBlock {
    /// Adds the up-sampled map, and what the convolution block keeps of it and of the skip.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let up = self.transp_conv.kept(x, memory);
        self.conv_block.kept(Extent { dim: 2 * up.dim, ..up }, memory)
    }
}

impl ExpandTokens {
    /// Adds the result.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let grid = std::array::from_fn(|at| x.grid[at] * axis(&self.weight, at + 1));
        let out = Extent { grid, dim: axis(&self.weight, 4) };
        // The result's gradient, the same by the input's tokens, and the input's.
        memory.work(2 * out.elements() + x.elements());
        memory.keep(out.elements());
        out
    }
}

impl PatchConv {
    /// Adds the voxels in the order of the patches, and the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let out = volume.strided(std::array::from_fn(|at| axis(&self.weight, at + 1)), axis(&self.weight, 4));
        memory.keep(volume.elements());
        memory.work(out.elements());
        memory.keep(out.elements());
        out
    }
}

impl PatchTokens {
    /// Adds the voxels in the order of the patches, and the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let out = Extent { grid: self.grid(), dim: self.dim() };
        memory.keep(volume.elements());
        memory.work(out.elements());
        memory.keep(out.elements());
        out
    }
}

impl PatchEmbed {
    /// Adds the results of convolutions, GELUs and norms of both halves of the stem, and the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let half = volume.strided(self.proj1.conv1.stride, axis(&self.proj1.conv1.weight, 4));
        let out = half.strided(self.proj2.conv1.stride, axis(&self.proj2.conv1.weight, 4));
        for (from, to, results) in [(half, half, 6), (half, out, 5)] {
            memory.gather(to.count(), from.dim);
            memory.gather(to.count(), to.dim);
            // The gradient of a strided convolution's input is made of parts, and brought into order.
            memory.work(2 * from.elements() + to.elements());
            (0..results).for_each(|_| memory.keep(to.elements()));
            memory.work(2 * to.elements());
        }
        out
    }
}

impl PatchMerging {
    /// Adds the results of GELU, norm and convolution.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided(self.reduction.stride, 2 * x.dim);
        memory.gather(out.count(), out.dim);
        memory.keep(x.elements());
        memory.keep(x.elements());
        // The same, beside the gradient of what the stage hands out.
        memory.work(3 * x.elements() + out.elements());
        memory.keep(out.elements());
        out
    }
}

impl TokenMerging {
    /// Adds the result: the rest is always computed again.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided([2; 3], 2 * x.dim);
        let neighbours = 8 * out.count() * x.dim as u64;
        memory.recompute([x.elements(), neighbours, out.elements()], |memory| {
            memory.keep(neighbours);
            memory.keep(neighbours);
            memory.work(2 * neighbours);
        });
        out
    }
}
