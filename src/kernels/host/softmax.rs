//! Softmax over rows, and its gradient.

use rayon::prelude::*;

use super::simd::{Vectorised, exp, sum, vectorised};
use super::{HostTensor, alone, contiguous, elements};

/// Elements of one parallel task.
const TASK_ELEMENTS: usize = 16 << 10;

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
    let along = sum(gradient, attention, |gradient, attention| gradient * attention);
    for (gradient, &attention) in gradient.iter_mut().zip(attention) {
        *gradient = attention * (*gradient - along);
    }
}

struct ScaledSoftmax<'a> {
    rows: &'a mut [f32],
    columns: usize,
    scale: f32,
}

impl Vectorised for ScaledSoftmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact_mut(self.columns) {
            for score in row.iter_mut() {
                *score *= self.scale;
            }
            softmax(row);
        }
    }
}

struct ScaledSoftmaxGradient<'a> {
    gradient: &'a mut [f32],
    attention: &'a [f32],
    columns: usize,
    scale: f32,
}

impl Vectorised for ScaledSoftmaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (gradient, attention) in self.gradient.chunks_exact_mut(self.columns).zip(self.attention.chunks_exact(self.columns)) {
            softmax_gradient(gradient, attention);
            for gradient in gradient.iter_mut() {
                *gradient *= self.scale;
            }
        }
    }
}

/// Row length, and the elements of the rows of one task.
fn columns_and_task(rows: &HostTensor) -> (usize, usize) {
    let columns = rows.layout().shape().to_vec().last().copied().unwrap_or(1);
    (columns, (TASK_ELEMENTS / columns).max(1) * columns)
}

/// Softmax of `scale * scores` over the last axis, in place where no one else holds `scores`.
pub fn scaled_softmax(scores: HostTensor, scale: f32) -> HostTensor {
    let mut scores = alone(scores);
    let (columns, task) = columns_and_task(&scores);
    let tasks = scores.storage_mut::<f32>().par_chunks_mut(task);
    tasks.for_each(|rows| vectorised(ScaledSoftmax { rows, columns, scale }));
    scores
}

/// What the scores of [`scaled_softmax`] change by, in place where no one else holds `grad`.
pub fn scaled_softmax_gradient(attention: HostTensor, grad: HostTensor, scale: f32) -> HostTensor {
    let (attention, mut grad) = (contiguous(attention), alone(grad));
    let (columns, task) = columns_and_task(&grad);
    let tasks = grad.storage_mut::<f32>().par_chunks_mut(task).zip(elements(&attention).par_chunks(task));
    tasks.for_each(|(gradient, attention)| vectorised(ScaledSoftmaxGradient { gradient, attention, columns, scale }));
    grad
}
