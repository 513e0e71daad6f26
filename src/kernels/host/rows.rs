//! Pointwise and row-wise operations.

use rayon::prelude::*;

use super::simd::{normal, sum, vectorised};
use super::{HostTensor, contiguous, elements, tensor};
use crate::kernels::layer_norm::EPSILON;

/// Elements of one parallel task.
const TASK_ELEMENTS: usize = 16 << 10;

/// Rows whose contributions to a sum over rows are added up first.
const SUM_ROWS: usize = 256;

fn shaped(values: Vec<f32>, like: &HostTensor) -> HostTensor {
    let flat = values.len();
    tensor(values, [flat]).reshape(like.layout().shape().clone())
}

/// `x Φ(x)`.
pub fn gelu(x: HostTensor) -> HostTensor {
    let x = contiguous(x);
    let mut out = vec![0.0; elements(&x).len()];
    let tasks = out.par_chunks_mut(TASK_ELEMENTS).zip(elements(&x).par_chunks(TASK_ELEMENTS));
    tasks.for_each(|(out, x)| {
        vectorised(|| {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = x * normal(x).0;
            }
        });
    });
    shaped(out, &x)
}

/// `grad (Φ(x) + x φ(x))`.
pub fn gelu_gradient(x: HostTensor, grad: HostTensor) -> HostTensor {
    let (x, grad) = (contiguous(x), contiguous(grad));
    let mut out = vec![0.0; elements(&x).len()];
    let inputs = elements(&x).par_chunks(TASK_ELEMENTS).zip(elements(&grad).par_chunks(TASK_ELEMENTS));
    out.par_chunks_mut(TASK_ELEMENTS).zip(inputs).for_each(|(out, (x, grad))| {
        vectorised(|| {
            for ((out, &x), &grad) in out.iter_mut().zip(x).zip(grad) {
                let (cdf, density) = normal(x);
                *out = grad * (cdf + x * density);
            }
        });
    });
    shaped(out, &x)
}

/// Mean, and the factor that brings the variance to 1.
#[inline(always)]
fn statistics(row: &[f32]) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, row, |x, _| x) / count;
    let variance = sum(row, row, |x, _| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

/// See [`crate::kernels::layer_norm`].
pub fn layer_norm(x: HostTensor, weight: HostTensor, bias: HostTensor) -> HostTensor {
    let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
    let (weight, bias) = (elements(&weight), elements(&bias));
    let dim = weight.len();
    let mut out = vec![0.0; elements(&x).len()];
    let task = (TASK_ELEMENTS / dim).max(1) * dim;
    out.par_chunks_mut(task).zip(elements(&x).par_chunks(task)).for_each(|(out, x)| {
        vectorised(|| {
            for (out, x) in out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                let (mean, factor) = statistics(x);
                for (((out, &x), &weight), &bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                    *out = (x - mean) * factor * weight + bias;
                }
            }
        });
    });
    shaped(out, &x)
}

/// Gradients with respect to input, weight and bias.
pub fn layer_norm_gradients(x: HostTensor, weight: HostTensor, grad: HostTensor) -> [HostTensor; 3] {
    let (x, weight, grad) = (contiguous(x), contiguous(weight), contiguous(grad));
    let weights = elements(&weight);
    let dim = weights.len();
    let mut out = vec![0.0; elements(&x).len()];
    let task = SUM_ROWS * dim;
    let inputs = elements(&x).par_chunks(task).zip(elements(&grad).par_chunks(task));
    let tasks = out.par_chunks_mut(task).zip(inputs);
    let sums: Vec<Vec<f32>> = tasks.map(|(out, (x, grad))| vectorised(|| layer_norm_rows(out, x, grad, weights))).collect();
    let mut total = add_up(&sums, 2 * dim);
    let bias = total.split_off(dim);
    [shaped(out, &x), tensor(total, [dim]), tensor(bias, [dim])]
}

/// Input gradients of some rows into `out`; their contributions to the weight's and the bias's gradients.
#[inline(always)]
fn layer_norm_rows(out: &mut [f32], x: &[f32], grad: &[f32], weights: &[f32]) -> Vec<f32> {
    let dim = weights.len();
    let mut sums = vec![0.0; 2 * dim];
    let (weight_sums, bias_sums) = sums.split_at_mut(dim);
    for ((out, x), grad) in out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).zip(grad.chunks_exact(dim)) {
        let (mean, factor) = statistics(x);
        for ((out, &grad), &weight) in out.iter_mut().zip(grad).zip(weights) {
            *out = grad * weight;
        }
        let offset = sum(out, x, |scaled, _| scaled) / dim as f32;
        let along = sum(out, x, |scaled, x| scaled * (x - mean) * factor) / dim as f32;
        for (out, &x) in out.iter_mut().zip(x) {
            *out = (*out - offset - (x - mean) * factor * along) * factor;
        }
        for (((weight_sum, bias_sum), &grad), &x) in weight_sums.iter_mut().zip(&mut *bias_sums).zip(grad).zip(x) {
            *weight_sum += grad * (x - mean) * factor;
            *bias_sum += grad;
        }
    }
    sums
}

/// The elementwise total, in order.
fn add_up(parts: &[Vec<f32>], length: usize) -> Vec<f32> {
    let mut total = vec![0.0; length];
    for part in parts {
        for (total, &part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

/// Sum over the rows of `[rows, columns]`.
pub fn column_sums(rows: HostTensor) -> HostTensor {
    let rows = contiguous(rows);
    let columns = rows.layout().shape()[1];
    let sums = |rows: &[f32]| {
        vectorised(|| {
            let mut sums = vec![0.0; columns];
            for row in rows.chunks_exact(columns) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })
    };
    let parts: Vec<Vec<f32>> = elements(&rows).par_chunks(SUM_ROWS * columns).map(sums).collect();
    tensor(add_up(&parts, columns), [columns])
}

/// `rows` `[rows, columns]` plus `bias`, in place where no one else holds `rows`.
pub fn add_bias(rows: HostTensor, bias: HostTensor) -> HostTensor {
    let (mut rows, bias) = (contiguous(rows), contiguous(bias));
    let bias = elements(&bias);
    let task = (TASK_ELEMENTS / bias.len()).max(1) * bias.len();
    rows.storage_mut::<f32>().par_chunks_mut(task).for_each(|rows| {
        vectorised(|| {
            for row in rows.chunks_exact_mut(bias.len()) {
                for (value, &bias) in row.iter_mut().zip(bias) {
                    *value += bias;
                }
            }
        });
    });
    rows
}
