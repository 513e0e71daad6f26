//! Value and gradient of soft Dice plus cross-entropy, as two fused passes on the host or as tensor operations.
//!
//! With `p` the prediction, `t` the target, overlaps `o = sum p t` and sizes `u = sum (p or p^2) + sum t`, a Dice is
//! `(2 o + a) / (u + b)`. Its derivative by `p` is `alpha t - beta (1 or 2p)` with `alpha = 2 / (u + b)` and
//! `beta = Dice / (u + b)`; softmax or sigmoid take it on to the logits.

use burn::tensor::{Int, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::dice_ce::DiceCeConfig;
use super::lanes::{LANES, exp, sum};

/// Outcome of one evaluation, without graph.
pub(super) struct Evaluated {
    /// Mean Dice, `[1]`.
    pub dice: Tensor<1>,
    /// Mean cross-entropy, `[1]`.
    pub cross_entropy: Tensor<1>,
    /// Of the loss with respect to the logits, `[batch, class, voxel]`.
    pub gradient: Tensor<3>,
}

/// Mean Dice `[1]`, and the derivative of the Dice part of the loss by the prediction, `[batch, class, voxel]`.
fn dice_on_device(config: &DiceCeConfig, prediction: &Tensor<3>, target: &Tensor<3>) -> (Tensor<1>, Tensor<3>) {
    let [batch, classes, _] = prediction.dims();
    let skipped = usize::from(!config.include_background);
    let over = |values: Tensor<3>| {
        let sums = values.sum_dim(2);
        if config.batch_dice { sums.sum_dim(0) } else { sums }
    };
    let predicted = if config.squared_prediction { prediction.clone().square() } else { prediction.clone() };
    let overlap = over(prediction.clone() * target.clone());
    let size = over(predicted + target.clone()) + config.smooth_denominator;
    let dice = (overlap * 2.0 + config.smooth_numerator) / size.clone();

    let volumes = if config.batch_dice { 1 } else { batch };
    let share = 1.0 / (volumes * (classes - skipped)) as f64;
    let counted = dice.clone().slice([0..volumes, skipped..classes]);
    let mut shares = vec![(-config.dice_weight * share) as f32; classes];
    shares[..skipped].fill(0.0);
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [classes]), &prediction.device()).reshape([1, classes, 1]);
    let alpha = size.clone().recip() * 2.0 * shares.clone();
    let beta = dice / size * shares;
    let slope = if config.squared_prediction { prediction.clone() * beta * 2.0 } else { beta };
    (counted.sum() * share, target.clone() * alpha - slope)
}

/// Softmax against class indices `[batch, D, H, W]`, by tensor operations.
pub(super) fn classes_on_device(config: &DiceCeConfig, logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
    let [batch, count, voxels] = logits.dims();
    let class = Tensor::<1, Int>::arange(0..count as i64, &logits.device()).reshape([1, count, 1]);
    let target = classes.clone().inner().reshape([batch, 1, voxels]).equal(class).float();
    let log_prediction = activation::log_softmax(logits, 1);
    let samples = (batch * voxels) as f64;
    let cross_entropy = -(log_prediction.clone() * target.clone()).sum() / samples;
    let prediction = log_prediction.exp();
    let (dice, slope) = dice_on_device(config, &prediction, &target);
    let along = (prediction.clone() * slope.clone()).sum_dim(1);
    let gradient = prediction.clone() * (slope - along) + (prediction - target) * (config.ce_weight / samples);
    Evaluated { dice, cross_entropy, gradient }
}

/// Sigmoids against regions of the same shape, by tensor operations.
pub(super) fn regions(config: &DiceCeConfig, logits: Tensor<3>, target: Tensor<3>) -> Evaluated {
    let samples = logits.shape().num_elements() as f64;
    let misses = logits.clone() - logits.clone() * target.clone() - activation::log_sigmoid(logits.clone());
    let cross_entropy = misses.sum() / samples;
    let prediction = activation::sigmoid(logits);
    let (dice, slope) = dice_on_device(config, &prediction, &target);
    let gradient = (prediction.clone() - prediction.clone().square()) * slope + (prediction - target) * (config.ce_weight / samples);
    Evaluated { dice, cross_entropy, gradient }
}

