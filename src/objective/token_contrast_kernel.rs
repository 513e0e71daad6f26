//! Value and gradient of token contrast over normalised rows, as one fused loop on the host or as tensor operations.
//!
//! Rows are the `M = 2BN` tokens: view, then volume, then position. With `A` the logits (self masked out, `ln w` added) and
//! `P` their softmax by rows, the gradient with respect to the cosines is `(P - E) / (M tau)`, `E` marking the positives.
//! Cosines are symmetric, so that with respect to the rows it is `(P + P' - 2E) rows / (M tau)`: one more matrix product.
//! `P'[i,j] = exp(A[i,j] - lse[j])` needs no transposition and, `lse[j]` being at least `A[i,j]`, cannot overflow.
//!
//! An anchor's loss is taken as `ln(1 + e^d)`, `d` saying how far the other tokens together are ahead of its positive: as a difference
//! of a log-sum and a logit, each as large as `1 / tau`, a small loss would keep few digits. So is `1 - P` of a positive, `1 / (1 + e^-d)`.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::simd::{exp, largest, sum};
use super::softplus::{above_largest, softplus, softplus_of};
use crate::config::Weighting;
use crate::kernels::{self, Bodies, bodies};

/// Stands for minus infinity in the logit of a token with itself; finite, since GPU compilers may assume finite numbers.
const SELF_LOGIT: f32 = -1e9;

/// What a batch looks like: `2 * batch * tokens` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Volumes.
    pub batch: usize,
    /// Tokens of each volume.
    pub tokens: usize,
}

/// The numbers of the loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    /// tau
    pub temperature: f64,
    /// w
    pub weight: f64,
    /// What w does.
    pub weighting: Weighting,
}

/// How the logit of a marked pair differs from its cosine over tau: `cosine / tau * factor + bonus`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Marking {
    factor: f32,
    bonus: f32,
}

impl Scales {
    fn marking(self) -> Marking {
        match self.weighting {
            Weighting::Term => Marking { factor: 1.0, bonus: self.weight.ln() as f32 },
            Weighting::Logit => Marking { factor: (1.0 + self.weight) as f32, bonus: 0.0 },
        }
    }
}

/// Outcome of one evaluation, without graph.
#[derive(Debug)]
pub(super) struct Contrast {
    /// The loss, `[1]`.
    pub value: Tensor<1>,
    /// With respect to the normalised rows, `[rows, dim]`.
    pub gradient: Option<Tensor<2>>,
    /// Loss, mean positive and mean negative cosine, share of wrong-volume retrievals: `[4]`.
    pub numbers: Tensor<1>,
}

/// Constants of one batch shape on a device.
#[derive(Debug)]
struct Plan {
    /// Added to the logits: the bonus of marked pairs, [`SELF_LOGIT`] on the diagonal; `[rows, rows]`.
    mask: Tensor<2>,
    /// Multiplied with the cosines before; none where all would be 1.
    factors: Option<Tensor<2>>,
    /// `0..rows/2`, `[rows/2, 1]`.
    own: Tensor<2, Int>,
    /// `0..rows`, `[1, rows]`.
    columns: Tensor<2, Int>,
    /// The column of each row's positive, `[rows, 1]`.
    positives: Tensor<2, Int>,
}

impl Shape {
    fn rows(self) -> usize {
        2 * self.batch * self.tokens
    }

    /// The row's counterpart in the other view.
    fn positive(self, row: usize) -> usize {
        let half = self.rows() / 2;
        if row < half { row + half } else { row - half }
    }

    /// The rows of `row`'s position in other volumes, either view.
    fn same_position(self, row: usize) -> impl Iterator<Item = usize> {
        let (half, position) = (self.rows() / 2, row % self.tokens);
        let all = (0..2 * self.batch).map(move |volume| volume * self.tokens + position);
        all.filter(move |&other| other % half != row % half)
    }

    /// Calls `mark` with each row that `weighting` marks for `row`.
    fn mark(self, row: usize, weighting: Weighting, mark: impl FnMut(usize)) {
        match weighting {
            Weighting::Term => self.same_position(row).for_each(mark),
            // The released code's diagonals: half a view before and behind.
            Weighting::Logit => {
                let offset = self.rows() / 4;
                let (before, behind) = (row.checked_sub(offset), Some(row + offset));
                let others = before.into_iter().chain(behind).filter(|&other| offset > 0 && other < self.rows());
                others.for_each(mark);
            }
        }
    }

    /// Anchor pairs that are neither self nor positive, at least 1 so as to divide by.
    fn negatives(self) -> f64 {
        (self.rows() * (self.rows() - 2)).max(1) as f64
    }
}

