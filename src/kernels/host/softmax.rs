//! Softmax over rows, and its gradient.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::{exp, sum, vectorised};
use super::tensor::{alone, changed, contiguous, elements, task_rows};

/// A score so far below the row's largest has the weight 0. Its own, 1e-33, would be lost beside 1 in any sum, and become a number
/// below the normal ones in products, which cost a hundred times others: masked pairs of a shifted window have such scores.
const FAINTEST: f32 = -75.0;

/// `scores` becomes its own softmax.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) {
    let mut largest = f32::NEG_INFINITY;
    for &score in &*scores {
        // Written so that NaN is not lost: a comparison with it is false, and exp keeps it.
        largest = if score > largest { score } else { largest };
    }
    let mut total = 0.0;
    for score in scores.iter_mut() {
        let below = *score - largest;
        *score = if below < FAINTEST { 0.0 } else { exp(below) };
    }
    for &score in &*scores {
        total += score;
    }
    let factor = 1.0 / total;
    for score in scores.iter_mut() {
        *score *= factor;
    }
}

/// `gradient = attention * (gradient - sum(attention * gradient))`.
#[inline(always)]
pub(super) fn softmax_gradient(gradient: &mut [f32], attention: &[f32]) {
    let projected = sum(gradient, attention, |gradient, attention| gradient * attention);
    for (gradient, &attention) in gradient.iter_mut().zip(attention) {
        *gradient = attention * (*gradient - projected);
    }
}

vectorised! {
    fn scaled_softmax_task<'a>(rows: &'a mut [f32], columns: usize, scale: f32) -> () {
        for row in rows.chunks_exact_mut(columns) {
            for score in row.iter_mut() {
                *score *= scale;
            }
            softmax(row);
        }
    }
}

vectorised! {
    fn scaled_softmax_gradient_task<'a>(gradient: &'a mut [f32], attention: &'a [f32], columns: usize, scale: f32) -> () {
        for (gradient, attention) in gradient.chunks_exact_mut(columns).zip(attention.chunks_exact(columns)) {
            softmax_gradient(gradient, attention);
            for gradient in gradient.iter_mut() {
                *gradient *= scale;
            }
        }
    }
}

/// Softmax of `scale * scores` over the last axis, in place where no one else holds `scores`.
pub fn scaled_softmax(scores: Tensor<4>, scale: f32) -> Tensor<4> {
    let [_, _, _, columns] = scores.dims();
    let mut scores = alone(scores);
    scores.storage_mut::<f32>().par_chunks_mut(task_rows(columns) * columns).for_each(|rows| scaled_softmax_task(rows, columns, scale));
    changed(scores)
}

/// What the scores of [`scaled_softmax`] change by, in place where no one else holds `grad`.
pub fn scaled_softmax_gradient(attention: Tensor<4>, grad: Tensor<4>, scale: f32) -> Tensor<4> {
    let [_, _, _, columns] = grad.dims();
    let (attention, mut grad) = (contiguous(attention), alone(grad));
    let task = task_rows(columns) * columns;
    let tasks = grad.storage_mut::<f32>().par_chunks_mut(task).zip(elements(&attention).par_chunks(task));
    tasks.for_each(|(gradient, attention)| scaled_softmax_gradient_task(gradient, attention, columns, scale));
    changed(grad)
}