/// Voxels that one task handles at a time; with their classes they should stay in the first-level cache.
const BLOCK: usize = 1024;

/// A run of voxels of one volume.
struct Block<'a> {
    volume: usize,
    /// One row for each class.
    rows: Vec<&'a mut [f32]>,
    target: &'a [u32],
}

/// Sums over voxels for one class.
#[derive(Clone, Copy, Default)]
struct Sums {
    overlap: f64,
    size: f64,
}

/// Derivative of the Dice part of the loss: `alpha t - beta (1 or 2p)`.
#[derive(Clone, Copy, Default)]
struct Slope {
    alpha: f32,
    beta: f32,
}

/// Softmax against class indices `[batch, D, H, W]`, in host memory: logits become predictions, then the gradient.
pub(super) fn classes_on_host(config: &DiceCeConfig, logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
    let [batch, count, voxels] = logits.dims();
    let device = logits.device();
    let target: Vec<u32> = classes.to_data().iter::<i64>().map(|class| u32::try_from(class).unwrap_or(u32::MAX)).collect();
    assert!(target.iter().all(|&class| (class as usize) < count), "the target holds a class outside 0..{count}");
    let mut data = logits.into_data();
    let cells = data.as_mut_slice::<f32>().expect("logits are f32");

    let mut blocks = blocks(cells, &target, count, voxels);
    let outcomes: Vec<(f64, Vec<Sums>)> = blocks.par_iter_mut().map(|block| predict(block, config.squared_prediction)).collect();
    let volumes = if config.batch_dice { 1 } else { batch };
    let mut sums = vec![vec![Sums::default(); count]; volumes];
    for (block, (_, parts)) in blocks.iter().zip(&outcomes) {
        for (sum, part) in sums[block.volume % volumes].iter_mut().zip(parts) {
            sum.overlap += part.overlap;
            sum.size += part.size;
        }
    }
    let samples = (batch * voxels) as f64;
    let cross_entropy = outcomes.iter().map(|(entropy, _)| entropy).sum::<f64>() / samples;
    let (dice, slopes) = dice_on_host(config, &sums);
    let pull = (config.ce_weight / samples) as f32;
    blocks.par_iter_mut().for_each(|block| differentiate(block, &slopes[block.volume % volumes], pull, config.squared_prediction));

    Evaluated {
        dice: Tensor::from_data([dice as f32], &device),
        cross_entropy: Tensor::from_data([cross_entropy as f32], &device),
        gradient: Tensor::from_data(data, &device),
    }
}

/// Mean Dice and its slopes, for each volume (one where the batch counts as one) and class.
fn dice_on_host(config: &DiceCeConfig, sums: &[Vec<Sums>]) -> (f64, Vec<Vec<Slope>>) {
    let skipped = usize::from(!config.include_background);
    let counted: usize = sums.iter().map(|classes| classes.len() - skipped).sum();
    let share = 1.0 / counted as f64;
    let mut mean = 0.0;
    let mut slope = |(class, sums): (usize, &Sums)| {
        if class < skipped {
            return Slope::default();
        }
        let size = sums.size + config.smooth_denominator;
        let dice = (2.0 * sums.overlap + config.smooth_numerator) / size;
        mean += dice * share;
        let factor = -config.dice_weight * share / size;
        Slope { alpha: (2.0 * factor) as f32, beta: (dice * factor) as f32 }
    };
    let slopes = sums.iter().map(|classes| classes.iter().enumerate().map(&mut slope).collect()).collect();
    (mean, slopes)
}

