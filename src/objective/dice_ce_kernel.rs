//! Value and gradient of nnU-Net's soft Dice plus cross-entropy, as two fused passes on the host or as tensor operations.
//!
//! With `p` the prediction, `t` the target (0 or 1), overlaps `o = sum p t` and sizes `u = sum p + sum t` over the whole batch, a Dice is
//! `(2 o + a) / (u + b)`. Its derivative by `p` is `alpha t - beta` with `alpha = 2 / (u + b)` and `beta = Dice / (u + b)`; softmax takes
//! it on to the logits.
//!
//! Near a perfect prediction nothing is left of a loss that is a difference of numbers near 1. Hence what a Dice lacks is summed itself,
//! `1 - Dice = (sum |p - t| + b - a) / (u + b)`, cross-entropy is `ln(1 + e^d)`, `d` saying how far the other classes together are ahead
//! of the right one, and `1 - p` of the right class is `1 / (1 + e^-d)`.

use burn::tensor::{Int, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::simd::{LANES, exp, sum as sum_of};
use super::softplus::softplus;
use crate::kernels::{mean, sum, sum_axis};

/// `a`: added to the numerator `2 * overlap`.
const SMOOTH_NUMERATOR: f64 = 1e-5;
/// `b`: added to the denominator.
const SMOOTH_DENOMINATOR: f64 = 1e-5 + 1e-8;
/// Classes that the Dice part leaves out: background. It counts in the cross-entropy.
const SKIPPED: usize = 1;

/// Outcome of one evaluation, without graph.
pub(super) struct Evaluated {
    /// The loss: cross-entropy minus the mean Dice, `[1]`.
    pub value: Tensor<1>,
    /// Mean Dice, `[1]`.
    pub dice: Tensor<1>,
    /// Mean cross-entropy, `[1]`.
    pub cross_entropy: Tensor<1>,
    /// Of the loss with respect to the logits, `[batch, class, voxel]`.
    pub gradient: Tensor<3>,
}

/// Stands for minus infinity in a logit that is to be left out; finite, since GPU compilers may assume finite numbers.
const LEFT_OUT: f32 = -1e9;

/// Softmax against class indices `[batch, D, H, W]`, by tensor operations.
pub(super) fn on_device(logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
    let [batch, count, voxels] = logits.dims();
    let whole = [batch, count, voxels];
    let class = Tensor::<1, Int>::arange(0..count as i64, &logits.device()).reshape([1, count, 1]);
    let labels = classes.clone().inner().reshape([batch, 1, voxels]);
    let right = labels.clone().equal(class);
    let own = logits.clone().gather(1, labels);
    let others = logits.mask_fill(right.clone(), LEFT_OUT);
    let top = others.clone().max_dim(1);
    let terms = (others - top.clone()).exp();
    let total = terms.clone().sum_dim(1);
    let ahead = (top - own) + total.clone().log();
    let missing = activation::sigmoid(ahead.clone());
    let wrong = terms * (missing.clone() / total);
    let prediction = wrong.clone().mask_where(right.clone(), activation::sigmoid(-ahead.clone()).expand(whole));
    // `prediction - target`, with the digits that the difference of the two would lose.
    let error = wrong.mask_where(right.clone(), -missing.expand(whole));
    let cross_entropy = mean(softplus(ahead));
    let (lacking, slope) = dice_on_device(prediction.clone(), right.float(), error.clone());
    let projected = (prediction.clone() * slope.clone()).sum_dim(1);
    let gradient = prediction * (slope - projected) + error * (1.0 / (batch * voxels) as f64);
    // The small parts are brought together first: what is left of them beside the 1 of `-Dice` is rounded once.
    let value = lacking.clone() + cross_entropy.clone() - 1.0;
    Evaluated { value, dice: -lacking + 1.0, cross_entropy, gradient }
}

/// What the mean Dice lacks of 1, `[1]`, and the derivative of minus the mean Dice by the prediction, `[batch, class, voxel]`.
fn dice_on_device(prediction: Tensor<3>, target: Tensor<3>, error: Tensor<3>) -> (Tensor<1>, Tensor<3>) {
    let [_, classes, _] = prediction.dims();
    let device = prediction.device();
    let over = |values: Tensor<3>| sum_axis(values, 2).sum_dim(0);
    let size = over(prediction + target.clone()) + SMOOTH_DENOMINATOR;
    let lacking = (over(error.abs()) + (SMOOTH_DENOMINATOR - SMOOTH_NUMERATOR)) / size.clone();
    let share = 1.0 / (classes - SKIPPED) as f64;
    let counted = lacking.clone().slice([0..1, SKIPPED..classes]);
    let mut shares = vec![-share as f32; classes];
    shares[..SKIPPED].fill(0.0);
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [classes]), &device).reshape([1, classes, 1]);
    let alpha = size.clone().recip() * 2.0 * shares.clone();
    let beta = (-lacking + 1.0) / size * shares;
    (sum(counted) * share, target * alpha - beta)
}

