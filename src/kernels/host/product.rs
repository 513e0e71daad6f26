//! Small matrix products inside a task, where a call of the matrix library would cost more than the product.

use super::simd::LANES;

/// Rows of the result worked on together; with [`LANES`] columns they fill the vector registers.
const ROWS: usize = 8;

/// A matrix in a slice, addressed by strides.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Sizes of a product: `rows x inner` times `inner x columns`.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    pub(super) rows: usize,
    pub(super) inner: usize,
    /// Row length of the right factor and of the result, a multiple of [`LANES`].
    pub(super) columns: usize,
}

/// `out = left right`; `right` `[inner, columns]` and `out` `[rows, columns]` lie row by row.
#[inline(always)]
pub(super) fn product(out: &mut [f32], left: Strided<'_>, right: &[f32], extents: Extents, packed: &mut Vec<f32>) {
    let Extents { rows, inner, columns } = extents;
    packed.resize(inner * ROWS, 0.0);
    for (block, out) in out.chunks_mut(ROWS * columns).enumerate().take(rows.div_ceil(ROWS)) {
        let first = block * ROWS;
        let count = ROWS.min(rows - first);
        for (at, packed) in packed.chunks_exact_mut(ROWS).enumerate() {
            for (row, packed) in packed.iter_mut().enumerate() {
                *packed = if row < count { left.values[(first + row) * left.row + at * left.column] } else { 0.0 };
            }
        }
        for column in (0..columns).step_by(LANES) {
            let mut sums = [[0.0_f32; LANES]; ROWS];
            for (packed, right) in packed.chunks_exact(ROWS).zip(right.chunks_exact(columns)) {
                let right = &right[column..column + LANES];
                for (sums, &factor) in sums.iter_mut().zip(packed) {
                    for (sum, &right) in sums.iter_mut().zip(right) {
                        *sum += factor * right;
                    }
                }
            }
            for (out, sums) in out.chunks_exact_mut(columns).zip(&sums) {
                out[column..column + LANES].copy_from_slice(sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Extents, LANES, Strided, product};

    #[test]
    fn a_product_equals_its_sums() {
        let (rows, inner, columns) = (11, 5, 2 * LANES);
        let left: Vec<f32> = (0..rows * inner).map(|v| v as f32 % 7.0 - 3.0).collect();
        let right: Vec<f32> = (0..inner * columns).map(|v| v as f32 % 5.0 - 2.0).collect();
        // Stored by columns: element (i, k) at i + k * rows.
        let strided = Strided { values: &left, row: 1, column: rows };
        let mut out = vec![f32::NAN; rows * columns];
        product(&mut out, strided, &right, Extents { rows, inner, columns }, &mut Vec::new());
        for i in 0..rows {
            for j in 0..columns {
                let wanted: f32 = (0..inner).map(|k| left[i + k * rows] * right[k * columns + j]).sum();
                assert_eq!(out[i * columns + j], wanted);
            }
        }
    }
}
