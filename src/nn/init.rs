//! Initial weights, drawn on the host and keyed by the parameter's path.
//!
//! A parameter's values depend on (seed, path) alone: not on the device, not on the order of construction,
//! not on Burn's global seed. An encoder built alone is bit-equal to the one inside a whole network.
//!
//! Each network and head starts as its reference does: a control from scratch with other weights than the authors' would
//! flatter whatever is compared with it.
//!
//! | network or head | linear layers and convolutions | other parameters | reference |
//! |---|---|---|---|
//! | nnFormer | [`Scheme::PyTorch`] | relative position tables: truncated normal | 282857341/nnFormer @d48aaeb `nnFormer_synapse.py`, `nnFormer_tumor.py`: `WindowAttention`, `WindowAttention_kv`; no other `init` is called |
//! | UNETR | [`Scheme::PyTorch`]; the `perceptron` projection [`Scheme::TruncatedNormal`] | learned position code: truncated normal | MONAI 1.6.1 `blocks/patchembedding.py`: `PatchEmbeddingBlock.__init__`, `._init_weights`; `nets/unetr.py`, `blocks/{transformerblock,unetr_block,dynunet_block}.py` call none |
//! | Swin UNETR, v1 and v2 | [`Scheme::PyTorch`] | relative position tables: truncated normal | MONAI 1.6.1 `nets/swin_unetr.py`: `WindowAttention.__init__` |
//! | U-Net | [`Scheme::He`] | | nnU-Net's `dynamic_network_architectures`: `ResidualEncoderUNet.initialize`, `InitWeights_He(1e-2)`; MONAI's `DynUNet.initialize_weights` is the same |
//! | projectors, predictors | [`Scheme::PyTorch`] | batch norm: scale 1, shift 0 | `nn.Linear`, `nn.BatchNorm1d` in SimTROT's released code, SimCLR and BYOL |
//! | SimTROT's rotation codes | | 0 | ours: the projector starts as one that is not told of rotations |
//! | MAE's decoder | [`Scheme::PyTorch`] | mask token and position code: truncated normal | MONAI 1.6.1 `nets/masked_autoencoder_vit.py`: `_init_weights` |
//! | SimMIM's head, SimTROT's for hidden voxels | [`Scheme::PyTorch`] | | microsoft/SimMIM `models/simmim.py`: `nn.Conv2d(kernel_size=1)`, `nn.PixelShuffle` |
//! | iBOT's prototypes | [`Scheme::PyTorch`] | centre: 0 | bytedance/ibot `models/head.py`: `DINOHead`'s last layer, whose length does not count; its layers before that are truncated normal, here the projector of every task |
//! | RCR's heads | [`Scheme::PyTorch`] | | Project-MONAI/research-contributions `SwinUNETR/Pretrain/models/ssl_head.py` (`large_kernel_deconv`) |
//!
//! Layer norms start with scale 1 and shift 0 everywhere; instance norms have no parameters.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

use crate::random;

/// Standard deviation of every truncated normal, in all references.
const STD: f32 = 0.02;

/// Slope of the leaky ReLU that nnU-Net's initial weights allow for.
const HE_SLOPE: f32 = 0.01;

/// What linear layers and convolutions start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Weights and biases uniform in `±1/√fan_in`: what `nn.Linear`, `nn.Conv3d` and `nn.ConvTranspose3d` start from.
    PyTorch,
    /// Weights normal with variance `2 / ((1 + slope²) fan_in)`, biases 0: `kaiming_normal_`.
    He,
    /// Weights truncated normal, biases 0: a vision transformer's linear layers.
    TruncatedNormal,
}

/// Makes the parameters of one module; [`Initialiser::at`] steps into a child.
#[derive(Clone, Debug)]
pub struct Initialiser<'a> {
    seed: u64,
    path: String,
    scheme: Scheme,
    /// Parameters have their shapes and no values.
    sizes_only: bool,
    device: &'a Device,
}

impl<'a> Initialiser<'a> {
    /// The root of a network on `device`, with [`Scheme::PyTorch`].
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { seed, path: String::new(), scheme: Scheme::PyTorch, sizes_only: false, device }
    }

    /// The root of a network that is only to be measured: no parameter has values, or memory.
    pub fn sizes_only(device: &'a Device) -> Self {
        Self { sizes_only: true, ..Self::new(0, device) }
    }

    /// The same with another scheme, for all children.
    #[must_use]
    pub fn with(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// The initialiser of the child `name`.
    #[must_use]
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Self { path, ..self.clone() }
    }

    /// Where the parameters lie.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// Path from the root, dotted.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All elements `value`.
    pub fn constant<const D: usize>(&self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.param(shape, || vec![value; shape.iter().product()])
    }

    /// The weight of a linear layer or convolution.
    ///
    /// `fan_in` is PyTorch's: all of the weight's axes but its first in PyTorch's layout. A transposed convolution's counts its
    /// output channels.
    pub fn weight<const D: usize>(&self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        match self.scheme {
            Scheme::PyTorch => self.uniform("weight", shape, fan_in),
            Scheme::He => self.normal("weight", shape, (2.0 / ((1.0 + HE_SLOPE * HE_SLOPE) * fan_in as f32)).sqrt()),
            Scheme::TruncatedNormal => self.truncated_normal("weight", shape),
        }
    }

    /// Its bias, `[outputs]`; `fan_in` is the weight's.
    pub fn bias(&self, outputs: usize, fan_in: usize) -> Param<Tensor<1>> {
        match self.scheme {
            Scheme::PyTorch => self.uniform("bias", [outputs], fan_in),
            Scheme::He | Scheme::TruncatedNormal => self.constant([outputs], 0.0),
        }
    }

    /// The parameter `name` as `trunc_normal_(std=0.02)` of the references: it is cut off at ±2, which no normal number reaches.
    pub fn truncated_normal<const D: usize>(&self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.normal(name, shape, STD)
    }

    fn uniform<const D: usize>(&self, name: &str, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        self.drawn(name, shape, |rng| rng.random_range(-bound..bound))
    }

    fn normal<const D: usize>(&self, name: &str, shape: [usize; D], std: f32) -> Param<Tensor<D>> {
        let normal = Normal::new(0.0, std).expect("a finite standard deviation");
        self.drawn(name, shape, |rng| normal.sample(rng))
    }

    fn drawn<const D: usize>(&self, name: &str, shape: [usize; D], mut draw: impl FnMut(&mut ChaCha8Rng) -> f32) -> Param<Tensor<D>> {
        self.param(shape, || {
            let mut rng = random::stream(self.seed, &format!("init {}.{name}", self.path), 0, 0);
            (0..shape.iter().product()).map(|_| draw(&mut rng)).collect()
        })
    }

    fn param<const D: usize>(&self, shape: [usize; D], values: impl FnOnce() -> Vec<f32>) -> Param<Tensor<D>> {
        if self.sizes_only {
            let init = |_: &Device, _: bool| unreachable!("a network that is only measured computes nothing");
            return Param::uninitialized(ParamId::new(), init, self.device.clone(), false, shape.into());
        }
        Param::from_data(TensorData::new(values(), shape), self.device)
    }
}
