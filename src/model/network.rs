//! What every U-shaped network is: an encoder, and the decoder that takes its stages. A backbone tells how both are built.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Int, Tensor};

use super::decoder::Decoder;
use super::names::{NamedWeights, Renames, renamed};
use super::size::{padded_size, zero_pad};
use crate::nn::{Extent, Initialiser, Memory, Pass, TokenGrid};

/// What the data ask of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Channels of a volume.
    pub channels: usize,
    /// Classes of the segmentation, background included.
    pub classes: usize,
    /// Voxels of a training crop along D,H,W: attention windows are clamped to its token grids.
    pub crop_size: [usize; 3],
}

/// Hyper-parameters that build a network.
pub trait Backbone {
    /// Its encoder.
    type Encoder: TokenEncoder + Module;

    /// The encoder with the initial weights of `init`, the root of a network.
    fn encoder(&self, task: &Task, init: &Initialiser<'_>) -> Self::Encoder;

    /// The decoder that takes this encoder's stages.
    fn decoder(&self, task: &Task, init: &Initialiser<'_>) -> Decoder;

    /// How the tokens of a stage (0 = finest) attend; none in a convolutional stage.
    fn attention(&self, stage: usize, grid: [usize; 3]) -> Option<Attention>;
}

/// The attention of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attention {
    /// Attention heads.
    pub heads: usize,
    /// The window actually used, in tokens along D,H,W; the whole grid where attention is global.
    pub window: [usize; 3],
    /// Cyclic shift of the shifted blocks; zeros where none is shifted.
    pub shift: [usize; 3],
}

/// A network that turns a volume into a token grid for each stage.
pub trait TokenEncoder {
    /// The token grid of each stage, finest first, of a volume `[batch, channel, depth, height, width]` of a
    /// [`TokenEncoder::padded_size`].
    fn stages(&self, volume: Tensor<5>, pass: Pass) -> Vec<TokenGrid>;

    /// Voxels of one token of the last stage, D,H,W.
    fn total_stride(&self) -> [usize; 3];

    /// Channels of each stage, finest first.
    fn dims(&self) -> Vec<usize>;

    /// What the reference's names of the encoder's parameters begin with, alone and inside the whole network.
    fn prefix(&self) -> &'static str;

    /// What the reference calls the parameters of the whole network; the encoder's paths begin with `encoder`.
    fn renames(&self) -> Renames;

    /// Adds what a forward pass of a volume of these sizes keeps for the backward pass; what only the decoder looks at counts if
    /// `decoded`. Returns the sizes of the stages, finest first.
    fn kept(&self, volume: Extent, decoded: bool, memory: &mut Memory) -> Vec<Extent>;

    /// The size to which a volume of `size` is zero-padded at the high end.
    fn padded_size(&self, size: [usize; 3]) -> [usize; 3] {
        padded_size(size, self.total_stride())
    }

    /// A volume of any size, padded.
    fn pad(&self, volume: Tensor<5>) -> Tensor<5> {
        let [_, _, depth, height, width] = volume.dims();
        zero_pad(volume, self.padded_size([depth, height, width]))
    }

    /// `[batch, channel, depth, height, width]` of any size -> normalised feature map `[batch, dim, d, h, w]` of each stage, finest
    /// first.
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.stages(self.pad(volume), pass).into_iter().map(TokenGrid::into_volume).collect()
    }

    /// The normalised tokens of some patches, computed from these patches alone: `visible` `[batch, kept]`, numbers of
    /// tokens, row-major over D,H,W -> `[batch, kept, dim]` in that order.
    ///
    /// None where an encoder cannot leave patches out: windows and convolutions need the whole grid.
    fn encode_visible(&self, _volume: Tensor<5>, _visible: Tensor<2, Int>) -> Option<Tensor<3>> {
        None
    }
}

/// A network that segments.
#[derive(Module, Debug)]
pub struct Network<E: Module> {
    /// Volume to tokens.
    pub encoder: E,
    /// Tokens to logits.
    pub decoder: Decoder,
}

impl<E: TokenEncoder + Module> Network<E> {
    /// With the initial weights of `seed`, on `device`; its encoder equals bit by bit the one that is built alone.
    pub fn build(config: &impl Backbone<Encoder = E>, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device);
        Self { encoder: config.encoder(task, &init), decoder: config.decoder(task, &init) }
    }

    /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of each head, full resolution first.
    ///
    /// A volume is zero-padded at the high end as the encoder asks, and the logits are cropped back: those of a coarser head to the
    /// size divided by its stride, rounded up.
    ///
    /// # Panics
    /// If the volume is larger than an encoder with a position code for each place was built for.
    pub fn forward(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let volume = self.encoder.pad(volume);
        let stages = self.encoder.stages(volume.clone(), pass);
        self.decoder.forward(volume, stages, [depth, height, width], pass)
    }
}

impl<E: TokenEncoder + Module> NamedWeights for E {
    fn reference_name(&self, path: &[String]) -> String {
        renamed(std::iter::once("encoder").chain(path.iter().map(String::as_str)), &self.renames())
    }
}

impl<E: TokenEncoder + Module + ModuleDisplay> NamedWeights for Network<E> {
    fn reference_name(&self, path: &[String]) -> String {
        renamed(path.iter().map(String::as_str), &self.encoder.renames())
    }
}
