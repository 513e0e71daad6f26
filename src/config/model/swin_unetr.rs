//! Swin UNETR's hyper-parameters and published sizes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BackboneConfig, Checker, refuse_single_token};

/// Swin UNETR's hyper-parameters, named as in MONAI where MONAI names them. Lists have one entry for each stage, finest first.
///
/// Every stage ends in a patch merging, the last one too. Channel and class counts are not here: they come from the dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwinUnetrConfig {
    /// Voxels of one token of the first stage, in D,H,W.
    pub patch_size: [usize; 3],
    /// Channels of the first stage; doubled by each patch merging.
    pub feature_size: usize,
    /// Transformer blocks of each stage.
    pub depths: Vec<usize>,
    /// Attention heads of each stage.
    pub num_heads: Vec<usize>,
    /// Attention window of all stages, in tokens along D,H,W. An axis of the grid that is no longer than the window is
    /// spanned by it, and not shifted.
    pub window_size: [usize; 3],
    /// Hidden width of a block's MLP over its width.
    pub mlp_ratio: f64,
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
    /// Stochastic depth: drop rate of the last block, rising linearly from 0.
    pub drop_path_rate: f64,
    /// Normalise the feature maps handed out by the encoder, each token over its channels. The next stage takes them as they are.
    pub normalize: bool,
    /// Order in which a patch merging concatenates eight neighbours.
    pub merging: MergingOrder,
    /// Swin UNETR v2 (arXiv:2308.05785): a residual convolution block in front of each stage.
    pub use_v2: bool,
    /// Recompute activations block by block in the backward pass instead of keeping them:
    /// less memory, about a third more time.
    pub recompute: bool,
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

impl Default for SwinUnetrConfig {
    fn default() -> Self {
        Self::small()
    }
}

impl SwinUnetrConfig {
    /// Two stages for 32³ crops: 64 tokens of 96 dimensions.
    pub fn small() -> Self {
        Self {
            patch_size: [2; 3],
            feature_size: 24,
            depths: vec![2, 2],
            num_heads: vec![3, 6],
            window_size: [4; 3],
            mlp_ratio: 4.0,
            qkv_bias: true,
            drop_path_rate: 0.0,
            normalize: true,
            merging: MergingOrder::Merging,
            use_v2: false,
            recompute: false,
        }
    }

    /// As published for brain tumours: patch 2³, four stages, 48 channels.
    /// Source: arXiv:2201.01266 and its reference implementation.
    pub fn tumour() -> Self {
        Self { feature_size: 48, depths: vec![2; 4], num_heads: vec![3, 6, 12, 24], window_size: [7; 3], recompute: true, ..Self::small() }
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

    fn patch_size(&self) -> [usize; 3] {
        self.patch_size
    }

    fn total_stride(&self) -> [usize; 3] {
        self.patch_size.map(|edge| edge << self.stages())
    }

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        (0..=self.stages()).map(|level| self.patch_size.map(|edge| edge << level)).collect()
    }

    fn encoder_settings(&self, _crop_size: [usize; 3]) -> Value {
        // Every field by name: a new one has to say here whether it changes what the encoder computes.
        let Self {
            patch_size,
            feature_size,
            depths,
            num_heads,
            window_size,
            mlp_ratio,
            qkv_bias,
            normalize,
            merging,
            use_v2,
            drop_path_rate: _,
            recompute: _,
        } = self;
        json!({
            "patch_size": patch_size,
            "feature_size": feature_size,
            "depths": depths,
            "num_heads": num_heads,
            "window_size": window_size,
            "mlp_ratio": mlp_ratio,
            "qkv_bias": qkv_bias,
            "normalize": normalize,
            "merging": merging,
            "use_v2": use_v2,
        })
    }

    fn check(&self, checker: &mut Checker) {
        let stages = self.stages();
        checker.range("model.depths", stages, 1..=6);
        checker.entries("model.num_heads", self.num_heads.len(), stages, "depths");
        checker.range("model.feature_size", self.feature_size, 1..=1024);
        checker.range("model.mlp_ratio", self.mlp_ratio, 0.25..=16.0);
        checker.range("model.drop_path_rate", self.drop_path_rate, 0.0..=0.9);
        checker.each("model.depths", &self.depths, 1..=64);
        checker.each("model.patch_size", &self.patch_size, 1..=16);
        checker.each("model.window_size", &self.window_size, 1..=16);
        for (stage, &heads) in self.num_heads.iter().enumerate().take(stages) {
            checker.heads("model.num_heads", &format!("stage {stage}: "), heads, self.dim(stage));
        }
    }

    fn check_crop(&self, key: &str, crop_size: [usize; 3], checker: &mut Checker) {
        refuse_single_token(self, key, crop_size, checker);
    }
}
