//! A pre-norm transformer block: attention and perceptron, each a residual branch.

use std::ops::Range;
use std::sync::Arc;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use super::drop_path::{DropPath, Pass, scale_samples};
use super::{AttentionConfig, GlobalAttention, Initialiser, LayerNorm, Mlp, SkipAttention, WindowAttention};
use crate::kernels::{WindowTables, recompute};

/// `x + attention(norm1(x))`, then `x + mlp(norm2(x))`. `A` is [`WindowAttention`], [`SkipAttention`] or [`GlobalAttention`].
#[derive(Module, Debug)]
pub struct Block<A: Module> {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Mixes the tokens.
    pub attn: A,
    /// Before the perceptron.
    pub norm2: LayerNorm,
    /// Mixes the channels of a token.
    pub mlp: Mlp,
    #[module(skip)]
    drop_path: DropPath,
    #[module(skip)]
    pub(super) recompute: bool,
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
    /// Keep nothing but the input for the backward pass, and compute the rest again.
    pub recompute: bool,
}

impl<A: Module + ModuleDisplay + 'static> Block<A> {
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

    /// The residual stream is the sum of `inputs`, which share one `norm1` in front of `attend`.
    fn run<F, const N: usize>(&self, inputs: [Tensor<3>; N], pass: Pass, attend: F) -> Tensor<3>
    where
        F: Fn(&A, [Tensor<3>; N]) -> Tensor<3> + Send + 'static,
    {
        let [batch, tokens, dim] = inputs[0].dims();
        let factors = ["attn", "mlp"].map(|branch| self.drop_path.factors(batch, branch, pass));
        let forward = move |block: &Self, inputs: [Tensor<3>; N], samples: Range<usize>| {
            let [of_attention, of_mlp] = factors.each_ref().map(|factors| factors.get(samples.clone()).unwrap_or_default());
            let attended = attend(&block.attn, inputs.clone().map(|x| block.norm1.forward(x)));
            let stream = inputs.into_iter().reduce(|sum, x| sum + x).expect("an input");
            let tokens = stream + scale_samples(attended, of_attention);
            let mixed = block.mlp.forward(block.norm2.forward(tokens.clone()));
            tokens + scale_samples(mixed, of_mlp)
        };
        if self.recompute {
            let [_, hidden] = self.mlp.fc1.weight.dims();
            recompute(self, inputs, tokens * hidden.max(3 * dim), forward)
        } else {
            forward(self, inputs, 0..batch)
        }
    }
}

impl Block<WindowAttention> {
    /// See the initialisation of the parts.
    pub fn init(config: &BlockConfig, init: &Initialiser<'_>) -> Self {
        Self::with_attention(config, init, WindowAttention::init(&config.attention, &init.at("attn")))
    }

    /// `[batch, tokens, dim]` in the order of the grid -> the same.
    pub fn forward(&self, tokens: Tensor<3>, windows: &Arc<WindowTables>, pass: Pass) -> Tensor<3> {
        let windows = Arc::clone(windows);
        self.run([tokens], pass, move |attention, [tokens]| attention.forward(tokens, &windows))
    }
}

impl Block<SkipAttention> {
    /// See the initialisation of the parts.
    pub fn init(config: &BlockConfig, init: &Initialiser<'_>) -> Self {
        Self::with_attention(config, init, SkipAttention::init(&config.attention, &init.at("attn")))
    }

    /// `up`-sampled tokens and `skip`, both `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, up: Tensor<3>, skip: Tensor<3>, windows: &Arc<WindowTables>, pass: Pass) -> Tensor<3> {
        let windows = Arc::clone(windows);
        self.run([up, skip], pass, move |attention, [up, skip]| attention.forward(up, skip, &windows))
    }
}

impl Block<GlobalAttention> {
    /// See the initialisation of the parts.
    pub fn init(config: &BlockConfig, init: &Initialiser<'_>) -> Self {
        Self::with_attention(config, init, GlobalAttention::init(&config.attention, &init.at("attn")))
    }

    /// `[batch, tokens, dim]` -> the same.
    pub fn forward(&self, tokens: Tensor<3>, pass: Pass) -> Tensor<3> {
        self.run([tokens], pass, |attention, [tokens]| attention.forward(tokens))
    }
}
