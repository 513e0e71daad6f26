//! Optimiser steps on a GPU: a launch updates values and moments of several parameters in place. The norm of all gradients takes a few
//! launches, and the factor that it clips them by stays on the device.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{UNITS, buffer, cube_sum, empty, sum_of_vector, tensor};
use super::many_tensors::{Launch, Span, first_vector, launches, tensors_of_launch};
use super::sums::sum_over_rows;
use crate::kernels::optimiser::{AdamW, NORM_EPSILON, ParameterStep, Sgd};

/// Vectors that a unit updates: on a software GPU it goes through the lines of the launch's other tensors once for all of these.
const UPDATED: usize = 4;

/// Vectors that a unit adds the squares of.
const ADDED: usize = 16;

#[derive(CubeLaunch, CubeType)]
struct SgdParameter<N: Size> {
    value: Box<[Vector<f32, N>]>,
    first: Box<[Vector<f32, N>]>,
    gradient: Box<[Vector<f32, N>]>,
    span: Span,
    lr: f32,
    momentum: f32,
    decay: f32,
}

#[cube(launch)]
fn sgd_kernel<N: Size>(parameters: &mut Sequence<SgdParameter<N>>, clipping: &[f32], #[comptime] clips: bool) {
    #[unroll]
    for index in 0..parameters.len() {
        let parameter = parameters.index_mut(index);
        let mut unit = first_vector(&parameter.span);
        while unit < parameter.span.vectors {
            let at = unit as usize;
            let old = parameter.value[at];
            let step = clipped::<N>(parameter.gradient[at], clipping, clips);
            let step = fma(old, Vector::<f32, N>::new(parameter.decay), step);
            let kept = fma(parameter.first[at], Vector::<f32, N>::new(parameter.momentum), step);
            parameter.first[at] = kept;
            parameter.value[at] = old - fma(kept, Vector::<f32, N>::new(parameter.momentum), step) * Vector::<f32, N>::new(parameter.lr);
            unit += parameter.span.cubes * UNITS;
        }
    }
}

#[derive(CubeLaunch, CubeType)]
struct AdamWParameter<N: Size> {
    value: Box<[Vector<f32, N>]>,
    first: Box<[Vector<f32, N>]>,
    second: Box<[Vector<f32, N>]>,
    gradient: Box<[Vector<f32, N>]>,
    span: Span,
    keep: f32,
    rate: f32,
    root_scale: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    epsilon: f32,
}

#[cube(launch)]
fn adam_w_kernel<N: Size>(parameters: &mut Sequence<AdamWParameter<N>>, clipping: &[f32], #[comptime] clips: bool) {
    #[unroll]
    for index in 0..parameters.len() {
        let parameter = parameters.index_mut(index);
        let mut unit = first_vector(&parameter.span);
        while unit < parameter.span.vectors {
            let at = unit as usize;
            let step = clipped::<N>(parameter.gradient[at], clipping, clips);
            let mean = parameter.first[at] * Vector::<f32, N>::new(parameter.beta_1) + step * Vector::<f32, N>::new(parameter.rest_1);
            let square =
                parameter.second[at] * Vector::<f32, N>::new(parameter.beta_2) + step * step * Vector::<f32, N>::new(parameter.rest_2);
            parameter.first[at] = mean;
            parameter.second[at] = square;
            let scale = Vector::<f32, N>::new(parameter.root_scale);
            let root = fma(square.sqrt(), scale, Vector::<f32, N>::new(parameter.epsilon));
            parameter.value[at] =
                parameter.value[at] * Vector::<f32, N>::new(parameter.keep) - mean * Vector::<f32, N>::new(parameter.rate) / root;
            unit += parameter.span.cubes * UNITS;
        }
    }
}

#[cube]
fn clipped<N: Size>(gradient: Vector<f32, N>, clipping: &[f32], #[comptime] clips: bool) -> Vector<f32, N> {
    let mut step = gradient;
    if comptime!(clips) {
        step *= Vector::<f32, N>::new(clipping[1]);
    }
    step
}

#[derive(CubeLaunch, CubeType)]
struct Follower<N: Size> {
    target: Box<[Vector<f32, N>]>,
    online: Box<[Vector<f32, N>]>,
    span: Span,
}

#[cube(launch)]
fn moving_average_kernel<N: Size>(followers: &mut Sequence<Follower<N>>, momentum: f32, rest: f32) {
    #[unroll]
    for index in 0..followers.len() {
        let follower = followers.index_mut(index);
        let mut unit = first_vector(&follower.span);
        while unit < follower.span.vectors {
            let at = unit as usize;
            follower.target[at] = follower.target[at] * Vector::<f32, N>::new(momentum) + follower.online[at] * Vector::<f32, N>::new(rest);
            unit += follower.span.cubes * UNITS;
        }
    }
}

#[derive(CubeLaunch, CubeType)]
struct Gradient<N: Size> {
    values: Box<[Vector<f32, N>]>,
    span: Span,
}

