//! Optimiser steps in host memory: one parallel pass over value, moments and gradient.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::kernels::optimiser::{AdamW, Sgd};

/// Numbers that one task updates.
const CHUNK: usize = 1 << 15;

/// See [`Sgd::step`].
pub(in crate::kernels) fn sgd(rule: Sgd, state: [Tensor<1>; 2], gradient: Tensor<1>) -> [Tensor<1>; 2] {
    let [lr, momentum, decay] = [rule.lr, rule.momentum, rule.weight_decay].map(|number| number as f32);
    fused(state, gradient, |[value, first], gradient| {
        for ((value, first), &gradient) in value.iter_mut().zip(first).zip(gradient) {
            let gradient = gradient + decay * *value;
            *first = momentum * *first + gradient;
            *value -= lr * (gradient + momentum * *first);
        }
    })
}

/// See [`AdamW::step`].
pub(in crate::kernels) fn adam_w(rule: &AdamW, state: [Tensor<1>; 3], gradient: Tensor<1>) -> [Tensor<1>; 3] {
    let &AdamW { keep, rate, root_scale, decay: [beta_1, beta_2], rest: [rest_1, rest_2], epsilon } = rule;
    fused(state, gradient, |[value, first, second], gradient| {
        for (((value, first), second), &gradient) in value.iter_mut().zip(first).zip(second).zip(gradient) {
            *first = beta_1 * *first + rest_1 * gradient;
            *second = beta_2 * *second + rest_2 * gradient * gradient;
            *value = keep * *value - rate * *first / (second.sqrt() * root_scale + epsilon);
        }
    })
}

/// Updates tensors in place (a tensor that is shared is copied first).
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
