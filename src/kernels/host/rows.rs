//! Pointwise and row-wise operations.

use rayon::prelude::*;

use super::simd::{Vectorised, normal, sum, vectorised};
use super::{HostTensor, alone, contiguous, elements, tensor};
use crate::kernels::layer_norm::EPSILON;

/// Elements of one parallel task.
const TASK_ELEMENTS: usize = 16 << 10;

/// Rows whose contributions to a sum over rows are added up first.
const SUM_ROWS: usize = 256;

fn shaped(values: Vec<f32>, like: &HostTensor) -> HostTensor {
    let flat = values.len();
    tensor(values, [flat]).reshape(like.layout().shape().clone())
}

struct Gelu<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
}

impl Vectorised for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = x * normal(x).0;
        }
    }
}

struct GeluGradient<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    grad: &'a [f32],
}

impl Vectorised for GeluGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, &x), &grad) in self.out.iter_mut().zip(self.x).zip(self.grad) {
            let (cdf, density) = normal(x);
            *out = grad * (cdf + x * density);
        }
    }
}

/// `x Φ(x)`.
pub fn gelu(x: HostTensor) -> HostTensor {
    let x = contiguous(x);
    let mut out = vec![0.0; elements(&x).len()];
    let tasks = out.par_chunks_mut(TASK_ELEMENTS).zip(elements(&x).par_chunks(TASK_ELEMENTS));
    tasks.for_each(|(out, x)| vectorised(Gelu { out, x }));
    shaped(out, &x)
}

/// `grad (Φ(x) + x φ(x))`.
pub fn gelu_gradient(x: HostTensor, grad: HostTensor) -> HostTensor {
    let (x, grad) = (contiguous(x), contiguous(grad));
    let mut out = vec![0.0; elements(&x).len()];
    let inputs = elements(&x).par_chunks(TASK_ELEMENTS).zip(elements(&grad).par_chunks(TASK_ELEMENTS));
    let tasks = out.par_chunks_mut(TASK_ELEMENTS).zip(inputs);
    tasks.for_each(|(out, (x, grad))| vectorised(GeluGradient { out, x, grad }));
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

struct LayerNorm<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

impl Vectorised for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let dim = self.weight.len();
        for (out, x) in self.out.chunks_exact_mut(dim).zip(self.x.chunks_exact(dim)) {
            let (mean, factor) = statistics(x);
            for (((out, &x), &weight), &bias) in out.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                *out = (x - mean) * factor * weight + bias;
            }
        }
    }
}

/// See [`crate::kernels::layer_norm`].
pub fn layer_norm(x: HostTensor, weight: HostTensor, bias: HostTensor) -> HostTensor {
    let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
    let (weight, bias) = (elements(&weight), elements(&bias));
    let mut out = vec![0.0; elements(&x).len()];
    let task = (TASK_ELEMENTS / weight.len()).max(1) * weight.len();
    let tasks = out.par_chunks_mut(task).zip(elements(&x).par_chunks(task));
    tasks.for_each(|(out, x)| vectorised(LayerNorm { out, x, weight, bias }));
    shaped(out, &x)
}

/// Input gradients of some rows into `out`; returns their contributions to the weight's and the bias's gradients.
struct LayerNormGradients<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    grad: &'a [f32],
    weight: &'a [f32],
}

impl Vectorised for LayerNormGradients<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let dim = self.weight.len();
        let mut sums = vec![0.0; 2 * dim];
        let (weight_sums, bias_sums) = sums.split_at_mut(dim);
        let rows = self.out.chunks_exact_mut(dim).zip(self.x.chunks_exact(dim)).zip(self.grad.chunks_exact(dim));
        for ((out, x), grad) in rows {
            let (mean, factor) = statistics(x);
            for ((out, &grad), &weight) in out.iter_mut().zip(grad).zip(self.weight) {
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
}

/// Gradients with respect to input, weight and bias.
pub fn layer_norm_gradients(x: HostTensor, weight: HostTensor, grad: HostTensor) -> [HostTensor; 3] {
    let (x, weight, grad) = (contiguous(x), contiguous(weight), contiguous(grad));
    let dim = elements(&weight).len();
    let mut out = vec![0.0; elements(&x).len()];
    let task = SUM_ROWS * dim;
    let inputs = elements(&x).par_chunks(task).zip(elements(&grad).par_chunks(task));
    let tasks = out.par_chunks_mut(task).zip(inputs);
    let sums: Vec<Vec<f32>> =
        tasks.map(|(out, (x, grad))| vectorised(LayerNormGradients { out, x, grad, weight: elements(&weight) })).collect();
    let mut total = add_up(&sums, 2 * dim);
    let bias = total.split_off(dim);
    [shaped(out, &x), tensor(total, [dim]), tensor(bias, [dim])]
}

/// The elementwise total, in order and in double precision.
fn add_up(parts: &[Vec<f32>], length: usize) -> Vec<f32> {
    let mut total = vec![0.0_f64; length];
    for part in parts {
        for (total, &part) in total.iter_mut().zip(part) {
            *total += f64::from(part);
        }
    }
    total.into_iter().map(|total| total as f32).collect()
}

struct ColumnSums<'a> {
    rows: &'a [f32],
    columns: usize,
}

impl Vectorised for ColumnSums<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut sums = vec![0.0; self.columns];
        for row in self.rows.chunks_exact(self.columns) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        sums
    }
}

/// Sum over the rows of `[rows, columns]`.
pub fn column_sums(rows: HostTensor) -> HostTensor {
    let rows = contiguous(rows);
    let columns = rows.layout().shape()[1];
    let parts = elements(&rows).par_chunks(SUM_ROWS * columns).map(|rows| vectorised(ColumnSums { rows, columns }));
    tensor(add_up(&parts.collect::<Vec<_>>(), columns), [columns])
}

struct AddBias<'a> {
    rows: &'a mut [f32],
    bias: &'a [f32],
}

impl Vectorised for AddBias<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact_mut(self.bias.len()) {
            for (value, &bias) in row.iter_mut().zip(self.bias) {
                *value += bias;
            }
        }
    }
}

/// `rows` `[rows, columns]` plus `bias`, in place where no one else holds `rows`.
pub fn add_bias(rows: HostTensor, bias: HostTensor) -> HostTensor {
    let (mut rows, bias) = (alone(rows), contiguous(bias));
    let bias = elements(&bias);
    let task = (TASK_ELEMENTS / bias.len()).max(1) * bias.len();
    rows.storage_mut::<f32>().par_chunks_mut(task).for_each(|rows| vectorised(AddBias { rows, bias }));
    rows
}
