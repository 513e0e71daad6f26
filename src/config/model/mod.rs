//! Which network, and how large: hyper-parameters of each backbone, and the list that names them.
//!
//! A backbone is a file of hyper-parameters here, a file with its network in `model/`, and its entry in `backbones!`.

mod nnformer;
mod swin_unetr;
mod unet;
mod unetr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check::{Checker, Settings, settings};
use super::differences::differing_settings;
pub use nnformer::NnFormerConfig;
pub use swin_unetr::{MergingOrder, SwinUnetrConfig};
pub use unet::UnetConfig;
pub use unetr::{PatchProjection, PositionCode, UnetrConfig};

/// Every backbone, once. In order: its variant of [`ModelConfig`], its hyper-parameters, its encoder (a type of
/// `model`), and its named sizes with the function that makes each.
macro_rules! backbones {
    ($define:ident) => {
        $define! {
            /// nnFormer (arXiv:2109.03201): windowed attention in encoder and decoder.
            Nnformer(NnFormerConfig), NnFormerEncoder, {
                /// nnFormer as published for Synapse multi-organ CT (crop 64x128x128).
                NnformerSynapse: synapse,
                /// nnFormer as published for brain tumours (crop 128x128x128, four channels).
                NnformerTumour: tumour,
                /// nnFormer with two stages for crops of 32³: trains on a CPU in minutes.
                NnformerSmall: default,
            }
            /// UNETR (arXiv:2103.10504): a plain vision transformer and a convolutional decoder.
            Unetr(UnetrConfig), UnetrEncoder, {
                /// UNETR with the paper's patch for Synapse multi-organ CT (crop 64x128x128).
                UnetrSynapse: synapse,
                /// UNETR as published, for brain tumours (crop 128x128x128, four channels).
                UnetrTumour: tumour,
                /// UNETR with eight blocks for crops of 32³: trains on a CPU in minutes.
                UnetrSmall: default,
            }
            /// Swin UNETR (arXiv:2201.01266) and its v2: windowed attention in the encoder, a convolutional decoder.
            SwinUnetr(SwinUnetrConfig), SwinUnetrEncoder, {
                /// Swin UNETR with the paper's patch for Synapse multi-organ CT (crop 64x128x128).
                SwinUnetrSynapse: synapse,
                /// Swin UNETR as published for brain tumours (crop 128x128x128, four channels).
                SwinUnetrTumour: tumour,
                /// Swin UNETR with two stages for crops of 32³: trains on a CPU in minutes.
                SwinUnetrSmall: default,
            }
            /// A U-Net with residual encoder: the field's convolutional baseline.
            Unet(UnetConfig), UnetEncoder, {
                /// U-Net for Synapse multi-organ CT (crop 64x128x128).
                UnetSynapse: synapse,
                /// U-Net for brain tumours (crop 128x128x128, four channels).
                UnetTumour: tumour,
                /// U-Net with four stages for crops of 32³: trains on a CPU in minutes.
                UnetSmall: default,
            }
        }
    };
}
pub(crate) use backbones;

/// What the program asks of every backbone's hyper-parameters.
pub trait BackboneConfig {
    /// The name in text, as its authors write it.
    fn title(&self) -> &'static str;

    /// Who described it first.
    fn source(&self) -> &'static str;

    /// Voxels of one token of each stage, D,H,W, finest first.
    fn stage_strides(&self) -> Vec<[usize; 3]>;

    /// Voxels of one token of the first stage, D,H,W.
    fn patch_size(&self) -> [usize; 3] {
        self.stage_strides().first().copied().unwrap_or([1; 3])
    }

    /// Voxels of one token of the last stage, D,H,W: sizes are padded to multiples of it.
    fn total_stride(&self) -> [usize; 3] {
        self.stage_strides().last().copied().unwrap_or([1; 3])
    }

    /// Names of the hyper-parameters that don't decide which numbers the encoder computes: those of decoder, regularisation and
    /// memory. Weights may only move between encoders that agree in all others: not every difference shows in a tensor's shape.
    fn beyond_encoder(&self) -> &'static [&'static str];

    /// What an encoder that is tied to crops of `crop_size` voxels, D,H,W, takes of them: a name and the numbers.
    fn crop_setting(&self, _crop_size: [usize; 3]) -> Option<(&'static str, [usize; 3])> {
        None
    }

    /// Whether the encoder can do with some of the patches alone, which MAE asks of it.
    fn takes_visible_patches(&self) -> bool {
        false
    }

    /// Refuses values out of range or that contradict each other.
    fn check(&self, checker: &mut Checker);

    /// Refuses a training crop, the setting `key`, that this network cannot take. By default any crop will do.
    fn check_crop(&self, _key: &str, _crop_size: [usize; 3], _checker: &mut Checker) {}
}

/// What a published size was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedTask {
    /// Voxels of a training crop along D,H,W.
    pub crop_size: [usize; 3],
    /// Channels of an image.
    pub channels: usize,
    /// Classes, background included.
    pub classes: usize,
}

/// Tasks by the name of a size.
mod published {
    use super::PublishedTask;

