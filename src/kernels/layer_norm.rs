//! Layer normalisation over the last axis.

use burn::tensor::Tensor;

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::gpu;
use super::host::{self, EPSILON};
use super::linear::{column_sums, rows};

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias`: statistics over the last axis, `weight` and `bias` of its length.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    custom_gradient((x, weight, bias), |(x, weight, bias)| {
        let value = value(x.clone(), weight.clone(), bias);
        let backward = move |grad, gradients: &mut InputGradients| {
            let found = self::gradients(x, weight, grad);
            gradients.put(0, || found.0);
            gradients.put(1, || found.1);
            gradients.put(2, || found.2);
        };
        (value, backward)
    })
}

fn value<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    match bodies(&x) {
        Bodies::Host => return host::layer_norm(x, weight, bias),
        Bodies::Gpu => return gpu::layer_norm(x, weight, bias),
        Bodies::Reference => {}
    }
    let shape = x.dims();
    (normalised(rows(x)).0 * weight.unsqueeze() + bias.unsqueeze()).reshape(shape)
}

/// Gradients with respect to input, weight and bias.
fn gradients<const D: usize>(x: Tensor<D>, weight: Tensor<1>, grad: Tensor<D>) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    match bodies(&x) {
        Bodies::Host => return host::layer_norm_gradients(x, weight, grad),
        Bodies::Gpu => return gpu::layer_norm_gradients(x, weight, grad),
        Bodies::Reference => {}
    }
    let shape = x.dims();
    let grad = rows(grad);
    let (normal, factor) = normalised(rows(x));
    let (weight_gradient, bias_gradient) = (column_sums(grad.clone() * normal.clone()), column_sums(grad.clone()));
    // With g = grad * weight: factor * (g - mean(g) - normal * mean(g * normal)).
    let scaled = grad * weight.unsqueeze();
    let mean = scaled.clone().mean_dim(1);
    let projected = (scaled.clone() * normal.clone()).mean_dim(1);
    let x = (scaled - mean - normal * projected) * factor;
    (x.reshape(shape), weight_gradient, bias_gradient)
}

/// Rows with mean 0 and variance 1, and the factor that made the variance 1.
fn normalised(rows: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let centred = rows.clone() - rows.mean_dim(1);
    let factor = (centred.clone().square().mean_dim(1) + EPSILON).sqrt().recip();
    (centred * factor.clone(), factor)
}
