//! The exact Gaussian error linear unit.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};
use burn::tensor::Tensor;

use super::dispatch::TokenOps as _;

/// `x Φ(x)`, with the error function itself and not its tanh approximation.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::token_gelu(x.into_dispatch()))
}

/// `Φ(x)`, the standard normal distribution's cumulative density.
fn cdf<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, FRAC_1_SQRT_2.into()));
    B::float_add_scalar(B::float_mul_scalar(erf, 0.5.into()), 0.5.into())
}

pub(super) fn value<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), cdf::<B>(x))
}

/// `grad (Φ(x) + x φ(x))`.
pub(super) fn gradient<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let exponent = B::float_mul_scalar(B::float_mul(x.clone(), x.clone()), (-0.5).into());
    let density = B::float_mul_scalar(B::float_exp(exponent), (2.0 * PI).sqrt().recip().into());
    let slope = B::float_add(cdf::<B>(x.clone()), B::float_mul(x, density));
    B::float_mul(grad, slope)
}
