//! Instance normalisation: one pass for the statistics, one to apply them, in place.
//!
//! Channels lie innermost and may be few. Rows are therefore taken in blocks of a length that both the channel count
//! and [`LANES`] divide, on which every place of a block belongs to one channel and the arithmetic needs no remainder.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::{LANES, vectorised};
use super::tensor::{EPSILON, alone, changed, contiguous, elements, tensor};

/// Elements of one parallel task; sums are taken over as many and then added in order.
const TASK_ELEMENTS: usize = 64 << 10;

/// How a tensor is cut: samples into tasks, tasks into blocks.
#[derive(Clone, Copy)]
struct Cut {
    channels: usize,
    /// Elements of a block.
    block: usize,
    /// Elements of a sample.
    sample: usize,
    /// Elements of a task.
    task: usize,
}

impl Cut {
    fn new([_, count, channels]: [usize; 3]) -> Self {
        let shared = (1..=LANES).rev().find(|&length| LANES.is_multiple_of(length) && channels.is_multiple_of(length)).unwrap_or(1);
        let block = channels * LANES / shared;
        Self { channels, block, sample: count * channels, task: TASK_ELEMENTS.next_multiple_of(block) }
    }

    /// One value a channel, repeated over a block.
    #[inline(always)]
    fn repeated(self, channels: impl Fn(usize) -> f32) -> Vec<f32> {
        (0..self.block).map(|place| channels(place % self.channels)).collect()
    }

    /// Sums by place in the block -> sums by channel.
    #[inline(always)]
    fn folded(self, places: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; self.channels];
        for row in places.chunks_exact(self.channels) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        sums
    }
}

#[inline(always)]
fn activate(x: f32, slope: f32) -> f32 {
    if x < 0.0 { x * slope } else { x }
}

vectorised! {
    /// Mean of each channel over a task, and the sum of squares about it.
    fn moments<'a>(x: &'a [f32], cut: Cut) -> [Vec<f32>; 2] {
        let rows = (x.len() / cut.channels) as f32;
        let mut sums = vec![0.0; cut.block];
        for block in x.chunks(cut.block) {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += x;
            }
        }
        let mut means = cut.folded(&sums);
        for mean in &mut means {
            *mean /= rows;
        }
        let mean = cut.repeated(|channel| means[channel]);
        sums.fill(0.0);
        for block in x.chunks(cut.block) {
            for ((sum, &x), &mean) in sums.iter_mut().zip(block).zip(&mean) {
                *sum += (x - mean) * (x - mean);
            }
        }
        [means, cut.folded(&sums)]
    }
}

vectorised! {
    /// Applies the statistics, mean and factor over a block, to a task, in place.
    fn apply<'a>(x: &'a mut [f32], shortcut: Option<&'a [f32]>, statistics: [&'a [f32]; 2], slope: f32) -> () {
        let [mean, factor] = statistics;
        let blocks = x.chunks_mut(mean.len()).enumerate();
        for (index, x) in blocks {
            let statistics = mean.iter().zip(factor);
            match shortcut {
                None => {
                    for (x, (&mean, &factor)) in x.iter_mut().zip(statistics) {
                        *x = activate((*x - mean) * factor, slope);
                    }
                }
                Some(shortcut) => {
                    let shortcut = &shortcut[index * mean.len()..][..x.len()];
                    for ((x, &shortcut), (&mean, &factor)) in x.iter_mut().zip(shortcut).zip(statistics) {
                        *x = activate((*x - mean) * factor + shortcut, slope);
                    }
                }
            }
        }
    }
}

/// See [`crate::kernels::instance_norm`]: its result, and what brought the variance to 1, `[batch, 1, channels]`.
pub fn instance_norm(x: Tensor<3>, shortcut: Option<Tensor<3>>, slope: f32) -> (Tensor<3>, Tensor<3>) {
    let cut = Cut::new(x.dims());
    let mut x = alone(x);
    let shortcut = shortcut.map(contiguous);
    let samples = elements(&x).par_chunks(cut.sample);
    let tasks: Vec<[Vec<f32>; 2]> = samples.flat_map(|sample| sample.par_chunks(cut.task)).map(|x| moments(x, cut)).collect();
    let statistics: Vec<[Vec<f32>; 2]> = tasks.chunks(cut.sample.div_ceil(cut.task)).map(|tasks| combined(tasks, cut)).collect();
    let batch = statistics.len();
    let shortcut = shortcut.as_ref().map(elements);
    let samples = x.storage_mut::<f32>().par_chunks_mut(cut.sample).enumerate();
    samples.for_each(|(sample, x)| {
        let [mean, factor] = &statistics[sample];
        let (mean, factor) = (cut.repeated(|channel| mean[channel]), cut.repeated(|channel| factor[channel]));
        x.par_chunks_mut(cut.task).enumerate().for_each(|(task, x)| {
            let shortcut = shortcut.map(|shortcut| &shortcut[sample * cut.sample + task * cut.task..][..x.len()]);
            apply(x, shortcut, [&mean, &factor], slope);
        });
    });
    let factors = statistics.into_iter().flat_map(|[_, factor]| factor).collect();
    (changed(x), tensor(factors, [batch, 1, cut.channels]))
}

