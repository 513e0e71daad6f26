//! The kernels of instance normalisation.
//!
//! Statistics are made over parts of the rows first, each around a value of its own, and joined by the formula of Chan, Golub and
//! LeVeque (1983) for the moments of two samples: no difference of large squares.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::position;

/// By channel and part of the rows: mean, and sum of squares around it. `[batch, splits, 2, vectors]`.
#[cube(launch)]
pub(super) fn moments_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    parts: &mut [Vector<f32, N>],
    batch: u32,
    rows: u32,
    vectors: u32,
    splits: u32,
    #[define(F)] _element: ElemType,
) {
    let at = position();
    if at < vectors * splits * batch {
        let v = at % vectors;
        let split = at / vectors % splits;
        let sample = at / vectors / splits;
        let from = sample * rows;
        let shift = Vector::<f32, N>::cast_from(x[((from + split) * vectors + v) as usize]);
        let mut sum = Vector::<f32, N>::new(0.0f32);
        let mut squares = Vector::<f32, N>::new(0.0f32);
        let mut count = 0u32;
        let mut row = split;
        while row < rows {
            let value = Vector::<f32, N>::cast_from(x[((from + row) * vectors + v) as usize]) - shift;
            sum += value;
            squares = fma(value, value, squares);
            count += 1;
            row += splits;
        }
        let mean = sum / Vector::<f32, N>::new(f32::cast_from(count));
        let to = (sample * splits + split) * 2 * vectors + v;
        parts[to as usize] = mean + shift;
        parts[(to + vectors) as usize] = squares - sum * mean;
    }
}

/// Mean and factor of each channel, `[batch, 2, vectors]`, from its parts.
#[cube(launch)]
pub(super) fn statistics_kernel<N: Size>(
    parts: &[Vector<f32, N>],
    mean_out: &mut [Vector<f32, N>],
    factor_out: &mut [Vector<f32, N>],
    batch: u32,
    rows: u32,
    vectors: u32,
    splits: u32,
    epsilon: f32,
) {
    let at = position();
    if at < vectors * batch {
        let v = at % vectors;
        let sample = at / vectors;
        let mut mean = Vector::<f32, N>::new(0.0f32);
        let mut squares = Vector::<f32, N>::new(0.0f32);
        let mut count = 0.0f32;
        for split in 0..splits {
            let own = f32::cast_from((rows - split).div_ceil(splits));
            let from = (sample * splits + split) * 2 * vectors + v;
            let delta = parts[from as usize] - mean;
            let all = count + own;
            mean = fma(delta, Vector::<f32, N>::new(own / all), mean);
            squares += parts[(from + vectors) as usize] + delta * delta * Vector::<f32, N>::new(count * own / all);
            count = all;
        }
        let variance = squares / Vector::<f32, N>::new(count) + Vector::<f32, N>::new(epsilon);
        mean_out[at as usize] = mean;
        factor_out[at as usize] = Vector::<f32, N>::new(1.0f32) / variance.sqrt();
    }
}

#[cube(launch)]
pub(super) fn normed_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    shortcut: &[Vector<F, N>],
    mean: &[Vector<f32, N>],
    factor: &[Vector<f32, N>],
    out: &mut [Vector<F, N>],
    total: u32,
    rows: u32,
    vectors: u32,
    slope: f32,
    #[comptime] added: bool,
    #[define(F)] _element: ElemType,
) {
    let at = position();
    if at < total {
        let channel = (at / vectors / rows * vectors + at % vectors) as usize;
        let mut value = (Vector::<f32, N>::cast_from(x[at as usize]) - mean[channel]) * factor[channel];
        if comptime!(added) {
            value += Vector::<f32, N>::cast_from(shortcut[at as usize]);
        }
        let low = value * Vector::<f32, N>::new(slope);
        let value = select_many(value.greater_equal(&Vector::<f32, N>::new(0.0f32)), value, low);
        out[at as usize] = Vector::<F, N>::cast_from(value);
    }
}

/// Partial sums of the gradient before the activation, and of it times the normalised input: `[2, batch, splits, vectors]`.
#[cube(launch)]
pub(super) fn norm_sums_kernel<N: Size>(
    out: &[Vector<f32, N>],
    shortcut: &[Vector<f32, N>],
    grad: &[Vector<f32, N>],
    parts: &mut [Vector<f32, N>],
    batch: u32,
    rows: u32,
    vectors: u32,
    splits: u32,
    slope: f32,
    #[comptime] added: bool,
) {
    let at = position();
    if at < vectors * splits * batch {
        let v = at % vectors;
        let split = at / vectors % splits;
        let sample = at / vectors / splits;
        let mut sum = Vector::<f32, N>::new(0.0f32);
        let mut product = Vector::<f32, N>::new(0.0f32);
        let mut row = split;
        while row < rows {
            let index = ((sample * rows + row) * vectors + v) as usize;
            let value = out[index];
            let above = value.greater_equal(&Vector::<f32, N>::new(0.0f32));
            let g = grad[index];
            let g = select_many(above, g, g * Vector::<f32, N>::new(slope));
            let mut normal = select_many(above, value, value / Vector::<f32, N>::new(slope));
            if comptime!(added) {
                normal -= shortcut[index];
            }
            sum += g;
            product = fma(g, normal, product);
            row += splits;
        }
        parts[at as usize] = sum;
        parts[(vectors * splits * batch + at) as usize] = product;
    }
}

#[cube(launch)]
pub(super) fn norm_gradient_kernel<N: Size>(
    out: &[Vector<f32, N>],
    shortcut: &[Vector<f32, N>],
    grad: &[Vector<f32, N>],
    factor: &[Vector<f32, N>],
    sums: &[Vector<f32, N>],
    gradient: &mut [Vector<f32, N>],
    shortcut_gradient: &mut [Vector<f32, N>],
    total: u32,
    rows: u32,
    vectors: u32,
    slope: f32,
    #[comptime] added: bool,
) {
    let at = position();
    if at < total {
        let sample = at / vectors / rows;
        let v = at % vectors;
        let index = at as usize;
        let value = out[index];
        let above = value.greater_equal(&Vector::<f32, N>::new(0.0f32));
        let g = grad[index];
        let g = select_many(above, g, g * Vector::<f32, N>::new(slope));
        let mut normal = select_many(above, value, value / Vector::<f32, N>::new(slope));
        if comptime!(added) {
            normal -= shortcut[index];
            shortcut_gradient[index] = g;
        }
        let count = Vector::<f32, N>::new(f32::cast_from(rows));
        let mean = sums[(sample * vectors + v) as usize] / count;
        let projected = sums[(total / rows + sample * vectors + v) as usize] / count;
        gradient[index] = (g - mean - normal * projected) * factor[(sample * vectors + v) as usize];
    }
}
