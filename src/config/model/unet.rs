//! Hyper-parameters of the residual-encoder U-Net.

use super::{BackboneConfig, Checker, Settings as _, refuse_single_token, settings};

settings! {
    /// The field's convolutional baseline: a U-Net whose encoder is made of residual blocks (after nnU-Net's residual encoder
    /// presets, arXiv:2404.09556), instance norm, leaky ReLU and deep supervision. Lists have one entry for each stage, finest first. The
    /// default is for 32³ crops: 64 tokens of 96 channels.
    ///
    /// Channel and class counts are not here: they come from the dataset.
    pub struct UnetConfig {
        /// Channels of each stage.
        features: Vec<usize> = vec![12, 24, 48, 96], in 1..=4096;
        /// Step of each stage's first convolution along D,H,W, 1 or 2 each; the first stage's is 1.
        strides: Vec<[usize; 3]> = vec![[1; 3], [2; 3], [2; 3], [2; 3]];
        /// Residual blocks of each encoder stage. A decoder stage has one plain block.
        blocks: Vec<usize> = vec![1, 2, 2, 2], in 1..=64;
        /// Predict at every decoder stage (losses weighted 1, 1/2, 1/4, ... over their sum) instead of the finest alone.
        deep_supervision: bool = true;
        /// Recompute activations block by block in the backward pass instead of keeping them:
        /// less memory, about a third more time.
        recompute: bool = false;
    }
}

impl UnetConfig {
    /// For Synapse multi-organ CT (crop 64x128x128, slices of 3 mm): nnU-Net's rule of halving the finer axes first.
    pub fn synapse() -> Self {
        Self {
            features: vec![32, 64, 128, 256, 320, 320],
            strides: vec![[1; 3], [1, 2, 2], [2; 3], [2; 3], [2; 3], [2; 3]],
            blocks: vec![1, 3, 4, 6, 6, 6],
            ..Self::default()
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

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        (0..self.strides.len()).map(|stage| self.stride_at(stage)).collect()
    }

    fn beyond_encoder(&self) -> &'static [&'static str] {
        &["deep_supervision", "recompute"]
    }

    fn check(&self, checker: &mut Checker) {
        let stages = self.features.len();
        self.check_ranges("model", checker);
        checker.within("model.features", &stages, 2..=8);
        checker.entries("model.strides", self.strides.len(), stages, "features");
        checker.entries("model.blocks", self.blocks.len(), stages, "features");
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