/// Mean and factor of a sample's channels from those of its tasks (Chan et al., 1979), in double precision.
fn combined(tasks: &[[Vec<f32>; 2]], cut: Cut) -> [Vec<f32>; 2] {
    let channels = (0..cut.channels).map(|channel| {
        let (mut rows, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (task, [means, sums]) in tasks.iter().enumerate() {
            let more = (cut.task.min(cut.sample - task * cut.task) / cut.channels) as f64;
            let difference = f64::from(means[channel]) - mean;
            squares += f64::from(sums[channel]) + difference * difference * rows * more / (rows + more);
            mean += difference * more / (rows + more);
            rows += more;
        }
        (mean as f32, (squares / rows + f64::from(EPSILON)).sqrt().recip() as f32)
    });
    let (mean, factor) = channels.unzip();
    [mean, factor]
}

/// What is the same in all tasks of a backward pass over one sample.
#[derive(Clone, Copy)]
struct Undo {
    cut: Cut,
    slope: f32,
    inverse: f32,
}

impl Undo {
    /// The gradient before the activation, and the normalised input.
    #[inline(always)]
    fn at(self, grad: f32, out: f32, shortcut: f32) -> (f32, f32) {
        (if out < 0.0 { grad * self.slope } else { grad }, activate(out, self.inverse) - shortcut)
    }
}

vectorised! {
    /// Sums over a task by channel: of the gradient before the activation, and of the same times the normalised input.
    fn gradient_sums<'a>(undo: Undo, grad: &'a [f32], out: &'a [f32], shortcut: Option<&'a [f32]>) -> [Vec<f32>; 2] {
        let length = undo.cut.block;
        let (mut sums, mut projected) = (vec![0.0_f32; length], vec![0.0_f32; length]);
        for (index, (grad, out)) in grad.chunks(length).zip(out.chunks(length)).enumerate() {
            let places = sums.iter_mut().zip(&mut projected).zip(grad.iter().zip(out));
            match shortcut {
                None => {
                    for ((sum, projected), (&grad, &out)) in places {
                        let (grad, normal) = undo.at(grad, out, 0.0);
                        *sum += grad;
                        *projected += grad * normal;
                    }
                }
                Some(shortcut) => {
                    for (((sum, projected), (&grad, &out)), &shortcut) in places.zip(&shortcut[index * length..]) {
                        let (grad, normal) = undo.at(grad, out, shortcut);
                        *sum += grad;
                        *projected += grad * normal;
                    }
                }
            }
        }
        [undo.cut.folded(&sums), undo.cut.folded(&projected)]
    }
}

/// Factor, mean gradient and mean of gradient times normalised input of a sample, over a block.
struct Pull {
    factor: Vec<f32>,
    mean: Vec<f32>,
    projected: Vec<f32>,
}

vectorised! {
    /// Turns the gradient of a task's output into that of its input.
    fn input_gradient<'a>(undo: Undo, pull: &'a Pull, grad: &'a mut [f32], out: &'a [f32]) -> () {
        for (grad, out) in grad.chunks_mut(undo.cut.block).zip(out.chunks(undo.cut.block)) {
            let pull = pull.factor.iter().zip(&pull.mean).zip(&pull.projected);
            for ((grad, &out), ((&factor, &mean), &projected)) in grad.iter_mut().zip(out).zip(pull) {
                let (own, normal) = undo.at(*grad, out, 0.0);
                *grad = factor * (own - mean - normal * projected);
            }
        }
    }
}

