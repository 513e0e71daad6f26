//! Encoders, decoders, projector. A volume goes in, a token grid for each stage comes out.
//!
//! A backbone is one file with its encoder ([`TokenEncoder`]), its whole network and its parameter names
//! ([`NamedWeights`]), and one line in `backbones!` below.

mod layout;
pub mod nnformer;
mod plan;
mod projector;
#[cfg(test)]
mod tests;
mod weights;
mod weights_file;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::ModelConfig;
pub use crate::nn::Pass;
pub use layout::{StageLayout, padded_size, stage_layouts};
pub use nnformer::{NnFormer, NnFormerEncoder};
pub use plan::{ModelPlan, ParameterCounts, StagePlan, plan};
pub use projector::Projector;
pub use weights::{HostTensor, LoadReport, Mismatch, NamedWeights, export_gradients, export_named, load_named};
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
}

/// Names the backbones: for each, its variant of [`ModelConfig`], its encoder and its whole network.
macro_rules! backbones {
    ($($name:ident: $encoder:ty, $network:ty;)+) => {
        /// The encoder of any backbone.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Encoder {
            $(#[doc = concat!("A [`", stringify!($encoder), "`].")] $name($encoder),)+
        }

        /// The whole network of any backbone.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Segmenter {
            $(#[doc = concat!("A [`", stringify!($network), "`].")] $name($network),)+
        }

        impl Encoder {
            /// The configured backbone's encoder with the initial weights of `seed`, on `device`.
            pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
                match config.resolve() {
                    $(ModelConfig::$name(config) => Self::$name(<$encoder>::init(&config, task, seed, device)),)+
                    ModelConfig::Preset(preset) => unreachable!("{preset:?} resolves to itself"),
                }
            }
        }

        impl Segmenter {
            /// The configured backbone with the initial weights of `seed`, on `device`; its encoder equals [`Encoder::init`]'s.
            pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
                match config.resolve() {
                    $(ModelConfig::$name(config) => Self::$name(<$network>::init(&config, task, seed, device)),)+
                    ModelConfig::Preset(preset) => unreachable!("{preset:?} resolves to itself"),
                }
            }

            /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of each head, full resolution first.
            pub fn forward(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
                match self {
                    $(Self::$name(network) => network.forward(volume, pass),)+
                }
            }
        }

        backbones!(@delegate Encoder: $($name)+);
        backbones!(@delegate Segmenter: $($name)+);
    };
    (@delegate $module:ident: $($name:ident)+) => {
        impl TokenEncoder for $module {
            fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
                match self {
                    $(Self::$name(module) => module.encode(volume, pass),)+
                }
            }

            fn total_stride(&self) -> [usize; 3] {
                match self {
                    $(Self::$name(module) => module.total_stride(),)+
                }
            }

            fn dims(&self) -> Vec<usize> {
                match self {
                    $(Self::$name(module) => module.dims(),)+
                }
            }
        }

        impl NamedWeights for $module {
            fn reference_name(&self, path: &[String]) -> String {
                match self {
                    $(Self::$name(module) => module.reference_name(path),)+
                }
            }
        }
    };
}

backbones! {
    Nnformer: NnFormerEncoder, NnFormer;
}