/// Cuts `[batch, class, voxel]` into blocks that hold all classes of a run of voxels.
fn blocks<'a>(cells: &'a mut [f32], target: &'a [u32], classes: usize, voxels: usize) -> Vec<Block<'a>> {
    let mut blocks = Vec::with_capacity(target.len().div_ceil(BLOCK));
    for (volume, (cells, target)) in cells.chunks_exact_mut(classes * voxels).zip(target.chunks_exact(voxels)).enumerate() {
        let first = blocks.len();
        blocks.extend(target.chunks(BLOCK).map(|target| Block { volume, rows: Vec::with_capacity(classes), target }));
        for row in cells.chunks_exact_mut(voxels) {
            blocks[first..].iter_mut().zip(row.chunks_mut(BLOCK)).for_each(|(block, row)| block.rows.push(row));
        }
    }
    blocks
}

/// Logits to softmax predictions; the block's summed cross-entropy and its sums for each class.
fn predict(block: &mut Block, squared: bool) -> (f64, Vec<Sums>) {
    let Block { rows, target, .. } = block;
    let length = target.len();
    let (mut top, mut total) = ([f32::NEG_INFINITY; BLOCK], [0.0_f32; BLOCK]);
    for row in rows.iter() {
        for (top, &logit) in top.iter_mut().zip(&**row) {
            *top = if logit > *top { logit } else { *top };
        }
    }
    let mut entropy = 0.0;
    for (voxel, (&class, &top)) in target.iter().zip(&top).enumerate() {
        entropy += f64::from(top) - f64::from(rows[class as usize][voxel]);
    }
    for row in rows.iter_mut() {
        for ((logit, &top), total) in row.iter_mut().zip(&top).zip(&mut total) {
            *logit = exp(*logit - top);
            *total += *logit;
        }
    }
    entropy += total[..length].iter().map(|total| f64::from(total.ln())).sum::<f64>();
    total.iter_mut().for_each(|total| *total = total.recip());

    let sums = rows.iter_mut().enumerate().map(|(class, row)| {
        row.iter_mut().zip(&total).for_each(|(value, inverse)| *value *= inverse);
        let (overlap, count) = overlap(row, target, class as u32);
        let predicted = if squared { sum(row, |value| value * value) } else { sum(row, |value| value) };
        Sums { overlap: f64::from(overlap), size: f64::from(predicted) + f64::from(count) }
    });
    (entropy, sums.collect())
}

/// Sum of the predictions where the target is `class`, and how many voxels that are.
fn overlap(prediction: &[f32], target: &[u32], class: u32) -> (f32, u32) {
    let (mut sums, mut counts) = ([0.0_f32; LANES], [0_u32; LANES]);
    for (prediction, target) in prediction.chunks(LANES).zip(target.chunks(LANES)) {
        for (((sum, count), &value), &target) in sums.iter_mut().zip(&mut counts).zip(prediction).zip(target) {
            *sum += if target == class { value } else { 0.0 };
            *count += u32::from(target == class);
        }
    }
    (sums.iter().sum(), counts.iter().sum())
}

/// Predictions to the gradient with respect to the logits.
fn differentiate(block: &mut Block, slopes: &[Slope], pull: f32, squared: bool) {
    let mut along = [0.0_f32; BLOCK];
    let slope_at = |Slope { alpha, beta }: Slope, value: f32, hit: bool| {
        (if hit { alpha } else { 0.0 }) - if squared { 2.0 * beta * value } else { beta }
    };
    for ((class, row), &slope) in (0_u32..).zip(&block.rows).zip(slopes) {
        for ((&value, &target), along) in row.iter().zip(block.target).zip(&mut along) {
            *along += value * slope_at(slope, value, target == class);
        }
    }
    for ((class, row), &slope) in (0_u32..).zip(&mut block.rows).zip(slopes) {
        for ((value, &target), &along) in row.iter_mut().zip(block.target).zip(&along) {
            let hit = target == class;
            *value = *value * (slope_at(slope, *value, hit) - along) + (*value - if hit { 1.0 } else { 0.0 }) * pull;
        }
    }
}