impl Plan {
    fn new(shape: Shape, scales: Scales, device: &Device) -> Self {
        let rows = shape.rows();
        let Marking { factor, bonus } = scales.marking();
        let (mut mask, mut factors) = (vec![0.0_f32; rows * rows], vec![1.0_f32; rows * rows]);
        for row in 0..rows {
            let first = row * rows;
            mask[first + row] = SELF_LOGIT;
            shape.mark(row, scales.weighting, |other| {
                mask[first + other] = bonus;
                factors[first + other] = factor;
            });
        }
        let half = rows / 2;
        let range = |first: usize, last: usize| Tensor::<1, Int>::arange(first as i64..last as i64, device).reshape([last - first, 1]);
        let matrix = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [rows, rows]), device);
        Self {
            mask: matrix(mask),
            factors: (factor != 1.0).then(|| matrix(factors)),
            own: range(0, half),
            columns: range(0, rows).reshape([1, rows]),
            positives: Tensor::cat(vec![range(half, rows), range(0, half)], 0),
        }
    }
}

/// Contrast of `rows` `[rows, dim]`, each of length 1.
pub(super) fn contrast(rows: &Tensor<2>, shape: Shape, scales: Scales, wants_gradient: bool) -> Contrast {
    let body = match bodies(rows) {
        Bodies::Host => on_host,
        Bodies::Gpu => on_gpu,
        Bodies::Reference => by_tensor_operations,
    };
    body(rows, shape, scales, wants_gradient)
}

/// Contrast of `rows` `[rows, dim]` on a GPU: the matrix of cosines, and the gradient in its place.
fn on_gpu(rows: &Tensor<2>, shape: Shape, scales: Scales, wants_gradient: bool) -> Contrast {
    let count = shape.rows() as f64;
    let Marking { factor, bonus } = scales.marking();
    let by_position = scales.weighting == Weighting::Term;
    let pairs = kernels::Pairs { tokens: shape.tokens, scale: (1.0 / scales.temperature) as f32, factor, bonus, by_position };
    let cosines = rows.clone().matmul(rows.clone().transpose());
    let anchors = kernels::contrast_rows(cosines.clone(), &pairs);
    let sums = kernels::sum_axis(anchors.clone(), 0).reshape([6]);
    let shares =
        Tensor::<1>::from_data([1.0 / count, 1.0 / count, 1.0 / shape.negatives(), 1.0 / count].map(|share| share as f32), &rows.device());
    let numbers = sums.narrow(0, 0, 4) * shares;
    let gradient =
        wants_gradient.then(|| kernels::contrast_gradient(cosines, anchors, &pairs).matmul(rows.clone()) / (count * scales.temperature));
    Contrast { value: numbers.clone().narrow(0, 0, 1), gradient, numbers }
}

/// Contrast of `rows` `[rows, dim]` by tensor operations.
fn by_tensor_operations(rows: &Tensor<2>, shape: Shape, scales: Scales, wants_gradient: bool) -> Contrast {
    let (tokens, count, half) = (shape.tokens, shape.rows(), shape.rows() / 2);
    let plan = Plan::new(shape, scales, &rows.device());
    let cosines = rows.clone().matmul(rows.clone().transpose());

    let cross = cosines.clone().slice([0..half, half..count]);
    let nearest = [cross.clone().argmax(1), cross.argmax(0).transpose()];
    let wrong = nearest.map(|nearest| {
        let distance = nearest - plan.own.clone();
        let other_volume = distance.clone().not_equal_elem(0);
        kernels::sum(distance.remainder_scalar(tokens as i64).equal_elem(0).bool_and(other_volume).float())
    });
    let [wrong_there, wrong_back] = wrong;
    let wrong_volume = (wrong_there + wrong_back) / count as f64;

    let [first, second] = [0, half].map(|start| rows.clone().narrow(0, start, half));
    let positive = kernels::sum(first * second) * 2.0;
    let together = kernels::sum(kernels::sum_axis(rows.clone(), 0).square()) - kernels::sum(rows.clone().square());
    let negative = (together - positive.clone()) / shape.negatives();

    let scaled = cosines / scales.temperature;
    let scaled = plan.factors.clone().map_or_else(|| scaled.clone(), |factors| scaled.clone() * factors);
    let logits = scaled + plan.mask.clone();
    let is_positive = plan.columns.clone().equal(plan.positives.clone());
    let own = logits.clone().gather(1, plan.positives.clone());
    let others = logits.clone().mask_fill(is_positive.clone(), SELF_LOGIT);
    let largest = others.clone().max_dim(1);
    let spread = kernels::sum_axis((others - largest.clone()).exp(), 1).log();
    let ahead = (largest.clone() - own.clone()) + spread.clone();
    let value = kernels::mean(softplus(ahead.clone()));

    let gradient = wants_gradient.then(|| {
        let log_sum = own.max_pair(largest + spread) + above_largest(ahead.clone());
        let pull = (logits.clone() - log_sum.clone()).exp() + (logits - log_sum.transpose()).exp();
        let pull = plan.factors.clone().map_or_else(|| pull.clone(), |factors| pull.clone() * factors);
        let missing = activation::sigmoid(ahead);
        let [first, second] = [0, half].map(|start| missing.clone().narrow(0, start, half));
        let missing = missing + Tensor::cat(vec![second, first], 0);
        pull.mask_where(is_positive, -missing.expand([count, count])).matmul(rows.clone()) / (count as f64 * scales.temperature)
    });
    let numbers = Tensor::cat(vec![value.clone(), positive / count as f64, negative, wrong_volume], 0);
    Contrast { value, gradient, numbers }
}

