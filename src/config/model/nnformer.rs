//! Hyper-parameters of nnFormer.

use super::{BackboneConfig, Checker, Settings as _, settings};

settings! {
    /// nnFormer's hyper-parameters. Lists have one entry for each stage, finest first. The default is for 32³ crops: two stages, 64 tokens
    /// of 96 dimensions.
    ///
    /// Channel and class counts are not here: they come from the dataset.
    pub struct NnFormerConfig {
        /// Voxels of one token of the first stage, in D,H,W; even numbers.
        patch_size: [usize; 3] = [4, 4, 4];
        /// Channels of the first stage; doubled by each following stage.
        embed_dim: usize = 48, in 1..=4096;
        /// Transformer blocks of each encoder stage (the decoder mirrors them).
        depths: Vec<usize> = vec![2, 2], in 1..=64;
        /// Attention heads of each encoder stage.
        num_heads: Vec<usize> = vec![3, 6];
        /// Attention heads of each decoder stage, by skip level (finest first), one fewer than stages.
        /// Empty: the encoder's heads of the same level, as the reference does.
        decoder_heads: Vec<usize> = Vec::new();
        /// Edge of the cubic attention window of each stage, in tokens.
        window_size: Vec<usize> = vec![4, 4], in 1..=16;
        /// Hidden width of a block's MLP over its width.
        mlp_ratio: f64 = 4.0, in 0.25..=16.0;
        /// Bias on queries, keys and values.
        qkv_bias: bool = true;
        /// Stochastic depth: drop rate of the last block, rising linearly from 0.
        drop_path_rate: f64 = 0.0, in 0.0..=0.9;
        /// Predict at every decoder level (losses weighted 4/7, 2/7, 1/7, ...) instead of the finest alone.
        deep_supervision: bool = true;
        /// Recompute activations block by block in the backward pass instead of keeping them:
        /// less memory, about a third more time.
        recompute: bool = false;
    }
}

impl NnFormerConfig {
    /// As published for Synapse: patch 2x4x4, four stages, 192 channels.
    /// Source: `nnFormer_synapse.py` of the reference implementation.
    pub fn synapse() -> Self {
        Self { patch_size: [2, 4, 4], embed_dim: 192, num_heads: vec![6, 12, 24, 48], decoder_heads: Vec::new(), ..Self::tumour() }
    }

    /// As published for brain tumours: patch 4³, four stages, 96 channels.
    /// Source: `nnFormer_tumor.py` of the reference implementation.
    pub fn tumour() -> Self {
        Self {
            embed_dim: 96,
            depths: vec![2, 2, 2, 2],
            num_heads: vec![3, 6, 12, 24],
            // The original tumour class gives each decoder stage the heads of the next deeper encoder stage.
            decoder_heads: vec![6, 12, 24],
            window_size: vec![4, 4, 8, 4],
            drop_path_rate: 0.2,
            ..Self::default()
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

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        (0..self.stages()).map(|stage| self.patch_size.map(|edge| edge << stage)).collect()
    }

    fn beyond_encoder(&self) -> &'static [&'static str] {
        &["decoder_heads", "drop_path_rate", "deep_supervision", "recompute"]
    }

    fn check(&self, checker: &mut Checker) {
        let stages = self.stages();
        self.check_ranges("model", checker);
        checker.within("model.depths", &stages, 1..=6);
        checker.entries("model.num_heads", self.num_heads.len(), stages, "depths");
        checker.entries("model.window_size", self.window_size.len(), stages, "depths");
        checker.require(
            "model.decoder_heads",
            self.decoder_heads.is_empty() || self.decoder_heads.len() + 1 == stages,
            format_args!("needs {} entries, one for each skip level, or none", stages.saturating_sub(1)),
        );
        checker.require(
            "model.patch_size",
            self.patch_size.iter().all(|edge| edge % 2 == 0 && (2..=16).contains(edge)),
            format_args!(
                "is {:?}; the stem halves each axis once and divides by patch/2 next, so each edge is an even number of 2 to 16",
                self.patch_size
            ),
        );
        checker.heads_of_stages(&self.num_heads, stages, |stage| self.dim(stage));
    }
}
