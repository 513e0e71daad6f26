//! Instance normalisation with what follows it in a convolutional network: a shortcut's sum and a leaky ReLU.
//!
//! The backward pass keeps no input: a leaky ReLU can be undone, so that the normalised input is found again from the
//! output, which the next layer keeps anyway.

use burn::tensor::Tensor;
use burn::tensor::activation::leaky_relu;

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::gpu;
use super::host::{self, EPSILON};
use super::sums::mean_over_rows;

/// Normalises each channel of each sample over its tokens, then applies a leaky ReLU of negative slope `slope`
/// (above 0; `None`: no activation). `[batch, tokens, channels]` -> the same.
///
/// # Panics
/// If `slope` is not above 0.
pub fn instance_norm(tokens: Tensor<3>, slope: Option<f32>) -> Tensor<3> {
    let slope = activation(slope);
    custom_gradient((tokens,), |(tokens,)| {
        let (out, factor) = value(tokens, None, slope);
        let kept = out.clone();
        (out, move |grad, into: &mut InputGradients| into.put(0, || gradients((kept, factor), None, grad, slope).0))
    })
}

/// The end of a residual block: [`instance_norm`] of `tokens` with `shortcut` added before the leaky ReLU.
///
/// # Panics
/// As [`instance_norm`].
pub fn instance_norm_add(tokens: Tensor<3>, shortcut: Tensor<3>, slope: Option<f32>) -> Tensor<3> {
    let slope = activation(slope);
    custom_gradient((tokens, shortcut), |(tokens, shortcut)| {
        let (out, factor) = value(tokens, Some(shortcut.clone()), slope);
        let kept = out.clone();
        let backward = move |grad, into: &mut InputGradients| {
            let (x, of_shortcut) = gradients((kept, factor), Some(shortcut), grad, slope);
            into.put(0, || x);
            into.put(1, || of_shortcut.expect("a shortcut has a gradient"));
        };
        (out, backward)
    })
}

/// A slope of 1 is no activation.
fn activation(slope: Option<f32>) -> f32 {
    let slope = slope.unwrap_or(1.0);
    assert!(slope > 0.0, "a leaky ReLU of slope {slope} cannot be undone");
    slope
}

/// `activation((x - mean) / sqrt(variance + 1e-5) + shortcut)`, and the factor that brought the variance to 1,
/// `[batch, 1, channels]`.
fn value(x: Tensor<3>, shortcut: Option<Tensor<3>>, slope: f32) -> (Tensor<3>, Tensor<3>) {
    match bodies(&x) {
        Bodies::Host => return host::instance_norm(x, shortcut, slope),
        Bodies::Gpu => return gpu::instance_norm(x, shortcut, slope),
        Bodies::Reference => {}
    }
    let centred = x.clone() - mean_over_rows(x);
    let factor = (mean_over_rows(centred.clone().square()) + EPSILON).sqrt().recip();
    let normal = centred * factor.clone();
    let sum = match shortcut {
        Some(shortcut) => normal + shortcut,
        None => normal,
    };
    (leaky_relu(sum, f64::from(slope)), factor)
}

/// Gradients of input and shortcut from the results of [`value`].
fn gradients(
    (out, factor): (Tensor<3>, Tensor<3>),
    shortcut: Option<Tensor<3>>,
    grad: Tensor<3>,
    slope: f32,
) -> (Tensor<3>, Option<Tensor<3>>) {
    match bodies(&out) {
        Bodies::Host => return host::instance_norm_gradients((out, factor), shortcut, grad, slope),
        Bodies::Gpu => return gpu::instance_norm_gradients((out, factor), shortcut, grad, slope),
        Bodies::Reference => {}
    }
    let below = out.clone().lower_elem(0.0);
    let grad = grad.clone().mask_where(below, grad * slope);
    let sum = leaky_relu(out, f64::from(slope.recip()));
    let (normal, of_shortcut) = match shortcut {
        Some(shortcut) => (sum - shortcut, Some(grad.clone())),
        None => (sum, None),
    };
    // factor * (grad - mean(grad) - normal * mean(grad * normal)).
    let mean = mean_over_rows(grad.clone());
    let projected = mean_over_rows(grad.clone() * normal.clone());
    ((grad - mean - normal * projected) * factor, of_shortcut)
}
