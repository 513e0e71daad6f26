//! A linear map over the last axis, and the bias that it shares with convolutions.

use burn::tensor::Tensor;

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::sums::{over_rows, product_over_rows};
use super::{gpu, host};

/// `x W + b`: `x` `[..., in]`, `weight` `[in, out]`, `bias` `[out]` -> `[..., out]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let out = custom_gradient((x, weight), |(x, weight)| {
        let out = product(x.clone(), weight.clone());
        let backward = move |grad: Tensor<D>, gradients: &mut InputGradients| {
            gradients.put(0, || product(grad.clone(), weight.transpose()));
            gradients.put(1, || product_over_rows(rows(x), rows(grad)));
        };
        (out, backward)
    });
    with_bias(out, bias)
}

/// `x` `[..., columns]` plus `bias` `[columns]`.
pub fn add_bias<const D: usize>(x: Tensor<D>, bias: Tensor<1>) -> Tensor<D> {
    custom_gradient((x, bias), |(x, bias)| {
        let shape = x.dims();
        let rows_of_x = rows(x);
        let out = if bodies(&rows_of_x) == Bodies::Host { host::add_bias(rows_of_x, bias) } else { rows_of_x + bias.unsqueeze() };
        let backward = |grad: Tensor<D>, gradients: &mut InputGradients| {
            gradients.put(1, || column_sums(rows(grad.clone())));
            gradients.put(0, || grad);
        };
        (out.reshape(shape), backward)
    })
}

/// The result of a product, and its bias where it has one.
pub(super) fn with_bias<const D: usize>(x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
    match bias {
        Some(bias) => add_bias(x, bias),
        None => x,
    }
}

/// `[..., columns]` as `[rows, columns]`.
pub(super) fn rows<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let columns = x.dims()[D - 1];
    let count = x.shape().num_elements() / columns.max(1);
    x.reshape([count, columns])
}

/// Sum over the rows of `[rows, columns]`, `[columns]`: the gradient of a bias.
pub(super) fn column_sums(rows: Tensor<2>) -> Tensor<1> {
    match bodies(&rows) {
        Bodies::Host => host::column_sums(rows),
        Bodies::Gpu => gpu::column_sums(rows),
        Bodies::Reference => {
            let [_, columns] = rows.dims();
            over_rows(rows.unsqueeze()).reshape([columns])
        }
    }
}

/// `x` `[..., in]` times `weight` `[in, out]`.
fn product<const D: usize>(x: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
    let mut shape = x.dims();
    shape[D - 1] = weight.dims()[1];
    rows(x).matmul(weight).reshape(shape)
}