/// Voxels that one task handles at a time; with their classes they should stay in the first-level cache.
const BLOCK: usize = 1024;

/// A run of voxels of one volume.
struct Block<'a> {
    /// One row for each class.
    rows: Vec<&'a mut [f32]>,
    target: &'a [u32],
}

/// Sums over voxels for one class.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// Of `|p - t|`.
    lacking: f64,
    /// Of the prediction and the target.
    size: f64,
}

/// Derivative of minus the mean Dice: `alpha t - beta`.
#[derive(Clone, Copy, Default)]
struct Slope {
    alpha: f32,
    beta: f32,
}

/// Softmax against class indices `[batch, D, H, W]`, in host memory: logits become predictions, then the gradient.
pub(super) fn on_host(logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
    let [batch, count, voxels] = logits.dims();
    let device = logits.device();
    let target: Vec<u32> = classes.to_data().iter::<i64>().map(|class| u32::try_from(class).unwrap_or(u32::MAX)).collect();
    assert!(target.iter().all(|&class| (class as usize) < count), "the target holds a class outside 0..{count}");
    let mut data = logits.into_data();
    let cells = data.as_mut_slice::<f32>().expect("logits are f32");

    let mut blocks = blocks(cells, &target, count, voxels);
    let outcomes: Vec<(f64, Vec<Sums>)> = blocks.par_iter_mut().map(predict).collect();
    let mut sums = vec![Sums::default(); count];
    for (_, parts) in &outcomes {
        for (sum, part) in sums.iter_mut().zip(parts) {
            sum.lacking += part.lacking;
            sum.size += part.size;
        }
    }
    let samples = (batch * voxels) as f64;
    let cross_entropy = outcomes.iter().map(|(entropy, _)| entropy).sum::<f64>() / samples;
    let (lacking, slopes) = dice_on_host(&sums);
    let pull = (1.0 / samples) as f32;
    blocks.par_iter_mut().for_each(|block| differentiate(block, &slopes, pull));

    let numbers = [lacking + cross_entropy - 1.0, 1.0 - lacking, cross_entropy];
    let [value, dice, cross_entropy] = numbers.map(|number| Tensor::from_data([number as f32], &device));
    Evaluated { value, dice, cross_entropy, gradient: Tensor::from_data(data, &device) }
}

/// What the mean Dice lacks of 1, and the slope of each class.
fn dice_on_host(sums: &[Sums]) -> (f64, Vec<Slope>) {
    let share = 1.0 / (sums.len() - SKIPPED) as f64;
    let mut mean = 0.0;
    let counted = sums[SKIPPED..].iter().map(|sums| {
        let size = sums.size + SMOOTH_DENOMINATOR;
        let lacking = (sums.lacking + (SMOOTH_DENOMINATOR - SMOOTH_NUMERATOR)) / size;
        mean += lacking * share;
        let factor = -share / size;
        Slope { alpha: (2.0 * factor) as f32, beta: ((1.0 - lacking) * factor) as f32 }
    });
    let slopes = std::iter::repeat_n(Slope::default(), SKIPPED).chain(counted).collect();
    (mean, slopes)
}

/// Cuts `[batch, class, voxel]` into blocks that hold all classes of a run of voxels.
fn blocks<'a>(cells: &'a mut [f32], target: &'a [u32], classes: usize, voxels: usize) -> Vec<Block<'a>> {
    let mut blocks = Vec::with_capacity(target.len().div_ceil(BLOCK));
    for (cells, target) in cells.chunks_exact_mut(classes * voxels).zip(target.chunks_exact(voxels)) {
        let first = blocks.len();
        blocks.extend(target.chunks(BLOCK).map(|target| Block { rows: Vec::with_capacity(classes), target }));
        for row in cells.chunks_exact_mut(voxels) {
            blocks[first..].iter_mut().zip(row.chunks_mut(BLOCK)).for_each(|(block, row)| block.rows.push(row));
        }
    }
    blocks
}

