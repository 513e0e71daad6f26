//! A linear map over the last axis, and the bias that it shares with convolutions.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::sums::{over_rows, product_over_rows};
use super::{gpu, host};

/// `x W + b`: `x` `[..., in]`, `weight` `[in, out]`, `bias` `[out]` -> `[..., out]`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut shape = x.dims();
    shape[D - 1] = weight.dims()[1];
    // A GPU's kernel adds the bias in passing.
    let (own_bias, bias) = if bodies(&weight) == Bodies::Gpu { (bias, None) } else { (None, bias) };
    let inputs = [rows(x).into_dispatch(), weight.into_dispatch()].into_iter().chain(own_bias.map(Tensor::into_dispatch));
    let inputs: Vec<DispatchTensor> = inputs.collect();
    let out = custom_gradient(inputs, |inputs| {
        let [x, weight] = [0, 1].map(|input: usize| Tensor::<2>::from_dispatch(inputs[input].clone()));
        let bias = inputs.get(2).map(|bias| Tensor::<1>::from_dispatch(bias.clone()));
        drop(inputs);
        let is_biased = bias.is_some();
        let out = value(x.clone(), weight.clone(), bias);
        let backward = move |grad: Tensor<2>, gradients: &mut InputGradients| {
            gradients.put(0, || input_gradient(weight, grad.clone()));
            if bodies(&grad) == Bodies::Gpu && gradients.wants(1) {
                let (of_weight, of_bias) = gpu::linear_gradients(x, grad);
                gradients.put(1, || of_weight);
                if is_biased {
                    gradients.put(2, of_bias);
                }
                return;
            }
            if is_biased {
                gradients.put(2, || column_sums(grad.clone()));
            }
            gradients.put(1, || product_over_rows(x, grad));
        };
        (out, backward)
    });
    with_bias(out.reshape(shape), bias)
}

/// `x` `[rows, in]` times `weight` `[in, out]`; the bias is a GPU's alone.
fn value(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if bodies(&x) == Bodies::Gpu { gpu::linear(x, weight, bias) } else { x.matmul(weight) }
}

fn input_gradient(weight: Tensor<2>, grad: Tensor<2>) -> Tensor<2> {
    if bodies(&grad) == Bodies::Gpu { gpu::linear_input_gradient(weight, grad) } else { grad.matmul(weight.transpose()) }
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
