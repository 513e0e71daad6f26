//! Instance normalisation with what follows it in a convolutional network: a shortcut's sum and a leaky ReLU.
//!
//! The backward pass keeps no input: a leaky ReLU can be undone, so that the normalised input is found again from the
//! output, which the next layer keeps anyway.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, get_or_init_device_settings};
use burn::tensor::Tensor;

use super::dispatch::TokenOps as _;
use super::sums::mean_over_rows;

/// Added to the variance, as PyTorch's `InstanceNorm3d` does.
pub(super) const EPSILON: f32 = 1e-5;

/// Normalises each channel of each sample over its tokens, then applies a leaky ReLU of negative slope `slope`
/// (above 0; `None`: no activation). `[batch, tokens, channels]` -> the same.
pub fn instance_norm(tokens: Tensor<3>, slope: Option<f32>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_instance_norm(tokens.into_dispatch(), activation(slope)))
}

/// The end of a residual block: [`instance_norm`] of `tokens` with `shortcut` added before the leaky ReLU.
pub fn instance_norm_add(tokens: Tensor<3>, shortcut: Tensor<3>, slope: Option<f32>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_instance_norm_add(tokens.into_dispatch(), shortcut.into_dispatch(), activation(slope)))
}

/// A slope of 1 is no activation.
fn activation(slope: Option<f32>) -> f32 {
    let slope = slope.unwrap_or(1.0);
    assert!(slope > 0.0, "a leaky ReLU of slope {slope} cannot be undone");
    slope
}

/// Result of the operation, and what its gradients need.
#[derive(Clone, Debug)]
pub struct Normed<B: Backend> {
    /// `[batch, tokens, channels]`.
    pub out: FloatTensor<B>,
    /// What brought the variance to 1, `[batch, 1, channels]`.
    pub factor: FloatTensor<B>,
}

/// Gradients with respect to input and shortcut.
#[derive(Debug)]
pub struct NormGradients<B: Backend> {
    /// As the input.
    pub x: FloatTensor<B>,
    /// As the shortcut, where there is one.
    pub shortcut: Option<FloatTensor<B>>,
}

/// `activation((x - mean) / sqrt(variance + 1e-5) + shortcut)`.
pub(super) fn value<B: Backend>(x: FloatTensor<B>, shortcut: Option<FloatTensor<B>>, slope: f32) -> Normed<B> {
    let mean = mean_over_rows::<B>(x.clone());
    let centred = B::float_sub(x, mean);
    let variance = mean_over_rows::<B>(B::float_mul(centred.clone(), centred.clone()));
    let factor = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())));
    let normal = B::float_mul(centred, factor.clone());
    let sum = match shortcut {
        Some(shortcut) => B::float_add(normal, shortcut),
        None => normal,
    };
    Normed { out: B::leaky_relu(sum, slope.into()), factor }
}

/// Gradients of [`value`] from its result.
pub(super) fn gradients<B: Backend>(
    normed: Normed<B>,
    shortcut: Option<FloatTensor<B>>,
    grad: FloatTensor<B>,
    slope: f32,
) -> NormGradients<B> {
    let Normed { out, factor } = normed;
    let bool_dtype = get_or_init_device_settings::<B>(&out.device()).bool_dtype;
    let below = B::float_lower_elem(out.clone(), 0.0_f32.into(), bool_dtype);
    let grad = B::float_mask_where(grad.clone(), below, B::float_mul_scalar(grad, slope.into()));
    let sum = B::leaky_relu(out, slope.recip().into());
    let (normal, shortcut) = match shortcut {
        Some(shortcut) => (B::float_sub(sum, shortcut), Some(grad.clone())),
        None => (sum, None),
    };
    // factor * (grad - mean(grad) - normal * mean(grad * normal)).
    let mean = mean_over_rows::<B>(grad.clone());
    let along = mean_over_rows::<B>(B::float_mul(grad.clone(), normal.clone()));
    let orthogonal = B::float_sub(B::float_sub(grad, mean), B::float_mul(normal, along));
    NormGradients { x: B::float_mul(orthogonal, factor), shortcut }
}