/// How far the largest logit of a voxel may be ahead of the right class before that one's exponential is too small to divide by.
const AHEAD_MOST: f32 = 80.0;

/// Logits to softmax predictions; the block's summed cross-entropy and its sums for each class.
fn predict(block: &mut Block) -> (f64, Vec<Sums>) {
    let Block { rows, target } = block;
    let (mut top, mut others) = ([f32::NEG_INFINITY; BLOCK], [0.0_f32; BLOCK]);
    for row in rows.iter() {
        for (top, &logit) in top.iter_mut().zip(&**row) {
            *top = if logit > *top { logit } else { *top };
        }
    }
    let mut ahead = [0.0_f32; BLOCK];
    for (voxel, (&class, ahead)) in target.iter().zip(&mut ahead).enumerate() {
        *ahead = top[voxel] - rows[class as usize][voxel];
    }
    for (class, row) in (0_u32..).zip(rows.iter_mut()) {
        for (((logit, &top), &target), others) in row.iter_mut().zip(&top).zip(*target).zip(&mut others) {
            *logit = exp(*logit - top);
            *others += if target == class { 0.0 } else { *logit };
        }
    }
    let mut entropy = 0.0;
    let (mut inverse, mut missing) = ([0.0_f32; BLOCK], [0.0_f32; BLOCK]);
    for (voxel, &class) in target.iter().enumerate() {
        let (own, others, ahead) = (rows[class as usize][voxel], others[voxel], ahead[voxel]);
        entropy += if ahead < AHEAD_MOST { f64::from((others / own).ln_1p()) } else { f64::from(ahead) + f64::from(others.ln()) };
        inverse[voxel] = (own + others).recip();
        missing[voxel] = others * inverse[voxel];
    }

    let sums = (0_u32..).zip(rows.iter_mut()).map(|(class, row)| {
        row.iter_mut().zip(&inverse).for_each(|(value, inverse)| *value *= inverse);
        let (lacking, count) = lacking(row, &missing, (target, class));
        Sums { lacking: f64::from(lacking), size: f64::from(sum_of(row, |value| value)) + f64::from(count) }
    });
    (entropy, sums.collect())
}

/// Sum of `|p - t|`, `missing` being `1 - p` of each voxel's own class, and how many voxels the class has.
fn lacking(prediction: &[f32], missing: &[f32], (target, class): (&[u32], u32)) -> (f32, u32) {
    let (mut sums, mut counts) = ([0.0_f32; LANES], [0_u32; LANES]);
    let blocks = prediction.chunks(LANES).zip(missing.chunks(LANES)).zip(target.chunks(LANES));
    for ((prediction, missing), target) in blocks {
        let lanes = sums.iter_mut().zip(&mut counts).zip(prediction).zip(missing).zip(target);
        for ((((sum, count), &value), &missing), &target) in lanes {
            *sum += if target == class { missing } else { value };
            *count += u32::from(target == class);
        }
    }
    (sums.iter().sum(), counts.iter().sum())
}

/// Predictions to the gradient with respect to the logits.
fn differentiate(block: &mut Block, slopes: &[Slope], pull: f32) {
    let mut projected = [0.0_f32; BLOCK];
    let slope_at = |Slope { alpha, beta }: Slope, hit: bool| (if hit { alpha } else { 0.0 }) - beta;
    for ((class, row), &slope) in (0_u32..).zip(&block.rows).zip(slopes) {
        for ((&value, &target), projected) in row.iter().zip(block.target).zip(&mut projected) {
            *projected += value * slope_at(slope, target == class);
        }
    }
    for ((class, row), &slope) in (0_u32..).zip(&mut block.rows).zip(slopes) {
        for ((value, &target), &projected) in row.iter_mut().zip(block.target).zip(&projected) {
            let hit = target == class;
            *value = *value * (slope_at(slope, hit) - projected) + (*value - if hit { 1.0 } else { 0.0 }) * pull;
        }
    }
}
