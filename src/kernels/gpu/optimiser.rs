//! Optimiser steps on a GPU: one launch updates a parameter's value and moments in place. The norm of all gradients takes a few
//! launches, and the factor that it clips them by stays on the device.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{UNITS, buffer, cube_sum, cubes_for, empty, position, sum_of_vector, tensor, vector_size};
use super::sums::sum_over_rows;
use crate::kernels::optimiser::{AdamW, NORM_EPSILON, Sgd};

/// Gradients of a launch of the norm: as many buffers as every adapter binds, less the result and the launch's numbers.
const GRADIENTS: usize = 6;

#[cube(launch)]
fn sgd_kernel<N: Size>(
    value: &mut [Vector<f32, N>],
    first: &mut [Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    clipping: &[f32],
    total: u32,
    lr: f32,
    momentum: f32,
    decay: f32,
    #[comptime] clips: bool,
) {
    let unit = position();
    if unit < total {
        let at = unit as usize;
        let old = value[at];
        let mut step = gradient[at];
        if comptime!(clips) {
            step *= Vector::<f32, N>::new(clipping[1]);
        }
        step = fma(old, Vector::<f32, N>::new(decay), step);
        let kept = fma(first[at], Vector::<f32, N>::new(momentum), step);
        first[at] = kept;
        value[at] = old - fma(kept, Vector::<f32, N>::new(momentum), step) * Vector::<f32, N>::new(lr);
    }
}

#[cube(launch)]
fn adam_w_kernel<N: Size>(
    value: &mut [Vector<f32, N>],
    first: &mut [Vector<f32, N>],
    second: &mut [Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    clipping: &[f32],
    total: u32,
    keep: f32,
    rate: f32,
    root_scale: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    epsilon: f32,
    #[comptime] clips: bool,
) {
    let unit = position();
    if unit < total {
        let at = unit as usize;
        let mut step = gradient[at];
        if comptime!(clips) {
            step *= Vector::<f32, N>::new(clipping[1]);
        }
        let mean = first[at] * Vector::<f32, N>::new(beta_1) + step * Vector::<f32, N>::new(rest_1);
        let square = second[at] * Vector::<f32, N>::new(beta_2) + step * step * Vector::<f32, N>::new(rest_2);
        first[at] = mean;
        second[at] = square;
        let root = fma(square.sqrt(), Vector::<f32, N>::new(root_scale), Vector::<f32, N>::new(epsilon));
        value[at] = value[at] * Vector::<f32, N>::new(keep) - mean * Vector::<f32, N>::new(rate) / root;
    }
}

#[cube(launch)]
fn moving_average_kernel<N: Size>(target: &mut [Vector<f32, N>], online: &[Vector<f32, N>], total: u32, momentum: f32, rest: f32) {
    let unit = position();
    if unit < total {
        let at = unit as usize;
        target[at] = target[at] * Vector::<f32, N>::new(momentum) + online[at] * Vector::<f32, N>::new(rest);
    }
}

/// A cube's share of a sum of squares.
#[cube]
fn squares_of<N: Size>(x: &[Vector<f32, N>], total: u32) -> f32 {
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut at = CUBE_POS_X * UNITS + UNIT_POS;
    while at < total {
        let value = x[at as usize];
        squares = fma(value, value, squares);
        at += CUBE_COUNT_X * UNITS;
    }
    sum_of_vector::<N>(squares)
}

/// Partial sums of the squares of up to six gradients, those of each along the first axis of the cubes.
#[cube(launch)]
fn squares_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    c: &[Vector<f32, N>],
    d: &[Vector<f32, N>],
    e: &[Vector<f32, N>],
    f: &[Vector<f32, N>],
    parts: &mut [f32],
    first: u32,
    total_a: u32,
    total_b: u32,
    total_c: u32,
    total_d: u32,
    total_e: u32,
    total_f: u32,
) {
    let mut memory = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let which = CUBE_POS_Y;
    let mut own = 0.0f32;
    if which == 0u32 {
        own = squares_of::<N>(a, total_a);
    } else if which == 1u32 {
        own = squares_of::<N>(b, total_b);
    } else if which == 2u32 {
        own = squares_of::<N>(c, total_c);
    } else if which == 3u32 {
        own = squares_of::<N>(d, total_d);
    } else if which == 4u32 {
        own = squares_of::<N>(e, total_e);
    } else if which == 5u32 {
        own = squares_of::<N>(f, total_f);
    }
    let sum = cube_sum(&mut memory, own);
    if UNIT_POS == 0u32 {
        parts[(first + which * CUBE_COUNT_X + CUBE_POS_X) as usize] = sum;
    }
}

/// The root of a sum of squares, and what it is clipped by.
#[cube(launch)]
fn clipping_kernel(squares: &[f32], out: &mut [f32], max_norm: f32, epsilon: f32, #[comptime] clips: bool) {
    let norm = squares[0].sqrt();
    out[0] = norm;
    let mut factor = 1.0f32;
    if comptime!(clips) {
        factor = min(max_norm / (norm + epsilon), 1.0f32);
    }
    out[1] = factor;
}

/// The same numbers in a buffer that nothing else holds.
fn own(tensor: Tensor<1>) -> CubeTensor {
    let buffer = buffer(tensor);
    if buffer.can_mut() { buffer } else { buffer.copy() }
}

/// See [`Sgd::step`].
pub(in crate::kernels) fn sgd(
    rule: Sgd,
    [value, first]: [Tensor<1>; 2],
    gradient: Tensor<1>,
    clipping: Option<&Tensor<1>>,
) -> [Tensor<1>; 2] {
    let count = gradient.shape().num_elements();
    let (value, first, gradient, size) = (own(value), own(first), buffer(gradient), vector_size(&[count]));
    let scale = clipping.map_or_else(|| gradient.clone(), |clipping| buffer(clipping.clone()));
    let [lr, momentum, decay] = [rule.lr, rule.momentum, rule.weight_decay].map(|number| number as f32);
    sgd_kernel::launch(
        &value.client.clone(),
        cubes_for(count / size),
        CubeDim::new_1d(UNITS),
        size,
        value.clone().into_buffer_arg(),
        first.clone().into_buffer_arg(),
        gradient.into_buffer_arg(),
        scale.into_buffer_arg(),
        (count / size) as u32,
        lr,
        momentum,
        decay,
        clipping.is_some(),
    );
    [tensor(value), tensor(first)]
}

/// See [`AdamW::step`].
pub(in crate::kernels) fn adam_w(rule: &AdamW, state: [Tensor<1>; 3], gradient: Tensor<1>, clipping: Option<&Tensor<1>>) -> [Tensor<1>; 3] {
    let count = gradient.shape().num_elements();
    let ([value, first, second], gradient, size) = (state.map(own), buffer(gradient), vector_size(&[count]));
    let scale = clipping.map_or_else(|| gradient.clone(), |clipping| buffer(clipping.clone()));
    adam_w_kernel::launch(
        &value.client.clone(),
        cubes_for(count / size),
        CubeDim::new_1d(UNITS),
        size,
        value.clone().into_buffer_arg(),
        first.clone().into_buffer_arg(),
        second.clone().into_buffer_arg(),
        gradient.into_buffer_arg(),
        scale.into_buffer_arg(),
        (count / size) as u32,
        rule.keep,
        rule.rate,
        rule.root_scale,
        rule.decay[0],
        rule.rest[0],
        rule.decay[1],
        rule.rest[1],
        rule.epsilon,
        clipping.is_some(),
    );
    [value, first, second].map(tensor)
}

/// See [`crate::kernels::moving_average`].
pub(in crate::kernels) fn moving_average(target: Tensor<1>, online: Tensor<1>, momentum: f64) -> Tensor<1> {
    let count = target.shape().num_elements();
    let (target, online, size) = (own(target), buffer(online), vector_size(&[count]));
    moving_average_kernel::launch(
        &target.client.clone(),
        cubes_for(count / size),
        CubeDim::new_1d(UNITS),
        size,
        target.clone().into_buffer_arg(),
        online.into_buffer_arg(),
        (count / size) as u32,
        momentum as f32,
        (1.0 - momentum) as f32,
    );
    tensor(target)
}

/// See [`crate::kernels::clipping`].
pub(in crate::kernels) fn clipping(gradients: &[Tensor<1>], max_norm: Option<f64>) -> Tensor<1> {
    let gradients: Vec<CubeTensor> = gradients.iter().cloned().map(buffer).collect();
    let count = |gradient: &CubeTensor| gradient.meta.shape().num_elements();
    // Those that whole vectors make up together.
    let (whole, odd): (Vec<_>, Vec<_>) = gradients.iter().partition(|gradient| count(gradient).is_multiple_of(4));
    let launches: Vec<(&[&CubeTensor], usize)> =
        [(&whole, 4), (&odd, 1)].into_iter().flat_map(|(group, size)| group.chunks(GRADIENTS).map(move |group| (group, size))).collect();
    let cubes_of = |group: &[&CubeTensor], size: usize| {
        let longest = group.iter().map(|gradient| count(gradient) / size).max().unwrap_or(0);
        longest.div_ceil(16 * UNITS as usize).clamp(1, 4096)
    };
    let parts_of = |&(group, size): &(&[&CubeTensor], usize)| group.len() * cubes_of(group, size);
    let all: usize = launches.iter().map(parts_of).sum();
    let like = &gradients[0];
    let parts = empty(like, [all]);
    let mut first = 0;
    for launch in &launches {
        let &(group, size) = launch;
        let total = |index: usize| group.get(index).map_or(0, |gradient| count(gradient) / size) as u32;
        let argument = |index: usize| (*group.get(index).unwrap_or(&group[0])).clone().into_buffer_arg();
        squares_kernel::launch(
            &like.client,
            CubeCount::Static(cubes_of(group, size) as u32, group.len() as u32, 1),
            CubeDim::new_1d(UNITS),
            size,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
            parts.clone().into_buffer_arg(),
            first as u32,
            total(0),
            total(1),
            total(2),
            total(3),
            total(4),
            total(5),
        );
        first += parts_of(launch);
    }
    let squares = sum_over_rows(parts, [1, all, 1]);
    let out = empty(like, [2]);
    clipping_kernel::launch(
        &like.client,
        CubeCount::Static(1, 1, 1),
        CubeDim::new_1d(1),
        squares.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        max_norm.unwrap_or_default() as f32,
        NORM_EPSILON as f32,
        max_norm.is_some(),
    );
    tensor(out)
}
