//! Value and gradient of soft Dice plus cross-entropy, as two fused passes on the host or as tensor operations.
//!
//! With `p` the prediction, `t` the target (0 or 1), overlaps `o = sum p t` and sizes `u = sum (p or p^2) + sum t`, a Dice is
//! `(2 o + a) / (u + b)`. Its derivative by `p` is `alpha t - beta (1 or 2p)` with `alpha = 2 / (u + b)` and
//! `beta = Dice / (u + b)`; softmax or sigmoid take it on to the logits.
//!
//! Near a perfect prediction nothing is left of a loss that is a difference of numbers near 1. Hence what a Dice lacks is summed itself,
//! `1 - Dice = (sum (|p - t| or (p - t)^2) + b - a) / (u + b)`, cross-entropy is `ln(1 + e^d)`, `d` telling how far the other classes
//! together are ahead of the right one, and `1 - p` of the right class is `1 / (1 + e^-d)`.

use burn::tensor::{Int, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::simd::{LANES, exp, sum as sum_of};
use super::softplus::softplus;
use crate::kernels::{Bodies, bodies, class_gradient, class_sums, mean, sum, sum_axis};

/// Which soft Dice, and how it is mixed with cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiceCeConfig {
    /// Overlaps are summed over the batch before the ratio is taken, instead of one Dice for each volume.
    pub batch_dice: bool,
    /// Class 0 counts in the Dice part. It always counts in the cross-entropy.
    pub include_background: bool,
    /// The denominator holds squared predictions.
    pub squared_prediction: bool,
    /// Added to the numerator `2 * overlap`.
    pub smooth_numerator: f64,
    /// Added to the denominator `predicted + true`.
    pub smooth_denominator: f64,
    /// The Dice part is `1 - Dice` (MONAI) instead of `-Dice` (nnU-Net, so that its loss can be negative).
    pub one_minus: bool,
    /// Factor of the Dice part.
    pub dice_weight: f64,
    /// Factor of the cross-entropy; binary cross-entropy for overlapping regions.
    pub ce_weight: f64,
}

impl Default for DiceCeConfig {
    fn default() -> Self {
        Self::nnunet()
    }
}

impl DiceCeConfig {
    /// nnU-Net's and nnFormer's: batch Dice without background, smoothed by 1e-5 (the denominator by another 1e-8).
    pub fn nnunet() -> Self {
        Self {
            batch_dice: true,
            include_background: false,
            squared_prediction: false,
            smooth_numerator: 1e-5,
            smooth_denominator: 1e-5 + 1e-8,
            one_minus: false,
            dice_weight: 1.0,
            ce_weight: 1.0,
        }
    }

    /// By how much the loss of a perfect prediction lies below 0.
    fn best_dice_part(&self) -> f64 {
        if self.one_minus { 0.0 } else { self.dice_weight }
    }
}

/// Outcome of one evaluation, without graph.
#[derive(Debug)]
pub(super) struct Evaluated {
    /// The loss, `[1]`.
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

/// A prediction beside its target, each `[batch, class, voxel]`.
struct Compared {
    prediction: Tensor<3>,
    /// 0 or 1.
    target: Tensor<3>,
    /// `prediction - target`, with the digits that the difference of the two would lose.
    error: Tensor<3>,
    /// Mean cross-entropy, `[1]`.
    cross_entropy: Tensor<1>,
}

/// What the Dice of each class makes of its sums over voxels.
struct ClassDice {
    /// What the mean Dice lacks of 1, `[1]`.
    lacking: Tensor<1>,
    /// The derivative of the Dice part of the loss by a prediction is `alpha t - beta (1 or 2p)`; `[volumes, class]`.
    alpha: Tensor<2>,
    beta: Tensor<2>,
}

/// From the sums over voxels of `|p - t|` or its square, and of the prediction (or its square) and the target, each `[batch, class]`.
fn class_dice(config: &DiceCeConfig, [lacking, size]: [Tensor<2>; 2]) -> ClassDice {
    let [batch, classes] = size.dims();
    let skipped = usize::from(!config.include_background);
    let over = |sums: Tensor<2>| if config.batch_dice { sums.sum_dim(0) } else { sums };
    let size = over(size) + config.smooth_denominator;
    let lacking = (over(lacking) + (config.smooth_denominator - config.smooth_numerator)) / size.clone();

    let volumes = if config.batch_dice { 1 } else { batch };
    let share = 1.0 / (volumes * (classes - skipped)) as f64;
    let counted = lacking.clone().slice([0..volumes, skipped..classes]);
    let mut shares = vec![(-config.dice_weight * share) as f32; classes];
    shares[..skipped].fill(0.0);
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [classes]), &size.device()).reshape([1, classes]);
    let alpha = size.clone().recip() * 2.0 * shares.clone();
    let beta = (-lacking + 1.0) / size * shares;
    ClassDice { lacking: sum(counted) * share, alpha, beta }
}

