//! The exact Gaussian error linear unit on a GPU.

use std::f32::consts::FRAC_1_SQRT_2;

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{UNITS, buffer, cubes_for, element, empty, numbers, position, tensor, vector_size};

/// `1 / sqrt(2 pi)`.
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

#[cube]
fn cdf<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let half = Vector::<f32, N>::new(0.5f32);
    (x * Vector::<f32, N>::new(FRAC_1_SQRT_2)).erf() * half + half
}

#[cube(launch)]
fn gelu_kernel<F: Float, N: Size>(x: &[Vector<F, N>], out: &mut [Vector<F, N>], total: u32, #[define(F)] _element: ElemType) {
    let at = position();
    if at < total {
        let x = Vector::<f32, N>::cast_from(x[at as usize]);
        out[at as usize] = Vector::<F, N>::cast_from(x * cdf::<N>(x));
    }
}

#[cube(launch)]
fn gelu_gradient_kernel<N: Size>(x: &[Vector<f32, N>], grad: &[Vector<f32, N>], out: &mut [Vector<f32, N>], total: u32) {
    let at = position();
    if at < total {
        let x = x[at as usize];
        let density = (x * x * Vector::<f32, N>::new(-0.5f32)).exp() * Vector::<f32, N>::new(DENSITY_AT_ZERO);
        out[at as usize] = grad[at as usize] * (cdf::<N>(x) + x * density);
    }
}

/// `x Φ(x)`.
pub(in crate::kernels) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let count = x.shape().num_elements();
    let (x, size) = (numbers(x), vector_size(&[count]));
    let out = empty(&x, x.meta.shape().clone());
    let (total, element) = (count / size, element(&x));
    let (client, cubes, units) = (out.client.clone(), cubes_for(total), CubeDim::new_1d(UNITS));
    gelu_kernel::launch(&client, cubes, units, size, x.into_buffer_arg(), out.clone().into_buffer_arg(), total as u32, element);
    tensor(out)
}

/// `grad (Φ(x) + x φ(x))`.
pub(in crate::kernels) fn gelu_gradient<const D: usize>(x: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
    let count = x.shape().num_elements();
    let (x, grad, size) = (buffer(x), buffer(grad), vector_size(&[count]));
    let out = empty(&x, x.meta.shape().clone());
    let total = count / size;
    gelu_gradient_kernel::launch(
        &out.client.clone(),
        cubes_for(total),
        CubeDim::new_1d(UNITS),
        size,
        x.into_buffer_arg(),
        grad.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        total as u32,
    );
    tensor(out)
}
