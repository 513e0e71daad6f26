//! Pointwise and row-wise operations.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::{normal, sum, vectorised};
use super::tensor::{EPSILON, TASK_ELEMENTS, alone, changed, contiguous, elements, task_rows, tensor};

/// Rows whose contributions to a sum over rows are added up first.
const SUM_ROWS: usize = 256;

vectorised! {
    fn gelu_task<'a>(out: &'a mut [f32], x: &'a [f32]) -> () {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x * normal(x).0;
        }
    }
}

vectorised! {
    fn gelu_gradient_task<'a>(out: &'a mut [f32], x: &'a [f32], grad: &'a [f32]) -> () {
        for ((out, &x), &grad) in out.iter_mut().zip(x).zip(grad) {
            let (cdf, density) = normal(x);
            *out = grad * (cdf + x * density);
        }
    }
}

/// `x Φ(x)`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let (shape, x) = (x.dims(), contiguous(x));
    let mut out = vec![0.0; elements(&x).len()];
    let tasks = out.par_chunks_mut(TASK_ELEMENTS).zip(elements(&x).par_chunks(TASK_ELEMENTS));
    tasks.for_each(|(out, x)| gelu_task(out, x));
    tensor(out, shape)
}

/// `grad (Φ(x) + x φ(x))`.
pub fn gelu_gradient<const D: usize>(x: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
    let (shape, x, grad) = (x.dims(), contiguous(x), contiguous(grad));
    let mut out = vec![0.0; elements(&x).len()];
    let inputs = elements(&x).par_chunks(TASK_ELEMENTS).zip(elements(&grad).par_chunks(TASK_ELEMENTS));
    let tasks = out.par_chunks_mut(TASK_ELEMENTS).zip(inputs);
    tasks.for_each(|(out, (x, grad))| gelu_gradient_task(out, x, grad));
    tensor(out, shape)
}

/// Mean, and the factor that brings the variance to 1.
#[inline(always)]
fn statistics(row: &[f32]) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, row, |x, _| x) / count;
    let variance = sum(row, row, |x, _| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

vectorised! {
    fn layer_norm_task<'a>(out: &'a mut [f32], x: &'a [f32], weight: &'a [f32], bias: &'a [f32]) -> () {
        let dim = weight.len();
        for (out, x) in out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
            let (mean, factor) = statistics(x);
            for (((out, &x), &weight), &bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = (x - mean) * factor * weight + bias;
            }
        }
    }
}

/// See [`crate::kernels::layer_norm`].
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    let shape = x.dims();
    let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
    let (weight, bias) = (elements(&weight), elements(&bias));
    let mut out = vec![0.0; elements(&x).len()];
    let task = task_rows(weight.len()) * weight.len();
    let tasks = out.par_chunks_mut(task).zip(elements(&x).par_chunks(task));
    tasks.for_each(|(out, x)| layer_norm_task(out, x, weight, bias));
    tensor(out, shape)
}

vectorised! {
    /// Input gradients of some rows into `out`; returns their contributions to the weight's and then the bias's gradient.
    fn layer_norm_gradients_task<'a>(out: &'a mut [f32], x: &'a [f32], grad: &'a [f32], weight: &'a [f32]) -> Vec<f32> {
        let dim = weight.len();
        let mut sums = vec![0.0; 2 * dim];
        let (weight_sums, bias_sums) = sums.split_at_mut(dim);
        let rows = out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).zip(grad.chunks_exact(dim));
        for ((out, x), grad) in rows {
            let (mean, factor) = statistics(x);
            for ((out, &grad), &weight) in out.iter_mut().zip(grad).zip(weight) {
                *out = grad * weight;
            }
            let offset = sum(out, x, |scaled, _| scaled) / dim as f32;
            let projected = sum(out, x, |scaled, x| scaled * (x - mean) * factor) / dim as f32;
            for (out, &x) in out.iter_mut().zip(x) {
                *out = (*out - offset - (x - mean) * factor * projected) * factor;
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
pub fn layer_norm_gradients<const D: usize>(x: Tensor<D>, weight: Tensor<1>, grad: Tensor<D>) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let shape = x.dims();
    let (x, weight, grad) = (contiguous(x), contiguous(weight), contiguous(grad));
    let dim = elements(&weight).len();
    let mut out = vec![0.0; elements(&x).len()];
    let task = SUM_ROWS * dim;
    let inputs = elements(&x).par_chunks(task).zip(elements(&grad).par_chunks(task));
    let tasks = out.par_chunks_mut(task).zip(inputs);
    let sums: Vec<Vec<f32>> = tasks.map(|(out, (x, grad))| layer_norm_gradients_task(out, x, grad, elements(&weight))).collect();
    let mut total = add_up(&sums, 2 * dim);
    let bias = total.split_off(dim);
    (tensor(out, shape), tensor(total, [dim]), tensor(bias, [dim]))
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

vectorised! {
    fn column_sums_task<'a>(rows: &'a [f32], columns: usize) -> Vec<f32> {
        let mut sums = vec![0.0; columns];
        for row in rows.chunks_exact(columns) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        sums
    }
}

/// Sum over the rows of `[rows, columns]`.
pub fn column_sums(rows: Tensor<2>) -> Tensor<1> {
    let [_, columns] = rows.dims();
    let rows = contiguous(rows);
    let parts = elements(&rows).par_chunks(SUM_ROWS * columns).map(|rows| column_sums_task(rows, columns));
    tensor(add_up(&parts.collect::<Vec<_>>(), columns), [columns])
}

vectorised! {
    fn add_bias_task<'a>(rows: &'a mut [f32], bias: &'a [f32]) -> () {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, &bias) in row.iter_mut().zip(bias) {
                *value += bias;
            }
        }
    }
}

/// `rows` `[rows, columns]` plus `bias`, in place where no one else holds `rows`.
pub fn add_bias(rows: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (mut rows, bias) = (alone(rows), contiguous(bias));
    let bias = elements(&bias);
    let task = task_rows(bias.len()) * bias.len();
    rows.storage_mut::<f32>().par_chunks_mut(task).for_each(|rows| add_bias_task(rows, bias));
    changed(rows)
}
