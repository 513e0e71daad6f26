//! A linear map over the last axis, and the bias that it shares with convolutions.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Tensor};

use super::dispatch::{TokenKernels, TokenOps as _};
use super::sums::{over_rows, product_over_rows};

/// `x W + b`: `x` `[..., in]`, `weight` `[in, out]`, `bias` `[out]` -> `[..., out]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    with_bias(Tensor::from_dispatch(Dispatch::token_product(x.into_dispatch(), weight.into_dispatch())), bias)
}

/// `x` `[..., columns]` plus `bias` `[columns]`.
pub fn add_bias<const D: usize>(x: Tensor<D>, bias: Tensor<1>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::token_bias(x.into_dispatch(), bias.into_dispatch()))
}

/// The result of a product, and its bias where it has one.
pub(super) fn with_bias<const D: usize>(x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
    match bias {
        Some(bias) => add_bias(x, bias),
        None => x,
    }
}

/// `[..., columns]` as `[rows, columns]`.
pub(super) fn rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let columns = shape[shape.num_dims() - 1];
    let count = shape.num_elements() / columns.max(1);
    B::float_reshape(x, Shape::from([count, columns]))
}

/// `x W + b` as one body.
pub(super) fn value<B: TokenKernels>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    bias_value::<B>(product::<B>(x, weight), bias)
}

pub(super) fn product<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    shape[last] = weight.shape()[1];
    B::float_reshape(B::float_matmul(rows::<B>(x), weight), shape)
}

pub(super) fn bias_value<B: TokenKernels>(x: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    B::float_reshape(B::add_bias(rows::<B>(x), bias), shape)
}

pub(super) fn input_gradient<B: Backend>(weight: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = grad.shape();
    let last = shape.num_dims() - 1;
    shape[last] = weight.shape()[0];
    B::float_reshape(B::float_matmul(rows::<B>(grad), B::float_transpose(weight)), shape)
}

pub(super) fn weight_gradient<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    product_over_rows::<B>(rows::<B>(x), rows::<B>(grad))
}

pub(super) fn column_sums<B: Backend>(rows: FloatTensor<B>) -> FloatTensor<B> {
    let [count, columns] = rows.shape().dims();
    B::float_reshape(over_rows::<B>(B::float_reshape(rows, Shape::from([1, count, columns]))), Shape::from([columns]))
}

/// `rows` `[rows, columns]` plus `bias` `[columns]`.
pub(super) fn biased_rows<B: Backend>(rows: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let columns = bias.shape()[0];
    B::float_add(rows, B::float_reshape(bias, Shape::from([1, columns])))
}