/// What the mean Dice lacks of 1, `[1]`, and the derivative of the Dice part of the loss by the prediction, `[batch, class, voxel]`.
fn dice_on_device(config: &DiceCeConfig, compared: &Compared) -> (Tensor<1>, Tensor<3>) {
    let Compared { prediction, target, error, .. } = compared;
    let [batch, classes, _] = prediction.dims();
    let over = |values: Tensor<3>| sum_axis(values, 2).reshape([batch, classes]);
    let raised = |values: Tensor<3>| if config.squared_prediction { values.square() } else { values.abs() };
    let sums = [over(raised(error.clone())), over(raised(prediction.clone()) + target.clone())];
    let ClassDice { lacking, alpha, beta } = class_dice(config, sums);
    let [alpha, beta] = [alpha, beta].map(|slopes| slopes.unsqueeze_dim::<3>(2));
    let slope = if config.squared_prediction { prediction.clone() * beta * 2.0 } else { beta };
    (lacking, target.clone() * alpha - slope)
}

/// Softmax of `logits` `[batch, class, voxel]` against class indices `[batch, D, H, W]`.
pub(super) fn classes(config: &DiceCeConfig, logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
    let body = match bodies(&logits) {
        Bodies::Host => classes_on_host,
        Bodies::Gpu => classes_on_gpu,
        Bodies::Reference => classes_by_tensor_operations,
    };
    body(config, logits, classes)
}

/// The same on a GPU: two passes over the logits.
fn classes_on_gpu(config: &DiceCeConfig, logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
    let [batch, count, voxels] = logits.dims();
    let (labels, samples) = (classes.clone().inner().reshape([batch * voxels]), (batch * voxels) as f64);
    let sums = class_sums(logits.clone(), labels.clone(), config.squared_prediction);
    let of_classes = [0, count].map(|first| sums.clone().narrow(1, first, count));
    let ClassDice { lacking, alpha, beta } = class_dice(config, of_classes);
    let cross_entropy = sum(sums.narrow(1, 2 * count, 1)) / samples;
    let gradient = class_gradient(logits, labels, [alpha, beta], config.ce_weight / samples, config.squared_prediction);
    evaluated(config, lacking, cross_entropy, gradient)
}

/// The same by tensor operations.
fn classes_by_tensor_operations(config: &DiceCeConfig, logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
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
    let compared = Compared {
        prediction: wrong.clone().mask_where(right.clone(), activation::sigmoid(-ahead.clone()).expand(whole)),
        error: wrong.mask_where(right.clone(), -missing.expand(whole)),
        target: right.float(),
        cross_entropy: mean(softplus(ahead)),
    };
    let (lacking, slope) = dice_on_device(config, &compared);
    let projected = (compared.prediction.clone() * slope.clone()).sum_dim(1);
    let samples = (batch * voxels) as f64;
    let gradient = compared.prediction * (slope - projected) + compared.error * (config.ce_weight / samples);
    evaluated(config, lacking, compared.cross_entropy, gradient)
}

/// Sigmoids against regions of the same shape, by tensor operations.
pub(super) fn regions(config: &DiceCeConfig, logits: Tensor<3>, target: Tensor<3>) -> Evaluated {
    let samples = logits.shape().num_elements() as f64;
    let side = target.clone() * -2.0 + 1.0;
    let ahead = logits.clone() * side.clone();
    let compared = Compared {
        prediction: activation::sigmoid(logits),
        error: activation::sigmoid(ahead.clone()) * side,
        target,
        cross_entropy: mean(softplus(ahead)),
    };
    let (lacking, slope) = dice_on_device(config, &compared);
    let Compared { prediction, error, cross_entropy, .. } = compared;
    let gradient = (prediction.clone() - prediction.square()) * slope + error * (config.ce_weight / samples);
    evaluated(config, lacking, cross_entropy, gradient)
}

/// The small parts are brought together first: what is left of them beside the 1 of nnU-Net's `-Dice` is rounded once.
fn evaluated(config: &DiceCeConfig, lacking: Tensor<1>, cross_entropy: Tensor<1>, gradient: Tensor<3>) -> Evaluated {
    let value = lacking.clone() * config.dice_weight + cross_entropy.clone() * config.ce_weight - config.best_dice_part();
    Evaluated { value, dice: -lacking + 1.0, cross_entropy, gradient }
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
    /// Of `|p - t|` or its square.
    lacking: f64,
    /// Of the prediction (or its square) and the target.
    size: f64,
}

