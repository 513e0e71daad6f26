//! Down-sampling between stages: half the grid, twice the channels.

use std::sync::Arc;

use burn::module::Module;

use super::{Conv3d, Initialiser, LayerNorm, Linear, TokenGrid, gelu};
use crate::config::MergingOrder;
use crate::kernels::{Cache, MergeTables, PADDING, cells, concat_neighbours, recompute};

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

/// Swin Transformer's patch merging: eight neighbours side by side, layer norm, linear map without a bias.
///
/// It keeps its input alone for the backward pass: laying it side by side again is memory traffic, while the linear map is arithmetic.
#[derive(Module, Debug)]
pub struct TokenMerging {
    /// `8 dim -> 2 dim`.
    pub reduction: Linear,
    /// Before the linear map.
    pub norm: LayerNorm,
    #[module(skip)]
    order: MergingOrder,
}

impl TokenMerging {
    /// From `dim` to twice as many channels.
    pub fn init(dim: usize, order: MergingOrder, init: &Initialiser<'_>) -> Self {
        Self {
            reduction: Linear::init(8 * dim, 2 * dim, false, &init.at("reduction")),
            norm: LayerNorm::init(8 * dim, &init.at("norm")),
            order,
        }
    }

    /// Tokens of `dim` channels -> tokens of `2 dim` channels on half the grid, rounded up.
    pub fn forward(&self, input: TokenGrid) -> TokenGrid {
        let TokenGrid { tokens, grid } = input;
        let tables = merge_tables(self.order, grid);
        let [_, _, dim] = tokens.dims();
        let widest = tables.merged() * tables.parts * dim;
        let tokens = recompute(self, [tokens], widest, move |merging, [tokens], _| {
            merging.reduction.forward(merging.norm.forward(concat_neighbours(tokens, &tables)))
        });
        TokenGrid { tokens, grid: grid.map(|edge| edge.div_ceil(2)) }
    }
}

/// The eight neighbours `[D, H, W]` of a merged token in the order of their channels.
fn corners(order: MergingOrder) -> [[usize; 3]; 8] {
    match order {
        MergingOrder::Merging => [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]],
        MergingOrder::Paper => [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]],
        MergingOrder::MergingV2 => std::array::from_fn(|corner| [corner >> 2, corner >> 1 & 1, corner & 1]),
    }
}

/// For each merged token its eight tokens of `grid` in channel order, [`PADDING`] beyond an odd axis' end; computed once.
pub fn merge_tables(order: MergingOrder, grid: [usize; 3]) -> Arc<MergeTables> {
    static TABLES: Cache<(MergingOrder, [usize; 3]), MergeTables> = Cache::new();
    TABLES.get((order, grid), || {
        let corners = corners(order);
        let token = |cell: [usize; 3], corner: [usize; 3]| {
            let [d, h, w] = std::array::from_fn(|axis| 2 * cell[axis] + corner[axis]);
            let inside = d < grid[0] && h < grid[1] && w < grid[2];
            if inside { ((d * grid[1] + h) * grid[2] + w) as u32 } else { PADDING }
        };
        let merged = cells(grid.map(|edge| edge.div_ceil(2)));
        let sources = merged.flat_map(|cell| corners.map(|corner| token(cell, corner))).collect();
        MergeTables::new(corners.len(), sources, grid.iter().product())
    })
}
