//! The windows of an attention, and the row of the bias table for each pair of their tokens.

use std::sync::Arc;

use crate::kernels::{Cache, WindowTables, cells};

/// How a reference makes a table row of the offset between two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PositionIndex {
    /// nnFormer: the D stride is `3w - 1` instead of `(2w - 1)²`, so that different offsets share a row and the
    /// table's upper rows stay unused. Kept, because published weights were trained with it.
    NnFormer,
    /// Swin Transformer and MONAI: one row for each offset.
    OneToOne,
    /// MONAI in a window that was clamped to a small grid: the rows that as many FIRST tokens of the full window (given here)
    /// have among themselves. Where an axis but the first was clamped, that is not the geometry of the clamped window.
    /// Kept, because published weights were trained with it; the same as [`Self::OneToOne`] in the full window.
    FirstOf([usize; 3]),
}

/// Rows of the bias table of a window: one for each offset along each axis.
pub fn table_rows(window: [usize; 3]) -> usize {
    window.iter().map(|edge| 2 * edge - 1).product()
}

/// `[tokens, tokens]` (query by key, tokens row-major in D,H,W): the table row of each pair.
pub fn relative_position_index(kind: PositionIndex, window: [usize; 3]) -> Vec<u32> {
    let tokens = window.iter().product();
    let window = kind.full(window);
    let [_, height, width] = window;
    let strides = match kind {
        PositionIndex::NnFormer => [3 * height - 1, 2 * height - 1, 1],
        PositionIndex::OneToOne | PositionIndex::FirstOf(_) => [(2 * height - 1) * (2 * width - 1), 2 * width - 1, 1],
    };
    let row = |query: [usize; 3], key: [usize; 3]| {
        (0..3).map(|axis| (query[axis] + window[axis] - 1 - key[axis]) * strides[axis]).sum::<usize>() as u32
    };
    cells(window).take(tokens).flat_map(|query| cells(window).take(tokens).map(move |key| row(query, key))).collect()
}

impl PositionIndex {
    /// The window that the bias table is made for.
    fn full(self, window: [usize; 3]) -> [usize; 3] {
        if let Self::FirstOf(full) = self { full } else { window }
    }
}

/// The window and shift of MONAI's Swin Transformer: an axis of the grid that is no longer than the window is spanned by it,
/// and not shifted. The others are shifted by half a window if `shifted`.
pub fn clamped_window(grid: [usize; 3], window: [usize; 3], shifted: bool) -> ([usize; 3], [usize; 3]) {
    let clamped = std::array::from_fn(|axis| window[axis].min(grid[axis]));
    let shift = std::array::from_fn(|axis| if shifted && window[axis] < grid[axis] { window[axis] / 2 } else { 0 });
    (clamped, shift)
}

/// The tables of a [`clamped_window`].
///
/// # Panics
/// If the grid or the window is empty along an axis.
pub fn clamped_window_tables(grid: [usize; 3], window: [usize; 3], shifted: bool) -> Arc<WindowTables> {
    let (clamped, shift) = clamped_window(grid, window, shifted);
    window_tables(grid, clamped, shift, PositionIndex::FirstOf(window))
}

/// What an attention over these windows needs to know, computed once and shared by all blocks and steps.
///
/// # Panics
/// As [`WindowTables::new`].
pub fn window_tables(grid: [usize; 3], window: [usize; 3], shift: [usize; 3], index: PositionIndex) -> Arc<WindowTables> {
    static TABLES: Cache<([[usize; 3]; 3], PositionIndex), WindowTables> = Cache::new();
    let key = [grid, window, shift];
    TABLES.get((key, index), || WindowTables::new(key, relative_position_index(index, window), table_rows(index.full(window))))
}
