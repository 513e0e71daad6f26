//! The encoder of any backbone, as the config names it.

use std::ops::Deref;

use burn::module::Module;
use burn::tensor::Device;

use super::backbone::{Attention, Backbone, Task, TokenEncoder};
use super::decoder::Decoder;
use super::names::{NamedWeights, renamed};
use super::nnformer::NnFormerEncoder;
use super::swin_unetr::SwinUnetrEncoder;
use super::unet::UnetEncoder;
use super::unetr::UnetrEncoder;
use crate::config::{ModelConfig, backbones};
use crate::nn::Initialiser;

macro_rules! define_encoders {
    ($($(#[$doc:meta])* $variant:ident($config:ident), $encoder:ident, {$($presets:tt)*})+) => {
        /// The encoder of any backbone.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Encoder {
            $($(#[$doc])* $variant($encoder),)+
        }

        impl Deref for Encoder {
            type Target = dyn TokenEncoder;

            fn deref(&self) -> &Self::Target {
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

impl NamedWeights for Encoder {
    fn reference_name(&self, path: &[String]) -> String {
        renamed(std::iter::once("encoder").chain(path.iter().map(String::as_str)), &self.renames())
    }
}
