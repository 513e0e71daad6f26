//! Small matrix products inside a task, where a call of the matrix library would cost more than the product.

use super::simd::{LANES, multiply_add};

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
pub(super) fn product<const FUSED: bool>(out: &mut [f32], left: Strided<'_>, right: &[f32], extents: Extents) {
    let Extents { rows, inner, columns } = extents;
    for first in (0..rows).step_by(ROWS) {
        for column in (0..columns).step_by(LANES) {
            let mut sums = [[0.0_f32; LANES]; ROWS];
            for at in 0..inner {
                let right: &[f32; LANES] = right[at * columns + column..][..LANES].try_into().expect("as many as lanes");
                for (row, sums) in sums.iter_mut().enumerate() {
                    // Rows beyond the last repeat it and are not stored.
                    let factor = left.values[(first + row).min(rows - 1) * left.row + at * left.column];
                    *sums = std::array::from_fn(|lane| multiply_add::<FUSED>(factor, right[lane], sums[lane]));
                }
            }
            for (row, sums) in (first..rows).zip(&sums) {
                out[row * columns + column..][..LANES].copy_from_slice(sums);
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
        product::<false>(&mut out, strided, &right, Extents { rows, inner, columns });
        for i in 0..rows {
            for j in 0..columns {
                let wanted: f32 = (0..inner).map(|k| left[i + k * rows] * right[k * columns + j]).sum();
                assert_eq!(out[i * columns + j], wanted);
            }
        }
    }
}
