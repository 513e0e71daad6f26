//! What each block holds for the backward pass, works on there, and computes: see [`Memory`].

use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::Tensor;

use super::{
    Arithmetic, Block, ConvBlock, ExpandTokens, Extent, GlobalAttention, LayerNorm, Memory, PatchConv, PatchEmbed, PatchMerging,
    PatchTokens, SkipAttention, TokenMerging, UpBlock, WindowAttention,
};
use crate::kernels::gpu_attends;

/// Length of an axis of a parameter, whether it has its values or not.
fn axis<const D: usize>(param: &Param<Tensor<D>>, axis: usize) -> usize {
    param.lazy_shape().to_vec()[axis]
}

/// Numbers of a parameter, whether it has its values or not.
fn size<const D: usize>(param: &Param<Tensor<D>>) -> u64 {
    param.lazy_shape().num_elements() as u64
}

/// What decides what an attention holds and computes.
pub trait AttentionSize {
    /// Attention heads.
    fn heads(&self) -> usize;

    /// Rows of the table of position biases; none where every token attends to all others.
    fn table_rows(&self) -> Option<usize>;

    /// Multiplications with weights for each token.
    fn linear(&self) -> u64;
}

impl AttentionSize for WindowAttention {
    fn heads(&self) -> usize {
        axis(&self.relative_position_bias_table, 1)
    }

    fn table_rows(&self) -> Option<usize> {
        Some(axis(&self.relative_position_bias_table, 0))
    }

    fn linear(&self) -> u64 {
        size(&self.qkv.weight) + size(&self.proj.weight)
    }
}

impl AttentionSize for SkipAttention {
    fn heads(&self) -> usize {
        axis(&self.relative_position_bias_table, 1)
    }

    fn table_rows(&self) -> Option<usize> {
        Some(axis(&self.relative_position_bias_table, 0))
    }

    fn linear(&self) -> u64 {
        size(&self.kv.weight) + size(&self.proj.weight)
    }
}

impl AttentionSize for GlobalAttention {
    fn heads(&self) -> usize {
        self.heads
    }

    fn table_rows(&self) -> Option<usize> {
        None
    }

    fn linear(&self) -> u64 {
        size(&self.qkv.weight) + size(&self.proj.weight)
    }
}

impl<A: Module + ModuleDisplay + AttentionSize> Block<A> {
    /// Adds both norms' results, queries, keys, values, what the attention makes of them, both sums, and the perceptron's hidden
    /// layer before and after its GELU. `window`: tokens along D,H,W that attend to each other.
    pub fn kept(&self, x: Extent, window: [usize; 3], memory: &mut Memory) -> Extent {
        let (token, hidden) = (x.elements(), x.count() * axis(&self.mlp.fc1.weight, 1) as u64);
        let (heads, table) = (self.attn.heads(), self.attn.table_rows());
        let window_tokens: u64 = window.iter().product::<usize>() as u64;
        // Incomplete windows are filled up.
        let places: u64 = (0..3).map(|axis| x.grid[axis].next_multiple_of(window[axis]) as u64).product();
        let stored = if memory.on_host() { table.is_none() } else { !gpu_attends(x.dim / heads, table.unwrap_or(0)) };
        let scores = if stored { heads as u64 * places * window_tokens } else { 0 };
        let inside = |memory: &mut Memory| {
            memory.compute(Arithmetic::linear(x.count() * (self.attn.linear() + size(&self.mlp.fc1.weight) + size(&self.mlp.fc2.weight))));
            memory.compute(Arithmetic::attention(2 * places * window_tokens * x.dim as u64));
            memory.keep(token);
            memory.keep(3 * token);
            // The residual's gradient and the attention's; queries', keys' and values' by head, and in the order of the tokens.
            memory.bind(scores);
            memory.work(2 * scores + 8 * token);
            if table.is_some() {
                // The gradient of each pair of a window's places; beside it all of these but one order.
                memory.sum_pairs([places / window_tokens, window_tokens, heads as u64].map(|size| size as usize), 5 * token);
            }
            memory.keep(token);
            if !memory.on_host() {
                memory.keep(heads as u64 * places);
            }
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
        memory.train(self);
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
            if let Some(shortcut) = &self.conv3 {
                memory.compute(Arithmetic::linear(size(&shortcut.weight) * out.count()));
            }
            memory.convolve(x, out, self.conv1.stride);
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
            if self.conv3.is_some() {
                memory.keep(map);
            }
            memory.convolve(out, out, [1; 3]);
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
        memory.train(self);
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
        memory.compute(Arithmetic::linear(size(&self.weight) * x.count()));
        memory.train(self);
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
        memory.compute(Arithmetic::linear(volume.elements() * out.dim as u64));
        memory.train(self);
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
        memory.compute(Arithmetic::linear(volume.elements() * out.dim as u64));
        memory.train(self);
        out
    }
}

impl PatchEmbed {
    /// Adds the results of convolutions, GELUs and norms of both halves of the stem, and the tokens.
    pub fn kept(&self, volume: Extent, memory: &mut Memory) -> Extent {
        let half = volume.strided(self.proj1.conv1.stride, axis(&self.proj1.conv1.weight, 4));
        let out = half.strided(self.proj2.conv1.stride, axis(&self.proj2.conv1.weight, 4));
        for (from, at, to, conv, results) in [(half, volume, half, &self.proj1.conv1, 6), (half, half, out, &self.proj2.conv1, 5)] {
            memory.convolve(at, to, conv.stride);
            memory.convolve(to, to, [1; 3]);
            // The gradient of a strided convolution's input is made of parts, and brought into order.
            memory.work(2 * from.elements() + to.elements());
            (0..results).for_each(|_| memory.keep(to.elements()));
            memory.work(2 * to.elements());
        }
        memory.train(self);
        out
    }
}

impl PatchMerging {
    /// Adds the results of GELU, norm and convolution.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided(self.reduction.stride, 2 * x.dim);
        memory.keep(x.elements());
        memory.keep(x.elements());
        memory.convolve(x, out, self.reduction.stride);
        // The same, beside the gradient of what the stage hands out.
        memory.work(3 * x.elements() + out.elements());
        memory.keep(out.elements());
        memory.train(self);
        out
    }
}

impl TokenMerging {
    /// Adds the result: the rest is always computed again.
    pub fn kept(&self, x: Extent, memory: &mut Memory) -> Extent {
        let out = x.strided([2; 3], 2 * x.dim);
        let neighbours = 8 * out.count() * x.dim as u64;
        memory.recompute([x.elements(), neighbours, out.elements()], |memory| {
            memory.compute(Arithmetic::linear(size(&self.reduction.weight) * out.count()));
            memory.keep(neighbours);
            memory.keep(neighbours);
            memory.work(2 * neighbours);
        });
        memory.train(self);
        out
    }
}