vectorised! {
    /// The same with a shortcut: its gradient takes the place of the output's, and the input's comes beside it.
    fn both_gradients<'a>(undo: Undo, pull: &'a Pull, gradients: [&'a mut [f32]; 2], kept: [&'a [f32]; 2]) -> () {
        let ([grad, x], [out, shortcut]) = (gradients, kept);
        let length = undo.cut.block;
        let kept = out.chunks(length).zip(shortcut.chunks(length));
        for ((grad, x), (out, shortcut)) in grad.chunks_mut(length).zip(x.chunks_mut(length)).zip(kept) {
            let pull = pull.factor.iter().zip(&pull.mean).zip(&pull.projected);
            let kept = out.iter().zip(shortcut);
            for (((grad, x), (&out, &shortcut)), ((&factor, &mean), &projected)) in grad.iter_mut().zip(x).zip(kept).zip(pull) {
                let (own, normal) = undo.at(*grad, out, shortcut);
                *grad = own;
                *x = factor * (own - mean - normal * projected);
            }
        }
    }
}

/// Gradients of input and shortcut from the results of [`instance_norm`].
pub fn instance_norm_gradients(
    (out, factor): (Tensor<3>, Tensor<3>),
    shortcut: Option<Tensor<3>>,
    grad: Tensor<3>,
    slope: f32,
) -> (Tensor<3>, Option<Tensor<3>>) {
    let shape = out.dims();
    let cut = Cut::new(shape);
    let (mut grad, out, shortcut, factor) = (alone(grad), contiguous(out), shortcut.map(contiguous), contiguous(factor));
    let undo = Undo { cut, slope, inverse: slope.recip() };
    let (out, shortcut) = (elements(&out), shortcut.as_ref().map(elements));
    let pulls = pulls(undo, elements(&grad), out, shortcut, elements(&factor));
    let Some(shortcut) = shortcut else {
        let samples = grad.storage_mut::<f32>().par_chunks_mut(cut.sample).zip(out.par_chunks(cut.sample)).zip(&pulls);
        samples.for_each(|((grad, out), pull)| {
            let tasks = grad.par_chunks_mut(cut.task).zip(out.par_chunks(cut.task));
            tasks.for_each(|(grad, out)| input_gradient(undo, pull, grad, out));
        });
        return (changed(grad), None);
    };
    let mut x = vec![0.0; out.len()];
    let kept = out.par_chunks(cut.sample).zip(shortcut.par_chunks(cut.sample));
    let samples = grad.storage_mut::<f32>().par_chunks_mut(cut.sample).zip(x.par_chunks_mut(cut.sample)).zip(kept).zip(&pulls);
    samples.for_each(|(((grad, x), (out, shortcut)), pull)| {
        let kept = out.par_chunks(cut.task).zip(shortcut.par_chunks(cut.task));
        let tasks = grad.par_chunks_mut(cut.task).zip(x.par_chunks_mut(cut.task)).zip(kept);
        tasks.for_each(|((grad, x), (out, shortcut))| both_gradients(undo, pull, [grad, x], [out, shortcut]));
    });
    (tensor(x, shape), Some(changed(grad)))
}

/// The sums of the backward pass, by sample.
fn pulls(undo: Undo, grad: &[f32], out: &[f32], shortcut: Option<&[f32]>, factor: &[f32]) -> Vec<Pull> {
    let cut = undo.cut;
    let tasks = cut.sample.div_ceil(cut.task);
    let sums = (0..out.len() / cut.sample * tasks).into_par_iter().map(|task| {
        let first = task % tasks * cut.task;
        let (length, first) = (cut.task.min(cut.sample - first), task / tasks * cut.sample + first);
        let part = |values| -> &[f32] { &<[f32]>::as_ref(values)[first..first + length] };
        gradient_sums(undo, part(grad), part(out), shortcut.map(part))
    });
    let sums: Vec<[Vec<f32>; 2]> = sums.collect();
    let rows = (cut.sample / cut.channels) as f64;
    let samples = sums.chunks(tasks).zip(factor.chunks_exact(cut.channels));
    samples
        .map(|(sums, factor)| {
            let mean = |which: usize, channel: usize| (sums.iter().map(|sums| f64::from(sums[which][channel])).sum::<f64>() / rows) as f32;
            Pull {
                factor: cut.repeated(|channel| factor[channel]),
                mean: cut.repeated(|channel| mean(0, channel)),
                projected: cut.repeated(|channel| mean(1, channel)),
            }
        })
        .collect()
}
