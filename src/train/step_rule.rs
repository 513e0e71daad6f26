//! The arithmetic of one optimiser step for one parameter: one fused pass on the host, or tensor operations.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::config::OptimiserConfig;
use crate::device::on_host;

/// Decay of Adam's running mean of gradients.
const BETA_1: f64 = 0.9;
/// Decay of Adam's running mean of squared gradients.
const BETA_2: f64 = 0.999;
/// Added to Adam's denominator, outside the root.
const EPSILON: f64 = 1e-8;
/// Numbers that one task updates.
const CHUNK: usize = 1 << 15;

/// What the optimiser remembers of one parameter, flattened.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    /// SGD's momentum, or Adam's mean of gradients.
    pub first: Tensor<1>,
    /// Adam's mean of squared gradients.
    pub second: Option<Tensor<1>>,
    /// Steps taken.
    pub steps: u64,
}

impl Moments {
    /// Those of a parameter that has taken no step.
    pub(super) fn new(config: &OptimiserConfig, value: &Tensor<1>) -> Self {
        let second = match config {
            OptimiserConfig::Sgd { .. } => None,
            OptimiserConfig::AdamW { .. } => Some(value.zeros_like()),
        };
        Self { first: value.zeros_like(), second, steps: 0 }
    }

    /// The parameter's flattened `value` after a step along `gradient` at rate `lr`.
    pub(super) fn step(&mut self, config: &OptimiserConfig, lr: f64, value: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        self.steps += 1;
        match *config {
            OptimiserConfig::Sgd { momentum, weight_decay, .. } => self.sgd(Sgd { lr, momentum, weight_decay }, value, gradient),
            OptimiserConfig::AdamW { weight_decay, .. } => self.adam_w(&AdamW::new(lr, weight_decay, self.steps), value, gradient),
        }
    }

    fn sgd(&mut self, rule: Sgd, value: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let Sgd { lr, momentum, weight_decay } = rule;
        let first = std::mem::replace(&mut self.first, Tensor::empty([0], &value.device()));
        if on_host(&value.device()) {
            let [value, first] = fused([value, first], gradient, |[value, first], gradient| rule.update(value, first, gradient));
            self.first = first;
            return value;
        }
        let gradient = gradient + value.clone() * weight_decay;
        self.first = first * momentum + gradient.clone();
        value - (gradient + self.first.clone() * momentum) * lr
    }

    fn adam_w(&mut self, rule: &AdamW, value: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let nothing = Tensor::empty([0], &value.device());
        let first = std::mem::replace(&mut self.first, nothing);
        let second = self.second.take().expect("AdamW keeps two moments");
        if on_host(&value.device()) {
            let update = |[value, first, second]: [&mut [f32]; 3], gradient: &[f32]| rule.update(value, first, second, gradient);
            let [value, first, second] = fused([value, first, second], gradient, update);
            (self.first, self.second) = (first, Some(second));
            return value;
        }
        let first = first * BETA_1 + gradient.clone() * (1.0 - BETA_1);
        let second = second * BETA_2 + gradient.square() * (1.0 - BETA_2);
        let step = first.clone() / (second.clone().sqrt() * rule.root_scale + EPSILON) * rule.rate;
        (self.first, self.second) = (first, Some(second));
        value * rule.keep - step
    }
}

/// `torch.optim.SGD` with Nesterov momentum and no dampening. The first step's momentum is the gradient itself, which is what
/// the rule makes of zeros.
#[derive(Clone, Copy)]
struct Sgd {
    lr: f64,
    momentum: f64,
    weight_decay: f64,
}

impl Sgd {
    fn update(self, value: &mut [f32], first: &mut [f32], gradient: &[f32]) {
        let [lr, momentum, decay] = [self.lr, self.momentum, self.weight_decay].map(|number| number as f32);
        for ((value, first), &gradient) in value.iter_mut().zip(first).zip(gradient) {
            let gradient = gradient + decay * *value;
            *first = momentum * *first + gradient;
            *value -= lr * (gradient + momentum * *first);
        }
    }
}

/// `torch.optim.AdamW`: decay decoupled from the gradient, moments corrected for their start at zero.
struct AdamW {
    /// What decay leaves of a value.
    keep: f64,
    /// Learning rate, corrected for the first moment.
    rate: f64,
    /// Corrects the root of the second moment.
    root_scale: f64,
}

impl AdamW {
    fn new(lr: f64, weight_decay: f64, steps: u64) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(steps as f64);
        Self { keep: 1.0 - lr * weight_decay, rate: lr / correction(BETA_1), root_scale: correction(BETA_2).sqrt().recip() }
    }

    fn update(&self, value: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        let [keep, rate, root_scale, epsilon] = [self.keep, self.rate, self.root_scale, EPSILON].map(|number| number as f32);
        let [beta_1, beta_2, rest_1, rest_2] = [BETA_1, BETA_2, 1.0 - BETA_1, 1.0 - BETA_2].map(|number| number as f32);
        for (((value, first), second), &gradient) in value.iter_mut().zip(first).zip(second).zip(gradient) {
            *first = beta_1 * *first + rest_1 * gradient;
            *second = beta_2 * *second + rest_2 * gradient * gradient;
            *value = keep * *value - rate * *first / (second.sqrt() * root_scale + epsilon);
        }
    }
}

/// Updates tensors in host memory in place (a tensor that is shared is copied first), in one parallel pass.
fn fused<const N: usize>(tensors: [Tensor<1>; N], gradient: Tensor<1>, update: impl Fn([&mut [f32]; N], &[f32]) + Sync) -> [Tensor<1>; N] {
    let device = gradient.device();
    let gradient = gradient.into_data();
    let gradient = gradient.as_slice::<f32>().expect("gradients are f32");
    let mut data: [TensorData; N] = tensors.map(Tensor::into_data);
    let mut parts = data.each_mut().map(|data| data.as_mut_slice::<f32>().expect("parameters are f32").chunks_mut(CHUNK));
    let mut chunks: Vec<_> =
        gradient.chunks(CHUNK).map(|gradient| (parts.each_mut().map(|part| part.next().expect("equal lengths")), gradient)).collect();
    let run = |(parts, gradient): &mut ([&mut [f32]; N], &[f32])| update(parts.each_mut().map(|part| &mut **part), gradient);
    // Most parameters are a single chunk, and waking the thread pool would cost more than the work.
    if let [chunk] = &mut chunks[..] {
        run(chunk);
    } else {
        chunks.par_iter_mut().for_each(run);
    }
    drop(chunks);
    data.map(|data| Tensor::from_data(data, &device))
}
