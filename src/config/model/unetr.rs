//! UNETR's hyper-parameters and published sizes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BackboneConfig, Checker};

/// UNETR's hyper-parameters (arXiv:2103.10504), named as in MONAI where MONAI names them.
///
/// Channel and class counts are not here: they come from the dataset. The position code has one entry for each patch of
/// the training crop: a smaller volume is zero-padded to the crop, a larger one is cut into windows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnetrConfig {
    /// Voxels of one token in D,H,W; multiples of 8. Three levels of the decoder double the resolution, and the last
    /// makes up the rest.
    pub patch_size: [usize; 3],
    /// Channels of a token.
    pub hidden_size: usize,
    /// Hidden width of a block's perceptron.
    pub mlp_dim: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Transformer blocks. The skips are the outputs of the blocks a quarter, a half and three quarters down, counted
    /// from 0: of blocks 3, 6 and 9 of 12.
    pub num_layers: usize,
    /// Channels at full resolution; doubled by each coarser level of the decoder.
    pub feature_size: usize,
    /// Form of the map from patches to tokens.
    pub projection: PatchProjection,
    /// Where the position code comes from.
    pub position: PositionCode,
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
    /// A convolution block after each up-sampling of a skip, except the first.
    pub conv_block: bool,
    /// Convolution blocks with a shortcut.
    pub res_block: bool,
    /// Recompute activations block by block in the backward pass instead of keeping them:
    /// less memory, about a third more time.
    pub recompute: bool,
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

/// What tells a transformer where a token lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionCode {
    /// A trained vector for each place.
    Learned,
    /// Sines and cosines of the token's number, fixed: the form of the paper's released code.
    Sinusoid,
}

impl Default for UnetrConfig {
    fn default() -> Self {
        Self::small()
    }
}

impl UnetrConfig {
    /// Edges of a patch are multiples of this: three doublings lie between the tokens and the last decoder level.
    pub const PATCH_MULTIPLE: usize = 8;

    /// For 32³ crops: 64 tokens of 96 dimensions.
    pub fn small() -> Self {
        Self {
            patch_size: [8; 3],
            hidden_size: 96,
            mlp_dim: 384,
            num_heads: 6,
            num_layers: 8,
            feature_size: 8,
            projection: PatchProjection::Conv,
            position: PositionCode::Learned,
            qkv_bias: false,
            conv_block: true,
            res_block: true,
            recompute: false,
        }
    }

    /// As published, with the paper's patch for brain tumours (crop 128x128x128).
    /// Source: the defaults of MONAI's `UNETR`.
    pub fn tumour() -> Self {
        Self { patch_size: [16; 3], hidden_size: 768, mlp_dim: 3072, num_heads: 12, num_layers: 12, feature_size: 16, ..Self::small() }
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

    fn patch_size(&self) -> [usize; 3] {
        self.patch_size
    }

    fn total_stride(&self) -> [usize; 3] {
        self.patch_size
    }

    fn stage_strides(&self) -> Vec<[usize; 3]> {
        // The three skips and the last tokens lie on one grid.
        vec![self.patch_size; self.skip_blocks().len() + 1]
    }

    fn takes_visible_patches(&self) -> bool {
        true
    }

    fn encoder_settings(&self, crop_size: [usize; 3]) -> Value {
        // Every field by name: a new one has to say here whether it changes what the encoder computes.
        let Self {
            patch_size,
            hidden_size,
            mlp_dim,
            num_heads,
            num_layers,
            projection,
            position,
            qkv_bias,
            feature_size: _,
            conv_block: _,
            res_block: _,
            recompute: _,
        } = self;
        json!({
            "patch_size": patch_size,
            "hidden_size": hidden_size,
            "mlp_dim": mlp_dim,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "projection": projection,
            "position": position,
            "qkv_bias": qkv_bias,
            "crop_size in patches": self.grid(crop_size),
        })
    }

    fn check(&self, checker: &mut Checker) {
        checker.require(
            "model.patch_size",
            self.patch_size.iter().all(|edge| edge.is_multiple_of(Self::PATCH_MULTIPLE) && (8..=64).contains(edge)),
            format_args!(
                "is {:?}; three decoder levels double the resolution and the last makes up the rest, so each edge is a multiple of {} up to 64",
                self.patch_size,
                Self::PATCH_MULTIPLE
            ),
        );
        checker.range("model.hidden_size", self.hidden_size, 1..=8192);
        checker.range("model.mlp_dim", self.mlp_dim, 1..=32_768);
        checker.range("model.num_layers", self.num_layers, 1..=64);
        checker.range("model.feature_size", self.feature_size, 1..=512);
        checker.heads("model.num_heads", "", self.num_heads, self.hidden_size);
    }
}
