//! Down-sampling between stages: half the grid, twice the channels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;

use super::{Conv3d, Initialiser, LayerNorm, Linear, TokenGrid, gelu};
use crate::config::MergingOrder;
use crate::kernels::{self, MergeTables, MergeTensors, PADDING, cells};

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
        let tensors = MergeTensors {
            x: tokens.into_dispatch(),
            norm_weight: self.norm.weight.val().into_dispatch(),
            norm_bias: self.norm.bias.val().into_dispatch(),
            weight: self.reduction.weight.val().into_dispatch(),
        };
        let tokens = kernels::merge_tokens(tensors, &merge_tables(self.order, grid));
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
    type Key = (MergingOrder, [usize; 3]);
    static TABLES: Mutex<Option<HashMap<Key, Arc<MergeTables>>>> = Mutex::new(None);
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = tables.get_or_insert_default().entry((order, grid));
    Arc::clone(entry.or_insert_with(|| {
        let corners = corners(order);
        let token = |cell: [usize; 3], corner: [usize; 3]| {
            let [d, h, w] = std::array::from_fn(|axis| 2 * cell[axis] + corner[axis]);
            let inside = d < grid[0] && h < grid[1] && w < grid[2];
            if inside { ((d * grid[1] + h) * grid[2] + w) as u32 } else { PADDING }
        };
        let merged = cells(grid.map(|edge| edge.div_ceil(2)));
        let sources = merged.flat_map(|cell| corners.map(|corner| token(cell, corner))).collect();
        Arc::new(MergeTables::new(corners.len(), sources, grid.iter().product()))
    }))
}