/// Derivative of the Dice part of the loss: `alpha t - beta (1 or 2p)`.
#[derive(Clone, Copy, Default)]
struct Slope {
    alpha: f32,
    beta: f32,
}

/// The same in host memory: logits become predictions, then the gradient.
fn classes_on_host(config: &DiceCeConfig, logits: Tensor<3>, classes: &Tensor<4, Int>) -> Evaluated {
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
            sum.lacking += part.lacking;
            sum.size += part.size;
        }
    }
    let samples = (batch * voxels) as f64;
    let cross_entropy = outcomes.iter().map(|(entropy, _)| entropy).sum::<f64>() / samples;
    let (lacking, slopes) = dice_on_host(config, &sums);
    let pull = (config.ce_weight / samples) as f32;
    blocks.par_iter_mut().for_each(|block| differentiate(block, &slopes[block.volume % volumes], pull, config.squared_prediction));

    let value = lacking * config.dice_weight + cross_entropy * config.ce_weight - config.best_dice_part();
    let [value, dice, cross_entropy] = [value, 1.0 - lacking, cross_entropy].map(|number| Tensor::from_data([number as f32], &device));
    Evaluated { value, dice, cross_entropy, gradient: Tensor::from_data(data, &device) }
}

/// What the mean Dice lacks of 1, and its slopes, for each volume (one where the batch counts as one) and class.
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
        let lacking = (sums.lacking + (config.smooth_denominator - config.smooth_numerator)) / size;
        mean += lacking * share;
        let factor = -config.dice_weight * share / size;
        Slope { alpha: (2.0 * factor) as f32, beta: ((1.0 - lacking) * factor) as f32 }
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

/// How far the largest logit of a voxel may be ahead of the right class before that one's exponential is too small to divide by.
const AHEAD_MOST: f32 = 80.0;

/// Logits to softmax predictions; the block's summed cross-entropy and its sums for each class.
fn predict(block: &mut Block, squared: bool) -> (f64, Vec<Sums>) {
    let Block { rows, target, .. } = block;
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
        let (lacking, count) = lacking(row, &missing, (target, class), squared);
        let predicted = if squared { sum_of(row, |value| value * value) } else { sum_of(row, |value| value) };
        Sums { lacking: f64::from(lacking), size: f64::from(predicted) + f64::from(count) }
    });
    (entropy, sums.collect())
}

/// Sum of `|p - t|` or its square, `missing` being `1 - p` of each voxel's own class, and how many voxels the class has.
fn lacking(prediction: &[f32], missing: &[f32], (target, class): (&[u32], u32), squared: bool) -> (f32, u32) {
    let (mut sums, mut counts) = ([0.0_f32; LANES], [0_u32; LANES]);
    let blocks = prediction.chunks(LANES).zip(missing.chunks(LANES)).zip(target.chunks(LANES));
    for ((prediction, missing), target) in blocks {
        let lanes = sums.iter_mut().zip(&mut counts).zip(prediction).zip(missing).zip(target);
        for ((((sum, count), &value), &missing), &target) in lanes {
            let error = if target == class { missing } else { value };
            *sum += if squared { error * error } else { error };
            *count += u32::from(target == class);
        }
    }
    (sums.iter().sum(), counts.iter().sum())
}

/// Predictions to the gradient with respect to the logits.
fn differentiate(block: &mut Block, slopes: &[Slope], pull: f32, squared: bool) {
    let mut projected = [0.0_f32; BLOCK];
    let slope_at = |Slope { alpha, beta }: Slope, value: f32, hit: bool| {
        (if hit { alpha } else { 0.0 }) - if squared { 2.0 * beta * value } else { beta }
    };
    for ((class, row), &slope) in (0_u32..).zip(&block.rows).zip(slopes) {
        for ((&value, &target), projected) in row.iter().zip(block.target).zip(&mut projected) {
            *projected += value * slope_at(slope, value, target == class);
        }
    }
    for ((class, row), &slope) in (0_u32..).zip(&mut block.rows).zip(slopes) {
        for ((value, &target), &projected) in row.iter_mut().zip(block.target).zip(&projected) {
            let hit = target == class;
            *value = *value * (slope_at(slope, *value, hit) - projected) + (*value - if hit { 1.0 } else { 0.0 }) * pull;
        }
    }
}
