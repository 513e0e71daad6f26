//! Encoders, decoders, projector. A volume goes in, a token grid for each stage comes out.
//!
//! A backbone is one file with its encoder ([`TokenEncoder`]), its whole network, its parameter names ([`NamedWeights`])
//! and its needs ([`Estimated`]); the list that names it stands with the hyper-parameters, in `config`.

#[cfg(test)]
pub(crate) mod initial_weights;
mod layout;
pub mod nnformer;
mod parameters;
mod plan;
mod projector;
pub mod swin_unetr;
#[cfg(test)]
mod tests;
pub mod unet;
pub mod unetr;
mod weights;
mod weights_file;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::config::{ModelConfig, backbones};
pub use crate::nn::Pass;
pub use layout::{StageLayout, padded_size, stage_layouts};
pub use nnformer::{NnFormer, NnFormerEncoder};
pub use parameters::{parameters, update_parameters};
pub use plan::{AttentionPlan, Estimate, Estimated, ModelPlan, ParameterCounts, TrainingPlan, plan};
pub use projector::Projector;
pub use swin_unetr::{SwinUnetr, SwinUnetrEncoder};
pub use unet::{Unet, UnetEncoder};
pub use unetr::{Unetr, UnetrEncoder, VitStates};
pub use weights::{HostTensor, LoadReport, Mismatch, NamedWeights, export_gradients, export_named, load_named, parameters_below};
pub use weights_file::{WeightsError, read_weights, write_weights};

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

/// A network that turns a volume into a feature map for each stage.
pub trait TokenEncoder {
    /// `[batch, channel, depth, height, width]` -> normalised feature map `[batch, dim, d, h, w]` of each stage, finest first.
    ///
    /// A volume whose size is no multiple of [`TokenEncoder::total_stride`] is zero-padded at the high end.
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>>;

    /// Voxels of one token of the last stage, D,H,W.
    fn total_stride(&self) -> [usize; 3];

    /// Channels of each stage, finest first.
    fn dims(&self) -> Vec<usize>;

    /// What the names of the encoder's parameters begin with, alone and inside the whole network.
    fn prefix(&self) -> &'static str;

    /// The normalised tokens of some patches, computed from these patches alone: `visible` `[batch, kept]`, numbers of
    /// tokens, row-major over D,H,W -> `[batch, kept, dim]` in that order.
    ///
    /// None where an encoder cannot leave patches out: windows and convolutions need the whole grid.
    fn encode_visible(&self, _volume: Tensor<5>, _visible: Tensor<2, Int>) -> Option<Tensor<3>> {
        None
    }
}

/// The encoder and the whole network of any backbone.
macro_rules! define_networks {
    ($($(#[$doc:meta])* $variant:ident($config:ident), $encoder:ident, $network:ident, {$($presets:tt)*})+) => {
        /// The encoder of any backbone.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Encoder {
            $($(#[$doc])* $variant($encoder),)+
        }

        /// The whole network of any backbone.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Segmenter {
            $($(#[$doc])* $variant($network),)+
        }

        impl Encoder {
            /// The configured backbone's encoder with the initial weights of `seed`, on `device`.
            pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
                match config.resolve() {
                    $(ModelConfig::$variant(config) => Self::$variant($encoder::init(&config, task, seed, device)),)+
                    ModelConfig::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }
        }

        impl Segmenter {
            /// The configured backbone with the initial weights of `seed`, on `device`; its encoder equals [`Encoder::init`]'s.
            pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
                match config.resolve() {
                    $(ModelConfig::$variant(config) => Self::$variant($network::init(&config, task, seed, device)),)+
                    ModelConfig::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }

            /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of each head, full resolution first.
            pub fn forward(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
                match self {
                    $(Self::$variant(network) => network.forward(volume, pass),)+
                }
            }
        }

        impl Estimated for ModelConfig {
            fn estimate(&self, task: &Task) -> Estimate {
                match self.resolve() {
                    $(Self::$variant(config) => config.estimate(task),)+
                    Self::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }
        }

        define_networks!(@delegate Encoder: $($variant)+);
        define_networks!(@delegate Segmenter: $($variant)+);
    };
    (@delegate $module:ident: $($variant:ident)+) => {
        impl TokenEncoder for $module {
            fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
                match self {
                    $(Self::$variant(module) => module.encode(volume, pass),)+
                }
            }

            fn total_stride(&self) -> [usize; 3] {
                match self {
                    $(Self::$variant(module) => module.total_stride(),)+
                }
            }

            fn dims(&self) -> Vec<usize> {
                match self {
                    $(Self::$variant(module) => module.dims(),)+
                }
            }

            fn prefix(&self) -> &'static str {
                match self {
                    $(Self::$variant(module) => module.prefix(),)+
                }
            }

            fn encode_visible(&self, volume: Tensor<5>, visible: Tensor<2, Int>) -> Option<Tensor<3>> {
                match self {
                    $(Self::$variant(module) => module.encode_visible(volume, visible),)+
                }
            }
        }

        impl NamedWeights for $module {
            fn reference_name(&self, path: &[String]) -> String {
                match self {
                    $(Self::$variant(module) => module.reference_name(path),)+
                }
            }
        }
    };
}
backbones!(define_networks);
