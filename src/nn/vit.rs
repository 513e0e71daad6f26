//! The blocks of a plain vision transformer (arXiv:2010.11929): attention of every token to all others.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Initialiser, LayerNorm, Linear, Mlp};
use crate::kernels;

/// Multi-head attention among all tokens of a sample.
#[derive(Module, Debug)]
pub struct GlobalAttention {
    /// Queries, keys and values, `dim -> 3 dim`.
    pub qkv: Linear,
    /// `dim -> dim`.
    pub proj: Linear,
    #[module(skip)]
    heads: usize,
}

/// `x + attention(norm1(x))`, then `x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct VitBlock {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Mixes the tokens.
    pub attn: GlobalAttention,
    /// Before the perceptron.
    pub norm2: LayerNorm,
    /// Mixes the channels of a token.
    pub mlp: Mlp,
}

/// Sizes of a [`VitBlock`].
#[derive(Clone, Copy, Debug)]
pub struct VitBlockConfig {
    /// Channels of a token.
    pub dim: usize,
    /// Hidden width of the perceptron.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
}

impl GlobalAttention {
    fn init(config: &VitBlockConfig, init: &Initialiser<'_>) -> Self {
        let VitBlockConfig { dim, heads, qkv_bias, .. } = *config;
        Self { qkv: Linear::init(dim, 3 * dim, qkv_bias, &init.at("qkv")), proj: Linear::init(dim, dim, true, &init.at("proj")), heads }
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.proj.forward(kernels::global_attention(self.qkv.forward(tokens), self.heads))
    }
}

impl VitBlock {
    /// See the initialisation of the parts.
    pub fn init(config: &VitBlockConfig, init: &Initialiser<'_>) -> Self {
        let VitBlockConfig { dim, hidden, .. } = *config;
        Self {
            norm1: LayerNorm::init(dim, &init.at("norm1")),
            attn: GlobalAttention::init(config, &init.at("attn")),
            norm2: LayerNorm::init(dim, &init.at("norm2")),
            mlp: Mlp::init(dim, hidden, &init.at("mlp")),
        }
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let tokens = self.attn.forward(self.norm1.forward(tokens.clone())) + tokens;
        self.mlp.forward(self.norm2.forward(tokens.clone())) + tokens
    }
}
