//! A plain vision transformer's stem: each patch of a volume becomes a token that carries the code of its place.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use super::token_grid::patches;
use super::{Initialiser, Linear, PatchConv, Scheme};
use crate::config::{PatchProjection, PositionCode};

/// Patches to tokens: one linear map, and a code for each place of the patch grid.
#[derive(Module, Debug)]
pub struct PatchTokens {
    /// Voxels of a patch to the channels of a token.
    pub patch_embeddings: PatchMap,
    /// Added to the tokens.
    pub position_embeddings: PositionTable,
    #[module(skip)]
    patch: [usize; 3],
    #[module(skip)]
    grid: [usize; 3],
}

/// The linear map from a patch's voxels to a token. Both forms compute the same; the order of the voxels differs.
#[derive(Module, Debug)]
pub enum PatchMap {
    /// A convolution whose kernel is its stride.
    Conv(PatchConv),
    /// A linear map of the voxels in the order D,H,W,channel.
    Perceptron(Linear),
}

/// A code for each place of the patch grid, `[1, tokens, dim]`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value lives in a network")]
pub enum PositionTable {
    /// Trained.
    Learned(Param<Tensor<3>>),
    /// [`sinusoids`].
    Sinusoid(Tensor<3>),
}

/// Sizes of [`PatchTokens`].
#[derive(Clone, Copy, Debug)]
pub struct PatchTokensConfig {
    /// Voxels of a patch along D,H,W.
    pub patch: [usize; 3],
    /// Patches along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a volume.
    pub channels: usize,
    /// Channels of a token.
    pub dim: usize,
    /// Form of the linear map.
    pub projection: PatchProjection,
    /// Where the position code comes from.
    pub position: PositionCode,
}

impl PatchTokens {
    /// A convolution starts as PyTorch's default, a perceptron as a transformer's layer: as in MONAI.
    pub fn init(config: &PatchTokensConfig, init: &Initialiser<'_>) -> Self {
        let PatchTokensConfig { patch, grid, channels, dim, projection, position } = *config;
        let [d, h, w] = patch;
        let (width, tokens) = (channels * d * h * w, grid.iter().product());
        let at = init.at("patch_embeddings");
        Self {
            patch_embeddings: match projection {
                PatchProjection::Conv => PatchMap::Conv(PatchConv::init(channels, patch, dim, &at)),
                PatchProjection::Perceptron => PatchMap::Perceptron(Linear::init(width, dim, true, &at.with(Scheme::TruncatedNormal))),
            },
            position_embeddings: match position {
                PositionCode::Learned => PositionTable::Learned(init.truncated_normal("position_embeddings", [1, tokens, dim])),
                PositionCode::Sinusoid => {
                    PositionTable::Sinusoid(Tensor::from_data(TensorData::new(sinusoids(tokens, dim), [1, tokens, dim]), init.device()))
                }
            },
            patch,
            grid,
        }
    }

    /// Channels of a token.
    pub fn dim(&self) -> usize {
        match &self.patch_embeddings {
            PatchMap::Conv(conv) => conv.weight.lazy_shape().to_vec()[4],
            PatchMap::Perceptron(linear) => linear.weight.lazy_shape().to_vec()[1],
        }
    }

    /// Voxels of a patch along D,H,W.
    pub fn patch(&self) -> [usize; 3] {
        self.patch
    }

    /// Whether the linear map is a [`PatchMap::Perceptron`].
    pub fn is_perceptron(&self) -> bool {
        matches!(self.patch_embeddings, PatchMap::Perceptron(_))
    }

    /// Patches along D,H,W that have a position code: a volume has so many.
    pub fn grid(&self) -> [usize; 3] {
        self.grid
    }

    /// `[batch, channel, depth, height, width]` of the grid's size -> `[batch, tokens, dim]`.
    pub fn forward(&self, volume: Tensor<5>) -> Tensor<3> {
        let table = self.position_embeddings.table().cast(volume.dtype());
        self.patch_embeddings.forward(self.patches(volume)) + table
    }

    /// The same for some of the patches alone: `visible` `[batch, kept]`, numbers of tokens -> `[batch, kept, dim]`.
    ///
    /// The voxels of the others are not read.
    pub fn forward_visible(&self, volume: Tensor<5>, visible: Tensor<2, Int>) -> Tensor<3> {
        let [batch, kept] = visible.dims();
        let patches = self.patches(volume);
        let [_, tokens, width] = patches.dims();
        let first = Tensor::<1, Int>::arange(0..batch as i64, &visible.device()).mul_scalar(tokens as i64).reshape([batch, 1]);
        let rows = (visible.clone() + first).reshape([batch * kept]);
        let patches: Tensor<3> = patches.reshape([batch * tokens, width]).select(0, rows).reshape([batch, kept, width]);
        let table = self.position_embeddings.table();
        let [_, _, dim] = table.dims();
        let codes = table.reshape([tokens, dim]).select(0, visible.reshape([batch * kept])).reshape([batch, kept, dim]);
        self.patch_embeddings.forward(patches) + codes
    }

    /// `[batch, tokens, voxels of a patch]`, tokens row-major over D,H,W, voxels in the order of the linear map.
    fn patches(&self, volume: Tensor<5>) -> Tensor<3> {
        patches(volume, self.patch, self.is_perceptron()).tokens
    }
}

impl PatchMap {
    fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Conv(conv) => conv.forward(patches),
            Self::Perceptron(linear) => linear.forward(patches),
        }
    }
}

impl PositionTable {
    /// `[1, tokens, dim]`.
    pub fn table(&self) -> Tensor<3> {
        match self {
            Self::Learned(table) => table.val(),
            Self::Sinusoid(table) => table.clone(),
        }
    }
}

/// `[tokens, dim]`: with `t` the number of the token, `sin(t / 10000^(j/dim))` in even columns `j`, and the cosine of
/// the same in the column after it.
pub fn sinusoids(tokens: usize, dim: usize) -> Vec<f32> {
    let value = |token: usize, column: usize| {
        let angle = token as f64 / 10000_f64.powf((column - column % 2) as f64 / dim as f64);
        (if column.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    (0..tokens).flat_map(|token| (0..dim).map(move |column| value(token, column))).collect()
}
