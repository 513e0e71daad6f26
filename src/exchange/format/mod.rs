//! What the files of each backbone look like: names, what their shapes say of the network, and what they do not.

mod dict;
mod nnformer;
mod swin_unetr;
mod unetr;

use burn::tensor::Device;

use crate::config::ModelConfig;
use crate::model::{Backbone as _, Task};
use crate::nn::Initialiser;
pub(super) use dict::{Crops, Extra, Shapes, StateDictFormat, Table};

/// The format of a model's backbone; none where no other program writes such weights.
pub(super) fn of(model: &ModelConfig) -> Option<&'static dyn StateDictFormat> {
    match model.resolve() {
        ModelConfig::Nnformer(_) => Some(&nnformer::NnFormer),
        ModelConfig::Unetr(_) => Some(&unetr::Unetr),
        ModelConfig::SwinUnetr(_) => Some(&swin_unetr::SwinUnetr),
        ModelConfig::Unet(_) | ModelConfig::Preset(_) => None,
    }
}

/// What the names of a model's encoder begin with.
pub(super) fn prefix(model: &ModelConfig) -> &'static str {
    let task = Task { channels: 1, classes: 0, crop_size: model.backbone().total_stride().map(|edge| 2 * edge) };
    model.encoder(&task, &Initialiser::sizes_only(&Device::flex())).prefix()
}
