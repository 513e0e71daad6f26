//! Hyper-parameters of the residual-encoder U-Net.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BackboneConfig, Checker, refuse_single_token};

/// The field's convolutional baseline: a U-Net whose encoder is made of residual blocks (after nnU-Net's residual encoder
/// presets, arXiv:2404.09556), instance norm, leaky ReLU and deep supervision. Lists have one entry for each stage, finest first.
///
/// Channel and class counts are not here: they come from the dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnetConfig {
    /// Channels of each stage.
    pub features: Vec<usize>,
    /// Step of each stage's first convolution along D,H,W, 1 or 2 each; the first stage's is 1.
    pub strides: Vec<[usize; 3]>,
    /// Residual blocks of each encoder stage. A decoder stage has one plain block.
    pub blocks: Vec<usize>,
    /// Predict at every decoder stage (losses weighted 1, 1/2, 1/4, ... over their sum) instead of the finest alone.
    pub deep_supervision: bool,
    /// Recompute activations block by block in the backward pass instead of keeping them:
    /// less memory, about a third more time.
    pub recompute: bool,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self::small()
    }
}

impl UnetConfig {
    /// For 32³ crops: 64 tokens of 96 channels.
    pub fn small() -> Self {
        Self {
            features: vec![12, 24, 48, 96],
            strides: vec![[1; 3], [2; 3], [2; 3], [2; 3]],
            blocks: vec![1, 2, 2, 2],
            deep_supervision: true,
            recompute: false,
        }
    }

    /// For Synapse multi-organ CT (crop 64x128x128, slices of 3 mm): nnU-Net's rule of halving the finer axes first.
    pub fn synapse() -> Self {
        Self {
            features: vec![32, 64, 128, 256, 320, 320],
            strides: vec![[1; 3], [1, 2, 2], [2; 3], [2; 3], [2; 3], [2; 3]],
            blocks: vec![1, 3, 4, 6, 6, 6],
            ..Self::small()
        }
    }

    /// For brain tumours (crop 128x128x128, 1 mm).
    pub fn tumour() -> Self {
        Self { strides: vec![[1; 3], [2; 3], [2; 3], [2; 3], [2; 3], [2; 3]], ..Self::synapse() }
    }

    /// Voxels of one token of stage `stage`, D,H,W.
    pub fn stride_at(&self, stage: usize) -> [usize; 3] {
        self.strides.iter().take(stage + 1).fold([1; 3], |product, step| std::array::from_fn(|axis| product[axis] * step[axis]))
    }
}

impl BackboneConfig for UnetConfig {
    fn title(&self) -> &'static str {
        "U-Net"
    }

    fn source(&self) -> &'static str {
        "Isensee et al.: nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image Segmentation, arXiv:2404.09556."
    }

    fn patch_size(&self) -> [usize; 3] {
        self.stride_at(0)
    }

    fn total_stride(&self) -> [usize; 3] {
        self.stride_at(self.strides.len())
    }

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        (0..self.strides.len()).map(|stage| self.stride_at(stage)).collect()
    }

    fn encoder_settings(&self, _crop_size: [usize; 3]) -> Value {
        // Every field by name: a new one has to say here whether it changes what the encoder computes.
        let Self { features, strides, blocks, deep_supervision: _, recompute: _ } = self;
        json!({"features": features, "strides": strides, "blocks": blocks})
    }

    fn check(&self, checker: &mut Checker) {
        let stages = self.features.len();
        checker.range("model.features", stages, 2..=8);
        checker.entries("model.strides", self.strides.len(), stages, "features");
        checker.entries("model.blocks", self.blocks.len(), stages, "features");
        checker.each("model.features", &self.features, 1..=4096);
        checker.each("model.blocks", &self.blocks, 1..=64);
        for (stage, step) in self.strides.iter().enumerate() {
            let fits = if stage == 0 { *step == [1; 3] } else { step.iter().all(|edge| (1..=2).contains(edge)) };
            checker.require(
                "model.strides",
                fits,
                format_args!("stage {stage}: {step:?}; allowed is 1 or 2 on each axis, and 1 in the first stage"),
            );
        }
    }

    fn check_crop(&self, key: &str, crop_size: [usize; 3], checker: &mut Checker) {
        refuse_single_token(self, key, crop_size, checker);
    }
}
