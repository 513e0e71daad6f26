//! Multi-head attention: within windows with a learnt relative position bias, or among all tokens.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Initialiser, Linear, table_rows};
use crate::kernels::{self, WindowTables};

/// Attention among the tokens of each window: queries, keys and values from one sequence.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// Learnt bias by offset and head, `[rows, heads]`; see [`table_rows`].
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Queries, keys and values, `dim -> 3 dim`.
    pub qkv: Linear,
    /// `dim -> dim`.
    pub proj: Linear,
}

/// nnFormer's decoder form: queries are the up-sampled tokens as they are, keys and values come from the skip.
#[derive(Module, Debug)]
pub struct SkipAttention {
    /// Learnt bias by offset and head, `[rows, heads]`; see [`table_rows`].
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Keys and values, `dim -> 2 dim`.
    pub kv: Linear,
    /// `dim -> dim`.
    pub proj: Linear,
}

/// A plain vision transformer's (arXiv:2010.11929): attention of every token to all others.
#[derive(Module, Debug)]
pub struct GlobalAttention {
    /// Queries, keys and values, `dim -> 3 dim`.
    pub qkv: Linear,
    /// `dim -> dim`.
    pub proj: Linear,
    #[module(skip)]
    pub(super) heads: usize,
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionConfig {
    /// Channels of a token.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens along each edge of the window that the bias table is made for; not read by [`GlobalAttention`].
    pub window: [usize; 3],
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
}

impl AttentionConfig {
    fn linear(&self, parts: usize, bias: bool, init: &Initialiser<'_>) -> Linear {
        Linear::init(self.dim, parts * self.dim, bias, init)
    }

    /// The table starts as a truncated normal.
    fn table(&self, init: &Initialiser<'_>) -> Param<Tensor<2>> {
        init.truncated_normal("relative_position_bias_table", [table_rows(self.window), self.heads])
    }
}

impl WindowAttention {
    pub(super) fn init(config: &AttentionConfig, init: &Initialiser<'_>) -> Self {
        Self {
            relative_position_bias_table: config.table(init),
            qkv: config.linear(3, config.qkv_bias, &init.at("qkv")),
            proj: config.linear(1, true, &init.at("proj")),
        }
    }

    /// `[batch, tokens, dim]` in the order of the grid -> the same.
    pub fn forward(&self, tokens: Tensor<3>, windows: &Arc<WindowTables>) -> Tensor<3> {
        let (qkv, padding) = (self.qkv.forward(tokens), self.qkv.bias_or_zeros());
        self.proj.forward(kernels::window_attention(qkv, padding, self.relative_position_bias_table.val(), windows))
    }
}

impl SkipAttention {
    pub(super) fn init(config: &AttentionConfig, init: &Initialiser<'_>) -> Self {
        Self {
            relative_position_bias_table: config.table(init),
            kv: config.linear(2, config.qkv_bias, &init.at("kv")),
            proj: config.linear(1, true, &init.at("proj")),
        }
    }

    /// `queries` and `skip`, both `[batch, tokens, dim]` in the order of the grid -> the same.
    pub fn forward(&self, queries: Tensor<3>, skip: Tensor<3>, windows: &Arc<WindowTables>) -> Tensor<3> {
        let [_, _, dim] = queries.dims();
        // A padded query is zero, and its output is dropped; padded keys and values are the projection of zero.
        let padding = Tensor::cat(vec![Tensor::zeros([dim], (&queries.device(), queries.dtype())), self.kv.bias_or_zeros()], 0);
        let qkv = Tensor::cat(vec![queries, self.kv.forward(skip)], 2);
        self.proj.forward(kernels::window_attention(qkv, padding, self.relative_position_bias_table.val(), windows))
    }
}

impl GlobalAttention {
    pub(super) fn init(config: &AttentionConfig, init: &Initialiser<'_>) -> Self {
        Self {
            qkv: config.linear(3, config.qkv_bias, &init.at("qkv")),
            proj: config.linear(1, true, &init.at("proj")),
            heads: config.heads,
        }
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.proj.forward(kernels::global_attention(self.qkv.forward(tokens), self.heads))
    }
}
