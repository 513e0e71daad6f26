//! What every backbone is: hyper-parameters that build an encoder and the decoder that takes its stages, and that encoder.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::decoder::Decoder;
use super::names::Renames;
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
    type Encoder: Module;

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

    /// The stage (0 = finest) of the parameter to which the fields `path` of the encoder lead: the number behind the first of them. What
    /// cuts a volume into tokens goes with the first stage.
    fn stage_of(&self, path: &[String]) -> usize {
        path.get(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    }

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
