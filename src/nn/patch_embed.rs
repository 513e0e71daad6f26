//! nnFormer's convolutional stem: a volume becomes the tokens of the first stage.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv3d, Initialiser, LayerNorm, TokenGrid, gelu};

/// Two convolutions; activation BEFORE normalisation, as the reference has it.
#[derive(Module, Debug)]
pub struct StemHalf {
    /// Down-sampling convolution.
    pub conv1: Conv3d,
    /// Convolution with stride 1.
    pub conv2: Conv3d,
    /// After the first activation.
    pub norm1: LayerNorm,
    /// After the second activation; the second half of the stem has neither.
    pub norm2: Option<LayerNorm>,
}

/// `volume -> tokens`: the first half halves every axis, the second divides by the rest of the patch.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// To half the channels at half the resolution.
    pub proj1: StemHalf,
    /// To all channels at the resolution of the patches.
    pub proj2: StemHalf,
    /// Last step.
    pub norm: LayerNorm,
}

impl StemHalf {
    fn init([input, output]: [usize; 2], stride: [usize; 3], last: bool, init: &Initialiser<'_>) -> Self {
        Self {
            conv1: Conv3d::init(input, output, stride, &init.at("conv1")),
            conv2: Conv3d::init(output, output, [1; 3], &init.at("conv2")),
            norm1: LayerNorm::init(output, &init.at("norm1")),
            norm2: (!last).then(|| LayerNorm::init(output, &init.at("norm2"))),
        }
    }

    fn forward(&self, input: TokenGrid) -> TokenGrid {
        let x = self.conv1.forward(input);
        let x = self.conv2.forward(x.with(self.norm1.forward(gelu(x.tokens.clone()))));
        match &self.norm2 {
            Some(norm) => x.with(norm.forward(gelu(x.tokens.clone()))),
            None => x,
        }
    }
}

impl PatchEmbed {
    /// `patch` must be even along each axis; `dim` channels come out.
    pub fn init(patch: [usize; 3], channels: usize, dim: usize, init: &Initialiser<'_>) -> Self {
        let half = dim / 2;
        Self {
            proj1: StemHalf::init([channels, half], [2; 3], false, &init.at("proj1")),
            proj2: StemHalf::init([half, dim], patch.map(|edge| edge / 2), true, &init.at("proj2")),
            norm: LayerNorm::init(dim, &init.at("norm")),
        }
    }

    /// `[batch, channel, depth, height, width]` -> tokens of `dim` channels, one for each patch.
    pub fn forward(&self, volume: Tensor<5>) -> TokenGrid {
        let x = self.proj2.forward(self.proj1.forward(TokenGrid::from_volume(volume)));
        x.with(self.norm.forward(x.tokens.clone()))
    }
}
