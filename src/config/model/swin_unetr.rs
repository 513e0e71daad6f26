//! Swin UNETR's hyper-parameters and published sizes.

use serde::{Deserialize, Serialize};

use super::{BackboneConfig, Checker, Settings as _, refuse_single_token, settings};

settings! {
    /// Swin UNETR's hyper-parameters, named as in MONAI where MONAI names them. Lists have one entry for each stage, finest first. The
    /// default is for 32³ crops: two stages, 64 tokens of 96 dimensions.
    ///
    /// Every stage ends in a patch merging, the last one too. Channel and class counts are not here: they come from the dataset.
    pub struct SwinUnetrConfig {
        /// Voxels of one token of the first stage, in D,H,W.
        patch_size: [usize; 3] = [2; 3], in 1..=16;
        /// Channels of the first stage; doubled by each patch merging.
        feature_size: usize = 24, in 1..=1024;
        /// Transformer blocks of each stage.
        depths: Vec<usize> = vec![2, 2], in 1..=64;
        /// Attention heads of each stage.
        num_heads: Vec<usize> = vec![3, 6];
        /// Attention window of all stages, in tokens along D,H,W. An axis of the grid that is no longer than the window is
        /// spanned by it, and not shifted.
        window_size: [usize; 3] = [4; 3], in 1..=16;
        /// Hidden width of a block's MLP over its width.
        mlp_ratio: f64 = 4.0, in 0.25..=16.0;
        /// Bias on queries, keys and values.
        qkv_bias: bool = true;
        /// Stochastic depth: drop rate of the last block, rising linearly from 0.
        drop_path_rate: f64 = 0.0, in 0.0..=0.9;
        /// Normalise the feature maps handed out by the encoder, each token over its channels. The next stage takes them as they are.
        normalize: bool = true;
        /// Order in which a patch merging concatenates eight neighbours.
        merging: MergingOrder = MergingOrder::Merging;
        /// Swin UNETR v2 (arXiv:2308.05785): a residual convolution block in front of each stage.
        use_v2: bool = false;
        /// Predict at every decoder level (losses weighted 1, 1/2, 1/4, ... over their sum) instead of the finest alone, as published.
        deep_supervision: bool = false;
        /// Recompute activations block by block in the backward pass instead of keeping them:
        /// less memory, about a third more time.
        recompute: bool = false;
    }
}

/// The order of the eight neighbours in a patch merging, each a set of weights' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergingOrder {
    /// MONAI's `merging` since 1.5: by the number of steps away from the origin.
    Merging,
    /// The same before 1.5: two of the eight twice and two never, a mistake that published self-supervised weights
    /// were trained with.
    Paper,
    /// MONAI's `mergingv2`: row-major.
    #[serde(rename = "mergingv2")]
    MergingV2,
}

impl SwinUnetrConfig {
    /// As published for brain tumours: patch 2³, four stages, 48 channels.
    /// Source: arXiv:2201.01266 and its reference implementation.
    pub fn tumour() -> Self {
        Self {
            feature_size: 48,
            depths: vec![2; 4],
            num_heads: vec![3, 6, 12, 24],
            window_size: [7; 3],
            recompute: true,
            ..Self::default()
        }
    }

    /// The same with the patch 1x2x2 that SimTROT's authors use for Synapse.
    pub fn synapse() -> Self {
        Self { patch_size: [1, 2, 2], ..Self::tumour() }
    }

    /// Number of stages.
    pub fn stages(&self) -> usize {
        self.depths.len()
    }

    /// Channels of feature map `level`: 0 is the patch embedding, `k` what stage `k - 1` hands on.
    pub fn dim(&self, level: usize) -> usize {
        self.feature_size << level
    }
}

impl BackboneConfig for SwinUnetrConfig {
    fn title(&self) -> &'static str {
        if self.use_v2 { "Swin UNETR v2" } else { "Swin UNETR" }
    }

    fn source(&self) -> &'static str {
        "Hatamizadeh et al.: Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors in MRI Images, arXiv:2201.01266."
    }

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        (0..=self.stages()).map(|level| self.patch_size.map(|edge| edge << level)).collect()
    }

    fn beyond_encoder(&self) -> &'static [&'static str] {
        &["drop_path_rate", "deep_supervision", "recompute"]
    }

    fn check(&self, checker: &mut Checker) {
        let stages = self.stages();
        self.check_ranges("model", checker);
        checker.within("model.depths", &stages, 1..=6);
        checker.entries("model.num_heads", self.num_heads.len(), stages, "depths");
        checker.heads_of_stages(&self.num_heads, stages, |stage| self.dim(stage));
    }

    fn check_crop(&self, key: &str, crop_size: [usize; 3], checker: &mut Checker) {
        refuse_single_token(self, key, crop_size, checker);
    }
}
