//! The exact Gaussian error linear unit.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::tensor::Tensor;

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::{gpu, host};

/// `x Φ(x)`, with the error function itself and not its tanh approximation.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    custom_gradient((x,), |(x,)| (value(x.clone()), move |grad, gradients: &mut InputGradients| gradients.put(0, || gradient(x, grad))))
}

fn value<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match bodies(&x) {
        Bodies::Host => host::gelu(x),
        Bodies::Gpu => gpu::gelu(x),
        Bodies::Reference => x.clone() * cdf(x),
    }
}

/// `grad (Φ(x) + x φ(x))`.
fn gradient<const D: usize>(x: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
    match bodies(&x) {
        Bodies::Host => host::gelu_gradient(x, grad),
        Bodies::Gpu => gpu::gelu_gradient(x, grad),
        Bodies::Reference => {
            let density = (x.clone().square() * -0.5).exp() * (2.0 * PI).sqrt().recip();
            grad * (cdf(x.clone()) + x * density)
        }
    }
}

/// `Φ(x)`, the standard normal distribution's cumulative density.
fn cdf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    (x * FRAC_1_SQRT_2).erf() * 0.5 + 0.5
}
