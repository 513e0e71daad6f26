//! The exact Gaussian error linear unit.

use burn::tensor::Tensor;

/// `x Φ(x)`, with the error function itself and not its tanh approximation.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cdf = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    x * cdf
}
