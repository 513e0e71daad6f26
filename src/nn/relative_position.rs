//! Rows of the relative position bias table for each pair of tokens of a window.

use crate::kernels::cells;

/// How a reference turns an offset between two tokens into a table row.
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
    let window = if let PositionIndex::FirstOf(full) = kind { full } else { window };
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
