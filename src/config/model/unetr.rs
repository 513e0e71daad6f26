//! UNETR's hyper-parameters and published sizes.

use serde::{Deserialize, Serialize};

use super::{BackboneConfig, Checker, Settings as _, settings};

settings! {
    /// UNETR's hyper-parameters (arXiv:2103.10504), named as in MONAI where MONAI names them. The default is for 32³ crops: 64 tokens of
    /// 96 dimensions.
    ///
    /// Channel and class counts are not here: they come from the dataset. The position code has one entry for each patch of
    /// the training crop: a smaller volume is zero-padded to the crop, a larger one is cut into windows of it.
    pub struct UnetrConfig {
        /// Voxels of one token in D,H,W; multiples of 8. Three levels of the decoder double the resolution, and the last
        /// makes up the rest.
        patch_size: [usize; 3] = [8; 3];
        /// Channels of a token.
        hidden_size: usize = 96, in 1..=8192;
        /// Hidden width of a block's perceptron.
        mlp_dim: usize = 384, in 1..=32_768;
        /// Attention heads.
        num_heads: usize = 6;
        /// Transformer blocks. The skips are the outputs of the blocks a quarter, a half and three quarters down, counted
        /// from 0: of blocks 3, 6 and 9 of 12.
        num_layers: usize = 8, in 1..=64;
        /// Channels at full resolution; doubled by each coarser level of the decoder.
        feature_size: usize = 8, in 1..=512;
        /// Form of the map from patches to tokens.
        projection: PatchProjection = PatchProjection::Conv;
        /// Where the position code comes from.
        position: PositionCode = PositionCode::Learned;
        /// Bias on queries, keys and values.
        qkv_bias: bool = false;
        /// A convolution block after each up-sampling of a skip, except the first.
        conv_block: bool = true;
        /// Convolution blocks with a shortcut.
        res_block: bool = true;
        /// Predict at every decoder level (losses weighted 8/15, 4/15, 2/15, 1/15) instead of the finest alone, as published.
        deep_supervision: bool = false;
        /// Recompute activations block by block in the backward pass instead of keeping them:
        /// less memory, about a third more time.
        recompute: bool = false;
    }
}

/// The map from a patch's voxels to a token. Both forms compute the same; initial weights and file layouts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchProjection {
    /// A convolution whose kernel is its stride.
    Conv,
    /// A linear map of the voxels in the order D,H,W,channel.
    Perceptron,
}

/// How a transformer knows where a token lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionCode {
    /// A trained vector for each place.
    Learned,
    /// Sines and cosines of the token's number, fixed: the form of the paper's released code.
    Sinusoid,
}

impl UnetrConfig {
    /// Edges of a patch are multiples of this: three doublings lie between the tokens and the last decoder level.
    pub const PATCH_MULTIPLE: usize = 8;

    /// As published, with the paper's patch for brain tumours (crop 128x128x128).
    /// Source: the defaults of MONAI's `UNETR`.
    pub fn tumour() -> Self {
        Self { patch_size: [16; 3], hidden_size: 768, mlp_dim: 3072, num_heads: 12, num_layers: 12, feature_size: 16, ..Self::default() }
    }

    /// The same with the paper's patch for Synapse (crop 64x128x128).
    pub fn synapse() -> Self {
        Self { patch_size: [8, 16, 16], ..Self::tumour() }
    }

    /// Patches along D,H,W of a volume of `size`, the last ones zero-padded.
    pub fn grid(&self, size: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| size[axis].div_ceil(self.patch_size[axis]))
    }

    /// The blocks whose outputs are skips, counted from 0, in the order they run: of 12 blocks 3, 6 and 9.
    pub fn skip_blocks(&self) -> [usize; 3] {
        [1, 2, 3].map(|quarter| self.num_layers * quarter / 4)
    }

    /// What the decoder's last level up-samples by along D,H,W.
    pub fn last_factor(&self) -> [usize; 3] {
        self.patch_size.map(|edge| edge / Self::PATCH_MULTIPLE)
    }
}

impl BackboneConfig for UnetrConfig {
    fn title(&self) -> &'static str {
        "UNETR"
    }

    fn source(&self) -> &'static str {
        "Hatamizadeh et al.: UNETR: Transformers for 3D Medical Image Segmentation, arXiv:2103.10504."
    }

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        // The three skips and the last tokens lie on one grid.
        vec![self.patch_size; self.skip_blocks().len() + 1]
    }

    fn takes_visible_patches(&self) -> bool {
        true
    }

    fn beyond_encoder(&self) -> &'static [&'static str] {
        &["feature_size", "conv_block", "res_block", "deep_supervision", "recompute"]
    }

    fn crop_setting(&self, crop_size: [usize; 3]) -> Option<(&'static str, [usize; 3])> {
        Some(("crop_size in patches", self.grid(crop_size)))
    }

    fn check(&self, checker: &mut Checker) {
        self.check_ranges("model", checker);
        checker.require(
            "model.patch_size",
            self.patch_size.iter().all(|edge| edge.is_multiple_of(Self::PATCH_MULTIPLE) && (8..=64).contains(edge)),
            format_args!(
                "is {:?}; three decoder levels double the resolution and the last makes up the rest, so each edge is a multiple of {} up to 64",
                self.patch_size,
                Self::PATCH_MULTIPLE
            ),
        );
        checker.heads("model.num_heads", "", self.num_heads, self.hidden_size);
    }
}
