//! A pre-norm transformer block: attention and perceptron, each a residual branch.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{AttentionConfig, DropPath, Initialiser, LayerNorm, Mlp, Pass, SkipAttention, WindowAttention};
use crate::kernels::{BlockShape, BlockTensors, WindowTables, transformer_block};

/// `x + attention(norm1(x))`, then `x + mlp(norm2(x))`. `A` is [`WindowAttention`] or [`SkipAttention`].
#[derive(Module, Debug)]
pub struct Block<A: Module> {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Mixes the tokens of a window.
    pub attn: A,
    /// Before the perceptron.
    pub norm2: LayerNorm,
    /// Mixes the channels of a token.
    pub mlp: Mlp,
    #[module(skip)]
    drop_path: DropPath,
    /// Keep nothing but the input for the backward pass, and compute the rest again.
    #[module(skip)]
    recompute: bool,
}

/// Sizes of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockConfig {
    /// Its attention.
    pub attention: AttentionConfig,
    /// Hidden width of the perceptron.
    pub hidden: usize,
    /// Drop path rate.
    pub drop_path: f64,
    /// Keep nothing but the input for the backward pass, and compute the rest again (blocks of [`WindowAttention`]).
    pub recompute: bool,
}

impl<A: Module> Block<A> {
    fn with_attention(config: &BlockConfig, init: &Initialiser<'_>, attn: A) -> Self {
        let dim = config.attention.dim;
        Self {
            norm1: LayerNorm::init(dim, &init.at("norm1")),
            attn,
            norm2: LayerNorm::init(dim, &init.at("norm2")),
            mlp: Mlp::init(dim, config.hidden, &init.at("mlp")),
            drop_path: DropPath { rate: config.drop_path, name: init.path().to_owned() },
            recompute: config.recompute,
        }
    }

    /// Adds the attention's branch and the perceptron's to `tokens`.
    fn residual(&self, tokens: Tensor<3>, attended: Tensor<3>, pass: Pass) -> Tensor<3> {
        let tokens = tokens + self.drop_path.forward(attended, "attn", pass);
        let mixed = self.mlp.forward(self.norm2.forward(tokens.clone()));
        tokens + self.drop_path.forward(mixed, "mlp", pass)
    }
}

impl Block<WindowAttention> {
    /// See the initialisation of the parts.
    pub fn init(config: &BlockConfig, init: &Initialiser<'_>) -> Self {
        Self::with_attention(config, init, WindowAttention::init(&config.attention, &init.at("attn")))
    }

    /// `[batch, tokens, dim]` in the order of the grid -> the same.
    pub fn forward(&self, tokens: Tensor<3>, windows: &Arc<WindowTables>, pass: Pass) -> Tensor<3> {
        if self.recompute {
            return self.forward_recomputed(tokens, windows, pass);
        }
        let attended = self.attn.forward(self.norm1.forward(tokens.clone()), windows);
        self.residual(tokens, attended, pass)
    }

    /// The same as one operation, which keeps `tokens` alone for the backward pass.
    fn forward_recomputed(&self, tokens: Tensor<3>, windows: &Arc<WindowTables>, pass: Pass) -> Tensor<3> {
        let [batch, _, _] = tokens.dims();
        let factors = ["attn", "mlp"].map(|part| self.drop_path.factors(batch, part, pass));
        let Self { norm1, attn, norm2, mlp, .. } = self;
        let tensors = BlockTensors {
            x: tokens.into_dispatch(),
            norm1_weight: norm1.weight.val().into_dispatch(),
            norm1_bias: norm1.bias.val().into_dispatch(),
            table: attn.relative_position_bias_table.val().into_dispatch(),
            qkv_weight: attn.qkv.weight.val().into_dispatch(),
            qkv_bias: attn.qkv.bias_or_zeros().into_dispatch(),
            proj_weight: attn.proj.weight.val().into_dispatch(),
            proj_bias: attn.proj.bias_or_zeros().into_dispatch(),
            norm2_weight: norm2.weight.val().into_dispatch(),
            norm2_bias: norm2.bias.val().into_dispatch(),
            fc1_weight: mlp.fc1.weight.val().into_dispatch(),
            fc1_bias: mlp.fc1.bias_or_zeros().into_dispatch(),
            fc2_weight: mlp.fc2.weight.val().into_dispatch(),
            fc2_bias: mlp.fc2.bias_or_zeros().into_dispatch(),
        };
        transformer_block(tensors, BlockShape { tables: Arc::clone(windows), factors })
    }
}

impl Block<SkipAttention> {
    /// See the initialisation of the parts.
    pub fn init(config: &BlockConfig, init: &Initialiser<'_>) -> Self {
        Self::with_attention(config, init, SkipAttention::init(&config.attention, &init.at("attn")))
    }

    /// `up`-sampled tokens and `skip`, both `[batch, tokens, dim]` -> the same. One shared `norm1`; the residual stream is their sum.
    pub fn forward(&self, up: Tensor<3>, skip: Tensor<3>, windows: &Arc<WindowTables>, pass: Pass) -> Tensor<3> {
        let attended = self.attn.forward(self.norm1.forward(up.clone()), self.norm1.forward(skip.clone()), windows);
        self.residual(up + skip, attended, pass)
    }
}
