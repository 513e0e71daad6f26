//! Sums over long axes, in double precision.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::vectorised;
use super::tensor::{contiguous, elements, task_rows, tensor};

/// Numbers of one column added up side by side.
const STRANDS: usize = 8;

vectorised! {
    fn sums<'a>(rows: &'a [f32], columns: usize) -> Vec<f64> {
        if columns == 1 {
            let (blocks, rest) = rows.as_chunks::<STRANDS>();
            let mut strands = [0.0_f64; STRANDS];
            for block in blocks {
                for (strand, &value) in strands.iter_mut().zip(block) {
                    *strand += f64::from(value);
                }
            }
            return vec![strands.iter().sum::<f64>() + rest.iter().map(|&value| f64::from(value)).sum::<f64>()];
        }
        let mut sums = vec![0.0; columns];
        for row in rows.chunks_exact(columns) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        sums
    }
}

/// `[batch, rows, columns]` -> `[batch, 1, columns]`.
pub fn sum_rows(x: Tensor<3>) -> Tensor<3> {
    let [batch, rows, columns] = x.dims();
    let x = contiguous(x);
    // What the tasks found is added in order.
    let task = task_rows(columns) * columns;
    let sample = |rows: &[f32]| -> Vec<f32> {
        if rows.len() <= task {
            return sums(rows, columns).into_iter().map(|sum| sum as f32).collect();
        }
        let parts: Vec<Vec<f64>> = rows.par_chunks(task).map(|rows| sums(rows, columns)).collect();
        (0..columns).map(|column| parts.iter().map(|part| part[column]).sum::<f64>() as f32).collect()
    };
    let size = rows * columns;
    let sums = if size == 0 { vec![0.0; batch * columns] } else { elements(&x).par_chunks_exact(size).flat_map_iter(sample).collect() };
    tensor(sums, [batch, 1, columns])
}