/// Partial sums of the squares of several gradients, one of each of the launch's `cubes`; the first is the part `first`.
#[cube(launch)]
fn squares_kernel<N: Size>(gradients: &Sequence<Gradient<N>>, parts: &mut [f32], first: u32, cubes: u32) {
    let cube = CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X;
    if cube >= cubes {
        terminate!();
    }
    let mut memory = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut squares = Vector::<f32, N>::new(0.0f32);
    #[unroll]
    for index in 0..gradients.len() {
        let gradient = gradients.index(index);
        let mut unit = first_vector(&gradient.span);
        while unit < gradient.span.vectors {
            let value = gradient.values[unit as usize];
            squares = fma(value, value, squares);
            unit += gradient.span.cubes * UNITS;
        }
    }
    let sum = cube_sum(&mut memory, sum_of_vector::<N>(squares));
    if UNIT_POS == 0u32 {
        parts[(first + cube) as usize] = sum;
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

/// Numbers of a flattened tensor.
fn count(tensor: &CubeTensor) -> usize {
    tensor.meta.shape().num_elements()
}

/// A [`ParameterStep`] in GPU memory.
struct Parameter<R, const N: usize> {
    rule: R,
    state: [CubeTensor; N],
    gradient: CubeTensor,
}

/// All parameters after their steps, which `take` takes for those of a launch; it is given the clipping's numbers, or others where
/// nothing is clipped.
fn updated<R, const N: usize>(
    steps: Vec<ParameterStep<R, N>>,
    clipping: Option<&Tensor<1>>,
    take: impl Fn(&Client, &Launch<'_, Parameter<R, N>>, BufferArg),
) -> Vec<[Tensor<1>; N]> {
    let in_memory = |step: ParameterStep<R, N>| Parameter { rule: step.rule, state: step.state.map(own), gradient: buffer(step.gradient) };
    let parameters: Vec<Parameter<R, N>> = steps.into_iter().map(in_memory).collect();
    let like = &parameters[0].gradient;
    let scale = clipping.map_or_else(|| like.clone(), |clipping| buffer(clipping.clone()));
    let most = tensors_of_launch(like.client.properties().hardware.max_bindings, N + 1, 1);
    for launch in launches(&parameters, |parameter| count(&parameter.gradient), most, UPDATED) {
        take(&like.client, &launch, scale.clone().into_buffer_arg());
    }
    parameters.into_iter().map(|parameter| parameter.state.map(tensor)).collect()
}

/// See [`Sgd::step`].
pub(in crate::kernels) fn sgd(steps: Vec<ParameterStep<Sgd, 2>>, clipping: Option<&Tensor<1>>) -> Vec<[Tensor<1>; 2]> {
    updated(steps, clipping, |client, launch, scale| {
        let parameters = launch.arguments(|Parameter { rule, state: [value, first], gradient }, span| {
            let [value, first, gradient] = [value, first, gradient].map(|buffer| buffer.clone().into_buffer_arg());
            let [lr, momentum, decay] = [rule.lr, rule.momentum, rule.weight_decay].map(|number| number as f32);
            SgdParameterLaunch::new(value, first, gradient, span, lr, momentum, decay)
        });
        sgd_kernel::launch(client, launch.cube_count(), CubeDim::new_1d(UNITS), launch.size, parameters, scale, clipping.is_some());
    })
}

/// See [`AdamW::step`].
pub(in crate::kernels) fn adam_w(steps: Vec<ParameterStep<AdamW, 3>>, clipping: Option<&Tensor<1>>) -> Vec<[Tensor<1>; 3]> {
    updated(steps, clipping, |client, launch, scale| {
        let parameters = launch.arguments(|Parameter { rule, state: [value, first, second], gradient }, span| {
            let buffers = [value, first, second, gradient].map(|buffer| buffer.clone().into_buffer_arg());
            let [value, first, second, gradient] = buffers;
            let &AdamW { keep, rate, root_scale, decay: [beta_1, beta_2], rest: [rest_1, rest_2], epsilon } = rule;
            AdamWParameterLaunch::new(value, first, second, gradient, span, keep, rate, root_scale, beta_1, rest_1, beta_2, rest_2, epsilon)
        });
        adam_w_kernel::launch(client, launch.cube_count(), CubeDim::new_1d(UNITS), launch.size, parameters, scale, clipping.is_some());
    })
}

/// See [`crate::kernels::moving_average`].
pub(in crate::kernels) fn moving_average(pairs: Vec<[Tensor<1>; 2]>, momentum: f64) -> Vec<Tensor<1>> {
    let pairs: Vec<[CubeTensor; 2]> = pairs.into_iter().map(|[target, online]| [own(target), buffer(online)]).collect();
    let client = &pairs[0][0].client;
    let most = tensors_of_launch(client.properties().hardware.max_bindings, 2, 0);
    for launch in launches(&pairs, |[target, _]| count(target), most, UPDATED) {
        let followers = launch.arguments(|[target, online], span| {
            FollowerLaunch::new(target.clone().into_buffer_arg(), online.clone().into_buffer_arg(), span)
        });
        let (momentum, rest) = (momentum as f32, (1.0 - momentum) as f32);
        moving_average_kernel::launch(client, launch.cube_count(), CubeDim::new_1d(UNITS), launch.size, followers, momentum, rest);
    }
    pairs.into_iter().map(|[target, _]| tensor(target)).collect()
}

/// See [`crate::kernels::clipping`].
pub(in crate::kernels) fn clipping(gradients: &[Tensor<1>], max_norm: Option<f64>) -> Tensor<1> {
    let gradients: Vec<CubeTensor> = gradients.iter().cloned().map(buffer).collect();
    let like = &gradients[0];
    let most = tensors_of_launch(like.client.properties().hardware.max_bindings, 1, 1);
    let launches = launches(&gradients, count, most, ADDED);
    let all = launches.iter().map(|launch| launch.cubes as usize).sum();
    let parts = empty(like, [all]);
    let mut first = 0;
    for launch in &launches {
        squares_kernel::launch(
            &like.client,
            launch.cube_count(),
            CubeDim::new_1d(UNITS),
            launch.size,
            launch.arguments(|gradient, span| GradientLaunch::new(gradient.clone().into_buffer_arg(), span)),
            parts.clone().into_buffer_arg(),
            first,
            launch.cubes,
        );
        first += launch.cubes;
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