    /// CT of the abdomen, eight organs.
    pub(super) fn synapse() -> PublishedTask {
        PublishedTask { crop_size: [64, 128, 128], channels: 1, classes: 9 }
    }

    /// Brain MRI, three tissues.
    pub(super) fn tumour() -> PublishedTask {
        PublishedTask { crop_size: [128; 3], channels: 4, classes: 4 }
    }

    /// The demo's: hippocampus in MRI, two parts.
    pub(super) fn default() -> PublishedTask {
        PublishedTask { crop_size: [32; 3], channels: 1, classes: 3 }
    }
}

/// Refuses a crop whose last feature map is a single token: instance normalisation makes 0 of it, whatever it holds.
fn refuse_single_token(network: &impl BackboneConfig, key: &str, crop_size: [usize; 3], checker: &mut Checker) {
    let stride = network.total_stride();
    let mut longer = crop_size;
    longer[2] = 2 * stride[2];
    checker.require(
        key,
        (0..3).any(|axis| crop_size[axis] > stride[axis]),
        format_args!(
            "is {crop_size:?}, which the network makes a single token of {stride:?} voxels: nothing is left to normalise over. \
             {longer:?} would do, or fewer stages"
        ),
    );
}

macro_rules! define_configs {
    ($($(#[$doc:meta])* $variant:ident($config:ident), $encoder:ident, {
        $($(#[$preset_doc:meta])* $preset:ident: $make:ident,)+
    })+) => {
        /// Which network, and how large.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ModelConfig {
            /// A named size; becomes one of the other variants when the config is resolved.
            Preset(Preset),
            $($(#[$doc])* $variant($config),)+
        }

        /// A named network size.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Preset {
            $($($(#[$preset_doc])* $preset,)+)+
        }

        impl Preset {
            /// All of them, backbone by backbone.
            pub const ALL: &[Self] = &[$($(Self::$preset,)+)+];

            /// What it was published for.
            pub fn task(self) -> PublishedTask {
                match self {
                    $($(Self::$preset => published::$make(),)+)+
                }
            }
        }

        impl ModelConfig {
            /// The same model without reference to a preset, as written into a run's folder.
            pub fn resolve(&self) -> Self {
                match self {
                    $($(Self::Preset(Preset::$preset) => Self::$variant($config::$make()),)+)+
                    spelt_out => spelt_out.clone(),
                }
            }

            /// The hyper-parameters, whatever the backbone.
            pub fn backbone(&self) -> Box<dyn BackboneConfig> {
                match self.resolve() {
                    $(Self::$variant(config) => Box::new(config),)+
                    Self::Preset(preset) => unreachable!("{preset:?} resolves to a backbone"),
                }
            }
        }
    };
}
backbones!(define_configs);

/// A setting in which two encoders differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderDifference {
    /// Dotted key, for example `model.unetr.num_layers`.
    pub key: String,
    /// Its values, the one encoder's and the other's.
    pub values: [String; 2],
}

impl EncoderDifference {
    /// In words, with the `places` where the two values stand: `in the checkpoint`, `in the config`.
    pub fn describe(&self, places: [&str; 2]) -> String {
        let Self { key, values: [one, other] } = self;
        format!("{key} is {one} {} and {other} {}", places[0], places[1])
    }
}

impl ModelConfig {
    /// The backbone's name in configs: the key that its hyper-parameters stand under.
    pub fn key(&self) -> String {
        self.tree().0
    }

    /// `name value` of each hyper-parameter.
    pub fn hyper_parameters(&self) -> String {
        self.tree().1.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// The backbone's name and its hyper-parameters by name.
    fn tree(&self) -> (String, Map<String, Value>) {
        let tree: Map<String, Value> = serde_json::to_value(self.resolve()).and_then(serde_json::from_value).expect("a struct by its name");
        match tree.into_iter().next() {
            Some((name, Value::Object(parameters))) => (name, parameters),
            _ => unreachable!("an enum of structs becomes a map of one map"),
        }
    }

    /// The settings in which the encoders of two models compute differently, each model with the crop, D,H,W, that it is built for.
    pub fn encoder_differences([one, other]: [(&Self, [usize; 3]); 2]) -> Vec<EncoderDifference> {
        let key = one.0.key();
        if key != other.0.key() {
            let values = [one, other].map(|(model, _)| model.backbone().title().to_owned());
            return vec![EncoderDifference { key: "model".to_owned(), values }];
        }
        let [one, other] = [one, other].map(|(model, crop_size)| {
            let (backbone, (_, mut settings)) = (model.backbone(), model.tree());
            settings.retain(|name, _| !backbone.beyond_encoder().contains(&name.as_str()));
            settings.extend(backbone.crop_setting(crop_size).map(|(name, size)| (name.to_owned(), size.as_slice().into())));
            settings
        });
        let difference = |(name, values): (String, [&Value; 2])| EncoderDifference {
            key: format!("model.{key}.{name}"),
            values: values.map(Value::to_string),
        };
        differing_settings(&one, &other).into_iter().map(difference).collect()
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self::Preset(Preset::NnformerSmall)
    }
}

impl std::fmt::Display for Preset {
    /// The name in configs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}