/// What one anchor brings.
struct Anchor {
    loss: f64,
    log_sum: f32,
    /// `1 - P` of its positive.
    missing: f32,
    positive: f32,
    others: f32,
    wrong_volume: bool,
}

/// Contrast of `rows` `[rows, dim]` by two passes over the matrix of cosines in host memory.
fn on_host(rows: &Tensor<2>, shape: Shape, scales: Scales, wants_gradient: bool) -> Contrast {
    let (count, device) = (shape.rows(), rows.device());
    let mut matrix = rows.clone().matmul(rows.clone().transpose()).into_data();
    let cells = matrix.as_mut_slice::<f32>().expect("cosines are f32");

    let anchors: Vec<Anchor> = cells.par_chunks_exact_mut(count).enumerate().map(|(row, cells)| scan(row, cells, shape, scales)).collect();
    let mean = |part: fn(&Anchor) -> f64| anchors.iter().map(part).sum::<f64>() / count as f64;
    let value = mean(|anchor| anchor.loss);
    let positive = mean(|anchor| f64::from(anchor.positive));
    let negative = mean(|anchor| f64::from(anchor.others)) * count as f64 / shape.negatives();
    let wrong_volume = mean(|anchor| f64::from(u8::from(anchor.wrong_volume)));

    let gradient = if wants_gradient {
        let log_sums: Vec<f32> = anchors.iter().map(|anchor| anchor.log_sum).collect();
        cells.par_chunks_exact_mut(count).enumerate().for_each(|(row, cells)| {
            pull(row, cells, &log_sums, (shape, scales));
            let positive = shape.positive(row);
            cells[positive] = -(anchors[row].missing + anchors[positive].missing);
        });
        Some(Tensor::<2>::from_data(matrix, &device).matmul(rows.clone()) / (count as f64 * scales.temperature))
    } else {
        None
    };
    let numbers = [value, positive, negative, wrong_volume].map(|number| number as f32);
    Contrast { value: Tensor::from_data([value as f32], &device), gradient, numbers: Tensor::from_data(numbers, &device) }
}

/// Turns a row of logits into a row of `P + P'`, each cell times the factor of its pair.
fn pull(row: usize, cells: &mut [f32], log_sums: &[f32], (shape, scales): (Shape, Scales)) {
    let own = log_sums[row];
    for (cell, other) in cells.iter_mut().zip(log_sums) {
        *cell = exp(*cell - own) + exp(*cell - other);
    }
    let Marking { factor, .. } = scales.marking();
    if factor != 1.0 {
        shape.mark(row, scales.weighting, |other| cells[other] *= factor);
    }
}

/// Turns a row of cosines into logits and sums it up.
fn scan(row: usize, cells: &mut [f32], shape: Shape, scales: Scales) -> Anchor {
    let half = cells.len() / 2;
    let other_view = if row < half { half..2 * half } else { 0..half };
    let nearest = largest(&cells[other_view.clone()]);
    let nearest = cells[other_view.clone()].iter().position(|&cosine| cosine == nearest).map(|index| index + other_view.start);
    let wrong_volume = nearest.is_some_and(|nearest| nearest != shape.positive(row) && nearest % shape.tokens == row % shape.tokens);

    let positive = cells[shape.positive(row)];
    let others = sum(cells, |cosine| cosine) - positive - cells[row];

    let inverse = (1.0 / scales.temperature) as f32;
    cells.iter_mut().for_each(|cell| *cell *= inverse);
    let marking = scales.marking();
    if marking != (Marking { factor: 1.0, bonus: 0.0 }) {
        shape.mark(row, scales.weighting, |other| cells[other] = cells[other] * marking.factor + marking.bonus);
    }
    cells[row] = SELF_LOGIT;
    let own = std::mem::replace(&mut cells[shape.positive(row)], SELF_LOGIT);
    let top = largest(cells);
    let ahead = f64::from(top) - f64::from(own) + f64::from(sum(cells, |logit| exp(logit - top))).ln();
    cells[shape.positive(row)] = own;
    let loss = softplus_of(ahead);
    Anchor { loss, log_sum: (f64::from(own) + loss) as f32, missing: (1.0 + (-ahead).exp()).recip() as f32, positive, others, wrong_volume }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_position_leaves_out_self_and_positive() {
        let shape = Shape { batch: 3, tokens: 2 };
        let others: Vec<_> = shape.same_position(3).collect();
        assert_eq!(others, [1, 5, 7, 11]);
        assert_eq!(shape.positive(3), 9);
    }
}
