//! Layer normalisation over the last axis.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Tensor};

use super::dispatch::TokenOps as _;
use super::linear::{column_sums, rows};

/// Added to the variance, as in every reference.
pub(super) const EPSILON: f32 = 1e-5;

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias`: statistics over the last axis, `weight` and `bias` of its length.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    let out = Dispatch::token_layer_norm(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(out)
}

/// Rows with mean 0 and variance 1, and the factor that made the variance 1.
fn normalised<B: Backend>(rows: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let mean = B::float_mean_dim(rows.clone(), 1);
    let centred = B::float_sub(rows, mean);
    let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), 1);
    let factor = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())));
    (B::float_mul(centred, factor.clone()), factor)
}

fn row<B: Backend>(vector: FloatTensor<B>) -> FloatTensor<B> {
    let length = vector.shape()[0];
    B::float_reshape(vector, Shape::from([1, length]))
}

pub(super) fn value<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let (normal, _) = normalised::<B>(rows::<B>(x));
    B::float_reshape(B::float_add(B::float_mul(normal, row::<B>(weight)), row::<B>(bias)), shape)
}

pub(super) fn gradients<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, grad: FloatTensor<B>) -> [FloatTensor<B>; 3] {
    let shape = x.shape();
    let grad = rows::<B>(grad);
    let (normal, factor) = normalised::<B>(rows::<B>(x));
    let weight_gradient = column_sums::<B>(B::float_mul(grad.clone(), normal.clone()));
    let bias_gradient = column_sums::<B>(grad.clone());
    // With g = grad * weight: factor * (g - mean(g) - normal * mean(g * normal)).
    let scaled = B::float_mul(grad, row::<B>(weight));
    let mean = B::float_mean_dim(scaled.clone(), 1);
    let along = B::float_mean_dim(B::float_mul(scaled.clone(), normal.clone()), 1);
    let orthogonal = B::float_sub(B::float_sub(scaled, mean), B::float_mul(normal, along));
    [B::float_reshape(B::float_mul(orthogonal, factor), shape), weight_gradient, bias_gradient]
}
