//! Down-sampling between stages: half the grid, twice the channels.

use burn::module::Module;

use super::{Conv3d, Initialiser, LayerNorm, TokenGrid, gelu};
use crate::kernels::{PADDING, cells};

/// nnFormer's patch merging: GELU, layer norm, 3x3x3 convolution with stride 2.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// `dim -> 2 dim`, stride 2.
    pub reduction: Conv3d,
    /// Before the convolution.
    pub norm: LayerNorm,
}

impl PatchMerging {
    /// From `dim` to twice as many channels.
    pub fn init(dim: usize, init: &Initialiser<'_>) -> Self {
        Self { reduction: Conv3d::init(dim, 2 * dim, [2; 3], &init.at("reduction")), norm: LayerNorm::init(dim, &init.at("norm")) }
    }

    /// Tokens of `dim` channels -> tokens of `2 dim` channels on half the grid, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        let tokens = self.norm.forward(gelu(input.tokens));
        self.reduction.forward(TokenGrid { tokens, grid: input.grid })
    }
}

/// The order in which MONAI's Swin Transformer concatenates the channels of eight neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergingOrder {
    /// `PatchMerging` since MONAI 1.5: by the number of steps away from the origin.
    V1,
    /// `PatchMerging` before: two corners twice and two never, a mistake that released weights were trained with.
    V1Before1_5,
    /// `PatchMergingV2`: row-major.
    V2,
}

impl MergingOrder {
    /// Corners `[D, H, W]` in the order of the concatenated channels.
    fn corners(self) -> [[usize; 3]; 8] {
        match self {
            Self::V1 => [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]],
            Self::V1Before1_5 => [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]],
            Self::V2 => std::array::from_fn(|corner| [corner >> 2, corner >> 1 & 1, corner & 1]),
        }
    }

    /// For each merged token its eight tokens of `grid` in channel order; [`PADDING`] beyond an odd axis' end.
    pub fn gather(self, grid: [usize; 3]) -> Vec<[u32; 8]> {
        let merged = grid.map(|edge| edge.div_ceil(2));
        let corners = self.corners();
        cells(merged)
            .map(|cell| {
                corners.map(|corner| {
                    let [d, h, w] = std::array::from_fn(|axis| 2 * cell[axis] + corner[axis]);
                    let inside = d < grid[0] && h < grid[1] && w < grid[2];
                    if inside { ((d * grid[1] + h) * grid[2] + w) as u32 } else { PADDING }
                })
            })
            .collect()
    }
}
