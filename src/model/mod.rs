//! Encoders, the decoder, the projector. A volume goes in, a token grid for each stage comes out, and logits from those.
//!
//! A backbone is one file with its encoder ([`TokenEncoder`]) and how both halves of its network are built ([`Backbone`]); the list
//! that names it stands with the hyper-parameters, in `config`. What it needs in memory the blocks of `nn` say ([`plan`]).

mod decoder;
#[cfg(test)]
pub(crate) mod initial_weights;
mod names;
mod network;
mod nnformer;
mod parameters;
mod plan;
mod projector;
mod size;
mod swin_unetr;
#[cfg(test)]
mod tests;
mod unet;
mod unetr;
mod weights;
mod weights_file;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::config::{ModelConfig, backbones};
pub use crate::nn::Pass;
use crate::nn::{Extent, Initialiser, Memory, TokenGrid};
pub use decoder::Decoder;
pub use names::{NamedWeights, Renames};
pub use network::{Attention, Backbone, Network, Task, TokenEncoder};
pub use nnformer::NnFormerEncoder;
pub use parameters::{parameters, update_parameters};
pub use plan::{ModelPlan, ParameterCounts, StageSize, plan};
pub use projector::Projector;
pub use size::padded_size;
pub use swin_unetr::SwinUnetrEncoder;
pub use unet::UnetEncoder;
pub use unetr::{UnetrEncoder, VitStates};
pub use weights::{HostTensor, LoadReport, Mismatch, export_gradients, export_named, load_named, parameters_below};
pub use weights_file::{WeightsError, read_weights, write_weights};

/// The whole network of any backbone.
pub type Segmenter = Network<Encoder>;

macro_rules! define_encoders {
    ($($(#[$doc:meta])* $variant:ident($config:ident), $encoder:ident, {$($presets:tt)*})+) => {
        /// The encoder of any backbone.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Encoder {
            $($(#[$doc])* $variant($encoder),)+
        }

        impl Encoder {
            fn own(&self) -> &dyn TokenEncoder {
                match self {
                    $(Self::$variant(encoder) => encoder,)+
                }
            }
        }

        impl Backbone for ModelConfig {
            type Encoder = Encoder;

            fn encoder(&self, task: &Task, init: &Initialiser<'_>) -> Encoder {
                match self.resolve() {
                    $(Self::$variant(config) => Encoder::$variant(config.encoder(task, init)),)+
                    Self::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }

            fn decoder(&self, task: &Task, init: &Initialiser<'_>) -> Decoder {
                match self.resolve() {
                    $(Self::$variant(config) => config.decoder(task, init),)+
                    Self::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }

            fn attention(&self, stage: usize, grid: [usize; 3]) -> Option<Attention> {
                match self.resolve() {
                    $(Self::$variant(config) => config.attention(stage, grid),)+
                    Self::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }
        }
    };
}
backbones!(define_encoders);

impl Encoder {
    /// The configured backbone's encoder with the initial weights of `seed`, on `device`.
    pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
        config.encoder(task, &Initialiser::new(seed, device))
    }
}

impl Segmenter {
    /// The configured backbone with the initial weights of `seed`, on `device`; its encoder equals [`Encoder::init`]'s.
    pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
        Self::build(config, task, seed, device)
    }
}

impl TokenEncoder for Encoder {
    fn stages(&self, volume: Tensor<5>, pass: Pass) -> Vec<TokenGrid> {
        self.own().stages(volume, pass)
    }

    fn total_stride(&self) -> [usize; 3] {
        self.own().total_stride()
    }

    fn dims(&self) -> Vec<usize> {
        self.own().dims()
    }

    fn prefix(&self) -> &'static str {
        self.own().prefix()
    }

    fn renames(&self) -> Renames {
        self.own().renames()
    }

    fn kept(&self, volume: Extent, decoded: bool, memory: &mut Memory) -> Vec<Extent> {
        self.own().kept(volume, decoded, memory)
    }

    fn padded_size(&self, size: [usize; 3]) -> [usize; 3] {
        self.own().padded_size(size)
    }

    fn encode_visible(&self, volume: Tensor<5>, visible: Tensor<2, Int>) -> Option<Tensor<3>> {
        self.own().encode_visible(volume, visible)
    }
}
