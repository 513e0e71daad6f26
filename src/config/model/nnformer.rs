//! Hyper-parameters of nnFormer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BackboneConfig, Checker};

/// nnFormer's hyper-parameters. Lists have one entry for each stage, finest first.
///
/// Channel and class counts are not here: they come from the dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NnFormerConfig {
    /// Voxels of one token of the first stage, in D,H,W; even numbers.
    pub patch_size: [usize; 3],
    /// Channels of the first stage; doubled by each following stage.
    pub embed_dim: usize,
    /// Transformer blocks of each encoder stage (the decoder mirrors them).
    pub depths: Vec<usize>,
    /// Attention heads of each encoder stage.
    pub num_heads: Vec<usize>,
    /// Attention heads of each decoder stage, by skip level (finest first), one fewer than stages.
    /// Empty: the encoder's heads of the same level, as the reference does.
    pub decoder_heads: Vec<usize>,
    /// Edge of the cubic attention window of each stage, in tokens.
    pub window_size: Vec<usize>,
    /// Hidden width of a block's MLP over its width.
    pub mlp_ratio: f64,
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
    /// Stochastic depth: drop rate of the last block, rising linearly from 0.
    pub drop_path_rate: f64,
    /// Predict at every decoder level (losses weighted 4/7, 2/7, 1/7, ...) instead of the finest alone.
    pub deep_supervision: bool,
    /// Recompute activations block by block in the backward pass instead of keeping them:
    /// less memory, about a third more time.
    pub recompute: bool,
}

impl Default for NnFormerConfig {
    fn default() -> Self {
        Self::small()
    }
}

impl NnFormerConfig {
    /// Two stages for 32³ crops: 64 tokens of 96 dimensions.
    pub fn small() -> Self {
        Self {
            patch_size: [4, 4, 4],
            embed_dim: 48,
            depths: vec![2, 2],
            num_heads: vec![3, 6],
            decoder_heads: Vec::new(),
            window_size: vec![4, 4],
            mlp_ratio: 4.0,
            qkv_bias: true,
            drop_path_rate: 0.0,
            deep_supervision: true,
            recompute: false,
        }
    }

    /// As published for Synapse: patch 2x4x4, four stages, 192 channels.
    /// Source: `nnFormer_synapse.py` of the reference implementation.
    pub fn synapse() -> Self {
        Self {
            patch_size: [2, 4, 4],
            embed_dim: 192,
            depths: vec![2, 2, 2, 2],
            num_heads: vec![6, 12, 24, 48],
            window_size: vec![4, 4, 8, 4],
            drop_path_rate: 0.2,
            ..Self::small()
        }
    }

    /// As published for brain tumours: patch 4³, four stages, 96 channels.
    /// Source: `nnFormer_tumor.py` of the reference implementation.
    pub fn tumour() -> Self {
        Self {
            patch_size: [4, 4, 4],
            embed_dim: 96,
            depths: vec![2, 2, 2, 2],
            num_heads: vec![3, 6, 12, 24],
            // The original tumour class gives each decoder stage the heads of the next deeper encoder stage.
            decoder_heads: vec![6, 12, 24],
            window_size: vec![4, 4, 8, 4],
            drop_path_rate: 0.2,
            ..Self::small()
        }
    }

    /// Number of stages.
    pub fn stages(&self) -> usize {
        self.depths.len()
    }

    /// Channels of stage `stage` (0 = finest).
    pub fn dim(&self, stage: usize) -> usize {
        self.embed_dim << stage
    }
}

impl BackboneConfig for NnFormerConfig {
    fn title(&self) -> &'static str {
        "nnFormer"
    }

    fn source(&self) -> &'static str {
        "Zhou et al.: nnFormer: Volumetric Medical Image Segmentation via a 3D Transformer, arXiv:2109.03201."
    }

    fn patch_size(&self) -> [usize; 3] {
        self.patch_size
    }

    fn total_stride(&self) -> [usize; 3] {
        self.patch_size.map(|edge| edge << (self.stages() - 1))
    }

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        (0..self.stages()).map(|stage| self.patch_size.map(|edge| edge << stage)).collect()
    }

    fn encoder_settings(&self, _crop_size: [usize; 3]) -> Value {
        // Every field by name: a new one has to say here whether it changes what the encoder computes.
        let Self {
            patch_size,
            embed_dim,
            depths,
            num_heads,
            window_size,
            mlp_ratio,
            qkv_bias,
            decoder_heads: _,
            drop_path_rate: _,
            deep_supervision: _,
            recompute: _,
        } = self;
        json!({
            "patch_size": patch_size,
            "embed_dim": embed_dim,
            "depths": depths,
            "num_heads": num_heads,
            "window_size": window_size,
            "mlp_ratio": mlp_ratio,
            "qkv_bias": qkv_bias,
        })
    }

    fn check(&self, checker: &mut Checker) {
        let stages = self.depths.len();
        checker.range("model.depths", stages, 1..=6);
        checker.entries("model.num_heads", self.num_heads.len(), stages, "depths");
        checker.entries("model.window_size", self.window_size.len(), stages, "depths");
        checker.require(
            "model.decoder_heads",
            self.decoder_heads.is_empty() || self.decoder_heads.len() + 1 == stages,
            format_args!("needs {} entries, one for each skip level, or none", stages.saturating_sub(1)),
        );
        checker.range("model.embed_dim", self.embed_dim, 1..=4096);
        checker.range("model.mlp_ratio", self.mlp_ratio, 0.25..=16.0);
        checker.range("model.drop_path_rate", self.drop_path_rate, 0.0..=0.9);
        checker.each("model.window_size", &self.window_size, 1..=16);
        checker.each("model.depths", &self.depths, 1..=64);
        checker.require(
            "model.patch_size",
            self.patch_size.iter().all(|edge| edge % 2 == 0 && (2..=16).contains(edge)),
            format_args!(
                "is {:?}; the stem halves each axis once and divides by patch/2 next, so each edge is an even number of 2 to 16",
                self.patch_size
            ),
        );
        for (stage, &heads) in self.num_heads.iter().enumerate().take(stages) {
            checker.heads("model.num_heads", &format!("stage {stage}: "), heads, self.dim(stage));
        }
    }
}
